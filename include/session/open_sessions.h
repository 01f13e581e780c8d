/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sessions each client has open, oldest first. Thread-safe. */
#ifndef TARPIT_SESSION_OPEN_SESSIONS_H
#define TARPIT_SESSION_OPEN_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/prefix.h"

struct peers;
struct peer_group;

/* A session's place in it: part of the session. */
struct peer {
	_Atomic bool is_marked;		/* by peers_mark; the session clears it */
	/* private */
	struct peer_group *group;	/* NULL while it is not listed */
	struct peer *prev, *next;
};

struct peers *peers_new(void);
void peers_free(struct peers *peers);

/* Without memory the session is not listed, and is never too many. */
void peers_join(struct peers *peers, struct peer *peer, const struct prefix *client);
void peers_leave(struct peers *peers, struct peer *peer);
/* Whether this client has at least limit sessions open that are older than this one. */
bool peers_has_older(struct peers *peers, const struct peer *peer, unsigned limit);
/*
 * Tells all sessions of this client that what they know of it is out of date. Returns how many there are.
 */
unsigned peers_mark(struct peers *peers, const struct prefix *client);
unsigned peers_count(struct peers *peers, const struct prefix *client);

#endif
