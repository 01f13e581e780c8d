/* SPDX-License-Identifier: BSD-2-Clause */
/* One SMTP session, from connect to close: counts what its client does, and slows a flagged one. */
#ifndef TARPIT_SESSION_H
#define TARPIT_SESSION_H

#include <stdbool.h>

#include "base/clock.h"
#include "session/gateway.h"
#include "session/mta_timeout.h"
#include "config/config.h"
#include "judge/certificates.h"

struct deferrals;
struct journal;
struct open_sessions;
struct session;
struct sockaddr;
struct site;
struct stalls;
struct store;

/* What all sessions share. Owned by the daemon, and outlives them; its parts are thread-safe. */
struct tarpit {
	struct config_box *config;
	struct store *store;
	struct stalls *stalls;
	struct open_sessions *peers;
	struct deferrals *deferrals;
	struct site *site;
	const struct journal *journal;
	const struct clock *clock;
	double (*chance)(void);		/* from -1 to 1, for the jitter */
	bool (*lacks_threads)(void);	/* then no command is stalled; NULL: never */
	unsigned max_sessions;		/* beyond these, sessions pass unwatched */
	_Atomic unsigned open_sessions;
	struct mta_timeout mta_timeout;
	struct gateway gateway;
	_Atomic int mta;		/* enum mta_finding, of the last session */
};

enum verdict {
	VERDICT_CONTINUE,
	/* no more callbacks: of the session at connect, of the message later */
	VERDICT_ACCEPT,
	VERDICT_DEFER,		/* 421 */
};

/*
 * What the MTA tells at connect. A text is NULL where the MTA does not say; so in the other events.
 */
struct connect_event {
	const char *host;		/* xxfi_connect's name */
	const struct sockaddr *address;	/* NULL: none */
	struct mta_signs mta;		/* what its kind is found by */
	const char *mta_name;		/* {j} */
	const char *client_name;	/* {client_name} */
	const char *client_resolve;	/* {client_resolve} */
};
struct mail_event {
	const char *sender;		/* with its angle brackets */
	const char *auth_type, *auth_authen;
	struct certificate certificate;
};
struct rcpt_event {
	const char *recipient;		/* with its angle brackets */
	const char *mailer, *host;	/* {rcpt_mailer}, {rcpt_host} */
	const char *bad_count;		/* {nbadrcpts} */
};

/* What all clients are judged by now. Thread-safe. */
struct circumstances tarpit_circumstances(const struct tarpit *tarpit);

/* NULL if out of memory: then this mail passes. */
struct session *session_open(struct tarpit *tarpit);
void session_close(struct session *session);	/* NULL is allowed */

/* The snapshot that the session keeps. */
const struct config *session_config(const struct session *session);
/*
 * Before session_connect: the MTA does not offer SMFIP_RCPT_REJ, to show recipients that it
 * rejects.
 */
void session_rejects_not_offered(struct session *session);

/*
 * One thread at a time for each session. Each blocks as long as the store takes, and a stall: at
 * most max_stall_per_session. bad_count is {nbadrcpts}, NULL from Postfix.
 */
enum verdict session_connect(struct session *session, const struct connect_event *event);
enum verdict session_helo(struct session *session);
enum verdict session_mail(struct session *session, const struct mail_event *event);
enum verdict session_rcpt(struct session *session, const struct rcpt_event *event);
enum verdict session_data(struct session *session, const char *bad_count);
/*
 * After a session_data that said CONTINUE: the message has reached its end, or the MTA has given it
 * up.
 */
enum verdict session_end_of_message(struct session *session);
void session_abort(struct session *session);

#endif
