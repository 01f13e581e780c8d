/* SPDX-License-Identifier: BSD-2-Clause */
/* Which client makes most sessions. Zero it; thread-safe. */
#ifndef TARPIT_SESSION_GATEWAY_H
#define TARPIT_SESSION_GATEWAY_H

#include <pthread.h>

#include "base/prefix.h"

/* It is looked at so many sessions at a time. */
#define GATEWAY_SESSIONS 1000

struct gateway {
	pthread_mutex_t mutex;
	struct prefix candidate;
	unsigned sessions, votes, of_candidate;
	/* What was found: of the last GATEWAY_SESSIONS, and since the start. family is 0: none. */
	struct prefix majority, flagged_private;
};

/* The client that made most of the last GATEWAY_SESSIONS, and the private one flagged last. */
void gateway_found(struct gateway *gateway, struct prefix *majority,
		   struct prefix *flagged_private);

#endif
