/* SPDX-License-Identifier: BSD-2-Clause */
#include "concurrency.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_WIDTH_MS 1000
#define HEAP_FIRST 64
#define HEAP_MAX ((size_t)1 << 18)

struct crowd_run {
	int64_t key_ms; /* where it stands in the heap; at end_ms or before */
	int64_t end_ms;
	struct crowd_run **owner;
};

void crowd_init(struct crowd *crowd, unsigned budget)
{
	*crowd = (struct crowd){.budget = budget, .width_ms = FIRST_WIDTH_MS};
}

void crowd_free(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->heap_used; i++) {
		if (crowd->heap[i]->owner != NULL)
			*crowd->heap[i]->owner = NULL;
		free(crowd->heap[i]);
	}
	free(crowd->heap);
	crowd->heap = NULL;
	crowd->heap_used = 0;
}

static void merge_pairs(struct crowd *crowd)
{
	struct crowd_bucket *buckets = crowd->buckets;
	size_t half = (crowd->buckets_used + 1) / 2;

	for (size_t i = 0; i < half; i++) {
		struct crowd_bucket one = buckets[2 * i], other = {0};

		if (2 * i + 1 < crowd->buckets_used)
			other = buckets[2 * i + 1];
		buckets[i].peak = one.peak > other.peak ? one.peak : other.peak;
		buckets[i].begun = one.begun + other.begun;
	}
	memset(buckets + half, 0, (CROWD_BUCKETS - half) * sizeof(*buckets));
	crowd->buckets_used = half;
	crowd->width_ms *= 2;
}

static size_t bucket_at(struct crowd *crowd, int64_t ms)
{
	size_t index;

	if (crowd->buckets_used == 0) {
		crowd->begin_ms = ms - ms % FIRST_WIDTH_MS;
		crowd->buckets_used = 1;
	}
	if (ms < crowd->begin_ms)
		ms = crowd->begin_ms;
	while ((ms - crowd->begin_ms) / crowd->width_ms >= CROWD_BUCKETS)
		merge_pairs(crowd);
	index = (size_t)((ms - crowd->begin_ms) / crowd->width_ms);
	if (index >= crowd->buckets_used)
		crowd->buckets_used = index + 1;
	return index;
}

/* As many as there are now have been there since the last change. */
static void note_until(struct crowd *crowd, int64_t ms)
{
	size_t last = bucket_at(crowd, ms), first = last;

	if (crowd->active > 0 && crowd->changed_ms > 0)
		first = bucket_at(crowd, crowd->changed_ms);
	for (size_t i = first; i <= last; i++)
		if (crowd->buckets[i].peak < crowd->active)
			crowd->buckets[i].peak = crowd->active;
	crowd->changed_ms = ms;
}

static bool is_before(const struct crowd *crowd, size_t a, size_t b)
{
	return crowd->heap[a]->key_ms < crowd->heap[b]->key_ms;
}

static void swap(struct crowd *crowd, size_t a, size_t b)
{
	struct crowd_run *run = crowd->heap[a];

	crowd->heap[a] = crowd->heap[b];
	crowd->heap[b] = run;
}

static void sift_down(struct crowd *crowd)
{
	size_t i = 0;

	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < crowd->heap_used && is_before(crowd, child, least))
				least = child;
		if (least == i)
			return;
		swap(crowd, i, least);
		i = least;
	}
}

static bool push(struct crowd *crowd, struct crowd_run *run)
{
	size_t i = crowd->heap_used;

	if (i == crowd->heap_size) {
		size_t size = i == 0 ? HEAP_FIRST : 2 * i;
		struct crowd_run **heap =
			size <= HEAP_MAX ? reallocarray(crowd->heap, size, sizeof(run)) : NULL;

		if (heap == NULL)
			return false;
		crowd->heap = heap;
		crowd->heap_size = size;
	}
	crowd->heap[crowd->heap_used++] = run;
	for (; i > 0 && is_before(crowd, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(crowd, i, (i - 1) / 2);
	return true;
}

static void end_first(struct crowd *crowd)
{
	struct crowd_run *run = crowd->heap[0];

	note_until(crowd, run->end_ms);
	crowd->active--;
	if (run->owner != NULL)
		*run->owner = NULL;
	crowd->heap[0] = crowd->heap[--crowd->heap_used];
	free(run);
}

void crowd_advance(struct crowd *crowd, int64_t now_ms)
{
	while (crowd->heap_used > 0 && crowd->heap[0]->key_ms <= now_ms) {
		struct crowd_run *run = crowd->heap[0];

		if (run->end_ms > run->key_ms)
			run->key_ms = run->end_ms;
		else
			end_first(crowd);
		sift_down(crowd);
	}
}

void crowd_reach(struct crowd *crowd, int64_t now_ms)
{
	bucket_at(crowd, now_ms);
}

static void begin(struct crowd *crowd, struct crowd_run **owner, int64_t now_ms, int64_t end_ms)
{
	struct crowd_run *run = malloc(sizeof(*run));

	if (run == NULL)
		return;
	*run = (struct crowd_run){.key_ms = end_ms, .end_ms = end_ms, .owner = owner};
	if (!push(crowd, run)) {
		free(run);
		return;
	}
	*owner = run;
	note_until(crowd, now_ms);
	crowd->active++;
	note_until(crowd, now_ms);
	if (crowd->active > crowd->peak) {
		crowd->peak = crowd->active;
		crowd->peak_ms = now_ms;
	}
}

void crowd_stall(struct crowd *crowd, struct crowd_run **run, int64_t now_ms, int64_t delay_ms)
{
	crowd_advance(crowd, now_ms);
	crowd->buckets[bucket_at(crowd, now_ms)].begun++;
	if (*run == NULL)
		begin(crowd, run, now_ms, now_ms + delay_ms);
	else
		(*run)->end_ms += delay_ms;
	if (crowd->active > crowd->budget)
		crowd->over_budget++;
}

void crowd_disown(struct crowd_run **run)
{
	if (*run != NULL)
		(*run)->owner = NULL;
	*run = NULL;
}
