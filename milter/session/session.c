/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns the events of an SMTP session into offences and accepted recipients of its client, and into
 * verdicts.
 */
#include "state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "judge/exempt.h"
#include "judge/recipients.h"
#include "judge/rejection.h"
#include "session/stall.h"

static struct log_limit full_limit, lacks_rejects_limit, timeout_limit;

struct session *session_open(struct tarpit *tarpit)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->tarpit = tarpit;
	s->config = config_box_get(tarpit->config);
	s->viewed_ms = -1;
	atomic_fetch_add(&tarpit->open_sessions, 1);
	tarpit->journal->session(tarpit->journal, SESSION_OPENED);
	return s;
}

const struct config *session_config(const struct session *s)
{
	return s->config;
}

void session_rejects_not_offered(struct session *s)
{
	s->lacks_rejects = true;
}

int64_t session_mono_ms(const struct session *s)
{
	return s->tarpit->clock->mono_ms(s->tarpit->clock);
}

struct journal_client session_journal_client(const struct session *s)
{
	return (struct journal_client){
		.client = &s->client, .address = s->address, .via = s->via, .host = s->host};
}

static void warn_of_mta(const struct session *s, enum mta_warning kind, const char *warning)
{
	const struct journal *journal = s->tarpit->journal;

	journal->warned(journal, s->mta_name, kind, warning);
}

/* code and recipient are of one recipient, or "hidden" and empty for count of them. */
static void tell_rejected(const struct session *s, const char *code, const char *recipient,
			  unsigned count, uint64_t amount, const struct standing *st)
{
	const struct journal *journal = s->tarpit->journal;
	struct journal_client client = session_journal_client(s);
	struct journal_rejection rejection = {
		.code = code,
		.recipient = recipient,
		.sender = s->transaction.is_null_sender ? "<>" : s->transaction.sender.text,
		.count = count,
		.amount = amount,
		.standing = st,
	};

	journal->rejected(journal, &client, &rejection);
}

/* The MTA has called again: it has waited as long as the last stall took. */
static void note_callback(struct session *s)
{
	const struct journal *journal = s->tarpit->journal;

	if (s->last_stall.end_ms != 0)
		journal->outlasted(journal, s->last_stall.delay_ms, false);
	mta_timeout_kept(&s->tarpit->mta_timeout, &s->last_stall);
}

/* The session has ended, perhaps because the MTA did not wait for the last stall. */
static void note_end(struct session *s)
{
	const struct journal *journal = s->tarpit->journal;
	int64_t now_ms = session_mono_ms(s);
	int64_t shortest_ms = mta_timeout_lost(&s->tarpit->mta_timeout, &s->last_stall, now_ms);
	char text[160];

	if (s->last_stall.end_ms != 0)
		journal->outlasted(journal, s->last_stall.delay_ms,
				   mta_timeout_has_left(&s->last_stall, now_ms));
	if (shortest_ms == 0 || !log_allowed(&timeout_limit))
		return;
	snprintf(text, sizeof(text),
		 "sessions end right after stalls of %lld ms and more, is its filter timeout "
		 "shorter?",
		 (long long)shortest_ms);
	warn_of_mta(s, MTA_TIMEOUT_SHORT, text);
}

static bool is_exempt(const struct session *s, const struct connect_event *event)
{
	const struct exempt *exempt = s->config->exempt;
	const char *name = event->client_name != NULL ? event->client_name : event->host;

	if (exempt_has_client(exempt, &s->client.address, NULL) ||
	    (s->client.via.family != 0 && exempt_has_client(exempt, &s->client.via, NULL)))
		return true;
	return name != NULL && event->client_resolve != NULL &&
	       strcmp(event->client_resolve, "OK") == 0 && exempt_host_rule(exempt, name) != NULL;
}

static void copy_text(char *copy, size_t size, const char *text)
{
	snprintf(copy, size, "%s", text != NULL ? text : "");
}

static void note_mta(struct session *s, enum mta_finding finding)
{
	s->mta = finding;
	atomic_store(&s->tarpit->mta, (int)finding);
}

/* Notes what the MTA says of itself and of the client's name. */
static void introduce(struct session *s, const struct connect_event *event)
{
	copy_text(s->host, sizeof(s->host), event->host);
	copy_text(s->mta_name, sizeof(s->mta_name), event->mta_name);
	note_mta(s, mta_find((enum mta_kind)s->config->mta, &event->mta));
	if (s->lacks_rejects && log_allowed(&lacks_rejects_limit))
		warn_of_mta(s, MTA_REJECTS_NOT_OFFERED,
			    "rejected recipients are not offered: nothing can be counted");
}

/* Notes who the client is. False if it is exempt, as one without an IP address is. */
static bool identify(struct session *s, const struct connect_event *event)
{
	struct prefix address;

	if (!prefix_from_sockaddr(event->address, &address))
		return false;
	client_identify(&address, &s->config->widths, &s->client);
	prefix_format_address(&s->client.address, s->address);
	s->via[0] = '\0';
	if (s->client.via.family != 0)
		prefix_format_address(&s->client.via, s->via);
	return !is_exempt(s, event);
}

static bool is_full(const struct tarpit *tarpit)
{
	if (atomic_load(&tarpit->open_sessions) <= tarpit->max_sessions)
		return false;
	if (log_allowed(&full_limit))
		log_message(LOG_WARNING, "limits",
			    "more than %u sessions open: further ones pass unwatched",
			    tarpit->max_sessions);
	return true;
}

/* The transaction is over, or another one begins. */
static void end_transaction(struct session *s)
{
	session_credit_drop(s);
	stalls_unreserve(s->tarpit->stalls, s->transaction.reserved);
	s->transaction.reserved = NULL;
}

enum verdict session_connect(struct session *s, const struct connect_event *event)
{
	struct tarpit *tarpit = s->tarpit;
	struct standing st;

	/* After a second connect the session is the later client's. libmilter lets none through. */
	open_sessions_leave(tarpit->peers, &s->peer);
	end_transaction(s);
	s->is_watched = false;
	introduce(s, event);
	if (!identify(s, event)) {
		tarpit->journal->session(tarpit->journal, SESSION_EXEMPT);
		return VERDICT_ACCEPT;
	}
	if (is_full(tarpit))
		return VERDICT_ACCEPT;
	s->is_watched = true;
	open_sessions_join(tarpit->peers, &s->peer, &s->client.key);
	session_gateway_connected(s);
	session_view_look_up(s, &st);
	return session_verdict(s, STAGE_CONNECT, &st, true);
}

enum verdict session_helo(struct session *s)
{
	struct standing st;

	if (!s->is_watched)
		return VERDICT_CONTINUE;
	note_callback(s);
	/* It ends a transaction. */
	end_transaction(s);
	session_view_judge(s, &st);
	return session_verdict(s, STAGE_HELO, &st, true);
}

static bool is_authenticated(const struct session *s, const struct mail_event *event)
{
	return s->config->exempt_authenticated &&
	       ((event->auth_type != NULL && *event->auth_type != '\0') ||
		(event->auth_authen != NULL && *event->auth_authen != '\0'));
}

/*
 * A certificate says who somebody is, not that he is one of ours: none is exempt unless the
 * configuration says so.
 */
static bool has_exempt_certificate(const struct session *s, const struct mail_event *event)
{
	const struct certificate *certificate = &event->certificate;
	enum mta_kind mta = mta_kind_of(s->mta);

	return s->config->exempt_verified
		       ? certificate_is_verified(certificate, mta)
		       : certificates_have(s->config->certificates, certificate, mta);
}

enum verdict session_mail(struct session *s, const struct mail_event *event)
{
	struct standing st;

	if (!s->is_watched)
		return VERDICT_ACCEPT;
	note_callback(s);
	end_transaction(s);
	s->transaction = (struct transaction){0};
	if (is_authenticated(s, event) || has_exempt_certificate(s, event)) {
		open_sessions_leave(s->tarpit->peers, &s->peer);
		s->is_watched = false;
		return VERDICT_ACCEPT;
	}
	address_parse(event->sender, &s->transaction.sender);
	s->transaction.is_null_sender = s->transaction.sender.text[0] == '\0';
	s->transaction.is_callout =
		s->transaction.is_null_sender ||
		recipients_rule(s->config->callouts, &s->transaction.sender) != NULL;
	session_view_expire(s);
	session_view_judge(s, &st);
	return session_verdict(s, STAGE_MAIL, &st, true);
}

/*
 * Counts recipients that Sendmail has rejected without a callback, and only {nbadrcpts} tells of.
 */
static void count_hidden(struct session *s, const char *bad_count, struct standing *st)
{
	const struct policy *policy = &s->config->policy;
	struct transaction *t = &s->transaction;
	uint64_t each = policy_amount(policy, policy->hidden_weight, t->is_callout);
	unsigned total, fresh;

	if (!rejection_count_parse(bad_count, &total) ||
	    total <= t->rejects_shown + t->rejects_hidden)
		return;
	fresh = total - t->rejects_shown - t->rejects_hidden;
	t->rejects_hidden += fresh;
	session_view_record(s, (struct store_event){.side = SIDE_BAD, .amount = each * fresh}, NULL,
			    st);
	tell_rejected(s, "hidden", "", fresh, each * fresh, st);
}

/* A recipient that the MTA rejects, or a trap: then code is NULL. */
static void count_rejected(struct session *s, const struct address *recipient,
			   const struct dsn *code, struct standing *st)
{
	const struct config *config = s->config;
	char text[DSN_TEXT_MAX] = "trap";
	struct store_event event = {.side = SIDE_BAD, .is_trap = code == NULL};
	uint64_t amount;

	if (code == NULL) {
		event.amount = policy_trap_amount(&config->policy);
	} else {
		unsigned weight = offence_weight(config->offences, config->offences_count, code);

		event.amount = policy_amount(&config->policy, weight, s->transaction.is_callout);
		/*
		 * An address that names a second domain (a%b@c) is none of its domain's mailboxes:
		 * who owns a catch-all must not have it reject anything.
		 */
		if (recipient->is_plain && rejection_is_of_mailbox(code))
			event.domain = session_credit_domain(s, recipient);
		dsn_format(code, text);
	}
	amount = session_view_record(s, event, recipient, st);
	tell_rejected(s, text, recipient->text, 1, amount, st);
}

/* Whether the recipient is one that no honest sender writes to, with or without an extension. */
static bool is_trap(const struct session *s, const struct address *recipient)
{
	const struct config *config = s->config;
	struct address mailbox;

	return recipients_rule(config->traps, recipient) != NULL ||
	       (address_mailbox(recipient, config->recipient_delimiter, &mailbox) &&
		recipients_rule(config->traps, &mailbox) != NULL);
}

enum verdict session_rcpt(struct session *s, const struct rcpt_event *event)
{
	struct address recipient;
	struct standing before, after;
	struct dsn code;
	enum rejection_outcome outcome;

	if (!s->is_watched)
		return VERDICT_ACCEPT;
	note_callback(s);
	if (mta_find_more(s->mta, event->bad_count) != s->mta)
		note_mta(s, mta_find_more(s->mta, event->bad_count));
	outcome = rejection_classify(
		event->mailer, event->host,
		mta_kind_of(s->mta) == MTA_SENDMAIL && event->bad_count != NULL, &code);
	session_view_expire(s);
	session_view_judge(s, &before);
	after = before;
	if (outcome == RCPT_REJECTED || outcome == RCPT_REFUSED)
		s->transaction.rejects_shown++;
	count_hidden(s, event->bad_count, &after);

	address_parse(event->recipient, &recipient);
	if (is_trap(s, &recipient)) {
		count_rejected(s, &recipient, NULL, &after);
	} else {
		if (recipients_rule(s->config->exempt_mailboxes, &recipient) != NULL)
			return VERDICT_CONTINUE;
		if (outcome == RCPT_REJECTED ||
		    (outcome == RCPT_REFUSED &&
		     offence_weight(s->config->offences, s->config->offences_count, &code) > 0))
			count_rejected(s, &recipient, &code, &after);
		else if (outcome == RCPT_ACCEPTED)
			session_credit_note(s, &recipient);
	}
	/*
	 * How long a flagged client waits, and whether it is refused, must not tell whether the
	 * recipient exists: the score before this recipient decides, and where the MTA may ignore
	 * the 421 for a rejected recipient no other one gets it.
	 */
	return session_verdict(s, STAGE_RCPT, before.flagged ? &before : &after,
			       mta_heeds_421_at_rcpt(mta_kind_of(s->mta)));
}

enum verdict session_data(struct session *s, const char *bad_count)
{
	struct standing st;
	enum verdict verdict;

	if (!s->is_watched)
		return VERDICT_ACCEPT;
	note_callback(s);
	session_view_judge(s, &st);
	count_hidden(s, bad_count, &st);
	verdict = session_verdict(s, STAGE_DATA, &st, true);
	/* The end of the message is worth asking for only if it earns something. */
	return verdict == VERDICT_CONTINUE && session_credit_pending(s) == 0 ? VERDICT_ACCEPT
									     : verdict;
}

enum verdict session_end_of_message(struct session *s)
{
	if (s->is_watched) {
		note_callback(s);
		session_credit_earn(s);
		end_transaction(s);
	}
	return VERDICT_ACCEPT;
}

void session_abort(struct session *s)
{
	end_transaction(s);
}

void session_close(struct session *s)
{
	if (s == NULL)
		return;
	note_end(s);
	end_transaction(s);
	open_sessions_leave(s->tarpit->peers, &s->peer);
	atomic_fetch_sub(&s->tarpit->open_sessions, 1);
	s->tarpit->journal->session(s->tarpit->journal, SESSION_CLOSED);
	config_release(s->config);
	free(s);
}
