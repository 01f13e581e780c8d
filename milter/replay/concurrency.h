/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many stalls there would have been at once, over any stretch of time, in constant memory.
 * Times are milliseconds since the epoch. For one thread.
 */
#ifndef TARPIT_REPLAY_CONCURRENCY_H
#define TARPIT_REPLAY_CONCURRENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_CONCURRENCY_BUCKETS 512

/* A session's stalls that follow each other without a pause: together they are one at once. */
struct replay_concurrency_run;

struct replay_concurrency_bucket {
	unsigned peak;		/* most stalls at once */
	uint64_t begun;		/* stalls that began */
};

struct replay_concurrency {
	unsigned max_stalls;	/* as configured */
	unsigned active, peak;
	int64_t peak_ms;	/* when the peak was reached first */
	uint64_t over_budget;	/* stalls that began while max_stalls were there */
	/* Buckets of equal width from begin_ms on: they merge in pairs when there are too few. */
	int64_t begin_ms, width_ms;
	size_t buckets_used;
	struct replay_concurrency_bucket buckets[REPLAY_CONCURRENCY_BUCKETS];
	/* Private. */
	int64_t changed_ms;
	struct replay_concurrency_run **heap;	/* the run that ends first in front */
	size_t heap_used, heap_size;
};

void replay_concurrency_init(struct replay_concurrency *concurrency, unsigned max_stalls);
void replay_concurrency_free(struct replay_concurrency *concurrency);
/* Ends what is over by now_ms, which never goes back. */
void replay_concurrency_advance(struct replay_concurrency *concurrency, int64_t now_ms);
/* Has the buckets reach to now_ms: called for the log's first moment and its last. */
void replay_concurrency_reach(struct replay_concurrency *concurrency, int64_t now_ms);
/*
 * A stall of a session whose run is *run, NULL if it has none: the stall begins when the session's
 * last one ends, for a session waits for one thing at a time. *run becomes NULL when the run is
 * over.
 */
void replay_concurrency_stall(struct replay_concurrency *concurrency,
			      struct replay_concurrency_run **run, int64_t now_ms,
			      int64_t delay_ms);
/* The session has gone. Its MTA does not know that yet, so its stalls go on. */
void replay_concurrency_disown(struct replay_concurrency_run **run);

#endif
