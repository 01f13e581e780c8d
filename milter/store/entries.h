/* SPDX-License-Identifier: BSD-2-Clause */
/* The clients and networks of the memory store. All with its mutex held, but for memory_unlock. */
#ifndef TARPIT_STORE_ENTRIES_H
#define TARPIT_STORE_ENTRIES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "history.h"
#include "seen.h"
#include "store/memory.h"

/* A client or a network. */
struct entry {
	struct prefix prefix;
	bool is_network, is_owing;
	enum announcement announced;
	unsigned owner;
	int64_t trap_window; /* the last in which a trap was hit; 0: none */
	int64_t by_hand_until_s; /* 0: not flagged by hand */
	uint64_t walk; /* the last that has shown it */
	int64_t window;
	struct tally known; /* ours alone, or what the shared store said */
	struct tally owed; /* what it has yet to be told */
	/* What the shared store had said when it last said less: it may have been started anew. */
	struct tally lost;
	int64_t lost_by_hand_until_s, lost_s; /* when; 0: never */
	UT_hash_handle hh; /* in the order of the last offence */
	struct entry *prev, *next; /* in debts[owner] while is_owing */
};

struct memory {
	struct store store;
	pthread_mutex_t mutex;
	size_t max_clients;
	struct entry *clients, *networks;
	struct seen seen;
	struct history history;
	struct entry *debts[MEMORY_OWNERS];
	/* Of the last question: a clock may be set back. */
	int64_t now_s, window;
	bool has_forgotten; /* for want of memory; to be told without the lock */
	/* of memory_each */
	pthread_mutex_t walk_mutex;
	uint64_t walk;
	struct entry *cursor; /* the next to be shown */
	struct entry *save_cursor; /* the same of memory_save.h, which needs no walk_mutex */
};

/* Recipients remembered for each client that may be kept, on average. */
#define SEEN_PER_CLIENT 4

struct memory *memory_of(struct store *store);
/* Forgets everything. */
void memory_clear(struct memory *memory);
/* After whatever may have added an entry: tells if one could not be. */
void memory_unlock(struct memory *memory);
/* What is remembered of a client and its network, what is owed and its history among it. */
void memory_show(struct memory *memory, const struct store_query *query, struct store_view *view);
/* Notes in which domain the client has met a rejection, and whether it was a trap. */
void memory_note_place(struct memory *memory, const struct store_query *query,
		       const struct store_event *event);
/*
 * Adds to tally what only this host knows of a client or network: its history and what is owed. Of a
 * client view gets what is this host's alone, too. entry may be NULL.
 */
void memory_add_own(struct memory *memory, bool is_network, const struct prefix *prefix,
		    const struct entry *entry, struct tally *tally, struct store_view *view);
/* Adds to what is known of a client and its network; an offence takes their history along. */
void memory_count(struct memory *memory, const struct store_query *query, enum side side, uint64_t amount);
/* The operations of memory_credit.c. */
unsigned memory_credit_left(struct store *store, const struct store_query *query,
			    const struct store_recipient *recipient);
bool memory_credit(struct store *store, const struct store_query *query,
		   struct store_recipient *recipients, size_t count, struct store_view *view);
/* Notes what time it is, as a question has it. */
void memory_note_time(struct memory *memory, const struct store_query *query);

struct entry *entry_find(struct memory *memory, bool is_network, const struct prefix *prefix);
/* NULL without memory. One that is new begins in that window. */
struct entry *entry_find_or_add(struct memory *memory, bool is_network, const struct prefix *prefix,
				int64_t window);
/* Makes it the last that would be forgotten. */
void entry_touch(struct memory *memory, struct entry *entry);
/*
 * The window that a caller means. One that read the clock just before a window began, or whose
 * clock was set back by a little, means the newer one that others have begun already.
 */
int64_t entry_settle_window(const struct entry *entry, int64_t window);
/* Takes the entry's counts on to that window. */
void entry_roll(struct memory *memory, struct entry *entry, int64_t window);
/* Nothing of what it has counted is owed any more. */
void entry_owe_nothing(struct memory *memory, struct entry *entry);
/* The entry is about to leave its place: walks go on behind it. */
void entry_drop(struct memory *memory, struct entry **table, struct entry *entry);

#endif
