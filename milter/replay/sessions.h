/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts the lines of a mail log together to SMTP sessions and their messages, and hands them on in the order
 * of the log. A log tells late what a filter sees at once: whose a recipient was, what the sender, who was
 * accepted. So lines wait in a queue until their message is known to its end, or for some minutes of the
 * log's time. Memory is bounded. For one thread.
 */
#ifndef TARPIT_REPLAY_SESSIONS_H
#define TARPIT_REPLAY_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "maillog/line.h"
#include "judge/rejection.h"
#include "scenario.h"
#include "base/table.h"

#define REPLAY_NAME_MAX 64
#define REPLAY_QUEUE_ID_MAX 32
/* What is cut to this is still too long for address_parse. */
#define REPLAY_ADDRESS_MAX (ADDRESS_TEXT_MAX + 1)

/* Whose process logged it. No padding, for it is hashed as bytes. */
struct log_session_key {
	char machine[REPLAY_NAME_MAX];
	uint32_t pid, mta;
};

/* One SMTP session. */
struct log_session {
	struct log_session_key key;
	enum maillog_mta mta;
	bool has_client;		/* who it is, is known; without an address it was a local one */
	bool authenticated;
	struct sockaddr_storage address;	/* ss_family 0: none */
	char host[REPLAY_NAME_MAX * 4];
	/* of who plays it */
	bool has_begun, has_greeted, has_ended, in_mail;
	bool is_paused;			/* it may have ended: the log does not tell */
	struct log_message *mail;		/* that in_mail is of; only to compare with */
	char sender[REPLAY_ADDRESS_MAX];
	/* private */
	unsigned references;
	bool listed;
	bool is_told;			/* authenticated or not: no line will tell it later */
	unsigned patience;
	int64_t touched_ms;
	struct log_message *message;	/* the last one; not a reference */
	struct log_session *prev, *next;
	UT_hash_handle hh;
	struct replay_scenario_session scenarios[];
};

struct log_message_key {
	char machine[REPLAY_NAME_MAX], queue_id[REPLAY_QUEUE_ID_MAX];
};

/* A name of an accepted recipient. */
struct log_recipient {
	struct log_recipient *next;
	size_t length;
	char text[];
};

/* One message: what has a queue id. */
struct log_message {
	struct log_message_key key;
	struct log_session *session;
	bool has_client_line;		/* Postfix's, at the first accepted recipient */
	bool is_queued;			/* its sender and the number of its recipients are known */
	char *sender;			/* NULL: no line has told it */
	bool is_aborted;		/* and it never came */
	unsigned count;			/* accepted recipients, as far as is_queued */
	unsigned rejections;		/* after the client line, if there is one */
	struct log_recipient *names;
	unsigned names_count, name_lines;
	/* of who plays it */
	bool is_finished;
	unsigned played_rejections, played_accepted, bad_count;
	/* private */
	unsigned references;
	bool listed, is_settled;
	int64_t deadline_ms;
	UT_hash_handle hh;
};

/* What to do at one moment. */
struct log_event {
	enum maillog_kind kind;		/* CONNECT, DISCONNECT, REJECTED, HIDDEN, CLIENT or QUEUED */
	int64_t wall_ms;
	struct log_session *session;
	struct log_message *message;	/* NULL: none */
	char code[DSN_TEXT_MAX];	/* empty: none */
	const char *recipient;		/* NULL: none */
	const char *sender;		/* NULL: the line has none */
	struct log_event *next;
	char text[];
};

struct replay_sessions;
typedef void replay_sessions_handler(struct log_event *event, void *arg);

/* scenarios: how many replay_scenario_sessions a session has. NULL if out of memory. */
struct replay_sessions *replay_sessions_new(size_t scenarios, replay_sessions_handler *play, void *arg);
void replay_sessions_free(struct replay_sessions *log);
/* wall_ms does not go back. */
void replay_sessions_take(struct replay_sessions *log, const struct maillog_line *line, int64_t wall_ms);
/* The log has ended: nothing waits any longer, and all sessions end. */
void replay_sessions_finish(struct replay_sessions *log, int64_t wall_ms);
/* Done with a message: its later lines mean nothing. */
void replay_sessions_finished(struct replay_sessions *log, struct log_message *message);

#endif
