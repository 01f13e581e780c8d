/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file that carries the memory store over a restart: as it is, or records to which header and
 * checksum are made. What was read can be written, and read again as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "base/hash.h"
#include "config/config.h"
#include "store/memory.h"
#include "store/memory_file.h"

#define CLIENTS_MAX 100
/* In the third window of four hours since the epoch: numbers of windows are small. */
#define NOW_MS INT64_C(30000000)
#define HEADER_SIZE 58
#define INPUT_MAX 65536

struct sums {
	size_t clients;
	uint64_t counted;
};

static bool go_on(void *arg)
{
	(void)arg;
	return true;
}

static void add_tally(uint64_t *sum, const struct tally *tally)
{
	CHECK(tally->bad_now <= COUNTERS_MAX && tally->bad_previous <= COUNTERS_MAX);
	CHECK(tally->good_now <= COUNTERS_MAX && tally->good_previous <= COUNTERS_MAX);
	CHECK(tally->passed_now <= COUNTERS_MAX && tally->passed_previous <= COUNTERS_MAX);
	*sum += tally->bad_now + tally->bad_previous * 3 + tally->good_now * 5 +
		tally->good_previous * 7 + tally->passed_now * 11 + tally->passed_previous * 13;
}

static void add_client(const struct client *client, const struct store_view *view, void *arg)
{
	struct sums *sums = arg;

	CHECK(client->key.bits == (client->key.family == 4 ? 32 : 64));
	CHECK(view->announced <= ANNOUNCED_FLAG);
	CHECK(view->by_hand_until_s <= NOW_MS / 1000 + 30 * 86400);
	sums->clients++;
	sums->counted += view->by_hand + view->has_trap * 2U + (uint64_t)view->by_hand_until_s;
	add_tally(&sums->counted, &view->client);
	add_tally(&sums->counted, &view->network);
}

static struct sums sum_up(struct store *store, const struct config *config)
{
	const struct window window = window_at(NOW_MS, config->window_s);
	struct sums sums = {0};

	store_each(store, &config->widths, &window, add_client, &sums);
	CHECK(sums.clients <= CLIENTS_MAX);
	return sums;
}

static bool load(struct store *store, const struct config *config, const uint8_t *bytes,
		 size_t length)
{
	const struct memory_file_task task = {store, config, NOW_MS, go_on, NULL, false};
	FILE *file = fmemopen((void *)(uintptr_t)bytes, length, "r");
	char error[128] = "";
	size_t clients;
	bool is_sound;

	CHECK(file != NULL);
	is_sound = memory_file_load(&task, file, &clients, error, sizeof(error));
	fclose(file);
	CHECK(is_sound == (error[0] == '\0') && is_printable(error));
	CHECK(is_sound || (clients == 0 && sum_up(store, config).clients == 0));
	return is_sound;
}

/* What the store remembers, as a file in bytes, which hold INPUT_MAX; its length. */
static size_t save(struct store *store, struct config *config, uint8_t *bytes)
{
	struct config own = {.window_s = config->window_s, .key_prefix = config->key_prefix};
	const struct memory_file_task task = {store, &own, NOW_MS, go_on, NULL, true};
	char path[256], error[128];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "%s", fuzz_file(0, "", 0));
	own.memory_file = path;
	CHECK(memory_file_write(&task, error, sizeof(error)) == MEMORY_FILE_WRITTEN);
	file = fopen(path, "re");
	CHECK(file != NULL);
	length = fread(bytes, 1, INPUT_MAX, file);
	fclose(file);
	CHECK(length < INPUT_MAX);
	return length;
}

/* Makes a file of records: puts the header before, the end and the checksum behind. */
static size_t seal(struct config *config, struct input *records, uint8_t *bytes)
{
	struct store *empty = memory_store_new(CLIENTS_MAX);
	size_t length = records->length < INPUT_MAX / 2 ? records->length : INPUT_MAX / 2;
	struct hash_sum sum;

	CHECK(empty != NULL);
	CHECK(save(empty, config, bytes) == HEADER_SIZE + 1 + HASH_SUM_SIZE);
	store_destroy(empty);
	memcpy(bytes + HEADER_SIZE, records->bytes, length);
	length += HEADER_SIZE;
	bytes[length++] = 0;
	hash_sum_begin(&sum);
	hash_sum_add(&sum, bytes, length);
	hash_sum_end(&sum, bytes + length);
	return length + HASH_SUM_SIZE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sets[] = {"memory_clients=100", NULL};
	static uint8_t bytes[INPUT_MAX];
	struct input input = {data, size};
	struct store *store, *again;
	struct config *config;
	struct sums before, after;
	bool is_whole;

	fuzz_begin();
	config = fuzz_config(sets);
	store = memory_store_new(CLIENTS_MAX);
	again = memory_store_new(CLIENTS_MAX);
	CHECK(store != NULL && again != NULL);
	is_whole = take_byte(&input) % 2 == 0;
	if (is_whole && input.length > 0)
		load(store, config, input.bytes, input.length);
	else if (!is_whole)
		load(store, config, bytes, seal(config, &input, bytes));
	before = sum_up(store, config);
	CHECK(load(again, config, bytes, save(store, config, bytes)));
	after = sum_up(again, config);
	CHECK(after.clients == before.clients && after.counted == before.counted);
	store_destroy(store);
	store_destroy(again);
	config_release(config);
	return 0;
}
