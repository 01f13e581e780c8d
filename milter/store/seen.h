/* SPDX-License-Identifier: BSD-2-Clause */
/* Recipients that were counted already; those noted first are forgotten first. Not thread-safe. */
#ifndef TARPIT_STORE_SEEN_H
#define TARPIT_STORE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"

/* Zero it to begin with. */
struct seen {
	struct seen_recipient *table;
};

/*
 * Notes a recipient of a client in a window, of which at most max are kept. True if it is new; without
 * memory it is taken for new.
 */
bool seen_note(struct seen *seen, size_t max, const struct prefix *client, int64_t window,
	       uint64_t recipient);
void seen_clear(struct seen *seen);

#endif
