/* SPDX-License-Identifier: BSD-2-Clause */
/* Stalls: waits of a session's thread, limited in number, that can be ended early. Thread-safe. */
#ifndef TARPIT_SESSION_STALL_H
#define TARPIT_SESSION_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/prefix.h"

struct stalls;
struct network_stalls;

enum stall_end {
	STALL_ELAPSED,
	STALL_FORGIVEN,
	STALL_STOPPED,
	/* by a client that had been shut out for long, or of a refusal by any stall */
	STALL_DISPLACED,
};

/* How much of the budget may be in use for a stall to begin. */
enum stall_share {
	STALL_REFUSAL,		/* the first half, until any other stall needs the place */
	STALL_FIRST_HALF,	/* of a client that has had its share */
	STALL_ORDINARY,		/* all but a reserve of an eighth */
	STALL_RESERVE,		/* all: of a RCPT, whose wait no 421 can replace with Postfix */
	STALL_DISPLACING,	/* all, and if need be the newest stall of another client ends */
};

/* A stall of one session. The caller fills in the first fields; stalls_list shows them. */
struct stall {
	struct prefix client;	/* the key, not the address */
	struct prefix network;	/* the wider network; equal to client where there is none */
	struct prefix address;
	const char *stage;
	int64_t delay_ms;
	double score;
	/* its session's from stalls_reserve, or NULL: then it needs room in its network's share */
	struct network_stalls *reserved;
	/* private */
	int64_t began_ms;
	pthread_cond_t wake;
	enum stall_end end;
	bool woken, is_listed, is_refusal;
	struct network_stalls *group;
	struct stall *prev, *next;
};

/*
 * Each stall that begins calls wakeup, which may be NULL, without a lock: see filter_nudge. NULL if
 * out of memory.
 */
struct stalls *stalls_new(const struct clock *clock, unsigned budget, void (*wakeup)(void));
void stalls_free(struct stalls *stalls);

/*
 * Takes a place in the budget. False, with nothing taken, if there is none in this part of it, or
 * the stall's network has a quarter of it already.
 */
bool stall_begin(struct stalls *stalls, struct stall *stall, enum stall_share share);
/*
 * Waits stall->delay_ms, or until the stall is woken, and gives the place back. waited_ms is how
 * long that took.
 */
enum stall_end stall_wait(struct stalls *stalls, struct stall *stall, int64_t *waited_ms);

/*
 * Keeps a place in a network's share, for the stalls of one session, one after the other. NULL if
 * there is none, or none in the budget now. The caller gives it back by stalls_unreserve, which
 * ignores NULL.
 */
struct network_stalls *stalls_reserve(struct stalls *stalls, const struct prefix *network);
void stalls_unreserve(struct stalls *stalls, struct network_stalls *reserved);
/* Ends a stall that has begun, before its stall_wait, as forgiven. */
void stall_wake(struct stalls *stalls, struct stall *stall);

/*
 * Ends all stalls of a client, as forgiven; or all that there are and will be, as the daemon stops.
 * They end at once. Returns how many.
 */
unsigned stalls_forgive(struct stalls *stalls, const struct prefix *client);
unsigned stalls_stop(struct stalls *stalls);

/* A stall in progress, as a list shows it. */
struct stall_row {
	struct prefix client, address;
	const char *stage;
	int64_t delay_ms, waited_ms;
	double score;
};
/* Oldest first; at most max. Returns how many. */
size_t stalls_list(struct stalls *stalls, struct stall_row *rows, size_t max);

void stalls_set_budget(struct stalls *stalls, unsigned budget);
unsigned stalls_budget(const struct stalls *stalls);
unsigned stalls_active(const struct stalls *stalls);

#endif
