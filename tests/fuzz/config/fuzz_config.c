/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: a file, and KEY=VALUE texts, one a line, up to an empty line. What is good is
 * printed, and read back from that it is the same. The file is called 0, so that it can include
 * itself, and exempt_clients=@ names it as a list of networks.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define SETS_MAX 8

/* libconfuse 3.3 loses a few bytes where the arguments of include() are garbled. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfuse";
}

static char *print(const struct config *config, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);

	CHECK(out != NULL);
	config_print(config, out);
	CHECK(fclose(out) == 0);
	return text;
}

/* A line each, FILE:LINE: key: reason (what is allowed), that can't control a terminal. */
static void check_faults(const struct faults *faults)
{
	size_t lines = 0;

	CHECK(faults->count > 0 && faults->text != NULL);
	CHECK(faults->length == strlen(faults->text));
	CHECK(faults->text[faults->length - 1] == '\n');
	for (char *line = strtok(faults->text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		CHECK(is_printable(line) && strchr(line, ':') != NULL);
		lines++;
	}
	CHECK(lines == faults->count);
}

static void check_config(const struct config *config)
{
	CHECK(config->policy.delay_min_ms > 0);
	CHECK(config->policy.delay_min_ms <= config->policy.delay_max_ms);
	CHECK(config->policy.threshold > 0 && config->window_s >= 60);
	CHECK(config->widths.ipv4_network <= config->widths.ipv4_prefix);
	CHECK(config->widths.ipv4_prefix <= 32 && config->widths.ipv6_prefix <= 128);
	CHECK(config->mta_timeout_ms == 0 || config->mta_timeout_ms > 2000);
	CHECK(config->exempt != NULL && config->socket != NULL && config->key_prefix != NULL);
}

/* An @FILE is read again, and is what was printed by then: such a configuration is let be. */
static bool names_file(const struct config *config)
{
	for (size_t i = 0; i < config->exempt_clients.count; i++)
		if (config->exempt_clients.items[i][0] == '@')
			return true;
	return false;
}

static void read_back(const struct config *config)
{
	struct faults faults = {0};
	size_t length, length_again;
	char *text = print(config, &length), *text_again;
	struct config *again;

	again = config_load(fuzz_file(1, text, length), true, NULL, 0, &faults);
	if (again == NULL)
		fuzz_failed(text, 0, faults.text);
	text_again = print(again, &length_again);
	if (strcmp(text, text_again) != 0)
		fuzz_failed(text, 0, text_again);
	config_release(again);
	free(text_again);
	free(text);
}

/* A text by itself, which the caller frees. */
static char *take_set(struct input *input)
{
	char *set = take_text(input, '\n'), *named = NULL;

	if (strcmp(set, "exempt_clients=@") != 0)
		return set;
	CHECK(asprintf(&named, "%s%s", set, fuzz_file(0, "", 0)) > 0);
	free(set);
	return named;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct faults faults = {0};
	char *sets[SETS_MAX];
	size_t count = 0;
	struct config *config;
	const char *file;

	fuzz_begin();
	while (input.length > 0 && input.bytes[0] != '\n' && count < SETS_MAX)
		sets[count++] = take_set(&input);
	take_byte(&input);
	file = input.length > 0 ? fuzz_file(0, input.bytes, input.length) : NULL;
	config = config_load(file, true, (const char *const *)sets, count, &faults);
	if (config != NULL) {
		CHECK(faults.count == 0);
		check_config(config);
		if (!names_file(config))
			read_back(config);
	} else {
		check_faults(&faults);
	}
	config_release(config);
	faults_free(&faults);
	while (count > 0)
		free(sets[--count]);
	return 0;
}
