/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configuration that a log is replayed to: the daemon's own sessions in mode observe, with a memory
 * store, a clock that the log moves, and a book for a journal. For one thread.
 */
#ifndef TARPIT_REPLAY_SCENARIO_H
#define TARPIT_REPLAY_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/prefix.h"
#include "result.h"
#include "session/session.h"

struct site;

/* One visit of a client to one site; zeroed where there is none. */
struct site_session {
	struct session *session;	/* NULL before it begins, and for one that is left alone */
	struct crowd_run *run;
	struct prefix key;		/* family 0: it has no address */
};

/* Takes config's reference, and makes it observe. name is kept. NULL if out of memory. */
struct site *site_new(const char *name, struct config *config, const struct clock *clock);
void site_free(struct site *site);
const char *site_name(const struct site *site);
const struct config *site_config(const struct site *site);
struct book *site_book(struct site *site);

void site_connect(struct site *site, struct site_session *visit, const struct connect_event *event);
void site_helo(struct site *site, struct site_session *visit);
void site_mail(struct site *site, struct site_session *visit, const struct mail_event *event);
void site_rcpt(struct site *site, struct site_session *visit, const struct rcpt_event *event);
void site_data(struct site *site, struct site_session *visit, const char *bad_count);
void site_delivered(struct site *site, struct site_session *visit, const char *name,
		    unsigned recipients);
/*
 * Ends the session as others see it, and takes it up again as if it had been there all the time. What it
 * was stalled is forgotten, as far as the limit for a session goes.
 */
void site_pause(struct site *site, struct site_session *visit);
void site_resume(struct site *site, struct site_session *visit, const struct connect_event *event);
void site_close(struct site *site, struct site_session *visit);

#endif
