/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits on purpose, within the budget of all stalls, and can be woken. Thread-safe. */
#ifndef TARPIT_SESSION_STALL_H
#define TARPIT_SESSION_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/prefix.h"

struct stalls;

enum stall_end {
	STALL_ELAPSED,
	STALL_FORGIVEN,
	STALL_STOPPED,
};

/* One that is being waited out; the fields are the caller's to fill in, and to read for a list of them. */
struct stall {
	struct prefix client;	/* the key, not the address */
	struct prefix address;
	const char *stage;
	int64_t delay_ms;
	double score;
	/* private */
	int64_t began_ms;
	pthread_cond_t wake;
	enum stall_end end;
	bool woken;
	struct stall *prev, *next;
};

/* wakeup is called, without lock, by each stall that begins: see filter_nudge. NULL if out of memory. */
struct stalls *stalls_new(const struct clock *clock, unsigned budget, void (*wakeup)(void));
void stalls_free(struct stalls *stalls);

/*
 * Takes a place in the budget; false, and nothing is taken, if it is used up, or, for one that may only
 * have the first half, unless less than half of it is in use.
 */
bool stall_begin(struct stalls *stalls, struct stall *stall, bool first_half_only);
/* Waits stall->delay_ms or until woken, then gives the place back. waited_ms is how long it took. */
enum stall_end stall_wait(struct stalls *stalls, struct stall *stall, int64_t *waited_ms);

/* Ends this one, which has begun but is not waited for yet, as if forgiven. */
void stall_wake(struct stalls *stalls, struct stall *stall);

/* Ends a client's stalls, or all there are and will be. They end at once. Returns how many. */
unsigned stalls_forgive(struct stalls *stalls, const struct prefix *client);
unsigned stalls_stop(struct stalls *stalls);

/* A stall in progress, as a list of them shows it. */
struct stall_row {
	struct prefix client, address;
	const char *stage;
	int64_t delay_ms, waited_ms;
	double score;
};
/* Oldest first; at most max. Returns how many. */
size_t stalls_list(struct stalls *stalls, struct stall_row *rows, size_t max);

void stalls_set_budget(struct stalls *stalls, unsigned budget);
unsigned stalls_budget(struct stalls *stalls);
unsigned stalls_active(struct stalls *stalls);

#endif
