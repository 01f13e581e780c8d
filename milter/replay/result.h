/* SPDX-License-Identifier: BSD-2-Clause */
/* What a replay has to tell: the journal of one scenario's sessions, summed up. For one thread. */
#ifndef TARPIT_REPLAY_RESULT_H
#define TARPIT_REPLAY_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "session/journal.h"
#include "base/prefix.h"
#include "candidates.h"
#include "concurrency.h"
#include "config/config.h"
#include "base/table.h"

/* Flags that are listed, of those that are counted. */
#define REPLAY_FLAGS_MAX 10000
#define REPLAY_HOST_MAX 64
/* Clients of whom more than their number is kept; the flagged ones have room of their own. */
#define REPLAY_UNFLAGGED_MAX 50000
#define REPLAY_FLAGGED_MAX 20000
/* Clients are counted one by one up to here. */
#define REPLAY_CLIENTS_MAX 1000000

struct replay_client {
	struct prefix key;
	char host[REPLAY_HOST_MAX];	/* the verified name; empty: no line told one */
	double score_max;
	int64_t first_flagged_ms;	/* since the epoch */
	uint64_t flags, rejected, messages, stalls, deferrals;
	uint64_t left;			/* sessions that it left, while flagged, in a transaction */
	int64_t stalled_ms;
	bool by_siege;			/* flagged, and by sieges alone */
	UT_hash_handle hh;
};

struct replay_flag {
	int64_t wall_ms;		/* since the epoch */
	double score;
	char client[PREFIX_TEXT_MAX];
};

struct replay_result {
	struct journal journal;		/* first */
	const struct clock *clock;
	/* The run of stalls of the session that is told of now. */
	struct replay_concurrency_run **run;
	bool is_muted;			/* nothing is counted */
	uint64_t sessions, sessions_exempt;
	uint64_t open_sessions;		/* sessions begun and not ended yet */
	uint64_t clients;		/* exact unless it is REPLAY_CLIENTS_MAX */
	uint64_t clients_flagged, flagged_delivering;
	uint64_t rejected, rejected_counted, messages, recipients;
	uint64_t stalls[STAGE_COUNT], stalled_ms[STAGE_COUNT], deferrals[STAGE_COUNT];
	uint64_t flags_total;
	uint64_t sessions_left;		/* by flagged clients, within a transaction */
	uint64_t sieges;		/* that have begun */
	int64_t siege_ms;		/* how long they were, together */
	int64_t siege_since_ms;		/* of one that is on, since the epoch; else 0 */
	uint64_t clients_by_siege;	/* of clients_flagged, those that nothing else flagged */
	struct replay_flag *flags;	/* the first of them */
	size_t flags_count;
	struct replay_client *unflagged, *flagged;
	struct replay_concurrency concurrency;
	struct replay_candidates *candidates;	/* for traps */
	/* Private: hashes of the clients that are counted. */
	uint64_t *seen;
	size_t seen_size;
};

/* config outlives the result. False if out of memory; to be freed all the same. */
bool replay_result_init(struct replay_result *result, const struct clock *clock,
			const struct config *config);
void replay_result_free(struct replay_result *result);
/* A session whose client is judged. */
void replay_result_session(struct replay_result *result, const struct prefix *key);
/* A message of this client was taken; host is what the MTA calls the client. */
void replay_result_delivered(struct replay_result *result, const struct prefix *key,
			     const char *host, unsigned recipients);
/* This client, which is flagged, left a session within a transaction. */
void replay_result_left(struct replay_result *result, const struct prefix *key);
/* The log's last line was at last_ms since the epoch: stalls go on until they end. */
void replay_result_finish(struct replay_result *result, int64_t last_ms);
/* Of all STAGE_COUNT stages together. */
uint64_t replay_result_sum(const uint64_t *by_stage);
/* The flagged clients with the longest stalls, longest first; returns how many. */
size_t replay_result_worst(struct replay_result *result, const struct replay_client **worst,
			   size_t max);
/* The flagged clients that delivered mail too, those with most messages first. */
size_t replay_result_innocents(struct replay_result *result,
			       const struct replay_client **innocents, size_t max);

#endif
