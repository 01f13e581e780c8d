/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts on their way to a shared store, and who owes them: this host does, until the shared store
 * has been told. Thread-safe.
 */
#ifndef TARPIT_STORE_DEBTS_H
#define TARPIT_STORE_DEBTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/memory.h"
#include "store/store.h"

#define DEBTS_MAX 12

/* One count that the shared store is to be told. */
struct debt {
	struct prefix prefix;	/* of a client or a network */
	bool is_network;
	int64_t window;
	enum side side;
	uint64_t amount;	/* hundredths */
};

struct debts {
	size_t count;
	struct debt of[DEBTS_MAX];
};

/* How far the telling of one came. */
enum debt_step {
	DEBT_NOT_TOLD,		/* certainly: this host owes it */
	DEBT_TOLD,
	/* without an answer: taken as told, for telling it again could count it twice */
	DEBT_MAYBE_TOLD,
};

/* What an event counts, for its client and for the network. */
void debts_of_event(const struct store_query *query, const struct store_event *event,
		    struct debts *debts);
/* All that is known of a client or network, as debts. */
void debts_of_known(const struct memory_debt *known, struct debts *debts);
/* Adds what memory has of the client's history and its network's, which it forgets. */
void debts_take_history(struct store *memory, const struct store_query *query, struct debts *debts);
/* Clients and networks whose debts there is room for. */
#define DEBTS_ENTRIES_MAX 2
/*
 * Takes what memory owes to that owner of so many clients and networks; false if there is nothing.
 * The caller settles the debts once: until then they are not part of what memory shows.
 */
bool debts_take(struct store *memory, unsigned owner, unsigned entries, struct debts *debts);
/* The same, but one count only, and of that no more than one offence of weight 1. */
bool debts_take_one(struct store *memory, unsigned owner, struct debts *debts);
/* Has memory note each as told, or as owed to that owner. */
void debts_settle(struct store *memory, unsigned owner, const struct debts *debts,
		  const enum debt_step *steps);

#endif
