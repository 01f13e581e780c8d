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
struct visit_key {
	char machine[REPLAY_NAME_MAX];
	uint32_t pid, mta;
};

/* One SMTP session. */
struct visit {
	struct visit_key key;
	enum maillog_mta mta;
	bool has_client;		/* who it is, is known; without an address it was a local one */
	bool authenticated;
	struct sockaddr_storage address;	/* ss_family 0: none */
	char host[REPLAY_NAME_MAX * 4];
	/* of who plays it */
	bool has_begun, has_greeted, has_ended, in_mail;
	bool is_paused;			/* it may have ended: the log does not tell */
	struct message *mail;		/* that in_mail is of; only to compare with */
	char sender[REPLAY_ADDRESS_MAX];
	/* private */
	unsigned references;
	bool listed;
	bool is_told;			/* authenticated or not: no line will tell it later */
	unsigned patience;
	int64_t touched_ms;
	struct message *message;	/* the last one; not a reference */
	struct visit *prev, *next;
	UT_hash_handle hh;
	struct site_session sites[];
};

struct message_key {
	char machine[REPLAY_NAME_MAX], queue_id[REPLAY_QUEUE_ID_MAX];
};

/* A name of an accepted recipient. */
struct accepted {
	struct accepted *next;
	size_t length;
	char text[];
};

/* One message: what has a queue id. */
struct message {
	struct message_key key;
	struct visit *visit;
	bool has_client_line;		/* Postfix's, at the first accepted recipient */
	bool is_queued;			/* its sender and the number of its recipients are known */
	char *sender;			/* NULL: no line has told it */
	bool is_aborted;		/* and it never came */
	unsigned count;			/* accepted recipients, as far as is_queued */
	unsigned rejections;		/* after the client line, if there is one */
	struct accepted *names;
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
struct happening {
	enum maillog_kind kind;		/* CONNECT, DISCONNECT, REJECTED, HIDDEN, CLIENT or QUEUED */
	int64_t wall_ms;
	struct visit *visit;
	struct message *message;	/* NULL: none */
	char code[DSN_TEXT_MAX];	/* empty: none */
	const char *recipient;		/* NULL: none */
	const char *sender;		/* NULL: the line has none */
	struct happening *next;
	char text[];
};

struct replay_log;
typedef void replay_play(struct happening *happening, void *arg);

/* sites: how many site_sessions a visit has. NULL if out of memory. */
struct replay_log *replay_log_new(size_t sites, replay_play *play, void *arg);
void replay_log_free(struct replay_log *log);
/* wall_ms does not go back. */
void replay_log_take(struct replay_log *log, const struct maillog_line *line, int64_t wall_ms);
/* The log has ended: nothing waits any longer, and all sessions end. */
void replay_log_finish(struct replay_log *log, int64_t wall_ms);
/* Done with a message: its later lines mean nothing. */
void replay_log_finished(struct replay_log *log, struct message *message);

#endif
