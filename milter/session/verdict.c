/* SPDX-License-Identifier: BSD-2-Clause */
/* Decides what is done about a flagged client's command: a stall, a 421 or nothing; and waits a stall out. */
#include "state.h"

#include <stdatomic.h>

#include "session/stall.h"

/* What mta_timeout = auto stands for: how long MTAs wait for a filter's answer to a command by default. */
#define POSTFIX_TIMEOUT_MS 30000
#define OTHER_TIMEOUT_MS 10000
/* A delay ends so long before the MTA's timeout at the latest. */
#define TIMEOUT_MARGIN_MS 2000

/*
 * Tells the journal what is done about a command: in observe mode nothing, and what would have been. stall is NULL
 * where there is none.
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
		timeout_ms = s->is_postfix ? POSTFIX_TIMEOUT_MS : OTHER_TIMEOUT_MS;
	return timeout_ms - TIMEOUT_MARGIN_MS;
}

static void count_stalled(struct session *s, int64_t ms)
{
	s->transaction.stalled_ms += ms;
	s->stalled_ms += ms;
}

/* An administrator who forgave the client before this stall could be seen has marked the session. */
static void wake_if_forgiven(struct session *s, struct stall *stall)
{
	struct standing st;

	if (!atomic_load(&s->peer.is_marked))
		return;
	session_view_judge(s, &st);
	if (!st.flagged)
		stall_wake(s->tarpit->stalls, stall);
}

static enum verdict wait_out(struct session *s, enum stage stage, struct stall *stall)
{
	const struct journal *journal = s->tarpit->journal;
	struct journal_client client = session_journal_client(s);
	enum verdict verdict = conclude(s, stage, ACTION_STALL, REASON_NONE, stall);
	enum stall_end end;
	int64_t waited_ms;

	wake_if_forgiven(s, stall);
	end = stall_wait(s->tarpit->stalls, stall, &waited_ms);
	count_stalled(s, waited_ms);
	if (end == STALL_ELAPSED)
		s->last_stall = (struct mta_timeout_stall){stall->delay_ms, session_mono_ms(s)};
	else if (end == STALL_FORGIVEN)
		session_view_forget(s);
	journal->released(journal, &client, stall, waited_ms, end);
	return verdict;
}

static bool lacks_threads(const struct session *s)
{
	return s->tarpit->lacks_threads != NULL && s->tarpit->lacks_threads();
}

/* Delays the command, or tells why not. is_crowded: older sessions of the client use up its share. */
static enum verdict delay(struct session *s, enum stage stage, const struct standing *st,
			  bool is_crowded, bool can_refuse)
{
	const struct config *config = s->config;
	int64_t transaction_left_ms =
		config->max_stall_per_transaction_ms - s->transaction.stalled_ms;
	int64_t session_left_ms = config->max_stall_per_session_ms - s->stalled_ms;
	struct stall stall = {
		.client = s->client.key,
		.address = s->client.address,
		.stage = stage_log_name(stage),
		.delay_ms = policy_delay_ms(&config->policy, st, s->tarpit->chance()),
		.score = st->effective_score,
	};

	if (session_left_ms <= 0)
		return conclude(s, stage, ACTION_PASS, REASON_SESSION_LIMIT, NULL);
	if (transaction_left_ms <= 0)
		return conclude(s, stage, ACTION_PASS, REASON_TRANSACTION_LIMIT, NULL);
	stall.delay_ms = least(stall.delay_ms, mta_timeout_left_ms(s));
	stall.delay_ms = least(stall.delay_ms, least(transaction_left_ms, session_left_ms));
	if (config->observe) {
		/* A stall that is not made counts, so that the limits come true as well. */
		count_stalled(s, stall.delay_ms);
		return conclude(s, stage, ACTION_STALL, REASON_NONE, &stall);
	}
	if (lacks_threads(s))
		return conclude(s, stage, ACTION_PASS, REASON_BUDGET, NULL);
	if (stall_begin(s->tarpit->stalls, &stall, is_crowded))
		return wait_out(s, stage, &stall);
	if (can_refuse && config->defer_when_full)
		return conclude(s, stage, ACTION_DEFER, REASON_BUDGET, NULL);
	return conclude(s, stage, ACTION_PASS, is_crowded ? REASON_SESSIONS : REASON_BUDGET, NULL);
}

enum verdict session_verdict(struct session *s, enum stage stage, const struct standing *st,
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
		return conclude(s, stage, ACTION_DEFER, REASON_SESSIONS, NULL);
	if (!config->stall_at[stage])
		return VERDICT_CONTINUE;
	return delay(s, stage, st, is_crowded, can_refuse);
}
