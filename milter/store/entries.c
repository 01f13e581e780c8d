/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps clients and networks in hash tables, in the order of their last offence. */
#include "entries.h"

#include <stdlib.h>
#include <syslog.h>

#include "base/log.h"

/* Clients flagged by hand that one newcomer may not push out. */
#define SPARED 8

static struct log_limit forgotten_limit;

struct memory *memory_of(struct store *store)
{
	return (struct memory *)store;
}

void memory_note_time(struct memory *memory, const struct store_query *query)
{
	memory->now_s = window_now_s(&query->window);
	memory->window = query->window.index;
}

void memory_unlock(struct memory *memory)
{
	bool has_forgotten = memory->has_forgotten;

	memory->has_forgotten = false;
	pthread_mutex_unlock(&memory->mutex);
	if (has_forgotten && log_allowed(&forgotten_limit))
		log_message(LOG_WARNING, "limits", "out of memory: offences are forgotten");
}

void entry_owe_nothing(struct memory *memory, struct entry *entry)
{
	if (!entry->is_owing)
		return;
	DL_DELETE(memory->debts[entry->owner], entry);
	entry->is_owing = false;
	entry->owed = (struct tally){0};
}

static void step_over(struct memory *memory, const struct entry *entry)
{
	if (memory->cursor == entry)
		memory->cursor = entry->hh.next;
	if (memory->save_cursor == entry)
		memory->save_cursor = entry->hh.next;
}

void entry_drop(struct memory *memory, struct entry **table, struct entry *entry)
{
	entry_owe_nothing(memory, entry);
	step_over(memory, entry);
	HASH_DEL(*table, entry);
	free(entry);
}

static struct entry **table_of(struct memory *memory, bool is_network)
{
	return is_network ? &memory->networks : &memory->clients;
}

struct entry *entry_find(struct memory *memory, bool is_network, const struct prefix *prefix)
{
	struct entry *entry;

	HASH_FIND(hh, *table_of(memory, is_network), prefix, sizeof(*prefix), entry);
	return entry;
}

void entry_touch(struct memory *memory, struct entry *entry)
{
	struct entry **table = table_of(memory, entry->is_network);

	if (entry->hh.next == NULL)
		return;
	step_over(memory, entry);
	HASH_DEL(*table, entry);
	HASH_ADD(hh, *table, prefix, sizeof(entry->prefix), entry);
	if (entry->hh.tbl == NULL) {
		entry_owe_nothing(memory, entry);
		free(entry);
	}
}

/* Makes room for one more. What an administrator has flagged stays, but not at any price. */
static void evict(struct memory *memory, bool is_network)
{
	struct entry **table = table_of(memory, is_network);

	for (int spared = 0; spared < SPARED && (*table)->by_hand_until_s > memory->now_s; spared++)
		entry_touch(memory, *table);
	entry_drop(memory, table, *table);
}

struct entry *entry_find_or_add(struct memory *memory, bool is_network, const struct prefix *prefix,
				int64_t window)
{
	struct entry **table = table_of(memory, is_network);
	struct entry *entry = entry_find(memory, is_network, prefix);

	if (entry != NULL)
		return entry;
	if (HASH_COUNT(*table) >= memory->max_clients)
		evict(memory, is_network);
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL) {
		memory->has_forgotten = true;
		return NULL;
	}
	entry->prefix = *prefix;
	entry->is_network = is_network;
	entry->window = window;
	HASH_ADD(hh, *table, prefix, sizeof(entry->prefix), entry);
	if (entry->hh.tbl == NULL) {
		memory->has_forgotten = true;
		free(entry);
		return NULL;
	}
	return entry;
}

int64_t entry_settle_window(const struct entry *entry, int64_t window)
{
	return entry->window == window + 1 ? entry->window : window;
}

void entry_roll(struct memory *memory, struct entry *entry, int64_t window)
{
	window = entry_settle_window(entry, window);
	tally_roll(&entry->known, entry->window, window);
	tally_roll(&entry->owed, entry->window, window);
	tally_roll(&entry->lost, entry->window, window);
	entry->window = window;
	if (tally_is_zero(&entry->owed))
		entry_owe_nothing(memory, entry);
}
