/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/counters.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct prefix prefix(const char *text)
{
	struct prefix prefix;

	assert_true(prefix_parse(text, &prefix));
	return prefix;
}

static void check_tally(const struct tally *tally, const struct tally *expected)
{
	assert_int_equal(tally->bad_now, expected->bad_now);
	assert_int_equal(tally->bad_previous, expected->bad_previous);
	assert_int_equal(tally->good_now, expected->good_now);
	assert_int_equal(tally->good_previous, expected->good_previous);
}

static void windows_are_counted_from_the_epoch(void **state)
{
	static const struct {
		int64_t wall_ms;
		uint32_t length_s;
		int64_t index;
		double elapsed;
	} rows[] = {
		{0, 60, 0, 0},
		{59999, 60, 0, 59.999 / 60},
		{60000, 60, 1, 0},
		{90000, 60, 1, 0.5},
		/* 2026-11-21 02:00:00 UTC. */
		{INT64_C(1795226400000), 14400, 124668, 0.5},
		{INT64_C(1795226400000), 14 * 86400, 1484, 0.148809523809524},
		/* A clock before the epoch: nothing is negative. */
		{-1, 60, 0, 0},
		{INT64_MIN, 60, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct window window = window_at(rows[i].wall_ms, rows[i].length_s);

		assert_int_equal(window.index, rows[i].index);
		assert_int_equal(window.length_s, rows[i].length_s);
		assert_float_equal(window.elapsed, rows[i].elapsed, 1e-6);
	}
}

static void tally_rolls_from_window_to_window(void **state)
{
	static const struct {
		int64_t from, to;
		struct tally after;
	} rows[] = {
		{7, 7, {1, 2, 3, 4, 0, 0}},
		{7, 8, {0, 1, 0, 3, 0, 0}},
		{7, 9, {0, 0, 0, 0, 0, 0}},
		{7, INT64_MAX, {0, 0, 0, 0, 0, 0}},
		/* A clock set back: what is of another time counts for nothing. */
		{7, 6, {0, 0, 0, 0, 0, 0}},
		{7, 0, {0, 0, 0, 0, 0, 0}},
		{0, 1, {0, 1, 0, 3, 0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tally tally = {1, 2, 3, 4, 0, 0};

		tally_roll(&tally, rows[i].from, rows[i].to);
		check_tally(&tally, &rows[i].after);
	}
}

static void tally_counts_in_this_window_only(void **state)
{
	struct tally tally = {1, 2, 3, 4, 0, 0};

	(void)state;
	tally_count(&tally, SIDE_BAD, 100);
	check_tally(&tally, &(struct tally){101, 2, 3, 4, 0, 0});
	tally_count(&tally, SIDE_GOOD, 50);
	check_tally(&tally, &(struct tally){101, 2, 53, 4, 0, 0});
	tally_add(&tally, &(struct tally){10, 20, 30, 40, 0, 0});
	check_tally(&tally, &(struct tally){111, 22, 83, 44, 0, 0});
}

static void tally_never_passes_its_limit(void **state)
{
	const uint64_t max = COUNTERS_MAX;
	struct tally tally = {max - 1, max, max, max, 0, 0};

	(void)state;
	tally_count(&tally, SIDE_BAD, 1000);
	tally_count(&tally, SIDE_GOOD, 1);
	check_tally(&tally, &(struct tally){max, max, max, max, 0, 0});
	tally_add(&tally, &(struct tally){max, max, max, max, 0, 0});
	check_tally(&tally, &(struct tally){max, max, max, max, 0, 0});
}

static void tally_is_zero_only_if_all_of_it_is(void **state)
{
	static const struct tally nonzero[] = {
		{1, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0}, {0, 0, 1, 0, 0, 0}, {0, 0, 0, 1, 0, 0}};

	(void)state;
	assert_true(tally_is_zero(&(struct tally){0}));
	for (size_t i = 0; i < COUNT(nonzero); i++)
		assert_false(tally_is_zero(&nonzero[i]));
}

static void tally_never_falls_below_nothing(void **state)
{
	struct tally tally = {.bad_now = 300, .bad_previous = 100, .good_now = 5, .good_previous = 7};
	const struct tally less = {
		.bad_now = 100, .bad_previous = 101, .good_now = 5, .good_previous = UINT64_MAX};

	(void)state;
	tally_subtract(&tally, &less);
	assert_int_equal(tally.bad_now, 200);
	assert_int_equal(tally.bad_previous, 0);
	assert_int_equal(tally.good_now, 0);
	assert_int_equal(tally.good_previous, 0);
}

static void window_tells_the_moment(void **state)
{
	const int64_t moments_s[] = {0, 1, 14399, 14400, 1795219200, 1795219201, 1795233599};

	(void)state;
	for (size_t i = 0; i < sizeof(moments_s) / sizeof(moments_s[0]); i++) {
		struct window window = window_at(moments_s[i] * 1000 + 500, 14400);

		assert_int_equal(window_now_s(&window), moments_s[i]);
	}
}

static void keys_are_as_all_hosts_agree(void **state)
{
	const struct prefix v4 = prefix("192.0.2.1/32"), v6 = prefix("2001:db8:0:1::/64"),
			    network4 = prefix("192.0.2.0/24"), network6 = prefix("2001:db8::/48");
	const struct {
		const struct prefix *client;
		const char *bad, *good, *flag, *seen;
	} rows[] = {
		{&v4, "tarpit:1:192.0.2.1/32:124668:b", "tarpit:1:192.0.2.1/32:124668:g",
		 "tarpit:1:192.0.2.1/32:f", "tarpit:1:192.0.2.1/32:124668:r:00000000deadbeef"},
		{&v6, "tarpit:1:2001:db8:0:1::/64:124668:b", "tarpit:1:2001:db8:0:1::/64:124668:g",
		 "tarpit:1:2001:db8:0:1::/64:f",
		 "tarpit:1:2001:db8:0:1::/64:124668:r:00000000deadbeef"},
		{&network4, "tarpit:1:192.0.2.0/24:124668:b", "tarpit:1:192.0.2.0/24:124668:g",
		 "tarpit:1:192.0.2.0/24:f", "tarpit:1:192.0.2.0/24:124668:r:00000000deadbeef"},
		{&network6, "tarpit:1:2001:db8::/48:124668:b", "tarpit:1:2001:db8::/48:124668:g",
		 "tarpit:1:2001:db8::/48:f", "tarpit:1:2001:db8::/48:124668:r:00000000deadbeef"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char key[COUNTERS_KEY_MAX];
		size_t length;

		length = counters_key(key, "tarpit", rows[i].client, 124668, SIDE_BAD);
		assert_string_equal(key, rows[i].bad);
		assert_int_equal(length, strlen(key));
		length = counters_key(key, "tarpit", rows[i].client, 124668, SIDE_GOOD);
		assert_string_equal(key, rows[i].good);
		assert_int_equal(length, strlen(key));
		length = counters_flag_key(key, "tarpit", rows[i].client);
		assert_string_equal(key, rows[i].flag);
		assert_int_equal(length, strlen(key));
		length = counters_seen_key(key, "tarpit", rows[i].client, 124668, 0xdeadbeef);
		assert_string_equal(key, rows[i].seen);
		assert_int_equal(length, strlen(key));
	}
}

static void site_key_is_of_a_minute(void **state)
{
	char key[COUNTERS_KEY_MAX];

	(void)state;
	assert_int_equal(counters_site_key(key, "tarpit", 28333333),
			 strlen("tarpit:1:siege:28333333"));
	assert_string_equal(key, "tarpit:1:siege:28333333");
	assert_int_equal(counters_site_key(key, "0123456789abcdef0123456789abcdef", INT64_MAX),
			 strlen("0123456789abcdef0123456789abcdef:1:siege:9223372036854775807"));
}

static void longest_key_fits(void **state)
{
	const struct prefix client = prefix("2001:1111:2222:3333:4444:5555:6666:7777/128");
	static const char long_prefix[] = "0123456789abcdef0123456789abcdefXXXX";
	char key[COUNTERS_KEY_MAX];
	size_t length;

	(void)state;
	length = counters_seen_key(key, long_prefix, &client, INT64_MAX, UINT64_MAX);
	assert_string_equal(key, "0123456789abcdef0123456789abcdef:1:"
				 "2001:1111:2222:3333:4444:5555:6666:7777/128:"
				 "9223372036854775807:r:ffffffffffffffff");
	assert_int_equal(length, strlen(key));
	assert_true(length < COUNTERS_KEY_MAX);
}

static void counters_from_outside_are_checked(void **state)
{
	static const struct {
		const char *value;
		size_t length; /* 0: all of value */
		bool valid;
		uint64_t counter;
	} rows[] = {
		{"0", 0, true, 0},
		{"100", 0, true, 100},
		{"00042", 0, true, 42},
		{"9  ", 0, true, 9}, /* memcached, after a decrement */
		{"12345", 2, true, 12}, /* no NUL where the value ends */
		{"1000000000000", 0, true, COUNTERS_MAX},
		{"1000000000001", 0, false, 0},
		{"18446744073709551616", 0, false, 0},
		{"18446744073709551716", 0, false, 0},
		{"99999999999999999999999999999999999999", 0, false, 0},
		{"-1", 0, false, 0},
		{"+1", 0, false, 0},
		{" 1", 0, false, 0},
		{"   ", 0, false, 0},
		{"1 2", 0, false, 0},
		{"1.5", 0, false, 0},
		{"1e5", 0, false, 0},
		{"0x10", 0, false, 0},
		{"1\n", 0, false, 0},
		{"1\t", 0, false, 0},
		{"1\0", 2, false, 0},
		{"1\0002", 3, false, 0},
		{"abc", 0, false, 0},
		{"100 bananas", 0, false, 0},
		{"%s%n", 0, false, 0},
		{"\xd9\xa1", 0, false, 0}, /* an Arabic digit */
	};
	uint64_t counter = 77;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t length = rows[i].length != 0 ? rows[i].length : strlen(rows[i].value);

		counter = 77;
		if (counters_parse(rows[i].value, length, &counter) != rows[i].valid)
			fail_msg("row %zu: \"%s\"", i, rows[i].value);
		assert_int_equal(counter, rows[i].valid ? rows[i].counter : 77);
	}
	assert_false(counters_parse("1", 0, &counter));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_are_counted_from_the_epoch),
		cmocka_unit_test(tally_rolls_from_window_to_window),
		cmocka_unit_test(tally_counts_in_this_window_only),
		cmocka_unit_test(tally_never_passes_its_limit),
		cmocka_unit_test(tally_is_zero_only_if_all_of_it_is),
		cmocka_unit_test(tally_never_falls_below_nothing),
		cmocka_unit_test(window_tells_the_moment),
		cmocka_unit_test(keys_are_as_all_hosts_agree),
		cmocka_unit_test(site_key_is_of_a_minute),
		cmocka_unit_test(longest_key_fits),
		cmocka_unit_test(counters_from_outside_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
