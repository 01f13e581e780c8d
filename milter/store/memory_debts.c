/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps what a shared store said, and what it has yet to be told. */
#include "store/memory.h"

#include <stdlib.h>

#include "entries.h"

bool memory_see(struct store *store, const struct prefix *client, int64_t window,
		uint64_t recipient)
{
	struct memory *memory = memory_of(store);
	bool is_new;

	pthread_mutex_lock(&memory->mutex);
	is_new = seen_note(&memory->seen, memory->max_clients * SEEN_PER_CLIENT, client, window,
			   recipient, 1) == 0;
	pthread_mutex_unlock(&memory->mutex);
	return is_new;
}

/*
 * How long that is kept which the shared store no longer knows: until a keeper has found out why.
 */
#define LOST_KEPT_S 30

static bool is_less(const struct tally *tally, const struct tally *than)
{
	return tally->bad_now < than->bad_now || tally->bad_previous < than->bad_previous ||
	       tally->good_now < than->good_now || tally->passed_now < than->passed_now;
}

static bool has_lost(const struct memory *memory, const struct entry *entry)
{
	return entry->lost_s > 0 && memory->now_s - entry->lost_s <= LOST_KEPT_S;
}

/* Before known and by_hand_until_s of the entry change. */
static void keep_lost(const struct memory *memory, struct entry *entry, const struct tally *tally,
		      int64_t by_hand_until_s)
{
	bool loses_flag = entry->by_hand_until_s > memory->now_s && by_hand_until_s == 0;

	if (!loses_flag && !is_less(tally, &entry->known))
		return;
	if (!has_lost(memory, entry)) {
		entry->lost = (struct tally){0};
		entry->lost_by_hand_until_s = 0;
	}
	/* Answers may cross: each may know less than the one before. */
	tally_raise(&entry->lost, &entry->known);
	if (entry->lost_by_hand_until_s < entry->by_hand_until_s)
		entry->lost_by_hand_until_s = entry->by_hand_until_s;
	entry->lost_s = memory->now_s;
}

static struct entry *learn_one(struct memory *memory, bool is_network, const struct prefix *prefix,
			       const struct tally *tally, int64_t window, bool is_worth,
			       int64_t by_hand_until_s)
{
	struct entry *entry = is_worth ? entry_find_or_add(memory, is_network, prefix, window)
				       : entry_find(memory, is_network, prefix);

	if (entry != NULL) {
		struct tally said = *tally;

		entry_roll(memory, entry, window);
		tally_roll(&said, window, entry->window);
		keep_lost(memory, entry, &said, by_hand_until_s);
		entry->known = said;
	}
	return entry;
}

void memory_learn(struct store *store, const struct store_query *query,
		  const struct store_view *view)
{
	struct memory *memory = memory_of(store);
	int64_t until_s = view->by_hand ? view->by_hand_until_s : 0;
	struct entry *entry;

	pthread_mutex_lock(&memory->mutex);
	memory_note_time(memory, query);
	/* Without an end it lasts until the shared store is asked again, or for a window. */
	if (view->by_hand && until_s == 0)
		until_s = memory->now_s + query->window.length_s;
	entry = learn_one(memory, false, &query->client.key, &view->client, view->window,
			  view->by_hand || !tally_is_zero(&view->client), until_s);
	if (entry != NULL)
		entry->by_hand_until_s = until_s;
	if (client_has_network(&query->client))
		learn_one(memory, true, &query->client.network, &view->network, view->window,
			  !tally_is_zero(&view->network), 0);
	memory_unlock(memory);
}

static void amend_one(struct memory *memory, bool is_network, const struct prefix *prefix,
		      struct tally *tally, struct store_view *view)
{
	memory_add_own(memory, is_network, prefix, entry_find(memory, is_network, prefix), tally,
		       view);
}

void memory_amend(struct store *store, const struct store_query *query, struct store_view *view)
{
	struct memory *memory = memory_of(store);

	pthread_mutex_lock(&memory->mutex);
	amend_one(memory, false, &query->client.key, &view->client, view);
	if (client_has_network(&query->client))
		amend_one(memory, true, &query->client.network, &view->network, view);
	pthread_mutex_unlock(&memory->mutex);
}

static struct memory_known known_of(const struct memory *memory, const struct entry *entry)
{
	struct memory_known known = {
		.counts = {entry->prefix, entry->is_network, entry->window, entry->known},
		.by_hand_until_s = entry->by_hand_until_s,
	};

	if (has_lost(memory, entry)) {
		tally_raise(&known.counts.owed, &entry->lost);
		if (known.by_hand_until_s < entry->lost_by_hand_until_s)
			known.by_hand_until_s = entry->lost_by_hand_until_s;
	}
	if (entry->window < memory->window - 1)
		known.counts.owed = (struct tally){0};
	if (known.by_hand_until_s <= memory->now_s)
		known.by_hand_until_s = 0;
	return known;
}

static size_t copy_known(const struct memory *memory, const struct entry *table,
			 struct memory_known *known)
{
	size_t count = 0;

	for (const struct entry *entry = table; entry != NULL; entry = entry->hh.next) {
		known[count] = known_of(memory, entry);
		count += known[count].by_hand_until_s > 0 ||
			 !tally_is_zero(&known[count].counts.owed);
	}
	return count;
}

struct memory_known *memory_copy_known(struct store *store, size_t *count)
{
	struct memory *memory = memory_of(store);
	struct memory_known *known = NULL;
	size_t most;

	*count = 0;
	pthread_mutex_lock(&memory->mutex);
	most = HASH_COUNT(memory->clients) + HASH_COUNT(memory->networks);
	if (most > 0)
		known = calloc(most, sizeof(*known));
	if (known != NULL) {
		*count = copy_known(memory, memory->clients, known);
		*count += copy_known(memory, memory->networks, known + *count);
	}
	pthread_mutex_unlock(&memory->mutex);
	return known;
}

bool memory_take_debt(struct store *store, unsigned owner, struct memory_debt *debt)
{
	struct memory *memory = memory_of(store);
	struct entry *entry;

	pthread_mutex_lock(&memory->mutex);
	entry = memory->debts[owner];
	if (entry != NULL) {
		*debt = (struct memory_debt){
			.prefix = entry->prefix,
			.is_network = entry->is_network,
			.window = entry->window,
			.owed = entry->owed,
		};
		entry_owe_nothing(memory, entry);
	}
	pthread_mutex_unlock(&memory->mutex);
	return entry != NULL;
}

/* What this entry owes, which is asked for in order to add to it. */
static struct tally *begin_owing(struct memory *memory, struct entry *entry, unsigned owner)
{
	if (!entry->is_owing) {
		entry->is_owing = true;
		entry->owner = owner;
		DL_APPEND(memory->debts[owner], entry);
	}
	return &entry->owed;
}

static void put_debt(struct memory *memory, const struct memory_debt *debt, bool is_owed,
		     unsigned owner)
{
	struct entry *entry;
	struct tally tally = debt->owed;

	pthread_mutex_lock(&memory->mutex);
	entry = entry_find_or_add(memory, debt->is_network, &debt->prefix, debt->window);
	if (entry != NULL) {
		/*
		 * An entry of the future is of a clock, or a length of windows, that was set back.
		 */
		if (debt->window > entry->window || entry->window > memory->window + 1)
			entry_roll(memory, entry, debt->window);
		tally_roll(&tally, debt->window, entry->window);
		tally_add(is_owed ? begin_owing(memory, entry, owner) : &entry->known, &tally);
		if (debt->owed.bad_now > 0)
			entry_touch(memory, entry);
	}
	memory_unlock(memory);
}

void memory_settle_debt(struct store *store, const struct memory_debt *debt)
{
	put_debt(memory_of(store), debt, false, 0);
}

void memory_return_debt(struct store *store, unsigned owner, const struct memory_debt *debt)
{
	put_debt(memory_of(store), debt, true, owner);
}
