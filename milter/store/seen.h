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

#endif
