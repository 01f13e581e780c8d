/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many stalls there would have been at once, over any stretch of time, in constant memory. Times are
 * milliseconds since the epoch. For one thread.
 */
#ifndef TARPIT_REPLAY_CONCURRENCY_H
#define TARPIT_REPLAY_CONCURRENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CROWD_BUCKETS 512

/* A session's stalls that follow each other without a pause: one place in the crowd. */
struct crowd_run;

struct crowd_bucket {
	unsigned peak;		/* most at once */
	uint64_t begun;
};

struct crowd {
	unsigned budget, active, peak;
	int64_t peak_ms;	/* when the peak was reached first */
	uint64_t over_budget;	/* stalls that found the budget used up */
	/* buckets of equal width from begin_ms on; they merge in pairs when there are too few */
	int64_t begin_ms, width_ms;
	size_t buckets_used;
	struct crowd_bucket buckets[CROWD_BUCKETS];
	/* private */
	int64_t changed_ms;
	struct crowd_run **heap;	/* the one that ends first in front */
	size_t heap_used, heap_size;
};

void crowd_init(struct crowd *crowd, unsigned budget);
void crowd_free(struct crowd *crowd);
/* Moves on; now_ms never goes back. */
void crowd_advance(struct crowd *crowd, int64_t now_ms);
/* So that the buckets reach from the first moment to the last. */
void crowd_reach(struct crowd *crowd, int64_t now_ms);
/*
 * A stall of a session whose run is *run, NULL if it has none: it begins when the session's last one ends,
 * for a session waits for one thing at a time. *run becomes NULL when it is over.
 */
void crowd_stall(struct crowd *crowd, struct crowd_run **run, int64_t now_ms, int64_t delay_ms);
/* The session has gone; its stalls, of which its MTA does not know yet, go on. */
void crowd_disown(struct crowd_run **run);

#endif
