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

/* That a client is flagged: by a siege alone, or for what it has done. */
enum announcement { ANNOUNCED_NOTHING, ANNOUNCED_SIEGE, ANNOUNCED_FLAG };

/* What the store has counted of the client and of its network. */
struct store_view {
	int64_t window;		/* index of the window that the tallies are of */
	struct tally client, network;
	/* good counts of the client's that only this host knows; part of client */
	struct tally kept;
	bool has_trap;		/* as far as this host knows, a trap is among its offences */
	bool by_hand;		/* an administrator has flagged the client */
	int64_t by_hand_until_s;	/* since the epoch; 0: the flag does not say */
	enum announcement announced;	/* what this daemon has logged of the client */
	bool is_local;		/* a shared store was asked and did not answer */
};

#endif
