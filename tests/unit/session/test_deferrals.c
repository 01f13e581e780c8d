/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "session/deferrals.h"

#define MINUTE INT64_C(60000)
#define MAX 10

static struct deferrals *deferrals;

static int begin(void **state)
{
	(void)state;
	deferrals = deferrals_new(MAX);
	return hash_init() == 0 && deferrals != NULL ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	deferrals_free(deferrals);
	return 0;
}

static struct deferral deferral_of(uint8_t number)
{
	return (struct deferral){
		.client = {4, 32, {192, 0, 2, number}},
		.address = {4, 32, {192, 0, 2, number}},
		.decision = {.stage = STAGE_MAIL, .action = ACTION_DEFER, .reason = REASON_BUDGET},
	};
}

static unsigned note(uint8_t number, int64_t now_ms)
{
	struct deferral deferral = deferral_of(number);

	return deferrals_note(deferrals, &deferral, now_ms);
}

static unsigned told[MAX + 1];

static void tell(const struct deferral *deferral, void *arg)
{
	unsigned *count = arg;

	assert_int_equal(deferral->decision.stage, STAGE_MAIL);
	assert_int_equal(deferral->decision.reason, REASON_BUDGET);
	told[deferral->address.address[3]] += deferral->decision.count;
	++*count;
}

static unsigned flush(int64_t now_ms, bool is_end)
{
	unsigned count = 0;

	deferrals_flush(deferrals, now_ms, is_end, tell, &count);
	return count;
}

static void one_line_a_minute_tells_of_all(void **state)
{
	(void)state;
	assert_int_equal(note(1, 5), 1);
	for (int64_t ms = 6; ms < MINUTE + 5; ms++)
		assert_int_equal(note(1, ms), 0);
	assert_int_equal(note(1, MINUTE + 5), MINUTE);
	assert_int_equal(note(1, MINUTE + 6), 0);
	/* Each client has its own. */
	assert_int_equal(note(2, MINUTE + 6), 1);
}

static void who_goes_away_leaves_its_count(void **state)
{
	(void)state;
	told[1] = told[2] = 0;
	note(1, 0);
	note(2, 1000);
	for (unsigned i = 0; i < 7; i++)
		note(1, 1000);
	note(2, 2000);
	assert_int_equal(flush(MINUTE - 1, false), 0);
	assert_int_equal(flush(MINUTE, false), 1);
	assert_int_equal(told[1], 7);
	assert_int_equal(flush(MINUTE, true), 1);
	assert_int_equal(told[2], 1);
	assert_int_equal(flush(10 * MINUTE, true), 0);
	/* It has been told of just now. */
	assert_int_equal(note(1, MINUTE + 1), 0);
	assert_int_equal(note(1, 2 * MINUTE), 2);
}

static bool is_let_in(int64_t now_ms)
{
	const struct deferral deferral = deferral_of(1);

	return deferrals_let_in(deferrals, &deferral.client, now_ms, 30 * MINUTE);
}

static void two_sessions_come_in_after_the_longest_time(void **state)
{
	(void)state;
	assert_false(is_let_in(0));
	for (int64_t minute = 0; minute < 30; minute++) {
		assert_false(is_let_in(minute * MINUTE));
		note(1, minute * MINUTE);
	}
	assert_true(is_let_in(30 * MINUTE));
	assert_true(is_let_in(30 * MINUTE));
	assert_false(is_let_in(30 * MINUTE));
	note(1, 31 * MINUTE);
	for (int64_t minute = 32; minute < 61; minute++) {
		assert_false(is_let_in(minute * MINUTE));
		note(1, minute * MINUTE);
	}
	assert_true(is_let_in(61 * MINUTE));
}

static void who_is_served_or_goes_away_begins_anew(void **state)
{
	const struct deferral deferral = deferral_of(1);

	(void)state;
	note(1, 0);
	note(1, 29 * MINUTE);
	deferrals_end(deferrals, &deferral.client);
	assert_false(is_let_in(31 * MINUTE));
	note(1, 31 * MINUTE);
	assert_false(is_let_in(60 * MINUTE));
	note(1, 60 * MINUTE);
	/* The first of two is served, the second comes in all the same. */
	assert_true(is_let_in(61 * MINUTE));
	deferrals_end(deferrals, &deferral.client);
	assert_true(is_let_in(62 * MINUTE));
	note(1, 63 * MINUTE);
	assert_false(is_let_in(93 * MINUTE));
	note(1, 93 * MINUTE);
	assert_false(is_let_in(94 * MINUTE));
}

static void who_was_deferred_longest_ago_is_forgotten(void **state)
{
	(void)state;
	for (uint8_t number = 0; number < MAX; number++)
		assert_int_equal(note(number, number), 1);
	assert_int_equal(note(0, 100), 0);
	assert_int_equal(note(MAX, 101), 1);
	assert_int_equal(note(0, 102), 0);
	assert_int_equal(note(1, 103), 1);
	assert_int_equal(note(2, 104), 1);
}

#define FRESH(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(one_line_a_minute_tells_of_all),
		FRESH(who_goes_away_leaves_its_count),
		FRESH(two_sessions_come_in_after_the_longest_time),
		FRESH(who_is_served_or_goes_away_begins_anew),
		FRESH(who_was_deferred_longest_ago_is_forgotten),
	};

	return cmocka_run_group_tests_name("deferrals", tests, NULL, NULL);
}
