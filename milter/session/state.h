/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session remembers between callbacks; private to this room. One thread at a time has it. */
#ifndef TARPIT_SESSION_STATE_H
#define TARPIT_SESSION_STATE_H

#include "base/address.h"
#include "base/store_view.h"
#include "judge/policy.h"
#include "session/journal.h"
#include "session/mta_timeout.h"
#include "session/open_sessions.h"
#include "session/session.h"
#include "store/store.h"

/* RFC 1035 names are shorter; what the MTA says is not always a name. */
#define SESSION_HOST_MAX 256

/* A message's envelope, from MAIL on; before the first MAIL all is 0. */
struct transaction {
	struct address sender;
	bool is_null_sender;
	bool is_callout;		/* or a sender that weighs like one */
	unsigned rejects_shown;		/* recipients that the MTA showed as rejected or refused */
	unsigned rejects_hidden;	/* rejected ones that only {nbadrcpts} told of */
	int64_t stalled_ms;
	/*
	 * Accepted recipients, which earn credit once the message has reached its end; see
	 * credit.c.
	 */
	struct store_recipient *accepted;
	size_t accepted_count, accepted_room;
	/* a place for its stalls, of a client of which no more recipients may pass; or NULL */
	struct network_stalls *reserved;
};

struct session {
	struct tarpit *tarpit;
	struct config *config;
	struct client client;
	struct open_session peer;
	char address[PREFIX_TEXT_MAX];
	char via[PREFIX_TEXT_MAX];	/* as the MTA has it, of a translator's client */
	char host[SESSION_HOST_MAX];
	char mta_name[SESSION_HOST_MAX];
	bool is_watched;	/* has connected, and is not exempt */
	enum mta_finding mta;
	/* it comes in though there is no room: its client has been deferred for long enough */
	bool is_let_in;
	bool lacks_rejects;	/* the MTA does not tell which recipients it rejects */
	/* What the store said of the client, and when (monotonic); -1: nothing yet. */
	struct store_view view;
	int64_t viewed_ms;
	struct transaction transaction;
	int64_t stalled_ms;	/* in all transactions, and before the first */
	struct mta_timeout_stall last_stall;
};

/* The session's client, as a journal wants it. */
struct journal_client session_journal_client(const struct session *s);
int64_t session_mono_ms(const struct session *s);

/* view.c */

/*
 * How the client stands by what this session knows; looked up again if an administrator has changed
 * that.
 */
void session_view_judge(struct session *s, struct standing *st);
/* How the client stands by what the store knows now. */
void session_view_look_up(struct session *s, struct standing *st);
/*
 * The next session_view_judge looks the client up; session_view_expire: unless the view is fresh.
 */
void session_view_outdate(struct session *s);
void session_view_expire(struct session *s);
/* The client's window and key_prefix, for the store. */
struct store_query session_query(const struct session *s);
/*
 * Judges a view that has just come from the store; the first that flags the client is told to the
 * journal.
 */
void session_view_judge_fresh(struct session *s, struct standing *st);
/* Forgets what is known: an administrator has forgiven the client. */
void session_view_forget(struct session *s);
/*
 * Counts an event; recipient, of whom event need not say which one it is, is NULL if it is not
 * known, or does not matter. Returns the hundredths added: 0 for a recipient who had been counted
 * before. st is how the client stands then.
 */
uint64_t session_view_record(struct session *s, struct store_event event,
			     const struct address *recipient, struct standing *st);

/* credit.c */

/*
 * The MTA has accepted a recipient. Until its message has reached its end it counts for this
 * transaction only.
 */
void session_credit_note(struct session *s, const struct address *recipient);
/* A hash of the domain in which a recipient earns credit or is rejected. */
uint64_t session_credit_domain(const struct session *s, const struct address *recipient);
/* Hundredths that recipients of this transaction may earn. */
uint64_t session_credit_pending(const struct session *s);
/* The message has reached its end: its recipients earn their credit. */
void session_credit_earn(struct session *s);
/* The transaction is over: what it has not earned is lost. */
void session_credit_drop(struct session *s);

/*
 * gateway.c: the client is flagged, or has connected; the journal may be told that it is no client.
 */
void session_gateway_flagged(const struct session *s);
void session_gateway_connected(const struct session *s);

/* verdict.c */

/*
 * What is done about a client's command: nothing if it is not flagged, else a stall, which is over
 * at the return, a 421, or nothing for one of the journal's reasons. can_refuse: the MTA acts on a
 * 421 here.
 */
enum verdict session_verdict(struct session *s, enum stage stage, const struct standing *st, bool can_refuse);

#endif
