/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sessions each client has open, oldest first. Thread-safe. */
#ifndef TARPIT_SESSION_OPEN_SESSIONS_H
#define TARPIT_SESSION_OPEN_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/prefix.h"

struct open_sessions;
struct client_sessions;

/* A session's place in it: part of the session. */
struct open_session {
	_Atomic bool is_marked;		/* by open_sessions_mark; the session clears it */
	/* private */
	struct client_sessions *group;	/* NULL while it is not listed */
	struct open_session *prev, *next;
};

struct open_sessions *open_sessions_new(void);
void open_sessions_free(struct open_sessions *peers);

/* Without memory the session is not listed, and is never too many. */
void open_sessions_join(struct open_sessions *peers, struct open_session *peer, const struct prefix *client);
void open_sessions_leave(struct open_sessions *peers, struct open_session *peer);
/* Whether this client has at least limit sessions open that are older than this one. */
bool open_sessions_has_older(struct open_sessions *peers, const struct open_session *peer, unsigned limit);
/*
 * Tells all sessions of this client that what they know of it is out of date. Returns how many there are.
 */
unsigned open_sessions_mark(struct open_sessions *peers, const struct prefix *client);
unsigned open_sessions_count(struct open_sessions *peers, const struct prefix *client);

#endif
