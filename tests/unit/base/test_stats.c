/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/stats.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void every_counter_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (enum stats_counter a = 0; a < STAT_COUNT; a++) {
		assert_non_null(stats_name(a));
		assert_string_not_equal(stats_name(a), "");
		for (enum stats_counter b = 0; b < a; b++)
			assert_string_not_equal(stats_name(a), stats_name(b));
	}
}

static void counters_do_not_mix(void **state)
{
	(void)state;
	for (enum stats_counter c = 0; c < STAT_COUNT; c++)
		stats_add(c, c + 1);
	for (enum stats_counter c = 0; c < STAT_COUNT; c++)
		assert_int_equal(stats_get(c), c + 1);

	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (unsigned i = 0; i < STATS_LABELS_MAX; i++)
			stats_add_labelled(f, i, 10 * f + i);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (unsigned i = 0; i < STATS_LABELS_MAX; i++)
			assert_int_equal(stats_get_labelled(f, i), 10 * f + i);
}

static void observation_falls_into_the_bucket_whose_bound_it_does_not_pass(void **state)
{
	static const struct {
		enum stats_histogram histogram;
		int64_t us;
		double bound;
	} rows[] = {
		{HISTOGRAM_STALL, 0, 0.1},
		{HISTOGRAM_STALL, -5, 0.1},
		{HISTOGRAM_STALL, 100000, 0.1},
		{HISTOGRAM_STALL, 100001, 0.55},
		/* The delays that there are most, and what a busy machine adds to them. */
		{HISTOGRAM_STALL, 5000000, 5.5},
		{HISTOGRAM_STALL, 5490000, 5.5},
		{HISTOGRAM_STALL, 8001000, 8.5},
		{HISTOGRAM_STALL, 10001000, 11},
		{HISTOGRAM_STALL, 20090000, 21},
		{HISTOGRAM_STALL, 28001000, 29},
		{HISTOGRAM_STALL, 60010000, 61},
		{HISTOGRAM_STALL, 61000001, INFINITY},
		{HISTOGRAM_STALL, INT64_MAX / 4, INFINITY},
		{HISTOGRAM_STORE, 99, 0.0001},
		{HISTOGRAM_STORE, 101, 0.00025},
		{HISTOGRAM_STORE, 50000, 0.05},
		{HISTOGRAM_STORE, 50001, 0.1},
		{HISTOGRAM_STORE, 1000001, INFINITY},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct stats_distribution before, after;

		stats_distribution(rows[i].histogram, &before);
		stats_observe(rows[i].histogram, rows[i].us);
		stats_distribution(rows[i].histogram, &after);
		assert_int_equal(after.count, before.count + 1);
		assert_int_equal(after.sum_us - before.sum_us, rows[i].us > 0 ? rows[i].us : 0);
		for (size_t b = 0; b < after.buckets; b++) {
			bool is_it = after.counts[b] != before.counts[b];

			if (is_it != (after.bounds[b] == rows[i].bound))
				fail_msg("row %zu: %lld us and bound %g", i, (long long)rows[i].us,
					 after.bounds[b]);
		}
	}
}

static void bounds_rise_and_the_last_is_infinite(void **state)
{
	(void)state;
	for (unsigned h = 0; h < HISTOGRAM_COUNT; h++) {
		struct stats_distribution distribution;

		stats_distribution(h, &distribution);
		assert_in_range(distribution.buckets, 2, STATS_BUCKETS_MAX);
		for (size_t b = 1; b < distribution.buckets; b++)
			assert_true(distribution.bounds[b] > distribution.bounds[b - 1]);
		assert_true(isinf(distribution.bounds[distribution.buckets - 1]));
	}
}

static void *observe_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++) {
		stats_observe(HISTOGRAM_STORE, 7);
		stats_add_code(i % 2 == 0 ? "5.1.1" : "5.7.1", 1);
	}
	return NULL;
}

struct seen {
	char texts[STATS_CODES + 4][64];
	uint64_t counts[STATS_CODES + 4];
	size_t count;
};

static void note_code(const char *code, uint64_t count, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->count < COUNT(seen->texts));
	snprintf(seen->texts[seen->count], sizeof(seen->texts[0]), "%s", code);
	seen->counts[seen->count++] = count;
}

static uint64_t count_of(const char *code, size_t *codes)
{
	struct seen seen = {.count = 0};
	uint64_t count = 0;

	stats_each_code(note_code, &seen);
	for (size_t i = 0; i < seen.count; i++)
		if (strcmp(seen.texts[i], code) == 0)
			count += seen.counts[i];
	if (codes != NULL)
		*codes = seen.count;
	return count;
}

static void threads_lose_nothing(void **state)
{
	struct stats_distribution before, after;
	pthread_t threads[4];

	(void)state;
	stats_distribution(HISTOGRAM_STORE, &before);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, observe_many, NULL), 0);
	/* Meanwhile the page is written. */
	for (int i = 0; i < 20; i++)
		assert_true(count_of("5.1.1", NULL) <= 4000);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	stats_distribution(HISTOGRAM_STORE, &after);
	assert_int_equal(after.count - before.count, 8000);
	assert_int_equal(after.sum_us - before.sum_us, 8000 * 7);
	assert_int_equal(count_of("5.1.1", NULL), 4000);
	assert_int_equal(count_of("5.7.1", NULL), 4000);
}

/* The last test, for the codes stay. */
static void codes_beyond_the_room_are_others(void **state)
{
	char code[64];
	size_t codes;

	(void)state;
	assert_int_equal(count_of("other", &codes), 0);
	stats_add_code("5.123456.123456789012", 3);
	assert_int_equal(count_of("5.123456.123456", NULL), 3);
	stats_add_code("5.123456.123456789012", 1);
	assert_int_equal(count_of("5.123456.123456", NULL), 4);

	for (unsigned i = (unsigned)codes + 1; i < STATS_CODES; i++) {
		snprintf(code, sizeof(code), "5.9.%u", i);
		stats_add_code(code, 1);
	}
	assert_int_equal(count_of("other", &codes), 0);
	assert_int_equal(codes, STATS_CODES);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(code, sizeof(code), "5.8.%u", i);
		stats_add_code(code, 2);
	}
	assert_int_equal(count_of("other", &codes), 2000);
	assert_int_equal(codes, STATS_CODES + 1);
	stats_add_code("5.1.1", 1);
	assert_int_equal(count_of("5.1.1", NULL), 4001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_a_name_of_its_own),
		cmocka_unit_test(counters_do_not_mix),
		cmocka_unit_test(observation_falls_into_the_bucket_whose_bound_it_does_not_pass),
		cmocka_unit_test(bounds_rise_and_the_last_is_infinite),
		cmocka_unit_test(threads_lose_nothing),
		cmocka_unit_test(codes_beyond_the_room_are_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
