/* SPDX-License-Identifier: BSD-2-Clause */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct seen_key {
	uint8_t bytes[sizeof(struct prefix) + sizeof(int64_t) + sizeof(uint64_t)];
};

struct seen_recipient {
	struct seen_key key;
	UT_hash_handle hh; /* in the order of arrival */
};

bool seen_note(struct seen *seen, size_t max, const struct prefix *client, int64_t window,
	       uint64_t recipient)
{
	struct seen_key key;
	struct seen_recipient *entry;

	memcpy(key.bytes, client, sizeof(*client));
	memcpy(key.bytes + sizeof(*client), &window, sizeof(window));
	memcpy(key.bytes + sizeof(*client) + sizeof(window), &recipient, sizeof(recipient));
	HASH_FIND(hh, seen->table, &key, sizeof(key), entry);
	if (entry != NULL)
		return false;
	if (HASH_COUNT(seen->table) >= max) {
		entry = seen->table;
		HASH_DEL(seen->table, entry);
		free(entry);
	}
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return true;
	entry->key = key;
	HASH_ADD(hh, seen->table, key, sizeof(entry->key), entry);
	if (entry->hh.tbl == NULL)
		free(entry);
	return true;
}

void seen_clear(struct seen *seen)
{
	struct seen_recipient *entry, *next;

	HASH_ITER(hh, seen->table, entry, next)
	{
		HASH_DEL(seen->table, entry);
		free(entry);
	}
}
