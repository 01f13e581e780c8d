/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts with atomic counters, and keeps the labels of those that have some. */
#include "base/stats.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic uint64_t counters[STAT_COUNT];
static _Atomic uint64_t labelled[FAMILY_COUNT][STATS_LABELS_MAX];

static const char *const names[STAT_COUNT] = {
	[STAT_SESSIONS_OPENED] = "sessions_opened",
	[STAT_SESSIONS_CLOSED] = "sessions_closed",
	[STAT_SESSIONS_EXEMPT] = "sessions_exempt",
	[STAT_REJECTS] = "rejects",
	[STAT_FLAGS] = "flags",
	[STAT_STALLS_BEGUN] = "stalls_begun",
	[STAT_STALLS_ENDED] = "stalls_ended",
	[STAT_STALLED_MS] = "stalled_ms",
	[STAT_STALLS_STAYED] = "stalls_stayed",
	[STAT_STALLS_LEFT] = "stalls_left",
	[STAT_DEFERRED] = "deferred",
	[STAT_PASSED] = "passed",
	[STAT_STORE_CALLS] = "store_calls",
	[STAT_STORE_FAILURES] = "store_failures",
	[STAT_FORGIVEN] = "forgiven",
	[STAT_FLAGGED_BY_HAND] = "flagged_by_hand",
	[STAT_RELOADS] = "reloads",
	[STAT_RELOADS_FAILED] = "reloads_failed",
	[STAT_SIEGES] = "sieges",
};

/* A code, once there, keeps its place in codes for ever, so that it is read without the mutex. */
struct code {
	char text[STATS_CODE_MAX];
	_Atomic uint64_t count;
};

static pthread_mutex_t codes_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct code codes[STATS_CODES];
static size_t codes_count;
static struct code other_code = {.text = "other"};

#define BOUNDS 12
/*
 * Upper bounds in microseconds; the last bucket has none. A stall ends a little after its delay,
 * and those are round numbers, or an MTA's timeout less 2 s: hence bounds a little above.
 */
#define STALL_BOUNDS                                                                               \
	100000, 550000, 1100000, 2200000, 3300000, 5500000, 8500000, 11000000, 16000000, 21000000, \
		29000000, 61000000
static const int64_t bounds_us[HISTOGRAM_COUNT][BOUNDS] = {
	[HISTOGRAM_STALL] = {STALL_BOUNDS},
	[HISTOGRAM_STAYED] = {STALL_BOUNDS},
	[HISTOGRAM_LEFT] = {STALL_BOUNDS},
	[HISTOGRAM_STORE] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
			     1000000},
};
_Static_assert(BOUNDS < STATS_BUCKETS_MAX, "and one without a bound");

static struct {
	_Atomic uint64_t counts[BOUNDS + 1];
	_Atomic uint64_t sum_us;
} histograms[HISTOGRAM_COUNT];

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
	atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void stats_add(enum stats_counter counter, uint64_t amount)
{
	add(&counters[counter], amount);
}

uint64_t stats_get(enum stats_counter counter)
{
	return get(&counters[counter]);
}

const char *stats_name(enum stats_counter counter)
{
	return names[counter];
}

void stats_add_labelled(enum stats_family family, unsigned index, uint64_t amount)
{
	add(&labelled[family][index], amount);
}

uint64_t stats_get_labelled(enum stats_family family, unsigned index)
{
	return get(&labelled[family][index]);
}

static struct code *find_code(const char *text)
{
	for (size_t i = 0; i < codes_count; i++)
		if (strncmp(codes[i].text, text, STATS_CODE_MAX - 1) == 0)
			return &codes[i];
	if (codes_count == STATS_CODES)
		return &other_code;
	snprintf(codes[codes_count].text, sizeof(codes[0].text), "%s", text);
	return &codes[codes_count++];
}

void stats_add_code(const char *code, uint64_t amount)
{
	pthread_mutex_lock(&codes_mutex);
	add(&find_code(code)->count, amount);
	pthread_mutex_unlock(&codes_mutex);
}

void stats_each_code(void (*tell)(const char *code, uint64_t count, void *arg), void *arg)
{
	uint64_t others = get(&other_code.count);
	size_t count;

	pthread_mutex_lock(&codes_mutex);
	count = codes_count;
	pthread_mutex_unlock(&codes_mutex);
	for (size_t i = 0; i < count; i++)
		tell(codes[i].text, get(&codes[i].count), arg);
	if (others > 0)
		tell(other_code.text, others, arg);
}

void stats_observe(enum stats_histogram histogram, int64_t us)
{
	size_t bucket = 0;

	while (bucket < BOUNDS && us > bounds_us[histogram][bucket])
		bucket++;
	add(&histograms[histogram].counts[bucket], 1);
	add(&histograms[histogram].sum_us, us > 0 ? (uint64_t)us : 0);
}

void stats_distribution(enum stats_histogram histogram, struct stats_distribution *distribution)
{
	*distribution = (struct stats_distribution){.buckets = BOUNDS + 1};
	for (size_t i = 0; i <= BOUNDS; i++) {
		distribution->bounds[i] =
			i < BOUNDS ? (double)bounds_us[histogram][i] / 1e6 : INFINITY;
		distribution->counts[i] = get(&histograms[histogram].counts[i]);
		distribution->count += distribution->counts[i];
	}
	distribution->sum_us = get(&histograms[histogram].sum_us);
}
