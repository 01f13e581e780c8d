/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts stalls at once by a heap of those that go on, and cuts time into buckets. */
#include "concurrency.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_WIDTH_MS 1000
#define HEAP_FIRST 64
#define HEAP_MAX ((size_t)1 << 18)

struct replay_concurrency_run {
	int64_t key_ms; /* orders the heap: end_ms, or what that was before further stalls */
	int64_t end_ms;
	struct replay_concurrency_run **owner;
};

void replay_concurrency_init(struct replay_concurrency *concurrency, unsigned max_stalls)
{
	*concurrency =
		(struct replay_concurrency){.max_stalls = max_stalls, .width_ms = FIRST_WIDTH_MS};
}

void replay_concurrency_free(struct replay_concurrency *concurrency)
{
	for (size_t i = 0; i < concurrency->heap_used; i++) {
		if (concurrency->heap[i]->owner != NULL)
			*concurrency->heap[i]->owner = NULL;
		free(concurrency->heap[i]);
	}
	free(concurrency->heap);
	concurrency->heap = NULL;
	concurrency->heap_used = 0;
}

static void merge_pairs(struct replay_concurrency *concurrency)
{
	struct replay_concurrency_bucket *buckets = concurrency->buckets;
	size_t half = (concurrency->buckets_used + 1) / 2;

	for (size_t i = 0; i < half; i++) {
		struct replay_concurrency_bucket one = buckets[2 * i], other = {0};

		if (2 * i + 1 < concurrency->buckets_used)
			other = buckets[2 * i + 1];
		buckets[i].peak = one.peak > other.peak ? one.peak : other.peak;
		buckets[i].begun = one.begun + other.begun;
	}
	memset(buckets + half, 0, (REPLAY_CONCURRENCY_BUCKETS - half) * sizeof(*buckets));
	concurrency->buckets_used = half;
	concurrency->width_ms *= 2;
}

static size_t bucket_at(struct replay_concurrency *concurrency, int64_t ms)
{
	size_t index;

	if (concurrency->buckets_used == 0) {
		concurrency->begin_ms = ms - ms % FIRST_WIDTH_MS;
		concurrency->buckets_used = 1;
	}
	if (ms < concurrency->begin_ms)
		ms = concurrency->begin_ms;
	while ((ms - concurrency->begin_ms) / concurrency->width_ms >= REPLAY_CONCURRENCY_BUCKETS)
		merge_pairs(concurrency);
	index = (size_t)((ms - concurrency->begin_ms) / concurrency->width_ms);
	if (index >= concurrency->buckets_used)
		concurrency->buckets_used = index + 1;
	return index;
}

/* Since the last change there have been as many stalls as there are now. */
static void note_until(struct replay_concurrency *concurrency, int64_t ms)
{
	size_t last = bucket_at(concurrency, ms), first = last;

	if (concurrency->active > 0 && concurrency->changed_ms > 0)
		first = bucket_at(concurrency, concurrency->changed_ms);
	for (size_t i = first; i <= last; i++)
		if (concurrency->buckets[i].peak < concurrency->active)
			concurrency->buckets[i].peak = concurrency->active;
	concurrency->changed_ms = ms;
}

static bool is_before(const struct replay_concurrency *concurrency, size_t a, size_t b)
{
	return concurrency->heap[a]->key_ms < concurrency->heap[b]->key_ms;
}

static void swap(struct replay_concurrency *concurrency, size_t a, size_t b)
{
	struct replay_concurrency_run *run = concurrency->heap[a];

	concurrency->heap[a] = concurrency->heap[b];
	concurrency->heap[b] = run;
}

static void sift_down(struct replay_concurrency *concurrency)
{
	size_t i = 0;

	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < concurrency->heap_used && is_before(concurrency, child, least))
				least = child;
		if (least == i)
			return;
		swap(concurrency, i, least);
		i = least;
	}
}

static bool push(struct replay_concurrency *concurrency, struct replay_concurrency_run *run)
{
	size_t i = concurrency->heap_used;

	if (i == concurrency->heap_size) {
		size_t size = i == 0 ? HEAP_FIRST : 2 * i;
		struct replay_concurrency_run **heap =
			size <= HEAP_MAX ? reallocarray(concurrency->heap, size, sizeof(run))
					 : NULL;

		if (heap == NULL)
			return false;
		concurrency->heap = heap;
		concurrency->heap_size = size;
	}
	concurrency->heap[concurrency->heap_used++] = run;
	for (; i > 0 && is_before(concurrency, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(concurrency, i, (i - 1) / 2);
	return true;
}

static void end_first(struct replay_concurrency *concurrency)
{
	struct replay_concurrency_run *run = concurrency->heap[0];

	note_until(concurrency, run->end_ms);
	concurrency->active--;
	if (run->owner != NULL)
		*run->owner = NULL;
	concurrency->heap[0] = concurrency->heap[--concurrency->heap_used];
	free(run);
}

void replay_concurrency_advance(struct replay_concurrency *concurrency, int64_t now_ms)
{
	while (concurrency->heap_used > 0 && concurrency->heap[0]->key_ms <= now_ms) {
		struct replay_concurrency_run *run = concurrency->heap[0];

		if (run->end_ms > run->key_ms)
			run->key_ms = run->end_ms;
		else
			end_first(concurrency);
		sift_down(concurrency);
	}
}

void replay_concurrency_reach(struct replay_concurrency *concurrency, int64_t now_ms)
{
	bucket_at(concurrency, now_ms);
}

static void begin(struct replay_concurrency *concurrency, struct replay_concurrency_run **owner,
		  int64_t now_ms, int64_t end_ms)
{
	struct replay_concurrency_run *run = malloc(sizeof(*run));

	if (run == NULL)
		return;
	*run = (struct replay_concurrency_run){.key_ms = end_ms, .end_ms = end_ms, .owner = owner};
	if (!push(concurrency, run)) {
		free(run);
		return;
	}
	*owner = run;
	note_until(concurrency, now_ms);
	concurrency->active++;
	note_until(concurrency, now_ms);
	if (concurrency->active > concurrency->peak) {
		concurrency->peak = concurrency->active;
		concurrency->peak_ms = now_ms;
	}
}

void replay_concurrency_stall(struct replay_concurrency *concurrency,
			      struct replay_concurrency_run **run, int64_t now_ms, int64_t delay_ms)
{
	replay_concurrency_advance(concurrency, now_ms);
	concurrency->buckets[bucket_at(concurrency, now_ms)].begun++;
	if (*run == NULL)
		begin(concurrency, run, now_ms, now_ms + delay_ms);
	else
		(*run)->end_ms += delay_ms;
	if (concurrency->active > concurrency->max_stalls)
		concurrency->over_budget++;
}

void replay_concurrency_disown(struct replay_concurrency_run **run)
{
	if (*run != NULL)
		(*run)->owner = NULL;
	*run = NULL;
}
