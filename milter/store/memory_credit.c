/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps what the recipients of delivered messages earn: of clients without an offence, on this host
 * alone.
 */
#include <string.h>

#include "entries.h"


unsigned memory_credit_left(struct store *store, const struct store_query *query,
			    const struct store_recipient *recipient)
{
	struct memory *memory = memory_of(store);
	unsigned left;

	pthread_mutex_lock(&memory->mutex);
	left = history_credit_left(&memory->history, &query->client.key, query->window.index,
				   recipient);
	pthread_mutex_unlock(&memory->mutex);
	return left;
}

static size_t earn(struct memory *memory, const struct store_query *query,
		   struct store_recipient *recipients, size_t count)
{
	size_t earning = 0;

	for (size_t i = 0; i < count; i++)
		if (history_earn(&memory->history, memory->max_clients, &query->client.key,
				 query->window.index, &recipients[i]))
			recipients[earning++] = recipients[i];
	return earning;
}

static bool has_offended(struct memory *memory, const struct store_query *query)
{
	struct entry *entry = entry_find(memory, false, &query->client.key);

	if (entry == NULL)
		return false;
	entry_roll(memory, entry, query->window.index);
	return (entry->known.bad_now | entry->known.bad_previous | entry->owed.bad_now |
		entry->owed.bad_previous) > 0;
}

static void remember(struct memory *memory, const struct store_query *query, uint64_t amount)
{
	history_add(&memory->history, memory->max_clients, false, &query->client.key,
		    query->window.index, amount);
	if (client_has_network(&query->client))
		history_add(&memory->history, memory->max_clients, true, &query->client.network,
			    query->window.index, amount);
}

bool memory_credit(struct store *store, const struct store_query *query,
		   struct store_recipient *recipients, size_t count, struct store_view *view)
{
	struct memory *memory = memory_of(store);
	uint64_t amount;

	pthread_mutex_lock(&memory->mutex);
	memory_note_time(memory, query);
	amount = earn(memory, query, recipients, count) * STORE_CREDIT;
	if (amount > 0) {
		if (has_offended(memory, query))
			memory_count(memory, query, SIDE_GOOD, amount);
		else
			remember(memory, query, amount);
		memory_show(memory, query, view);
	}
	memory_unlock(memory);
	return amount > 0;
}

size_t memory_earn(struct store *store, const struct store_query *query,
		   struct store_recipient *recipients, size_t count)
{
	struct memory *memory = memory_of(store);
	size_t earning;

	pthread_mutex_lock(&memory->mutex);
	earning = earn(memory, query, recipients, count);
	if (earning > 0 && !has_offended(memory, query)) {
		remember(memory, query, earning * STORE_CREDIT);
		earning = 0;
	}
	pthread_mutex_unlock(&memory->mutex);
	return earning;
}

void memory_note_place(struct memory *memory, const struct store_query *query,
		       const struct store_event *event)
{
	struct entry *entry;

	if (event->domain != 0)
		history_note_rejection(&memory->history, memory->max_clients, &query->client.key,
				       query->window.index, event->domain);
	if (!event->is_trap)
		return;
	entry = entry_find_or_add(memory, false, &query->client.key, query->window.index);
	if (entry != NULL)
		entry->trap_window = query->window.index;
}

void memory_note_rejection(struct store *store, const struct store_query *query,
			   const struct store_event *event)
{
	struct memory *memory = memory_of(store);

	pthread_mutex_lock(&memory->mutex);
	memory_note_place(memory, query, event);
	memory_unlock(memory);
}

void memory_take_history(struct store *store, const struct store_query *query, struct tally *client,
			 struct tally *network)
{
	struct memory *memory = memory_of(store);

	*client = *network = (struct tally){0};
	pthread_mutex_lock(&memory->mutex);
	history_take(&memory->history, false, &query->client.key, query->window.index, client);
	if (client_has_network(&query->client))
		history_take(&memory->history, true, &query->client.network, query->window.index,
			     network);
	pthread_mutex_unlock(&memory->mutex);
}
