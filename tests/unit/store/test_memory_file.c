/* SPDX-License-Identifier: BSD-2-Clause */
/* The file that carries the memory store over a restart: what it holds, and what it may not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "config/config.h"
#include "store/memory.h"
#include "store/memory_file.h"

#define LENGTH_S 3600
#define WINDOW 490000
#define NOW_S (INT64_C(1) * WINDOW * LENGTH_S)
#define DAY_S 86400
#define MANY 2000
#define FILE_MAX (1 << 20)

static char directory[] = "/tmp/tarpit-test-memory-XXXXXX";
static char path[64], fresh_path[80], other_path[64], prefix_text[] = "tarpit";
static struct config config;
static struct store *store;

static bool always(void *arg)
{
	(void)arg;
	return true;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static int set_up(void **state)
{
	(void)state;
	config = (struct config){
		.memory_file = path,
		.memory_clients = MANY,
		.key_prefix = prefix_text,
		.window_s = LENGTH_S,
		.widths = {32, 24, 64, 48, NULL, 0},
	};
	store = memory_store_new(MANY);
	unlink(path);
	return store == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_destroy(store);
	return 0;
}

static struct store_query query_at(const char *address, int64_t now_s)
{
	struct store_query query = {.window = window_at(now_s * 1000, config.window_s),
				    .key_prefix = config.key_prefix};
	struct prefix prefix;

	assert_true(prefix_parse(address, &prefix));
	client_identify(&prefix, &config.widths, &query.client);
	return query;
}

static struct store_view look_up_at(const char *address, int64_t now_s)
{
	struct store_query query = query_at(address, now_s);
	struct store_view view;

	store_lookup(store, &query, &view);
	return view;
}

static struct store_view look_up(const char *address)
{
	return look_up_at(address, NOW_S);
}

/* Whether that is news: the recipient, a hash, has not been counted in this window. */
static bool count(const char *address, enum side side, uint64_t amount, uint64_t recipient)
{
	struct store_query query = query_at(address, NOW_S);
	struct store_event event = {
		.side = side, .amount = amount, .distinct = recipient != 0, .recipient = recipient};
	struct store_view view;

	return store_record(store, &query, &event, &view);
}

static void offend(const char *address)
{
	count(address, SIDE_BAD, 100, 0);
}

static void flag_until(const char *address, int64_t until_s)
{
	struct store_query query = query_at(address, NOW_S);

	assert_true(store_flag(store, &query, until_s));
}

static struct memory_file_task task_at(int64_t now_s)
{
	return (struct memory_file_task){store, &config, now_s * 1000, always, NULL, false};
}

static void save_by(const struct memory_file_task *task, enum memory_file_result expected)
{
	char reason[128] = "";

	assert_int_equal(memory_file_write(task, reason, sizeof(reason)), expected);
	assert_int_equal(reason[0] != '\0', expected == MEMORY_FILE_FAILED);
	assert_int_not_equal(access(fresh_path, F_OK), 0);
}

static void save(void)
{
	const struct memory_file_task task = task_at(NOW_S);

	save_by(&task, MEMORY_FILE_WRITTEN);
}

/* A store that knows nothing takes the place of the one there is. */
static void forget(void)
{
	store_destroy(store);
	store = memory_store_new(config.memory_clients);
	assert_non_null(store);
}

/* Returns how many clients are remembered. */
static size_t restart_at(int64_t now_s)
{
	struct memory_file_task task;
	char reason[128] = "";
	size_t clients = 77;

	forget();
	task = task_at(now_s);
	if (!memory_file_read(&task, &clients, reason, sizeof(reason)))
		fail_msg("%s", reason);
	return clients;
}

static size_t restart(void)
{
	save();
	return restart_at(NOW_S);
}

static void count_client(const struct client *client, const struct store_view *view, void *arg)
{
	(void)client;
	(void)view;
	++*(size_t *)arg;
}

static size_t clients_now(void)
{
	const struct window window = window_at(NOW_S * 1000, config.window_s);
	size_t found = 0;

	store_each(store, &config.widths, &window, count_client, &found);
	return found;
}

/* --- what it holds --- */

static void test_counts_are_kept(void **state)
{
	struct store_view view;

	(void)state;
	count("192.0.2.1", SIDE_BAD, 350, 0);
	count("192.0.2.1", SIDE_GOOD, 200, 0);
	count("192.0.2.1", SIDE_PASSED, 700, 0);
	count("192.0.2.2", SIDE_BAD, 100, 0);
	count("2001:db8::1", SIDE_BAD, COUNTERS_MAX, 0);
	assert_int_equal(restart(), 3);
	view = look_up("192.0.2.1");
	assert_int_equal(view.client.bad_now, 350);
	assert_int_equal(view.client.good_now, 200);
	assert_int_equal(view.client.passed_now, 700);
	assert_int_equal(view.network.bad_now, 450);
	view = look_up("2001:db8::ffff");
	assert_true(view.client.bad_now == COUNTERS_MAX && view.network.bad_now == COUNTERS_MAX);
	assert_int_equal(look_up("192.0.2.3").client.bad_now, 0);
}

static void test_counts_of_both_windows_are_kept_and_grow_old(void **state)
{
	(void)state;
	offend("192.0.2.1");
	save();
	assert_int_equal(restart_at(NOW_S + LENGTH_S), 1);
	assert_int_equal(look_up_at("192.0.2.1", NOW_S + LENGTH_S).client.bad_now, 0);
	assert_int_equal(look_up_at("192.0.2.1", NOW_S + LENGTH_S).client.bad_previous, 100);
	assert_int_equal(look_up_at("192.0.2.9", NOW_S + LENGTH_S).network.bad_previous, 100);
	assert_int_equal(restart_at(NOW_S + 2 * LENGTH_S), 0);
	assert_int_equal(clients_now(), 0);
}

static void test_counts_of_the_future_are_of_a_clock_that_was_set_back(void **state)
{
	(void)state;
	offend("192.0.2.1");
	save();
	assert_int_equal(restart_at(NOW_S - 1), 1);
	assert_int_equal(look_up_at("192.0.2.1", NOW_S - 1).client.bad_now, 100);
	assert_int_equal(restart_at(NOW_S - LENGTH_S - 1), 0);
	assert_int_equal(restart_at(0), 0);
}

static void test_recipients_stay_counted(void **state)
{
	(void)state;
	assert_true(count("192.0.2.1", SIDE_BAD, 100, 5));
	restart();
	assert_false(count("192.0.2.1", SIDE_BAD, 100, 5));
	assert_true(count("192.0.2.1", SIDE_BAD, 100, 6));
	assert_true(count("192.0.2.2", SIDE_BAD, 100, 5));
	assert_int_equal(look_up("192.0.2.1").client.bad_now, 200);
}

static void test_flag_by_hand_lasts_as_long_as_it_was_to(void **state)
{
	(void)state;
	flag_until("192.0.2.1", NOW_S + 5 * LENGTH_S);
	save();
	assert_int_equal(restart_at(NOW_S + 4 * LENGTH_S), 1);
	assert_true(look_up_at("192.0.2.1", NOW_S + 4 * LENGTH_S).by_hand);
	assert_int_equal(look_up_at("192.0.2.1", NOW_S + 4 * LENGTH_S).by_hand_until_s,
			 NOW_S + 5 * LENGTH_S);
	assert_int_equal(restart_at(NOW_S + 5 * LENGTH_S), 0);
}

static void test_flag_by_hand_of_a_far_future_is_bounded(void **state)
{
	(void)state;
	flag_until("192.0.2.1", NOW_S + 1000 * DAY_S);
	restart();
	assert_int_equal(look_up("192.0.2.1").by_hand_until_s, NOW_S + 30 * DAY_S);
}

static void test_forgiven_stays_forgiven(void **state)
{
	struct store_query query = query_at("192.0.2.1", NOW_S);

	(void)state;
	offend("192.0.2.1");
	flag_until("192.0.2.1", NOW_S + LENGTH_S);
	offend("192.0.2.2");
	save();
	store_forgive(store, &query);
	assert_int_equal(restart(), 1);
	assert_false(look_up("192.0.2.1").by_hand);
	assert_int_equal(look_up("192.0.2.1").client.bad_now, 0);
	assert_int_equal(look_up("192.0.2.1").network.bad_now, 100);
}

static void test_trap_and_announcement_are_kept(void **state)
{
	struct store_query query = query_at("192.0.2.1", NOW_S);
	const struct store_event trap = {.side = SIDE_BAD, .amount = 500, .is_trap = true};
	struct store_view view;

	(void)state;
	store_record(store, &query, &trap, &view);
	assert_true(store_announce(store, &query.client.key, ANNOUNCED_FLAG));
	restart();
	assert_true(look_up("192.0.2.1").has_trap);
	assert_int_equal(look_up("192.0.2.1").announced, ANNOUNCED_FLAG);
	assert_false(look_up("192.0.2.2").has_trap);
}

static bool earn(const char *address, uint64_t mailbox, uint64_t domain)
{
	struct store_query query = query_at(address, NOW_S);
	struct store_recipient recipient = {mailbox, domain, true};
	struct store_view view;

	return store_credit(store, &query, &recipient, 1, &view);
}

static unsigned credit_left(const char *address, uint64_t mailbox, uint64_t domain)
{
	struct store_query query = query_at(address, NOW_S);
	const struct store_recipient recipient = {mailbox, domain, true};

	return store_credit_left(store, &query, &recipient);
}

static void test_history_of_clean_clients_is_kept(void **state)
{
	struct store_view view;

	(void)state;
	assert_true(earn("192.0.2.1", 1, 10));
	assert_true(earn("192.0.2.1", 2, 10));
	assert_int_equal(restart(), 0);
	view = look_up("192.0.2.1");
	assert_true(view.client.good_now == 200 && view.kept.good_now == 200);
	assert_int_equal(view.network.good_now, 200);
	assert_int_equal(credit_left("192.0.2.1", 1, 10), 0);
	assert_int_equal(credit_left("192.0.2.1", 3, 10), 8);
	assert_int_equal(credit_left("192.0.2.1", 3, 11), 10);
	offend("192.0.2.1");
	assert_int_equal(look_up("192.0.2.1").client.good_now, 200);
}

static void test_domain_with_a_rejection_is_kept(void **state)
{
	struct store_query query = query_at("192.0.2.1", NOW_S);
	const struct store_event event = {.side = SIDE_BAD, .amount = 100, .domain = 10};
	struct store_view view;

	(void)state;
	store_record(store, &query, &event, &view);
	restart();
	assert_int_equal(credit_left("192.0.2.1", 1, 10), (unsigned)-1);
}

/* --- what else has changed meanwhile --- */

static void test_other_windows_keep_flags_by_hand_only(void **state)
{
	struct store_view view;

	(void)state;
	/* So long that those a second shorter have the same number now. */
	config.window_s = 14 * DAY_S;
	offend("192.0.2.1");
	offend("192.0.2.2");
	earn("192.0.2.3", 1, 10);
	flag_until("192.0.2.2", NOW_S + DAY_S);
	save();
	config.window_s--;
	assert_int_equal(restart_at(NOW_S), 1);
	view = look_up("192.0.2.2");
	assert_true(view.by_hand && tally_is_zero(&view.client) && tally_is_zero(&view.network));
	view = look_up("192.0.2.3");
	assert_true(tally_is_zero(&view.client) && credit_left("192.0.2.3", 1, 10) == 10);
}

static void test_other_widths_are_other_clients(void **state)
{
	(void)state;
	offend("192.0.2.1");
	offend("2001:db8::1");
	save();
	config.widths = (struct client_widths){28, 24, 64, 56, NULL, 0};
	assert_int_equal(restart_at(NOW_S), 1);
	assert_int_equal(look_up("192.0.2.1").client.bad_now, 0);
	assert_int_equal(look_up("192.0.2.1").network.bad_now, 100);
	assert_int_equal(look_up("2001:db8::1").client.bad_now, 100);
	assert_int_equal(look_up("2001:db8::1").network.bad_now, 0);
}

static void test_other_key_prefix_makes_other_recipients(void **state)
{
	char other[] = "other";

	(void)state;
	count("192.0.2.1", SIDE_BAD, 100, 5);
	save();
	config.key_prefix = other;
	assert_int_equal(restart_at(NOW_S), 1);
	assert_true(count("192.0.2.1", SIDE_BAD, 100, 5));
	assert_int_equal(look_up("192.0.2.1").client.bad_now, 200);
}

static void test_less_room_keeps_the_latest_offenders(void **state)
{
	char address[20];

	(void)state;
	for (unsigned i = 0; i < 250; i++) {
		snprintf(address, sizeof(address), "10.0.%u.1", i);
		offend(address);
	}
	offend("10.0.0.1");
	save();
	config.memory_clients = 100;
	restart_at(NOW_S);
	assert_int_equal(clients_now(), 100);
	assert_int_equal(look_up("10.0.0.1").client.bad_now, 200);
	assert_int_equal(look_up("10.0.1.1").client.bad_now, 0);
	assert_int_equal(look_up("10.0.249.1").network.bad_now, 100);
	assert_int_equal(look_up("10.0.1.1").network.bad_now, 0);
}

/* --- what is no such file --- */

static size_t slurp(uint8_t *bytes)
{
	FILE *file = fopen(path, "re");
	size_t length;

	assert_non_null(file);
	length = fread(bytes, 1, FILE_MAX, file);
	fclose(file);
	return length;
}

static void spill(const void *bytes, size_t length)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void assert_refused_by(bool (*may_go_on)(void *arg), const char *expected)
{
	struct memory_file_task task;
	char reason[128] = "";
	size_t clients = 77;

	forget();
	task = task_at(NOW_S);
	task.may_go_on = may_go_on;
	assert_false(memory_file_read(&task, &clients, reason, sizeof(reason)));
	if (expected != NULL)
		assert_string_equal(reason, expected);
	assert_true(reason[0] != '\0' && clients == 0);
	assert_int_equal(clients_now(), 0);
	assert_int_equal(look_up("192.0.2.3").client.good_now, 0);
	assert_true(count("192.0.2.1", SIDE_BAD, 100, 5));
}

static void assert_refused(const char *expected)
{
	assert_refused_by(always, expected);
}

/* A small file with a record of each kind. */
static size_t make_file(uint8_t *bytes)
{
	count("192.0.2.1", SIDE_BAD, 100, 5);
	offend("2001:db8::1");
	earn("192.0.2.3", 1, 10);
	save();
	return slurp(bytes);
}

static void test_missing_file_is_an_empty_one(void **state)
{
	(void)state;
	assert_int_equal(restart_at(NOW_S), 0);
}

static void test_file_that_is_cut_off_anywhere(void **state)
{
	uint8_t *bytes = malloc(FILE_MAX);
	size_t length = make_file(bytes);

	(void)state;
	assert_true(length > 300);
	for (size_t left = 0; left < length; left++) {
		spill(bytes, left);
		assert_refused("cut off");
	}
	free(bytes);
}

static void test_file_with_a_changed_bit(void **state)
{
	uint8_t *bytes = malloc(FILE_MAX);
	size_t length = make_file(bytes);

	(void)state;
	for (size_t i = 0; i < length * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		spill(bytes, length);
		assert_refused(NULL);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	spill(bytes, length);
	assert_int_equal(restart_at(NOW_S), 2);
	free(bytes);
}

static void test_file_with_more_behind(void **state)
{
	uint8_t *bytes = malloc(FILE_MAX);
	size_t length = make_file(bytes);

	(void)state;
	bytes[length] = 0;
	spill(bytes, length + 1);
	assert_refused("damaged");
	free(bytes);
}

static void test_foreign_file(void **state)
{
	static const char text[] = "# a configuration, or anything else that is longer\n";

	(void)state;
	spill(text, strlen(text));
	assert_refused("not written by tarpit-milter");
}

#define VERSION_AT 21
#define RECORDS_AT 58

/* A file with this record of a window, whose checksum is right. */
static size_t seal(uint8_t *bytes, const uint8_t *record, size_t length)
{
	struct hash_sum sum;

	memcpy(bytes + RECORDS_AT, record, length);
	length += RECORDS_AT;
	bytes[length++] = 0;
	hash_sum_begin(&sum);
	hash_sum_add(&sum, bytes, length);
	hash_sum_end(&sum, bytes + length);
	return length + HASH_SUM_SIZE;
}

static void test_file_of_a_newer_version(void **state)
{
	uint8_t *bytes = malloc(FILE_MAX);

	(void)state;
	make_file(bytes);
	assert_int_equal(bytes[VERSION_AT], 1);
	bytes[VERSION_AT] = 2;
	spill(bytes, seal(bytes, bytes, 0));
	assert_refused("written by a newer tarpit-milter");
	free(bytes);
}

/* A client's record: kind, family, bits, address, window, six counters, trap, flag, announced. */
static const uint8_t client_record[] = {
	[0] = 1,
	[1] = 4,
	[2] = 32,
	[3] = 192,
	[5] = 2,
	[6] = 1,
	/* WINDOW, and a hundred hundredths */
	[12] = WINDOW >> 16,
	[13] = WINDOW >> 8 & 255,
	[14] = WINDOW & 255,
	[19] = 100,
	[45 + 16] = 0,
};
/* A recipient's: kind, family, bits, address, window, hash, count. */
static const uint8_t seen_record[] = {
	[0] = 5,
	[1] = 4,
	[2] = 32,
	[3] = 192,
	[5] = 2,
	[6] = 1,
	[12] = WINDOW >> 16,
	[13] = WINDOW >> 8 & 255,
	[14] = WINDOW & 255,
	[22] = 5,
	[23] = 1,
};

static void test_record_that_no_daemon_writes(void **state)
{
	static const struct {
		bool is_seen;
		size_t at;
		uint8_t value;
	} rows[] = {
		{false, 0, 8},	  {false, 0, 255}, /* kind */
		{false, 1, 0},	  {false, 1, 5}, /* family */
		{false, 2, 33},	  {false, 2, 24}, /* longer than an address; with host bits */
		{false, 7, 128},  {false, 7, 255}, /* a window before 1970, one beyond all time */
		{false, 15, 255}, {false, 40, 255}, /* counters */
		{false, 45, 128}, {false, 53, 1}, /* trap, flag */
		{false, 61, 3}, /* announced */
		{true, 23, 0}, /* seen, but never */
	};
	uint8_t *bytes = malloc(FILE_MAX), record[sizeof(client_record)];

	(void)state;
	make_file(bytes);
	spill(bytes, seal(bytes, client_record, sizeof(client_record)));
	assert_int_equal(restart_at(NOW_S), 1);
	assert_int_equal(look_up("192.0.2.1").client.bad_now, 100);
	spill(bytes, seal(bytes, seen_record, sizeof(seen_record)));
	assert_int_equal(restart_at(NOW_S), 0);
	assert_false(count("192.0.2.1", SIDE_BAD, 100, 5));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t length = rows[i].is_seen ? sizeof(seen_record) : sizeof(client_record);

		memcpy(record, rows[i].is_seen ? seen_record : client_record, length);
		record[rows[i].at] = rows[i].value;
		spill(bytes, seal(bytes, record, length));
		assert_refused("damaged");
	}
	free(bytes);
}

/* A clean client's: kind, family, bits, address, window, good now and before. */
static const uint8_t clean_record[] = {
	[0] = 3,
	[1] = 4,
	[2] = 32,
	[3] = 192,
	[5] = 2,
	[6] = 3,
	[12] = WINDOW >> 16,
	[13] = WINDOW >> 8 & 255,
	[14] = WINDOW & 255,
	[19] = 100,
	[24] = 0,
};

static void test_of_two_records_the_later_one_holds(void **state)
{
	uint8_t *bytes = malloc(FILE_MAX), records[2 * sizeof(client_record)];

	(void)state;
	make_file(bytes);
	memcpy(records, client_record, sizeof(client_record));
	memcpy(records + sizeof(client_record), client_record, sizeof(client_record));
	records[sizeof(client_record) + 19] = 200;
	spill(bytes, seal(bytes, records, 2 * sizeof(client_record)));
	restart_at(NOW_S);
	assert_int_equal(look_up("192.0.2.1").client.bad_now, 200);
	memcpy(records, clean_record, sizeof(clean_record));
	memcpy(records + sizeof(clean_record), clean_record, sizeof(clean_record));
	records[sizeof(clean_record) + 19] = 200;
	spill(bytes, seal(bytes, records, 2 * sizeof(clean_record)));
	restart_at(NOW_S);
	assert_int_equal(look_up("192.0.2.3").client.good_now, 200);
	free(bytes);
}

static void test_file_that_others_may_have_written(void **state)
{
	(void)state;
	offend("192.0.2.1");
	save();
	assert_int_equal(chmod(path, 0620), 0);
	assert_refused("others may write to it");
	assert_int_equal(chmod(path, 0602), 0);
	assert_refused("others may write to it");
	assert_int_equal(rename(path, other_path), 0);
	assert_int_equal(symlink(other_path, path), 0);
	assert_refused("Too many levels of symbolic links");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused("not a regular file");
	unlink(path);
	unlink(other_path);
}

/* --- how it is written --- */

static void test_file_is_its_owners_alone(void **state)
{
	struct stat info;

	(void)state;
	umask(0);
	offend("192.0.2.1");
	spill("old", 3);
	assert_int_equal(chmod(path, 0666), 0);
	save();
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
}

static void test_what_a_kill_left_behind_is_replaced(void **state)
{
	struct stat info;

	(void)state;
	offend("192.0.2.1");
	spill("precious", 8);
	assert_int_equal(rename(path, other_path), 0);
	assert_int_equal(symlink(other_path, fresh_path), 0);
	save();
	assert_int_equal(lstat(path, &info), 0);
	assert_true(S_ISREG(info.st_mode));
	assert_int_equal(stat(other_path, &info), 0);
	assert_int_equal(info.st_size, 8);
	unlink(other_path);
}

static void test_what_is_given_up_leaves_the_file_before(void **state)
{
	struct memory_file_task task = task_at(NOW_S);

	(void)state;
	task.may_go_on = never;
	offend("192.0.2.1");
	save();
	offend("192.0.2.2");
	for (int i = 0; i < 2; i++) {
		task.is_last = i == 1;
		save_by(&task, MEMORY_FILE_GIVEN_UP);
	}
	assert_int_equal(restart_at(NOW_S), 1);
}

/* How often it may go on. */
static bool so_often(void *arg)
{
	return --*(int *)arg > 0;
}

static void test_recipients_that_there_is_no_time_for_are_left_out(void **state)
{
	struct memory_file_task task = task_at(NOW_S);
	int times = 4; /* once for each kind before them */

	(void)state;
	task.arg = &times;
	task.may_go_on = so_often;
	count("192.0.2.1", SIDE_BAD, 100, 5);
	earn("192.0.2.3", 1, 10);
	save_by(&task, MEMORY_FILE_GIVEN_UP);
	task.is_last = true;
	times = 3;
	save_by(&task, MEMORY_FILE_GIVEN_UP);
	times = 4;
	save_by(&task, MEMORY_FILE_WRITTEN);
	assert_int_equal(restart_at(NOW_S), 1);
	assert_int_equal(look_up("192.0.2.3").client.good_now, 100);
	assert_true(count("192.0.2.1", SIDE_BAD, 100, 5));
}

static void test_file_that_takes_too_long_to_be_read(void **state)
{
	char address[20];

	(void)state;
	for (unsigned i = 0; i < 1100; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.1", i / 250, i % 250);
		offend(address);
	}
	save();
	assert_refused_by(never, "too much to be read in time");
}

static void test_what_can_not_be_written_is_told(void **state)
{
	const struct memory_file_task task = task_at(NOW_S);
	char nowhere[] = "/tmp/tarpit-no-such-folder/memory", full[] = "/dev/full/memory";
	char long_path[5000];

	(void)state;
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	config.memory_file = nowhere;
	save_by(&task, MEMORY_FILE_FAILED);
	config.memory_file = full;
	save_by(&task, MEMORY_FILE_FAILED);
	config.memory_file = long_path;
	save_by(&task, MEMORY_FILE_FAILED);
	config.memory_file = directory; /* no file can take its place */
	save_by(&task, MEMORY_FILE_FAILED);
}

/* Between two steps sessions come: of 500 clients half are forgiven, and half offend again. */
static bool disturb(void *arg)
{
	unsigned *step = arg;
	char address[20];

	for (unsigned i = 0; i < 250; i++) {
		struct store_query query;

		snprintf(address, sizeof(address), "10.1.%u.1", i);
		query = query_at(address, NOW_S);
		store_forgive(store, &query);
		earn(address, i, 10);
		snprintf(address, sizeof(address), "10.2.%u.1", i);
		offend(address);
	}
	++*step;
	return true;
}

static void test_sessions_go_on_while_it_is_written(void **state)
{
	unsigned step = 0;
	struct memory_file_task task = task_at(NOW_S);
	char address[20];

	(void)state;
	task.may_go_on = disturb;
	task.arg = &step;
	for (unsigned i = 0; i < 7 * 250; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.1", i % 7, i / 7);
		if (i % 7 == 5)
			earn(address, 1, i);
		else
			count(address, SIDE_BAD, 100, i);
	}
	save_by(&task, MEMORY_FILE_WRITTEN);
	assert_true(step > 10);
	restart_at(NOW_S);
	for (unsigned i = 0; i < 7 * 250; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.1", i % 7, i / 7);
		if (i % 7 == 0 || i % 7 > 2)
			assert_int_equal(i % 7 == 5 ? look_up(address).client.good_now
						    : look_up(address).client.bad_now,
					 100);
		if (i % 7 == 2)
			assert_in_range(look_up(address).client.bad_now, 100, 100 + 100 * step);
	}
}

/* Between two steps somebody takes the only place of each table. */
static bool crowd_out(void *arg)
{
	unsigned *step = arg;
	char address[20];

	snprintf(address, sizeof(address), "10.3.%u.1", ++*step);
	earn(address, 1, 10);
	earn(address, 2, 11);
	snprintf(address, sizeof(address), "10.4.%u.1", *step);
	for (uint64_t recipient = 1; recipient < 6; recipient++)
		count(address, SIDE_BAD, 100, recipient);
	return true;
}

static void test_what_is_next_may_have_gone(void **state)
{
	unsigned step = 0;
	struct memory_file_task task;

	(void)state;
	config.memory_clients = 1;
	forget();
	crowd_out(&step);
	task = task_at(NOW_S);
	task.may_go_on = crowd_out;
	task.arg = &step;
	save_by(&task, MEMORY_FILE_WRITTEN);
	assert_true(step > 7);
	assert_int_equal(restart_at(NOW_S), 1);
}

static int begin(void **state)
{
	(void)state;
	if (hash_init() != 0 || mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/memory", directory);
	snprintf(fresh_path, sizeof(fresh_path), "%s.new", path);
	snprintf(other_path, sizeof(other_path), "%s/other", directory);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	unlink(other_path);
	return rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counts_are_kept),
		TEST(test_counts_of_both_windows_are_kept_and_grow_old),
		TEST(test_counts_of_the_future_are_of_a_clock_that_was_set_back),
		TEST(test_recipients_stay_counted),
		TEST(test_flag_by_hand_lasts_as_long_as_it_was_to),
		TEST(test_flag_by_hand_of_a_far_future_is_bounded),
		TEST(test_forgiven_stays_forgiven),
		TEST(test_trap_and_announcement_are_kept),
		TEST(test_history_of_clean_clients_is_kept),
		TEST(test_domain_with_a_rejection_is_kept),
		TEST(test_other_windows_keep_flags_by_hand_only),
		TEST(test_other_widths_are_other_clients),
		TEST(test_other_key_prefix_makes_other_recipients),
		TEST(test_less_room_keeps_the_latest_offenders),
		TEST(test_missing_file_is_an_empty_one),
		TEST(test_file_that_is_cut_off_anywhere),
		TEST(test_file_with_a_changed_bit),
		TEST(test_file_with_more_behind),
		TEST(test_foreign_file),
		TEST(test_file_of_a_newer_version),
		TEST(test_record_that_no_daemon_writes),
		TEST(test_of_two_records_the_later_one_holds),
		TEST(test_file_that_others_may_have_written),
		TEST(test_file_is_its_owners_alone),
		TEST(test_what_a_kill_left_behind_is_replaced),
		TEST(test_what_is_given_up_leaves_the_file_before),
		TEST(test_recipients_that_there_is_no_time_for_are_left_out),
		TEST(test_file_that_takes_too_long_to_be_read),
		TEST(test_what_can_not_be_written_is_told),
		TEST(test_sessions_go_on_while_it_is_written),
		TEST(test_what_is_next_may_have_gone),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
