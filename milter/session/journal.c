/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's journal: one log line for each event, and the counters of the metrics. */
#include "session/journal.h"

#include <syslog.h>

#include "base/log.h"
#include "base/stats.h"

static const char *const reason_names[REASON_COUNT] = {
	[REASON_NONE] = "",
	[REASON_SESSIONS] = "sessions",
	[REASON_BUDGET] = "budget",
	[REASON_TRANSACTION_LIMIT] = "transaction-limit",
	[REASON_SESSION_LIMIT] = "session-limit",
	[REASON_OBSERVE] = "observe",
};

static const char *const end_names[] = {
	[STALL_ELAPSED] = "elapsed",
	[STALL_FORGIVEN] = "forgiven",
	[STALL_STOPPED] = "stop",
	[STALL_DISPLACED] = "room",
};

const char *reason_name(enum reason reason)
{
	return reason_names[reason];
}

const char *stall_end_name(enum stall_end end)
{
	return end_names[end];
}

bool journal_is_deferral(const struct journal_decision *decision)
{
	return decision->action == ACTION_DEFER ||
	       (decision->reason == REASON_OBSERVE && decision->instead_of == ACTION_DEFER);
}

static void log_client(struct log_line *line, const struct journal_client *who)
{
	log_put(line, "client", "%s", who->address);
	log_put(line, "host", "%s", who->host);
}

/* At the end of a line, for those who read the others by their place. */
static void log_via(struct log_line *line, const struct journal_client *who)
{
	if (who->via[0] != '\0')
		log_put(line, "via", "%s", who->via);
}

static void count_session(const struct journal *journal, enum journal_session what)
{
	static const enum stats_counter counters[] = {
		[SESSION_OPENED] = STAT_SESSIONS_OPENED,
		[SESSION_EXEMPT] = STAT_SESSIONS_EXEMPT,
		[SESSION_CLOSED] = STAT_SESSIONS_CLOSED,
	};

	(void)journal;
	stats_add(counters[what], 1);
}

static void log_rejected(const struct journal *journal, const struct journal_client *who,
			 const struct journal_rejection *rejection)
{
	const struct standing *st = rejection->standing;
	bool is_hidden = rejection->recipient[0] == '\0';
	struct log_line line;

	(void)journal;
	/* A recipient that has been counted before is logged, but is no offence. */
	if (rejection->amount > 0 || is_hidden) {
		stats_add(STAT_REJECTS, rejection->count);
		stats_add_code(rejection->code, rejection->count);
	}
	log_begin(&line, LOG_INFO, "reject");
	log_client(&line, who);
	log_put(&line, "stage", "RCPT");
	log_put(&line, "code", "%s", rejection->code);
	log_put(&line, "rcpt", "%s", rejection->recipient);
	log_put(&line, "sender", "%s", rejection->sender);
	log_put(&line, "weight", "%.2f", (double)rejection->amount / 100);
	log_put(&line, "bad", "%.2f", st->bad);
	log_put(&line, "good", "%.2f", st->good);
	log_put(&line, "score", "%.2f", st->score);
	log_put(&line, "flagged", "%s", st->flagged ? "yes" : "no");
	if (is_hidden)
		log_put(&line, "count", "%u", rejection->count);
	log_via(&line, who);
	log_end(&line);
}

static void log_flagged(const struct journal *journal, const struct journal_client *who,
			const struct standing *st, int64_t delay_ms)
{
	struct log_line line;
	char network[PREFIX_TEXT_MAX];

	(void)journal;
	stats_add(STAT_FLAGS, 1);
	log_begin(&line, LOG_NOTICE, "flag");
	log_client(&line, who);
	log_put(&line, "bad", "%.2f", st->bad);
	log_put(&line, "good", "%.2f", st->good);
	log_put(&line, "score", "%.2f", st->score);
	log_put(&line, "network", "%s", prefix_format(&who->client->network, network));
	log_put(&line, "network_score", "%.2f", st->network_score);
	log_put(&line, "delay_ms", "%lld", (long long)delay_ms);
	if (st->by_hand)
		log_put(&line, "by_hand", "yes");
	if (st->by_siege)
		log_put(&line, "by_siege", "yes");
	log_via(&line, who);
	log_end(&line);
}

static void log_stall(const struct journal_client *who, const struct journal_decision *decision)
{
	struct log_line line;

	log_begin(&line, LOG_NOTICE, "stall");
	log_client(&line, who);
	log_put(&line, "stage", "%s", stage_log_name(decision->stage));
	log_put(&line, "delay_ms", "%lld", (long long)decision->delay_ms);
	log_put(&line, "score", "%.2f", decision->score);
	log_put(&line, "active", "%u", decision->active);
	log_via(&line, who);
	log_end(&line);
}

static void log_not_stalled(const struct journal_client *who,
			    const struct journal_decision *decision)
{
	bool is_defer = decision->action == ACTION_DEFER;
	struct log_line line;

	log_begin(&line, is_defer ? LOG_NOTICE : LOG_INFO, is_defer ? "defer" : "pass");
	log_put(&line, "client", "%s", who->address);
	log_put(&line, "stage", "%s", stage_log_name(decision->stage));
	log_put(&line, "reason", "%s", reason_name(decision->reason));
	if (decision->reason == REASON_OBSERVE && decision->instead_of != ACTION_PASS)
		log_put(&line, "instead_of", "%s",
			decision->instead_of == ACTION_STALL ? "stall" : "defer");
	if (decision->delay_ms > 0)
		log_put(&line, "delay_ms", "%lld", (long long)decision->delay_ms);
	if (decision->count > 0)
		log_put(&line, "count", "%u", decision->count);
	log_via(&line, who);
	log_end(&line);
}

static void log_decided(const struct journal *journal, const struct journal_client *who,
			const struct journal_decision *decision)
{
	(void)journal;
	switch (decision->action) {
	case ACTION_STALL:
		stats_add(STAT_STALLS_BEGUN, 1);
		stats_add_labelled(FAMILY_STALLS_BY_STAGE, decision->stage, 1);
		log_stall(who, decision);
		return;
	case ACTION_DEFER:
		stats_add(STAT_DEFERRED, 1);
		stats_add_labelled(FAMILY_DEFERRED_BY_REASON, decision->reason, 1);
		break;
	case ACTION_PASS:
		stats_add(STAT_PASSED, 1);
		stats_add_labelled(FAMILY_PASSED_BY_REASON, decision->reason, 1);
		break;
	}
	if (!journal_is_deferral(decision) || decision->count > 0)
		log_not_stalled(who, decision);
}

static void log_deferred(const struct journal *journal, const struct journal_client *who,
			 const struct journal_decision *decision)
{
	(void)journal;
	log_not_stalled(who, decision);
}

static void log_released(const struct journal *journal, const struct journal_client *who,
			 const struct stall *stall, int64_t waited_ms, enum stall_end end)
{
	struct log_line line;

	(void)journal;
	stats_add(STAT_STALLS_ENDED, 1);
	stats_add(STAT_STALLED_MS, (uint64_t)waited_ms);
	stats_observe(HISTOGRAM_STALL, waited_ms * 1000);
	log_begin(&line, LOG_INFO, "release");
	log_put(&line, "client", "%s", who->address);
	log_put(&line, "stage", "%s", stall->stage);
	log_put(&line, "waited_ms", "%lld", (long long)waited_ms);
	log_put(&line, "reason", "%s", stall_end_name(end));
	log_via(&line, who);
	log_end(&line);
}

static void count_outlasted(const struct journal *journal, int64_t delay_ms, bool has_left)
{
	(void)journal;
	stats_add(has_left ? STAT_STALLS_LEFT : STAT_STALLS_STAYED, 1);
	stats_observe(has_left ? HISTOGRAM_LEFT : HISTOGRAM_STAYED, delay_ms * 1000);
}

static void log_warned(const struct journal *journal, const char *mta_name, enum mta_warning kind,
		       const char *warning)
{
	struct log_line line;

	(void)journal;
	stats_add_labelled(FAMILY_MTA_WARNINGS, kind, 1);
	log_begin(&line, LOG_WARNING, "mta");
	log_put(&line, "name", "%s", mta_name);
	log_put(&line, "warning", "%s", warning);
	log_end(&line);
}

static void log_siege(const struct journal *journal, const struct siege_state *state)
{
	struct log_line line;

	(void)journal;
	if (state->is_on)
		stats_add(STAT_SIEGES, 1);
	log_begin(&line, LOG_NOTICE, "siege");
	log_put(&line, "state", "%s", state->is_on ? "on" : "off");
	log_put(&line, "score", "%.2f", state->score);
	log_put(&line, "mean", "%.2f", state->mean);
	log_end(&line);
}

const struct journal journal_log = {
	.session = count_session,
	.rejected = log_rejected,
	.flagged = log_flagged,
	.decided = log_decided,
	.deferred = log_deferred,
	.released = log_released,
	.outlasted = count_outlasted,
	.warned = log_warned,
	.siege = log_siege,
};
