/* SPDX-License-Identifier: BSD-2-Clause */
#include "history.h"

#include <limits.h>
#include <stdlib.h>

#include "base/table.h"

/* A domain's count once the client has met a rejection there. */
#define REJECTED SEEN_MAX

struct history_entry {
	struct prefix prefix;
	int64_t window;
	uint64_t good_now, good_previous; /* hundredths */
	UT_hash_handle hh; /* in the order of the last earning */
};

static void set(struct history_entry *entry, int64_t window, const struct tally *good)
{
	entry->window = window;
	entry->good_now = good->good_now;
	entry->good_previous = good->good_previous;
}

static struct history_entry **table_of(struct history *history, bool is_network)
{
	return is_network ? &history->networks : &history->clients;
}

static struct history_entry *find(const struct history *history, bool is_network,
				  const struct prefix *prefix)
{
	struct history_entry *table = is_network ? history->networks : history->clients, *entry;

	HASH_FIND(hh, table, prefix, sizeof(*prefix), entry);
	return entry;
}

/* Takes it out of its table: a walk goes on behind it. */
static void take_out(struct history *history, struct history_entry **table,
		     struct history_entry *entry)
{
	if (history->cursor == entry)
		history->cursor = entry->hh.next;
	HASH_DEL(*table, entry);
}

static void drop(struct history *history, struct history_entry **table, struct history_entry *entry)
{
	take_out(history, table, entry);
	free(entry);
}

/* What an entry has in that window, which a clock may have been set back to. */
static struct tally tally_of(const struct history_entry *entry, int64_t window)
{
	struct tally tally = {.good_now = entry->good_now, .good_previous = entry->good_previous};

	if (entry->window != window + 1)
		tally_roll(&tally, entry->window, window);
	return tally;
}

void history_show(const struct history *history, bool is_network, const struct prefix *prefix,
		  int64_t window, struct tally *tally)
{
	const struct history_entry *entry = find(history, is_network, prefix);
	struct tally good;

	if (entry == NULL)
		return;
	good = tally_of(entry, window);
	tally_add(tally, &good);
}

/* Puts it at the end of the table, as the last that would be forgotten. */
static void put(struct history_entry **table, struct history_entry *entry)
{
	HASH_ADD(hh, *table, prefix, sizeof(entry->prefix), entry);
	if (entry->hh.tbl == NULL)
		free(entry);
}

/* The entry of a client or network, out of its table, or a new one. NULL without memory. */
static struct history_entry *take_or_make(struct history *history, size_t max, bool is_network,
					  const struct prefix *prefix)
{
	struct history_entry **table = table_of(history, is_network);
	struct history_entry *entry = find(history, is_network, prefix);

	if (entry != NULL) {
		take_out(history, table, entry);
		return entry;
	}
	/* Two, for a reload may have lowered max. */
	for (int i = 0; i < 2 && HASH_COUNT(*table) >= max; i++)
		drop(history, table, *table);
	entry = calloc(1, sizeof(*entry));
	if (entry != NULL)
		entry->prefix = *prefix;
	return entry;
}

void history_add(struct history *history, size_t max, bool is_network, const struct prefix *prefix,
		 int64_t window, uint64_t amount)
{
	struct history_entry **table = table_of(history, is_network);
	struct history_entry *entry = take_or_make(history, max, is_network, prefix);
	struct tally good;

	if (entry == NULL)
		return;
	/* A caller that read the clock just before the entry's window began means that one. */
	if (entry->window == window + 1)
		window = entry->window;
	good = tally_of(entry, window);
	tally_count(&good, SIDE_GOOD, amount);
	set(entry, window, &good);
	put(table, entry);
}

void history_take(struct history *history, bool is_network, const struct prefix *prefix,
		  int64_t window, struct tally *tally)
{
	struct history_entry *entry = find(history, is_network, prefix);

	history_show(history, is_network, prefix, window, tally);
	if (entry != NULL)
		drop(history, table_of(history, is_network), entry);
}

void history_subtract(struct history *history, bool is_network, const struct prefix *prefix,
		      int64_t window, const struct tally *less)
{
	struct history_entry *entry = find(history, is_network, prefix);
	struct tally good;

	if (entry == NULL)
		return;
	good = tally_of(entry, window);
	tally_subtract(&good, less);
	set(entry, entry->window == window + 1 ? entry->window : window, &good);
}

unsigned history_credit_left(const struct history *history, const struct prefix *client,
			     int64_t window, const struct store_recipient *recipient)
{
	unsigned earned;

	if (recipient->is_distinct &&
	    seen_count(&history->recipients, client, window, recipient->mailbox) > 0)
		return 0;
	earned = seen_count(&history->domains, client, window, recipient->domain);
	/* Of the window before, too: for half of one at least it is no stranger to the domain. */
	if (earned == REJECTED ||
	    seen_count(&history->domains, client, window - 1, recipient->domain) == REJECTED)
		return UINT_MAX;
	return earned < HISTORY_DOMAIN_MAX ? HISTORY_DOMAIN_MAX - earned : 0;
}

bool history_earn(struct history *history, size_t max, const struct prefix *client, int64_t window,
		  const struct store_recipient *recipient)
{
	unsigned left = history_credit_left(history, client, window, recipient);

	if (left == 0)
		return false;
	if (recipient->is_distinct)
		seen_note(&history->recipients, max * HISTORY_RECIPIENTS_PER_CLIENT, client, window,
			  recipient->mailbox, 1);
	if (left != UINT_MAX)
		seen_note(&history->domains, max, client, window, recipient->domain, 1);
	return true;
}

void history_note_rejection(struct history *history, size_t max, const struct prefix *client,
			    int64_t window, uint64_t domain)
{
	seen_note(&history->domains, max, client, window, domain, REJECTED);
}

void history_clear(struct history *history)
{
	while (history->clients != NULL)
		drop(history, &history->clients, history->clients);
	while (history->networks != NULL)
		drop(history, &history->networks, history->networks);
	seen_clear(&history->recipients);
	seen_clear(&history->domains);
}

size_t history_walk(struct history *history, bool is_network)
{
	history->cursor = *table_of(history, is_network);
	return HASH_COUNT(history->cursor);
}

bool history_walk_next(struct history *history, struct history_item *item)
{
	const struct history_entry *entry = history->cursor;

	if (entry == NULL)
		return false;
	history->cursor = entry->hh.next;
	*item = (struct history_item){entry->prefix, entry->window, entry->good_now,
				      entry->good_previous};
	return true;
}

void history_put(struct history *history, size_t max, bool is_network,
		 const struct history_item *item)
{
	struct history_entry *entry = take_or_make(history, max, is_network, &item->prefix);
	const struct tally good = {.good_now = item->good_now,
				   .good_previous = item->good_previous};

	if (entry == NULL)
		return;
	set(entry, item->window, &good);
	put(table_of(history, is_network), entry);
}
