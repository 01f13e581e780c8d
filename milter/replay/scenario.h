/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configuration that a log is replayed to: the daemon's own sessions in mode observe, with a memory
 * store, a clock that the log moves, and a result for a journal. For one thread.
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

struct replay_scenario;

/* One session of a client to one site; zeroed where there is none. */
struct replay_scenario_session {
	struct session *session;	/* NULL before it begins, and for one that is left alone */
	struct replay_concurrency_run *run;
	struct prefix key;		/* family 0: it has no address */
};

/* Takes config's reference, and makes it observe. name is kept. NULL if out of memory. */
struct replay_scenario *replay_scenario_new(const char *name, struct config *config, const struct clock *clock);
void replay_scenario_free(struct replay_scenario *scenario);
const char *replay_scenario_name(const struct replay_scenario *scenario);
const struct config *replay_scenario_config(const struct replay_scenario *scenario);
struct replay_result *replay_scenario_result(struct replay_scenario *scenario);

void replay_scenario_connect(struct replay_scenario *scenario, struct replay_scenario_session *session, const struct connect_event *event);
void replay_scenario_helo(struct replay_scenario *scenario, struct replay_scenario_session *session);
void replay_scenario_mail(struct replay_scenario *scenario, struct replay_scenario_session *session, const struct mail_event *event);
void replay_scenario_rcpt(struct replay_scenario *scenario, struct replay_scenario_session *session, const struct rcpt_event *event);
void replay_scenario_data(struct replay_scenario *scenario, struct replay_scenario_session *session, const char *bad_count);
void replay_scenario_delivered(struct replay_scenario *scenario, struct replay_scenario_session *session, const char *name,
		    unsigned recipients);
/*
 * Ends the session as others see it, and takes it up again as if it had been there all the time. What it
 * was stalled is forgotten, as far as the limit for a session goes.
 */
void replay_scenario_pause(struct replay_scenario *scenario, struct replay_scenario_session *session);
void replay_scenario_resume(struct replay_scenario *scenario, struct replay_scenario_session *session, const struct connect_event *event);
void replay_scenario_close(struct replay_scenario *scenario, struct replay_scenario_session *session);

#endif
