/* SPDX-License-Identifier: BSD-2-Clause */
/* What a store is asked about a client, and what it answers. */
#ifndef TARPIT_BASE_STORE_VIEW_H
#define TARPIT_BASE_STORE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/prefix.h"

/* The client that is asked about, and the window that its counters are to be of. */
struct store_query {
	struct client client;
	struct window window;
	const char *key_prefix;	/* of memcached's keys; the caller's */
};

/* What the store has counted of the client and of its network. */
struct store_view {
	int64_t window;		/* index of the window that the tallies are of */
	struct tally client, network;
	bool by_hand;		/* an administrator has flagged the client */
	int64_t by_hand_until_s;	/* since the epoch; 0: not known, another host was told */
	bool announced;		/* this daemon has logged that the client is flagged */
	bool is_local;		/* a shared store was asked and did not answer */
};

#endif
