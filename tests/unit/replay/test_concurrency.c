/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replay/concurrency.h"

#define NOON INT64_C(1700000000000)
#define DAY_MS INT64_C(86400000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SESSIONS 4

static struct replay_concurrency concurrency;
static struct replay_concurrency_run *runs[SESSIONS];

static void start_over(unsigned budget)
{
	memset(runs, 0, sizeof(runs));
	replay_concurrency_init(&concurrency, budget);
}

/* A stall that session asks for at_ms after noon. */
struct asked {
	unsigned session;
	int64_t at_ms, delay_ms;
};

static const struct {
	const char *what;
	struct asked stalls[8];
	unsigned peak;
	int64_t peak_at_ms;
	uint64_t over_budget;
} rows[] = {
	{"none", {{0, 0, 0}}, 0, 0, 0},
	{"one", {{0, 5, 1000}}, 1, 5, 0},
	{"one after the other", {{0, 0, 1000}, {1, 1000, 1000}, {2, 2000, 1}}, 1, 0, 0},
	{"two at once", {{0, 0, 1000}, {1, 999, 1000}}, 2, 999, 0},
	{"a session's own follow each other",
	 {{0, 0, 1000}, {0, 0, 1000}, {0, 0, 1000}, {1, 2999, 10}, {2, 3000, 10}},
	 2,
	 2999,
	 0},
	{"and end", {{0, 0, 1000}, {0, 10, 1000}, {1, 2000, 10}}, 1, 0, 0},
	{"beyond the budget",
	 {{0, 0, 100}, {1, 1, 100}, {2, 2, 100}, {3, 3, 100}, {0, 500, 100}},
	 4,
	 3,
	 2},
};

static void test_peaks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start_over(2);
		for (size_t j = 0; j < COUNT(rows[i].stalls); j++) {
			const struct asked *asked = &rows[i].stalls[j];

			if (asked->delay_ms > 0)
				replay_concurrency_stall(&concurrency, &runs[asked->session],
							 NOON + asked->at_ms, asked->delay_ms);
		}
		if (concurrency.peak != rows[i].peak ||
		    concurrency.over_budget != rows[i].over_budget)
			fail_msg("%s: peak %u, %u over budget", rows[i].what, concurrency.peak,
				 (unsigned)concurrency.over_budget);
		if (concurrency.peak > 0)
			assert_int_equal(concurrency.peak_ms, NOON + rows[i].peak_at_ms);
		replay_concurrency_advance(&concurrency, INT64_MAX);
		assert_int_equal(concurrency.active, 0);
		for (size_t j = 0; j < SESSIONS; j++)
			assert_null(runs[j]);
		replay_concurrency_free(&concurrency);
	}
}

/* Many intervals of random length, one for each session, against counting them all. */
static void test_as_counted_one_by_one(void **state)
{
	enum { INTERVALS = 500, SPAN_MS = 20000, LENGTH_MS = 1000 };
	static struct replay_concurrency_run *own[INTERVALS];
	static int64_t begins[INTERVALS], ends[INTERVALS];
	unsigned peak = 0;
	int64_t at_ms = 0;

	(void)state;
	srand(7);
	start_over(1);
	for (size_t i = 0; i < INTERVALS; i++) {
		at_ms += rand() % (2 * SPAN_MS / INTERVALS);
		begins[i] = at_ms;
		ends[i] = at_ms + 1 + rand() % LENGTH_MS;
		replay_concurrency_stall(&concurrency, &own[i], NOON + begins[i],
					 ends[i] - begins[i]);
	}
	for (size_t i = 0; i < INTERVALS; i++) {
		unsigned active = 0;

		for (size_t j = 0; j <= i; j++)
			active += begins[j] <= begins[i] && ends[j] > begins[i];
		peak = active > peak ? active : peak;
	}
	assert_true(peak > 5);
	assert_int_equal(concurrency.peak, peak);
	replay_concurrency_free(&concurrency);
}

static void test_session_that_goes_leaves_its_stall(void **state)
{
	(void)state;
	start_over(1);
	replay_concurrency_stall(&concurrency, &runs[0], NOON, 1000);
	replay_concurrency_disown(&runs[0]);
	assert_null(runs[0]);
	replay_concurrency_stall(&concurrency, &runs[0], NOON + 500, 1000);
	assert_int_equal(concurrency.peak, 2);
	replay_concurrency_advance(&concurrency, NOON + 1000);
	assert_int_equal(concurrency.active, 1);
	assert_non_null(runs[0]);
	replay_concurrency_free(&concurrency);
	assert_null(runs[0]);
}

/* Of the buckets that overlap these moments, the most at once. */
static unsigned most_within(int64_t from_ms, int64_t to_ms)
{
	unsigned most = 0;

	for (size_t i = 0; i < concurrency.buckets_used; i++) {
		int64_t begin_ms = concurrency.begin_ms + (int64_t)i * concurrency.width_ms;

		if (begin_ms <= to_ms && begin_ms + concurrency.width_ms > from_ms &&
		    concurrency.buckets[i].peak > most)
			most = concurrency.buckets[i].peak;
	}
	return most;
}

static void test_year_in_buckets(void **state)
{
	enum { DAYS = 365, A_DAY = 100 };
	uint64_t begun = 0;

	(void)state;
	start_over(1);
	for (int64_t i = 0; i < DAYS * A_DAY; i++) {
		int64_t now_ms = NOON + i * DAY_MS / A_DAY;

		replay_concurrency_stall(&concurrency, &runs[0], now_ms, 5000);
		/* On one day there are more. */
		if (i / A_DAY == 200)
			for (size_t j = 1; j < SESSIONS; j++)
				replay_concurrency_stall(&concurrency, &runs[j], now_ms, 5000);
	}
	replay_concurrency_advance(&concurrency, INT64_MAX);
	assert_true(concurrency.heap_size <= 64);
	assert_true(concurrency.buckets_used > REPLAY_CONCURRENCY_BUCKETS / 2);
	assert_true(concurrency.buckets_used <= REPLAY_CONCURRENCY_BUCKETS);
	for (size_t i = 0; i < concurrency.buckets_used; i++)
		begun += concurrency.buckets[i].begun;
	assert_int_equal(begun, DAYS * A_DAY + A_DAY * (SESSIONS - 1));
	assert_int_equal(most_within(NOON, NOON + 190 * DAY_MS), 1);
	assert_int_equal(most_within(NOON + 200 * DAY_MS, NOON + 201 * DAY_MS), SESSIONS);
	assert_int_equal(most_within(NOON + 210 * DAY_MS, NOON + 360 * DAY_MS), 1);
	assert_int_equal(concurrency.peak, SESSIONS);
	assert_in_range(concurrency.peak_ms - NOON, 200 * DAY_MS, 201 * DAY_MS);
	replay_concurrency_free(&concurrency);
}

static void test_long_stall_fills_its_buckets(void **state)
{
	(void)state;
	start_over(1);
	replay_concurrency_stall(&concurrency, &runs[0], NOON, 10000);
	replay_concurrency_advance(&concurrency, INT64_MAX);
	replay_concurrency_reach(&concurrency, NOON + 20000);
	assert_int_equal(concurrency.buckets_used, 21);
	for (size_t i = 0; i < 21; i++)
		assert_int_equal(concurrency.buckets[i].peak, i <= 10 ? 1 : 0);
	replay_concurrency_free(&concurrency);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peaks),
		cmocka_unit_test(test_as_counted_one_by_one),
		cmocka_unit_test(test_session_that_goes_leaves_its_stall),
		cmocka_unit_test(test_year_in_buckets),
		cmocka_unit_test(test_long_stall_fills_its_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
