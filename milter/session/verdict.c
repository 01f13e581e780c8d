/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides what is done about a flagged client's command: a stall, a 421 or nothing; and waits a
 * stall out.
 */
#include "state.h"

#include <stdatomic.h>

#include "session/deferrals.h"
#include "session/stall.h"

/* A delay ends so long before the MTA's timeout at the latest. */
#define TIMEOUT_MARGIN_MS 2000

static unsigned note_deferral(const struct session *s, const struct journal_decision *decision)
{
	struct deferral deferral = {.client = s->client.key,
				    .address = s->client.address,
				    .via = s->client.via,
				    .decision = *decision};

	return deferrals_note(s->tarpit->deferrals, &deferral, session_mono_ms(s));
}

/*
 * Tells the journal what is done about a command: in observe mode nothing, and what would have
 * been. stall is NULL where there is none.
 */
static enum verdict conclude(const struct session *s, enum stage stage, enum action action,
			     enum reason reason, const struct stall *stall)
{
	const struct journal *journal = s->tarpit->journal;
	struct journal_client client = session_journal_client(s);
	bool observe = s->config->observe;
	struct journal_decision decision = {
		.stage = stage,
		.action = observe ? ACTION_PASS : action,
		.reason = observe ? REASON_OBSERVE : reason,
		.instead_of = observe ? action : ACTION_PASS,
	};

	if (journal_is_deferral(&decision))
		decision.count = note_deferral(s, &decision);
	if (stall != NULL) {
		decision.delay_ms = stall->delay_ms;
		decision.score = stall->score;
		decision.active = stalls_active(s->tarpit->stalls);
	}
	journal->decided(journal, &client, &decision);
	return decision.action == ACTION_DEFER ? VERDICT_DEFER : VERDICT_CONTINUE;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The longest stall that the MTA's timeout leaves room for. */
static int64_t mta_timeout_left_ms(const struct session *s)
{
	int64_t timeout_ms = s->config->mta_timeout_ms;

	if (timeout_ms == 0)
		timeout_ms = mta_default_timeout_ms(mta_kind_of(s->mta));
	return timeout_ms - TIMEOUT_MARGIN_MS;
}

static void count_stalled(struct session *s, int64_t ms)
{
	s->transaction.stalled_ms += ms;
	s->stalled_ms += ms;
}

/*
 * An administrator who forgave the client before this stall could be seen has marked the session.
 */
static void wake_if_forgiven(struct session *s, struct stall *stall)
{
	struct standing st;

	if (!atomic_load(&s->peer.is_marked))
		return;
	session_view_judge(s, &st);
	if (!st.flagged)
		stall_wake(s->tarpit->stalls, stall);
}

static bool lacks_threads(const struct session *s)
{
	return s->tarpit->lacks_threads != NULL && s->tarpit->lacks_threads();
}

/* A flagged client's command, and what may be done about it. */
struct situation {
	enum stage stage;
	const struct standing *st;
	bool is_crowded; /* older sessions of the client use up its share */
	bool may_refuse; /* the MTA heeds a 421 here, and the client has earned nothing better */
	bool may_defer; /* for want of room, too: it is not only new in a siege */
	bool is_spent; /* as many of the client's recipients have passed as may */
	bool is_protected; /* its credit keeps it from being refused */
};

/* The limit that has no further stall be made for an honest sender's sake, or REASON_NONE. */
static enum reason find_limit(const struct session *s)
{
	if (s->stalled_ms >= s->config->max_stall_per_session_ms)
		return REASON_SESSION_LIMIT;
	if (s->transaction.stalled_ms >= s->config->max_stall_per_transaction_ms)
		return REASON_TRANSACTION_LIMIT;
	return REASON_NONE;
}

static int64_t choose_delay_ms(const struct session *s, const struct situation *at,
			       enum reason limit)
{
	const struct config *config = s->config;
	int64_t delay_ms = policy_delay_ms(&config->policy, at->st, s->tarpit->chance());

	delay_ms = least(delay_ms, mta_timeout_left_ms(s));
	if (limit != REASON_NONE)
		return delay_ms;
	delay_ms = least(delay_ms, config->max_stall_per_session_ms - s->stalled_ms);
	return least(delay_ms, config->max_stall_per_transaction_ms - s->transaction.stalled_ms);
}

/* The command goes on at once. Of recipients, only pass_limit may in a window. */
static enum verdict pass(struct session *s, const struct situation *at, enum reason reason)
{
	struct standing st;

	if (at->stage == STAGE_RCPT)
		session_view_record(s, (struct store_event){.side = SIDE_PASSED, .amount = 100},
				    NULL, &st);
	return conclude(s, at->stage, ACTION_PASS, reason, NULL);
}

/* Waits the stall out. False if another client has taken its place. */
static bool wait_out(struct session *s, const struct situation *at, struct stall *stall)
{
	const struct journal *journal = s->tarpit->journal;
	struct journal_client client = session_journal_client(s);
	enum stall_end end;
	int64_t waited_ms;

	deferrals_end(s->tarpit->deferrals, &s->client.key);
	conclude(s, at->stage, ACTION_STALL, REASON_NONE, stall);
	wake_if_forgiven(s, stall);
	end = stall_wait(s->tarpit->stalls, stall, &waited_ms);
	count_stalled(s, waited_ms);
	if (end == STALL_ELAPSED)
		s->last_stall = (struct mta_timeout_stall){stall->delay_ms, session_mono_ms(s),
							   at->stage == STAGE_DATA};
	else if (end == STALL_FORGIVEN)
		session_view_forget(s);
	journal->released(journal, &client, stall, waited_ms, end);
	return end != STALL_DISPLACED;
}

static struct stall stall_for(struct session *s, const struct situation *at, enum reason limit)
{
	return (struct stall){
		.client = s->client.key,
		.network = s->client.network,
		.address = s->client.address,
		.stage = stage_log_name(at->stage),
		.delay_ms = choose_delay_ms(s, at, limit),
		.score = at->st->effective_score,
		.reserved = s->transaction.reserved,
	};
}

/*
 * Keeps the 421 back for the delay where there is room for that, so that a client that calls again
 * at once is slowed, too. Who is to be refused takes no place among the client's sessions. True if
 * the client was forgiven meanwhile, or the daemon stops.
 */
static bool outwait_refusal(struct session *s, const struct situation *at)
{
	struct stall stall = stall_for(s, at, at->is_spent ? find_limit(s) : REASON_NONE);
	enum stall_end end;
	int64_t waited_ms;

	if (!s->config->stall_at[at->stage] || stall.delay_ms <= 0 || lacks_threads(s) ||
	    !stall_begin(s->tarpit->stalls, &stall, STALL_REFUSAL))
		return false;
	open_sessions_leave(s->tarpit->peers, &s->peer);
	wake_if_forgiven(s, &stall);
	end = stall_wait(s->tarpit->stalls, &stall, &waited_ms);
	count_stalled(s, waited_ms);
	open_sessions_join(s->tarpit->peers, &s->peer, &s->client.key);
	if (end == STALL_FORGIVEN)
		session_view_forget(s);
	return end == STALL_FORGIVEN || end == STALL_STOPPED;
}

static enum verdict refuse(struct session *s, const struct situation *at, enum reason reason)
{
	if (!s->config->observe && outwait_refusal(s, at))
		return VERDICT_CONTINUE;
	return conclude(s, at->stage, ACTION_DEFER, reason, NULL);
}

/* How much of the budget a stall may find in use. */
static enum stall_share choose_share(const struct session *s, const struct situation *at)
{
	if (s->is_let_in)
		return STALL_DISPLACING;
	if (at->is_crowded)
		return STALL_FIRST_HALF;
	return at->stage == STAGE_RCPT ? STALL_RESERVE : STALL_ORDINARY;
}

/* There is no room for a stall. */
static enum verdict turn_away(struct session *s, const struct situation *at)
{
	if ((at->may_refuse && at->is_spent) || (at->may_defer && s->config->defer_when_full))
		return refuse(s, at, REASON_BUDGET);
	return pass(s, at, at->is_crowded ? REASON_SESSIONS : REASON_BUDGET);
}

/* Whether the client has been shut out for so long that this session comes in. */
static bool let_in(struct session *s)
{
	const struct tarpit *tarpit = s->tarpit;

	s->is_let_in =
		s->is_let_in || deferrals_let_in(tarpit->deferrals, &s->client.key,
						 session_mono_ms(s), s->config->defer_longest_ms);
	return s->is_let_in;
}

/* Delays the command, or if there is no room for that refuses it, or lets it pass. */
static enum verdict delay(struct session *s, const struct situation *at, enum reason limit)
{
	struct stall stall = stall_for(s, at, limit);

	if (s->config->observe) {
		/* A stall that is not made counts, so that the limits come true as well. */
		count_stalled(s, stall.delay_ms);
		return conclude(s, at->stage, ACTION_STALL, REASON_NONE, &stall);
	}
	if (lacks_threads(s))
		return pass(s, at, REASON_BUDGET);
	if (stall_begin(s->tarpit->stalls, &stall, choose_share(s, at)))
		return wait_out(s, at, &stall) ? VERDICT_CONTINUE : turn_away(s, at);
	if (at->may_defer && s->config->defer_when_full && let_in(s) &&
	    stall_begin(s->tarpit->stalls, &stall, STALL_DISPLACING) && wait_out(s, at, &stall))
		return VERDICT_CONTINUE;
	return turn_away(s, at);
}

/*
 * Limits protect an honest sender's patience, and are no licence: once pass_limit of its recipients
 * have passed, a client is refused at a limit, or where the MTA would not heed that, the delay goes
 * on. Who sends mail is spared both: its long list is to arrive before its own timeout.
 */
static enum verdict slow(struct session *s, const struct situation *at)
{
	enum reason limit = find_limit(s);

	if (limit == REASON_NONE)
		return delay(s, at, limit);
	if (!at->is_spent || at->is_protected)
		return pass(s, at, limit);
	if (at->may_refuse)
		return refuse(s, at, limit);
	return delay(s, at, limit);
}

/*
 * No message is begun whose recipients could not be slowed, where not one more may pass: with
 * Postfix none of them can be refused. The place is the session's until its transaction is over.
 */
static bool has_place(struct session *s)
{
	struct network_stalls **reserved = &s->transaction.reserved;

	if (*reserved == NULL)
		*reserved = stalls_reserve(s->tarpit->stalls, &s->client.network);
	return *reserved != NULL;
}

enum verdict session_verdict(struct session *s, enum stage stage, const struct standing *st,
			     bool can_refuse)
{
	const struct config *config = s->config;
	struct situation at = {.stage = stage, .st = st};

	if (!st->flagged)
		return VERDICT_CONTINUE;
	at.is_protected = policy_is_protected(st, config->pass_limit);
	at.may_refuse = can_refuse && !at.is_protected;
	at.may_defer = at.may_refuse && !st->by_siege;
	at.is_crowded =
		config->max_flagged_sessions > 0 &&
		open_sessions_has_older(s->tarpit->peers, &s->peer, config->max_flagged_sessions);
	/* At DATA all recipients have been let through. */
	at.is_spent = stage != STAGE_DATA && st->passed >= config->pass_limit;
	if (at.is_crowded && at.may_defer && !let_in(s))
		return refuse(s, &at, REASON_SESSIONS);
	if (stage == STAGE_MAIL && at.is_spent && at.may_defer && !has_place(s) && !let_in(s))
		return refuse(s, &at, REASON_BUDGET);
	return config->stall_at[stage] ? slow(s, &at) : VERDICT_CONTINUE;
}
