/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/session.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "base/address.h"
#include "judge/exempt.h"
#include "base/hash.h"
#include "session/journal.h"
#include "base/log.h"
#include "session/open_sessions.h"
#include "session/stall.h"
#include "judge/policy.h"
#include "base/stats.h"
#include "store/store.h"

/* What is known of a client is looked up again at a MAIL after this long. */
#define VIEW_FRESH_MS 1000
/* The MTA's timeouts that `auto` stands for: their defaults for a command. */
#define POSTFIX_TIMEOUT_MS 30000
#define OTHER_TIMEOUT_MS 10000
/* A delay ends so long before the MTA's timeout at the latest. */
#define TIMEOUT_MARGIN_MS 2000
/* RFC 1035 names are shorter; what the MTA gives us is not always a name. */
#define HOST_MAX 256

struct session {
	struct tarpit *tarpit;
	struct config *config;
	struct client client;
	struct open_session peer;
	char address[PREFIX_TEXT_MAX];
	char host[HOST_MAX];
	char mta_name[HOST_MAX];
	struct address sender;
	bool is_watched; /* it has connected, and is not exempt */
	bool is_postfix;
	bool lacks_rejects; /* the MTA does not tell which recipients it rejects */
	bool is_null_sender;
	/* what is known of the client, and since when; -1: nothing */
	struct store_view view;
	int64_t viewed_ms;
	/* of this transaction */
	unsigned rejects_shown, rejects_hidden;
	int64_t stalled_in_transaction_ms;
	int64_t stalled_ms;
	/* the last stall, if no callback has come since it ended */
	struct mta_timeout_stall last_stall;
};

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
	stats_add(STAT_SESSIONS_OPENED, 1);
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

static int64_t mono_ms(const struct session *s)
{
	return s->tarpit->clock->mono_ms(s->tarpit->clock);
}

static struct journal_client who(const struct session *s)
{
	return (struct journal_client){
		.client = &s->client, .address = s->address, .host = s->host};
}

/* A rejection: code and recipient, or "hidden" and how many of them. */
static void tell_rejected(const struct session *s, const char *code, const char *recipient,
			  unsigned count, uint64_t amount, const struct standing *st)
{
	const struct journal *journal = s->tarpit->journal;
	struct journal_client client = who(s);
	struct journal_rejection rejection = {
		.code = code,
		.recipient = recipient,
		.sender = s->is_null_sender ? "<>" : s->sender.text,
		.count = count,
		.amount = amount,
		.standing = st,
	};

	journal->rejected(journal, &client, &rejection);
}

static void tell_decided(const struct session *s, const struct journal_decision *decision)
{
	const struct journal *journal = s->tarpit->journal;
	struct journal_client client = who(s);

	journal->decided(journal, &client, decision);
}

static void warn_of_mta(const struct session *s, enum mta_warning kind, const char *warning)
{
	const struct journal *journal = s->tarpit->journal;

	stats_add_labelled(FAMILY_MTA_WARNINGS, kind, 1);
	journal->warned(journal, s->mta_name, warning);
}

/* All sessions count in the same windows, those too that are older than a reload. */
static struct window window_now(const struct session *s)
{
	const struct clock *clock = s->tarpit->clock;

	return window_at(clock->wall_ms(clock), config_box_window_s(s->tarpit->config));
}

/* How the client stands now, by what this session knows. */
static void judge(const struct session *s, struct standing *st)
{
	struct window now = window_now(s);

	policy_judge_view(&s->config->policy, &s->client, &s->view, &now, st);
}

/* Notes that the view is fresh, and says so the first time that it flags the client. */
static void take_view(struct session *s, struct standing *st)
{
	struct store *store = s->tarpit->store;

	s->viewed_ms = mono_ms(s);
	judge(s, st);
	if (st->flagged == s->view.announced)
		return;
	s->view.announced = st->flagged;
	if (store_announce(store, &s->client.key, st->flagged) && st->flagged) {
		struct journal_client client = who(s);

		s->tarpit->journal->flagged(s->tarpit->journal, &client, st,
					    policy_delay_ms(&s->config->policy, st, 0));
	}
}

static struct store_query query_now(const struct session *s)
{
	return (struct store_query){
		.client = s->client,
		.window = window_now(s),
		.key_prefix = s->config->key_prefix,
	};
}

static void look_up(struct session *s, struct standing *st)
{
	struct store_query query = query_now(s);

	store_lookup(s->tarpit->store, &query, &s->view);
	take_view(s, st);
}

/* How the client stands, looked up again if an administrator has changed that. */
static void know(struct session *s, struct standing *st)
{
	if (atomic_exchange(&s->peer.is_marked, false))
		look_up(s, st);
	else
		judge(s, st);
}

/* Counts an event; recipient is NULL if nobody knows it. Returns what it added. */
static uint64_t record(struct session *s, enum side side, uint64_t amount, const char *recipient,
		       struct standing *st)
{
	struct store_query query = query_now(s);
	struct store_event event = {.side = side, .amount = amount};
	bool counted;

	if (amount == 0) {
		judge(s, st);
		return 0;
	}
	if (recipient != NULL && s->config->count_distinct) {
		event.distinct = true;
		event.recipient = hash_recipient(s->config->key_prefix, side, recipient);
	}
	counted = store_record(s->tarpit->store, &query, &event, &s->view);
	take_view(s, st);
	return counted ? amount : 0;
}

static enum verdict defer(const struct session *s, enum stage stage, enum reason reason)
{
	struct journal_decision decision = {.stage = stage,
					    .action = ACTION_DEFER,
					    .reason = reason,
					    .instead_of = ACTION_PASS};

	if (s->config->observe) {
		decision.action = ACTION_PASS;
		decision.reason = REASON_OBSERVE;
		decision.instead_of = ACTION_DEFER;
	}
	tell_decided(s, &decision);
	return s->config->observe ? VERDICT_CONTINUE : VERDICT_DEFER;
}

static enum verdict pass(const struct session *s, enum stage stage, enum reason reason)
{
	struct journal_decision decision = {
		.stage = stage,
		.action = ACTION_PASS,
		.reason = s->config->observe ? REASON_OBSERVE : reason,
		.instead_of = ACTION_PASS,
	};

	tell_decided(s, &decision);
	return VERDICT_CONTINUE;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What the MTA's patience allows. */
static int64_t mta_bound_ms(const struct session *s)
{
	int64_t timeout_ms = s->config->mta_timeout_ms;

	if (timeout_ms == 0)
		timeout_ms = s->is_postfix ? POSTFIX_TIMEOUT_MS : OTHER_TIMEOUT_MS;
	return timeout_ms - TIMEOUT_MARGIN_MS;
}

/* What is known of the client is looked up again before it is used. */
static void forget_view(struct session *s)
{
	s->view = (struct store_view){.window = s->view.window};
	s->viewed_ms = -1;
}

static void wait_out(struct session *s, enum stage stage, struct stall *stall)
{
	const struct journal *journal = s->tarpit->journal;
	struct journal_client client = who(s);
	struct journal_decision decision = {
		.stage = stage,
		.action = ACTION_STALL,
		.delay_ms = stall->delay_ms,
		.score = stall->score,
		.active = stalls_active(s->tarpit->stalls),
	};
	enum stall_end end;
	int64_t waited_ms;

	journal->decided(journal, &client, &decision);
	/* Forgiven before this stall could be seen by who forgave? */
	if (atomic_load(&s->peer.is_marked)) {
		struct standing st;

		know(s, &st);
		if (!st.flagged)
			stall_wake(s->tarpit->stalls, stall);
	}
	end = stall_wait(s->tarpit->stalls, stall, &waited_ms);
	s->stalled_in_transaction_ms += waited_ms;
	s->stalled_ms += waited_ms;
	if (end == STALL_ELAPSED) {
		s->last_stall = (struct mta_timeout_stall){stall->delay_ms, mono_ms(s)};
	} else if (end == STALL_FORGIVEN) {
		forget_view(s);
	}
	journal->released(journal, &client, stall, waited_ms, end);
}

/* Notes a stall that observe mode does not make: the limits are to come true as well. */
static enum verdict imagine(struct session *s, enum stage stage, const struct stall *stall)
{
	struct journal_decision decision = {
		.stage = stage,
		.action = ACTION_PASS,
		.reason = REASON_OBSERVE,
		.instead_of = ACTION_STALL,
		.delay_ms = stall->delay_ms,
		.score = stall->score,
	};

	s->stalled_in_transaction_ms += stall->delay_ms;
	s->stalled_ms += stall->delay_ms;
	tell_decided(s, &decision);
	return VERDICT_CONTINUE;
}

static bool lacks_threads(const struct session *s)
{
	return s->tarpit->lacks_threads != NULL && s->tarpit->lacks_threads();
}

/* Delays a flagged client at this stage, or says why not. */
static enum verdict delay(struct session *s, enum stage stage, const struct standing *st,
			  bool is_crowded, bool can_refuse)
{
	const struct config *config = s->config;
	int64_t transaction_left_ms =
		config->max_stall_per_transaction_ms - s->stalled_in_transaction_ms;
	int64_t session_left_ms = config->max_stall_per_session_ms - s->stalled_ms;
	struct stall stall = {
		.client = s->client.key,
		.address = s->client.address,
		.stage = stage_log_name(stage),
		.delay_ms = policy_delay_ms(&config->policy, st, s->tarpit->chance()),
		.score = st->effective_score,
	};

	if (session_left_ms <= 0)
		return pass(s, stage, REASON_SESSION_LIMIT);
	if (transaction_left_ms <= 0)
		return pass(s, stage, REASON_TRANSACTION_LIMIT);
	stall.delay_ms = least(stall.delay_ms, mta_bound_ms(s));
	stall.delay_ms = least(stall.delay_ms, least(transaction_left_ms, session_left_ms));
	if (config->observe)
		return imagine(s, stage, &stall);
	if (lacks_threads(s))
		return pass(s, stage, REASON_BUDGET);
	if (stall_begin(s->tarpit->stalls, &stall, is_crowded)) {
		wait_out(s, stage, &stall);
		return VERDICT_CONTINUE;
	}
	if (can_refuse && config->defer_when_full)
		return defer(s, stage, REASON_BUDGET);
	return pass(s, stage, is_crowded ? REASON_SESSIONS : REASON_BUDGET);
}

/* can_refuse: the MTA acts on a 421 here. */
static enum verdict act(struct session *s, enum stage stage, const struct standing *st,
			bool can_refuse)
{
	const struct config *config = s->config;
	bool is_crowded;

	if (!st->flagged)
		return VERDICT_CONTINUE;
	is_crowded =
		config->max_flagged_sessions > 0 &&
		open_sessions_has_older(s->tarpit->peers, &s->peer, config->max_flagged_sessions);
	if (is_crowded && can_refuse)
		return defer(s, stage, REASON_SESSIONS);
	if (!config->stall_at[stage])
		return VERDICT_CONTINUE;
	return delay(s, stage, st, is_crowded, can_refuse);
}

static void watch_callback(struct session *s)
{
	mta_timeout_kept(&s->tarpit->patience, &s->last_stall);
}

static void watch_end(struct session *s)
{
	int64_t shortest_ms = mta_timeout_lost(&s->tarpit->patience, &s->last_stall, mono_ms(s));
	char text[160];

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

	if (exempt_has_client(exempt, &s->client.address, NULL))
		return true;
	return name != NULL && event->client_resolve != NULL &&
	       strcmp(event->client_resolve, "OK") == 0 && exempt_host_rule(exempt, name) != NULL;
}

static void copy_text(char *copy, size_t size, const char *text)
{
	snprintf(copy, size, "%s", text != NULL ? text : "");
}

enum verdict session_connect(struct session *s, const struct connect_event *event)
{
	struct tarpit *tarpit = s->tarpit;
	struct prefix address;
	struct standing st;

	/* Said twice, it is the later client. libmilter lets none through. */
	open_sessions_leave(tarpit->peers, &s->peer);
	s->is_watched = false;
	copy_text(s->host, sizeof(s->host), event->host);
	copy_text(s->mta_name, sizeof(s->mta_name), event->mta_name);
	s->is_postfix =
		event->mta_version != NULL && strncmp(event->mta_version, "Postfix", 7) == 0;
	if (s->lacks_rejects && log_allowed(&lacks_rejects_limit))
		warn_of_mta(s, MTA_REJECTS_NOT_OFFERED,
			    "rejected recipients are not offered: nothing can be counted");

	if (!prefix_from_sockaddr(event->address, &address)) {
		stats_add(STAT_SESSIONS_EXEMPT, 1);
		return VERDICT_ACCEPT;
	}
	client_identify(&address, &s->config->widths, &s->client);
	prefix_format_address(&address, s->address);
	if (is_exempt(s, event)) {
		stats_add(STAT_SESSIONS_EXEMPT, 1);
		return VERDICT_ACCEPT;
	}
	if (atomic_load(&tarpit->open_sessions) > tarpit->max_sessions) {
		if (log_allowed(&full_limit))
			log_message(LOG_WARNING, "limits",
				    "more than %u sessions open: further ones pass unwatched",
				    tarpit->max_sessions);
		return VERDICT_ACCEPT;
	}
	s->is_watched = true;
	open_sessions_join(tarpit->peers, &s->peer, &s->client.key);
	look_up(s, &st);
	return act(s, STAGE_CONNECT, &st, true);
}

enum verdict session_helo(struct session *s)
{
	struct standing st;

	if (!s->is_watched)
		return VERDICT_CONTINUE;
	watch_callback(s);
	know(s, &st);
	return act(s, STAGE_HELO, &st, true);
}

/* Postfix names a certificate's subject only if it trusts it; others say so in {verify}. */
static bool is_authenticated(const struct session *s, const struct mail_event *event)
{
	if (!s->config->exempt_authenticated)
		return false;
	if ((event->auth_type != NULL && *event->auth_type != '\0') ||
	    (event->auth_authen != NULL && *event->auth_authen != '\0'))
		return true;
	if (event->verify != NULL && *event->verify != '\0')
		return strcmp(event->verify, "OK") == 0;
	return s->is_postfix && event->cert_subject != NULL && *event->cert_subject != '\0';
}

enum verdict session_mail(struct session *s, const struct mail_event *event)
{
	struct standing st;

	if (!s->is_watched)
		return VERDICT_ACCEPT;
	watch_callback(s);
	s->rejects_shown = 0;
	s->rejects_hidden = 0;
	s->stalled_in_transaction_ms = 0;
	if (is_authenticated(s, event)) {
		open_sessions_leave(s->tarpit->peers, &s->peer);
		s->is_watched = false;
		return VERDICT_ACCEPT;
	}
	address_parse(event->sender, &s->sender);
	s->is_null_sender = s->sender.text[0] == '\0';
	if (s->viewed_ms < 0 || mono_ms(s) - s->viewed_ms > VIEW_FRESH_MS)
		atomic_store(&s->peer.is_marked, true);
	know(s, &st);
	return act(s, STAGE_MAIL, &st, true);
}

/* Counts what Sendmail has refused without showing it to us. */
static void count_hidden(struct session *s, const char *bad_count, struct standing *st)
{
	const struct policy *policy = &s->config->policy;
	uint64_t each = policy_amount(policy, policy->hidden_weight, s->is_null_sender);
	unsigned total, fresh;

	if (!rejection_count_parse(bad_count, &total) ||
	    total <= s->rejects_shown + s->rejects_hidden)
		return;
	fresh = total - s->rejects_shown - s->rejects_hidden;
	s->rejects_hidden += fresh;
	record(s, SIDE_BAD, each * fresh, NULL, st);
	tell_rejected(s, "hidden", "", fresh, each * fresh, st);
}

/* Of two recipients that are too long to be told apart, each counts. */
static void count_rejected(struct session *s, const struct address *recipient,
			   const struct dsn *code, struct standing *st)
{
	const struct config *config = s->config;
	unsigned weight = offence_weight(config->offences, config->offences_count, code);
	uint64_t amount = policy_amount(&config->policy, weight, s->is_null_sender);
	char text[DSN_TEXT_MAX];

	amount = record(s, SIDE_BAD, amount, recipient->is_whole ? recipient->text : NULL, st);
	tell_rejected(s, dsn_format(code, text), recipient->text, 1, amount, st);
}

/*
 * Good recipients only matter for a client that has bad ones: others cost no write. Nor does one count whose
 * mailbox is exempt, or may be another one's in a new spelling: an offender could have as many as it likes.
 */
static void count_accepted(struct session *s, const struct address *recipient, struct standing *st)
{
	struct address mailbox;

	if (st->bad > 0 && address_mailbox(recipient, &mailbox) &&
	    exempt_recipient_rule(s->config->exempt, &mailbox) == NULL)
		record(s, SIDE_GOOD, 100, mailbox.text, st);
}

enum verdict session_rcpt(struct session *s, const struct rcpt_event *event)
{
	struct address recipient;
	struct standing before, after;
	struct dsn code;
	/* Only Sendmail has {nbadrcpts}. */
	bool is_sendmail = !s->is_postfix && event->bad_count != NULL;
	enum rejection_outcome outcome =
		rejection_classify(event->mailer, event->host, is_sendmail, &code);
	bool is_refused = outcome == RCPT_REJECTED || outcome == RCPT_REFUSED;

	if (!s->is_watched)
		return VERDICT_ACCEPT;
	watch_callback(s);
	know(s, &before);
	after = before;
	if (is_refused)
		s->rejects_shown++;
	count_hidden(s, event->bad_count, &after);

	address_parse(event->recipient, &recipient);
	if (exempt_recipient_rule(s->config->exempt, &recipient) != NULL)
		return VERDICT_CONTINUE;
	if (outcome == RCPT_REJECTED)
		count_rejected(s, &recipient, &code, &after);
	else if (outcome == RCPT_ACCEPTED)
		count_accepted(s, &recipient, &after);

	/*
	 * Once a client is flagged, how it stood before this recipient decides: were it how it stands
	 * now, the wait would tell whether the recipient exists.
	 */
	return act(s, STAGE_RCPT, before.flagged ? &before : &after, !is_refused || !s->is_postfix);
}

enum verdict session_data(struct session *s, const char *bad_count)
{
	struct standing st;
	enum verdict verdict;

	if (!s->is_watched)
		return VERDICT_ACCEPT;
	watch_callback(s);
	know(s, &st);
	count_hidden(s, bad_count, &st);
	verdict = act(s, STAGE_DATA, &st, true);
	return verdict == VERDICT_CONTINUE ? VERDICT_ACCEPT : verdict;
}

void session_close(struct session *s)
{
	if (s == NULL)
		return;
	watch_end(s);
	open_sessions_leave(s->tarpit->peers, &s->peer);
	atomic_fetch_sub(&s->tarpit->open_sessions, 1);
	stats_add(STAT_SESSIONS_CLOSED, 1);
	config_release(s->config);
	free(s);
}
