/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configuration that a log is replayed to: the daemon's own sessions in mode observe, with a
 * memory store, a clock that the log moves, and a result for a journal. For one thread.
 */
#ifndef TARPIT_REPLAY_SCENARIO_H
#define TARPIT_REPLAY_SCENARIO_H

#include "base/clock.h"
#include "base/prefix.h"
#include "result.h"
#include "session/session.h"

struct replay_scenario {
	const char *name;	/* the caller's */
	struct config *config;
	struct tarpit tarpit;
	struct replay_result result;
};

/* An SMTP session in one scenario; zeroed before it begins. */
struct scenario_session {
	struct session *session;	/* NULL: not begun, paused, or exempt */
	struct replay_concurrency_run *run;
	struct prefix key;		/* family 0: the client has no address */
};

/* Takes config's reference, and sets mode observe. NULL if out of memory. */
struct replay_scenario *replay_scenario_new(const char *name, struct config *config,
					    const struct clock *clock);
void replay_scenario_free(struct replay_scenario *scenario);

/* The log's time has come to this moment. */
void replay_scenario_reach(struct replay_scenario *scenario, int64_t now_ms);
/* The log's last line was at last_ms; the sessions are closed. */
void replay_scenario_finish(struct replay_scenario *scenario, int64_t last_ms);
void replay_scenario_connect(struct replay_scenario *scenario, struct scenario_session *own,
			     const struct connect_event *event);
/* The daemon's session, to be told its next event; NULL if the client is left alone. */
struct session *replay_scenario_session(struct replay_scenario *scenario,
					struct scenario_session *own);
/*
 * Ends the session as other sessions see it, and takes it up again as if it had never ended, but
 * for the time that it was stalled: the limit of stalls in a session begins anew.
 */
void replay_scenario_pause(struct replay_scenario *scenario, struct scenario_session *own);
void replay_scenario_resume(struct replay_scenario *scenario, struct scenario_session *own,
			    const struct connect_event *event);
/* The client, at this address, left within a transaction: counted if it is flagged. */
void replay_scenario_lost(struct replay_scenario *scenario, const struct scenario_session *own,
			  const struct sockaddr *address);
void replay_scenario_close(struct replay_scenario *scenario, struct scenario_session *own);

#endif
