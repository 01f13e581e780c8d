/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts the lines of a mail log together to SMTP sessions and their messages, and hands on what
 * happened in them, in the order of the log. Memory is bounded, whatever the log holds. For one
 * thread.
 */
#ifndef TARPIT_REPLAY_SESSIONS_H
#define TARPIT_REPLAY_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "maillog/line.h"
#include "scenario.h"
#include "base/table.h"

#define REPLAY_NAME_MAX 64
#define REPLAY_QUEUE_ID_MAX 32
/* With the NUL. An address that is cut to this is still too long for address_parse. */
#define REPLAY_ADDRESS_MAX (ADDRESS_TEXT_MAX + 1)

/* The process that logs a session. No padding, for the key is hashed as bytes. */
struct log_session_key {
	char machine[REPLAY_NAME_MAX];
	uint32_t pid, mta;
};

/* One SMTP session. */
struct log_session {
	struct log_session_key key;
	enum maillog_mta mta;
	bool has_client;		/* a line has told the client, which may be a local one */
	bool authenticated;
	struct sockaddr_storage address;	/* the client's; ss_family 0: none */
	char host[REPLAY_NAME_MAX * 4];	/* the client's, as in struct maillog_line */
	/* The drive's. */
	bool has_begun, has_greeted, has_left, has_ended, in_mail;
	bool is_paused;			/* perhaps at its end: Sendmail does not log that */
	struct log_message *mail;	/* that in_mail is about; only compared, never followed */
	char sender[REPLAY_ADDRESS_MAX];
	/* Private. */
	unsigned references;
	bool is_told;			/* no line will change authenticated any more */
	unsigned limit;			/* an enum idle_limit */
	int64_t touched_ms;
	struct log_message *message;	/* the last one; not counted as a reference */
	struct log_session *prev, *next;
	UT_hash_handle hh;
	struct scenario_session own[];	/* in each scenario */
};

struct log_message_key {
	char machine[REPLAY_NAME_MAX], queue_id[REPLAY_QUEUE_ID_MAX];
};

/* An accepted recipient that a line has named. */
struct log_recipient {
	struct log_recipient *next;
	size_t length;
	char text[];
};

/* One message: the lines with one queue id. */
struct log_message {
	struct log_message_key key;
	struct log_session *session;
	bool has_client_line;		/* Postfix's, at the first accepted recipient */
	bool is_queued;			/* sender and count are known */
	char *sender;			/* NULL: no line has told it */
	bool is_aborted;		/* the client never sent the message itself */
	unsigned count;			/* accepted recipients, if is_queued */
	unsigned rejections;		/* since the client line, if there is one */
	struct log_recipient *names;	/* of accepted recipients, each once */
	unsigned names_count, name_lines;
	/* The drive's. */
	bool is_finished;
	unsigned driven_rejections, driven_accepted, bad_count;
	/* Private. */
	unsigned references;
	bool listed, is_settled;	/* is_settled: no line will change it any more */
	int64_t deadline_ms;
	UT_hash_handle hh;
};

struct log_event;
struct replay_sessions;
typedef void replay_sessions_handler(struct log_event *event, void *arg);

/* scenarios: how many scenario_sessions a session has. NULL if out of memory. */
struct replay_sessions *replay_sessions_new(size_t scenarios, replay_sessions_handler *handler,
					    void *arg);
void replay_sessions_free(struct replay_sessions *sessions);
/* wall_ms, milliseconds since the epoch, does not go back. */
void replay_sessions_take(struct replay_sessions *sessions, const struct maillog_line *line,
			  int64_t wall_ms);
/* The log has ended: no event waits any longer, and all sessions end. */
void replay_sessions_finish(struct replay_sessions *sessions, int64_t wall_ms);
/* The handler is done with the message, and later lines of that queue id are of another one. */
void replay_sessions_forget(struct replay_sessions *sessions, struct log_message *message);

#endif
