/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of what happened in sessions, in the order of the log. A log tells late what a filter
 * sees at once, so an event waits until the log has told the rest, or for some minutes of the log's
 * time. For one thread.
 */
#ifndef TARPIT_REPLAY_EVENTS_H
#define TARPIT_REPLAY_EVENTS_H

#include "judge/rejection.h"
#include "sessions.h"

/* Events beyond so many no longer wait. */
#define REPLAY_EVENTS_MAX 32768

struct log_event {
	/* MAILLOG_CONNECT, DISCONNECT, REJECTED, HIDDEN, CLIENT or QUEUED; LOST in a transaction */
	enum maillog_kind kind;
	int64_t wall_ms;		/* since the epoch */
	struct log_session *session;
	struct log_message *message;	/* NULL: none */
	char code[DSN_TEXT_MAX];	/* empty: none */
	const char *recipient;		/* NULL: none; in text */
	const char *sender;		/* NULL: the line has none; in text */
	struct log_event *next;
	char text[];
};

struct replay_events {
	struct log_event *first, *last;
	size_t count;
};

/*
 * Adds a copy of event, with the recipient, the sender and the code of line. False without memory.
 */
bool replay_events_add(struct replay_events *events, const struct log_event *event,
		       const struct maillog_line *line);
/* The first event, the caller's to free, if it need not wait at now_ms; else NULL. */
struct log_event *replay_events_take(struct replay_events *events, int64_t now_ms);

#endif
