/* SPDX-License-Identifier: BSD-2-Clause */
/* What a replay has to tell: the journal of one configuration's sessions, summed up. For one thread. */
#ifndef TARPIT_REPLAY_RESULT_H
#define TARPIT_REPLAY_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "session/journal.h"
#include "base/prefix.h"
#include "concurrency.h"
#include "config/config.h"
#include "base/table.h"

#define BOOK_FLAGS_MAX 10000
#define BOOK_NAME_MAX 64
/* Clients of whom more than their number is kept; the flagged ones last longer. */
#define BOOK_PLAIN_MAX 50000
#define BOOK_FLAGGED_MAX 20000
/* Clients are counted one by one up to here. */
#define BOOK_CLIENTS_MAX 1000000

struct book_client {
	struct prefix key;
	char name[BOOK_NAME_MAX];	/* as the MTA has it; empty if nobody knows */
	double score_max;
	int64_t first_flagged_ms;
	uint64_t flags, rejected, messages, stalls, deferrals;
	int64_t stalled_ms;
	UT_hash_handle hh;
};

struct book_flag {
	int64_t wall_ms;
	double score;
	char client[PREFIX_TEXT_MAX];
};

struct book {
	struct journal journal;		/* first */
	const struct clock *clock;
	/* the run of the session that is being served */
	struct crowd_run **run;
	bool is_muted;			/* nothing is noted */
	uint64_t sessions, sessions_exempt;
	uint64_t open_sessions;		/* sessions begun and not ended yet */
	uint64_t clients;		/* exact unless it is BOOK_CLIENTS_MAX */
	uint64_t clients_flagged, flagged_delivering;
	uint64_t rejected, rejected_counted, messages, recipients;
	uint64_t stalls[STAGE_COUNT], deferrals[STAGE_COUNT], passes;
	int64_t stalled_ms[STAGE_COUNT];
	uint64_t flags_total;		/* of them the first are kept */
	struct book_flag *flags;
	size_t flags_count;
	struct book_client *plain, *flagged;
	uint64_t flagged_forgotten;
	struct crowd crowd;
	/* private */
	uint64_t *seen;
	size_t seen_used, seen_size;
};

void book_init(struct book *book, const struct clock *clock, unsigned max_stalls);
void book_free(struct book *book);
/* A session that is left alone, and one that is watched. */
void book_exempt(struct book *book);
void book_session(struct book *book, const struct prefix *key);
/* A message of this client that was taken. name is what the MTA calls it. */
void book_delivered(struct book *book, const struct prefix *key, const char *name,
		    unsigned recipients);
/* The log has come to its end. */
void book_finish(struct book *book, int64_t last_ms);
/* The flagged clients that are worst to this site, worst first; returns how many. */
size_t book_worst(const struct book *book, const struct book_client **worst, size_t max);
/* The flagged clients that delivered mail too, those with most messages first. */
size_t book_innocents(const struct book *book, const struct book_client **innocents, size_t max);

#endif
