/* SPDX-License-Identifier: BSD-2-Clause */
/* What sessions see and do, told to the log and the counters, or to a replay's report. */
#ifndef TARPIT_SESSION_JOURNAL_H
#define TARPIT_SESSION_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "judge/policy.h"
#include "judge/siege.h"
#include "base/prefix.h"
#include "base/stats.h"
#include "config/config.h"
#include "session/stall.h"

/* The client of a session. The texts are the session's. */
struct journal_client {
	const struct client *client;
	const char *address;	/* without prefix length */
	const char *host;	/* the name that the MTA gave */
};

struct journal_rejection {
	const char *code;	/* "5.1.1", or "hidden" */
	const char *recipient;	/* canonical; empty if hidden */
	const char *sender;	/* "<>" if null */
	unsigned count;		/* recipients: 1 unless hidden */
	/* hundredths added: 0 for a recipient that had been counted before */
	uint64_t amount;
	const struct standing *standing;	/* of the client, after this rejection */
};

enum action { ACTION_STALL, ACTION_DEFER, ACTION_PASS };
enum reason {
	REASON_NONE,		/* of a stall */
	REASON_SESSIONS,
	REASON_BUDGET,
	REASON_TRANSACTION_LIMIT,
	REASON_SESSION_LIMIT,
	REASON_OBSERVE,
	REASON_COUNT
};

/* What was done about a flagged client's command. */
struct journal_decision {
	enum stage stage;
	enum action action;
	enum reason reason;
	enum action instead_of;	/* if the reason is REASON_OBSERVE and this is not ACTION_PASS */
	int64_t delay_ms;	/* of a stall, made or not for REASON_OBSERVE; else 0 */
	double score;		/* of a stall */
	unsigned active;	/* of a stall: how many there are, with this one */
	/* of 421s: how many a log line is to tell of; 0: none now. See deferrals.h */
	unsigned count;
};

enum journal_session {
	SESSION_OPENED,
	SESSION_EXEMPT,		/* at connect: the client is exempt, or has no IP address */
	SESSION_CLOSED
};

/* Any thread calls these functions, without a lock held. None of them may fail. */
struct journal {
	void (*session)(const struct journal *journal, enum journal_session what);
	void (*rejected)(const struct journal *journal, const struct journal_client *who,
			 const struct journal_rejection *rejection);
	/* The client has just been flagged; delay_ms is without jitter. */
	void (*flagged)(const struct journal *journal, const struct journal_client *who,
			const struct standing *standing, int64_t delay_ms);
	void (*decided)(const struct journal *journal, const struct journal_client *who,
			const struct journal_decision *decision);
	/* 421s that were decided, and not told of, before. */
	void (*deferred)(const struct journal *journal, const struct journal_client *who,
			 const struct journal_decision *decision);
	void (*released)(const struct journal *journal, const struct journal_client *who,
			 const struct stall *stall, int64_t waited_ms, enum stall_end end);
	/* After a stall that ran its course the client was still there, or had gone. */
	void (*outlasted)(const struct journal *journal, int64_t delay_ms, bool has_left);
	/* Something is wrong with the MTA that calls itself mta_name. */
	void (*warned)(const struct journal *journal, const char *mta_name, enum mta_warning kind,
		       const char *warning);
	/* A siege of the site has begun or ended, at state->changed_ms. */
	void (*siege)(const struct journal *journal, const struct siege_state *state);
};

/* The daemon's: log and stats. */
extern const struct journal journal_log;

/* A 421, or in mode observe what would have been one. */
bool journal_is_deferral(const struct journal_decision *decision);

/* "sessions", "transaction-limit" ...; "elapsed", "forgiven", "stop". */
const char *reason_name(enum reason reason);
const char *stall_end_name(enum stall_end end);

#endif
