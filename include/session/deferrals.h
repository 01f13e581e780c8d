/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 421s that each client has been answered: so that the log is not flooded, and nobody is shut
 * out for ever. Thread-safe. Moments are monotonic. A client that there is no memory or room for is
 * taken for one that was never deferred.
 */
#ifndef TARPIT_SESSION_DEFERRALS_H
#define TARPIT_SESSION_DEFERRALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"
#include "session/journal.h"

/* Clients that the daemon remembers; 200 bytes each. */
#define DEFERRALS_MAX 20000

struct deferrals;

/* What the log is to be told of a client's 421s. */
struct deferral {
	struct prefix client;	/* the key */
	struct prefix address, via;	/* of the last one; via as in struct client */
	struct journal_decision decision;	/* of the last one; its count is of all */
};

/*
 * Of max clients, those that were deferred longest ago are forgotten first, but for those with 421s
 * that no line has told of. NULL if out of memory.
 */
struct deferrals *deferrals_new(size_t max);
void deferrals_free(struct deferrals *deferrals);	/* NULL is allowed */

/*
 * Notes a 421, or what would have been one. Returns how many are to be told of in a log line now:
 * all since the last line, or 0 if that was less than a minute ago. deferral's count is not looked
 * at.
 */
unsigned deferrals_note(struct deferrals *deferrals, const struct deferral *deferral,
			int64_t now_ms);
/*
 * Whether a session may come in though it would be deferred: for so long the client has been
 * answered nothing but 421. One session may, and one more within as long again; the time begins
 * anew with the next 421. A client that has not been deferred for eight times as long has gone
 * away: for it, too, the time begins anew.
 */
bool deferrals_let_in(struct deferrals *deferrals, const struct prefix *client, int64_t now_ms,
		      int64_t longest_ms);
/*
 * The client waits, or has been forgiven: the time begins anew. The second session may still come
 * in.
 */
void deferrals_end(struct deferrals *deferrals, const struct prefix *client);

/*
 * Tells, without a lock, of 421s that no line has told of for a minute, or at the daemon's end of
 * all that are untold: only so does a client that has gone away leave its count.
 */
typedef void deferrals_teller(const struct deferral *deferral, void *arg);
void deferrals_flush(struct deferrals *deferrals, int64_t now_ms, bool is_end,
		     deferrals_teller *tell, void *arg);

#endif
