/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sessions each client has open, oldest first. Thread-safe. */
#ifndef TARPIT_SESSION_OPEN_SESSIONS_H
#define TARPIT_SESSION_OPEN_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/prefix.h"

struct open_sessions;
struct client_sessions;

/* A session's place in its client's list: part of struct session. */
struct open_session {
	_Atomic bool is_marked;		/* by open_sessions_mark; the session clears it */
	/* private */
	struct client_sessions *group;	/* NULL while the session is not listed */
	struct open_session *prev, *next;
};

struct open_sessions *open_sessions_new(void);
void open_sessions_free(struct open_sessions *all);

/* Without memory the session is not listed, and open_sessions_has_older is false for it. */
void open_sessions_join(struct open_sessions *all, struct open_session *session,
			const struct prefix *client);
void open_sessions_leave(struct open_sessions *all, struct open_session *session);
/* Whether this client has at least limit sessions open that are older than this one. */
bool open_sessions_has_older(struct open_sessions *all, const struct open_session *session,
			     unsigned limit);
/*
 * Tells all sessions of this client but one, which may be NULL, that what they know of the client
 * is out of date. Returns how many sessions there are.
 */
unsigned open_sessions_mark(struct open_sessions *all, const struct prefix *client,
			    const struct open_session *except);
unsigned open_sessions_count(struct open_sessions *all, const struct prefix *client);

#endif
