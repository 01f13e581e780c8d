/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fake_clock.h"
#include "base/hash.h"
#include "session/journal.h"
#include "base/log.h"
#include "store/memory.h"
#include "session/deferrals.h"
#include "session/open_sessions.h"
#include "session/site.h"
#include "session/stall.h"
#include "base/stats.h"

/* 2026-11-21 00:00:00 UTC, when a window of 4 h begins. */
#define MIDNIGHT INT64_C(1795219200000)
#define CONFIGS_MAX 16
#define PATH_SIZE 256

static char directory[PATH_SIZE], file_names[FUZZ_FILES][PATH_SIZE];

void fuzz_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

unsigned take_byte(struct input *input)
{
	if (input->length == 0)
		return 0;
	input->length--;
	return *input->bytes++;
}

uint64_t take_number(struct input *input, size_t bytes)
{
	uint64_t number = 0;

	while (bytes-- > 0)
		number = number << 8 | take_byte(input);
	return number;
}

char *take_text(struct input *input, char end)
{
	const uint8_t *found = input->length > 0 ? memchr(input->bytes, end, input->length) : NULL;
	size_t length = found != NULL ? (size_t)(found - input->bytes) : input->length;
	char *text = malloc(length + 1);

	CHECK(text != NULL);
	if (length > 0)
		memcpy(text, input->bytes, length);
	text[length] = '\0';
	input->bytes += length;
	input->length -= length;
	take_byte(input);
	return text;
}

bool is_printable(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

static void no_line(int priority, const char *line)
{
	(void)priority;
	CHECK(strlen(line) < LOG_LINE_MAX && is_printable(line));
}

void fuzz_begin(void)
{
	static bool has_begun;

	if (has_begun)
		return;
	has_begun = true;
	setenv("TZ", "UTC0", 1);
	tzset();
	log_to(no_line);
	CHECK(hash_init() == 0);
}

static void remove_files(void)
{
	for (size_t i = 0; i < FUZZ_FILES; i++)
		unlink(file_names[i]);
	rmdir(directory);
}

static void make_directory(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(directory, sizeof(directory) - 2, "%s/tarpit-fuzz.XXXXXX",
		 parent != NULL ? parent : "/tmp");
	CHECK(mkdtemp(directory) != NULL);
	for (size_t i = 0; i < FUZZ_FILES; i++)
		snprintf(file_names[i], PATH_SIZE, "%.*s/%zu", PATH_SIZE - 10, directory, i);
	atexit(remove_files);
}

const char *fuzz_file(size_t which, const void *content, size_t length)
{
	static const struct timespec written[] = {{MIDNIGHT / 1000, 0}, {MIDNIGHT / 1000, 0}};
	FILE *file;

	if (directory[0] == '\0')
		make_directory();
	file = fopen(file_names[which], "we");
	CHECK(file != NULL && fwrite(content, 1, length, file) == length);
	CHECK(fflush(file) == 0 && futimens(fileno(file), written) == 0 && fclose(file) == 0);
	return file_names[which];
}

static struct config *load(const char *const *sets)
{
	struct faults faults = {0};
	struct config *config;
	size_t count = 0;

	while (sets[count] != NULL)
		count++;
	config = config_load(NULL, false, sets, count, &faults);
	if (config == NULL)
		fuzz_failed("fuzz_config", 0, faults.text);
	faults_free(&faults);
	return config;
}

struct config *fuzz_config(const char *const *sets)
{
	static struct {
		const char *const *sets;
		struct config *config;
	} loaded[CONFIGS_MAX];
	size_t i = 0;

	while (i < COUNT(loaded) - 1 && loaded[i].sets != NULL && loaded[i].sets != sets)
		i++;
	CHECK(i < COUNT(loaded) - 1);
	if (loaded[i].sets == NULL) {
		loaded[i].sets = sets;
		loaded[i].config = load(sets);
	}
	return config_hold(loaded[i].config);
}

/* The balance of what has been begun and ended in this process. */
static uint64_t open_books(void)
{
	return stats_get(STAT_STALLS_BEGUN) - stats_get(STAT_STALLS_ENDED) +
	       stats_get(STAT_SESSIONS_OPENED) - stats_get(STAT_SESSIONS_CLOSED);
}

static double chance(void)
{
	return 1;
}

void fuzz_tarpit_begin(struct tarpit *tarpit, struct config *config)
{
	fuzz_begin();
	fake_clock_reset(MIDNIGHT, 1000000);
	*tarpit = (struct tarpit){
		.config = config_box_new(config),
		.store = memory_store_new(config->memory_clients),
		.stalls = stalls_new(&fake_clock, config->max_stalls, NULL),
		.peers = open_sessions_new(),
		.deferrals = deferrals_new(100),
		.site = site_new(&journal_log, MIDNIGHT),
		.journal = &journal_log,
		.clock = &fake_clock,
		.chance = chance,
		.max_sessions = 1000,
	};
	CHECK(tarpit->config != NULL && tarpit->store != NULL && tarpit->stalls != NULL &&
	      tarpit->peers != NULL && tarpit->site != NULL);
	CHECK(open_books() == 0);
}

void fuzz_tarpit_end(struct tarpit *tarpit)
{
	CHECK(tarpit->open_sessions == 0);
	CHECK(stalls_active(tarpit->stalls) == 0);
	CHECK(open_books() == 0);
	store_destroy(tarpit->store);
	stalls_free(tarpit->stalls);
	open_sessions_free(tarpit->peers);
	deferrals_free(tarpit->deferrals);
	site_free(tarpit->site);
	config_box_free(tarpit->config);
}
