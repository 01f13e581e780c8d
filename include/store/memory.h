/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store inside this process, and what a memcached store falls back on. Never blocks for long.
 */
#ifndef TARPIT_STORE_MEMORY_H
#define TARPIT_STORE_MEMORY_H

#include <stddef.h>

#include "store/store.h"

/*
 * Keeps max_clients clients and as many networks; those that offended longest ago go first.
 * NULL if there is no memory. With memory running out later, events are not counted.
 */
struct store *memory_store_new(size_t max_clients);

/*
 * For a store that has a shared one in front: which recipients of a message, moved to the front,
 * earn credit that the shared one is to be told. Returns how many: none for a client without an
 * offence, whose credit is kept here.
 */
size_t memory_earn(struct store *store, const struct store_query *query,
		   struct store_recipient *recipients, size_t count);
/* Notes in which domain the client has met a rejection, and whether it was a trap. */
void memory_note_rejection(struct store *store, const struct store_query *query,
			   const struct store_event *event);
/* What was kept here of the credit of a client and its network: the shared store is told now. */
void memory_take_history(struct store *store, const struct store_query *query,
			 struct tally *client, struct tally *network);

/*
 * For the same: what the shared one said (learn), and what it has yet to
 * be told (owed). Owed counts are part of what lookup shows.
 */

/* True if this recipient had not been seen in this window; it is noted. */
bool memory_see(struct store *store, const struct prefix *client, int64_t window,
		uint64_t recipient);
void memory_learn(struct store *store, const struct store_query *query,
		  const struct store_view *view);
/* Adds what is owed for this client and network to what the shared store said, sets announced. */
void memory_amend(struct store *store, const struct store_query *query, struct store_view *view);

/* Servers that something may be owed to: an owner is below. */
#define MEMORY_OWNERS 64

/* What is owed of one client or network. */
struct memory_debt {
	struct prefix prefix;
	bool is_network;
	int64_t window;
	struct tally owed;	/* of window and of the one before */
};

/* What the shared store said of a client or network, and was told, of the last two windows. */
struct memory_known {
	struct memory_debt counts;
	int64_t by_hand_until_s;	/* 0: not flagged by hand */
};

/*
 * Copies all of that, clients before networks, which takes a millisecond for ten thousand; the
 * caller frees it. NULL without memory, or if there is nothing.
 */
struct memory_known *memory_copy_known(struct store *store, size_t *count);

/* Takes one debt out; false if there is none. The caller settles it, once, or puts it back. */
bool memory_take_debt(struct store *store, unsigned owner, struct memory_debt *debt);
/* The shared store has been told. */
void memory_settle_debt(struct store *store, const struct memory_debt *debt);
/* It could not be told. */
void memory_return_debt(struct store *store, unsigned owner, const struct memory_debt *debt);

#endif
