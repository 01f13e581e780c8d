/* SPDX-License-Identifier: BSD-2-Clause */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct seen_key {
	uint8_t bytes[sizeof(struct prefix) + sizeof(int64_t) + sizeof(uint64_t)];
};

struct seen_entry {
	struct seen_key key;
	uint8_t count;
	UT_hash_handle hh; /* in the order of arrival */
};

static struct seen_key key_of(const struct prefix *client, int64_t window, uint64_t thing)
{
	struct seen_key key;

	memcpy(key.bytes, client, sizeof(*client));
	memcpy(key.bytes + sizeof(*client), &window, sizeof(window));
	memcpy(key.bytes + sizeof(*client) + sizeof(window), &thing, sizeof(thing));
	return key;
}

static struct seen_entry *find(const struct seen *seen, const struct seen_key *key)
{
	struct seen_entry *entry;

	HASH_FIND(hh, seen->table, key, sizeof(*key), entry);
	return entry;
}

/* NULL without memory. */
static struct seen_entry *add(struct seen *seen, size_t max, const struct seen_key *key)
{
	struct seen_entry *entry = seen->table;

	if (entry != NULL && HASH_COUNT(seen->table) >= max) {
		if (seen->cursor == entry)
			seen->cursor = entry->hh.next;
		HASH_DEL(seen->table, entry);
		free(entry);
	}
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	entry->key = *key;
	HASH_ADD(hh, seen->table, key, sizeof(entry->key), entry);
	if (entry->hh.tbl != NULL)
		return entry;
	free(entry);
	return NULL;
}

unsigned seen_note(struct seen *seen, size_t max, const struct prefix *client, int64_t window,
		   uint64_t thing, unsigned by)
{
	struct seen_key key = key_of(client, window, thing);
	struct seen_entry *entry = find(seen, &key);
	unsigned before;

	if (entry == NULL)
		entry = add(seen, max, &key);
	if (entry == NULL)
		return 0;
	before = entry->count;
	entry->count = (uint8_t)(by < SEEN_MAX - before ? before + by : SEEN_MAX);
	return before;
}

unsigned seen_count(const struct seen *seen, const struct prefix *client, int64_t window,
		    uint64_t thing)
{
	struct seen_key key = key_of(client, window, thing);
	const struct seen_entry *entry = find(seen, &key);

	return entry != NULL ? entry->count : 0;
}

void seen_clear(struct seen *seen)
{
	struct seen_entry *entry, *next;

	HASH_ITER(hh, seen->table, entry, next)
	{
		HASH_DEL(seen->table, entry);
		free(entry);
	}
	seen->cursor = NULL;
}

size_t seen_walk(struct seen *seen)
{
	seen->cursor = seen->table;
	return HASH_COUNT(seen->table);
}

bool seen_walk_next(struct seen *seen, struct seen_item *item)
{
	const struct seen_entry *entry = seen->cursor;
	const uint8_t *bytes;

	if (entry == NULL)
		return false;
	seen->cursor = entry->hh.next;
	bytes = entry->key.bytes;
	memcpy(&item->client, bytes, sizeof(item->client));
	bytes += sizeof(item->client);
	memcpy(&item->window, bytes, sizeof(item->window));
	bytes += sizeof(item->window);
	memcpy(&item->thing, bytes, sizeof(item->thing));
	item->count = entry->count;
	return true;
}
