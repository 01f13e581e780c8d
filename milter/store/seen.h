/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How often something of a client was seen in a window: a recipient that was counted, a domain that
 * earned credit. What was noted first is forgotten first. Not thread-safe.
 */
#ifndef TARPIT_STORE_SEEN_H
#define TARPIT_STORE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"

/* No count goes beyond this. */
#define SEEN_MAX 255

/* Zero it to begin with. */
struct seen {
	struct seen_entry *table;
	struct seen_entry *cursor; /* of a walk: the next to be shown */
};

/* One thing, as a walk shows it. */
struct seen_item {
	struct prefix client;
	int64_t window;
	uint64_t thing;
	unsigned count;
};

/*
 * Raises the count of a thing, a hash, by this much, keeping at most max things. Returns what it
 * was before; without memory it is taken for new.
 */
unsigned seen_note(struct seen *seen, size_t max, const struct prefix *client, int64_t window,
		   uint64_t thing, unsigned by);
unsigned seen_count(const struct seen *seen, const struct prefix *client, int64_t window,
		    uint64_t thing);
void seen_clear(struct seen *seen);

/*
 * One walk at a time, which goes on where it was after whatever has been noted meanwhile. Begins it
 * and returns how many there are; shows the next one, or returns false.
 */
size_t seen_walk(struct seen *seen);
bool seen_walk_next(struct seen *seen, struct seen_item *item);

#endif
