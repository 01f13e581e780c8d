/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
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

static void add_up(const struct deferral *deferral, void *arg)
{
	unsigned *count = arg;

	*count += deferral->decision.count;
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
	assert_false(is_let_in((63 + 240) * MINUTE));
	note(1, 303 * MINUTE);
	assert_false(is_let_in(332 * MINUTE));
	assert_true(is_let_in(333 * MINUTE));
	/* The other one comes too late. */
	assert_false(is_let_in(363 * MINUTE));
}

/* As RFC 5321 wants it. */
static void who_tries_seldom_is_let_in(void **state)
{
	static const int64_t minutes[] = {30, 45, 60, 239};

	(void)state;
	for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
		int64_t start = (int64_t)(i + 1) * 10000 * MINUTE;

		assert_false(is_let_in(start));
		note(1, start);
		assert_true(is_let_in(start + minutes[i] * MINUTE));
	}
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

static void no_count_is_forgotten(void **state)
{
	unsigned all = 0, notes = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++)
		for (uint8_t number = 0; number < 2 * MAX; number++, notes++)
			all += note(number % (MAX + 1), round);
	for (unsigned i = 0; i <= MAX; i++)
		told[i] = 0;
	assert_true(flush(MINUTE, true) > 0);
	for (unsigned i = 0; i <= MAX; i++)
		all += told[i];
	assert_int_equal(all, notes);
}

static void a_line_is_of_one_mode(void **state)
{
	struct deferral observed = deferral_of(1);

	(void)state;
	observed.decision.action = ACTION_PASS;
	observed.decision.instead_of = ACTION_DEFER;
	assert_int_equal(deferrals_note(deferrals, &observed, 0), 1);
	assert_int_equal(deferrals_note(deferrals, &observed, 1), 0);
	assert_int_equal(note(1, 2), 1);
	told[1] = 0;
	assert_int_equal(flush(MINUTE, false), 1);
	assert_int_equal(told[1], 1);
	assert_int_equal(note(1, MINUTE + 1), 0);
	assert_int_equal(flush(MINUTE + 2, true), 1);
	assert_int_equal(told[1], 2);
}

#define THREADS 4
#define NOTES 20000

static void *hammer(void *argument)
{
	unsigned *count = argument;

	for (unsigned i = 0; i < NOTES; i++) {
		struct deferral deferral = deferral_of((uint8_t)(i * 7 % (2 * MAX)));

		*count += deferrals_note(deferrals, &deferral, (int64_t)i * 10);
		if (i % 3 == 0)
			deferrals_let_in(deferrals, &deferral.client, (int64_t)i * 10, MINUTE);
		if (i % 100 == 0)
			deferrals_flush(deferrals, (int64_t)i * 10, false, add_up, count);
	}
	return NULL;
}

static void counts_of_threads_add_up(void **state)
{
	unsigned counts[THREADS] = {0}, all = 0;
	pthread_t threads[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &counts[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		all += counts[i];
	}
	deferrals_flush(deferrals, 0, true, add_up, &all);
	assert_int_equal(all, THREADS * NOTES);
}

#define FRESH(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(one_line_a_minute_tells_of_all),
		FRESH(who_goes_away_leaves_its_count),
		FRESH(two_sessions_come_in_after_the_longest_time),
		FRESH(who_is_served_or_goes_away_begins_anew),
		FRESH(who_tries_seldom_is_let_in),
		FRESH(who_was_deferred_longest_ago_is_forgotten),
		FRESH(no_count_is_forgotten),
		FRESH(a_line_is_of_one_mode),
		FRESH(counts_of_threads_add_up),
	};

	return cmocka_run_group_tests_name("deferrals", tests, NULL, NULL);
}
