/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon has counted since it started. Thread-safe; no counter goes down. */
#ifndef TARPIT_BASE_STATS_H
#define TARPIT_BASE_STATS_H

#include <stddef.h>
#include <stdint.h>

enum stats_counter {
	STAT_SESSIONS_OPENED,
	STAT_SESSIONS_CLOSED,
	STAT_SESSIONS_EXEMPT,
	STAT_REJECTS,		/* rejected recipients that were counted */
	STAT_FLAGS,
	STAT_STALLS_BEGUN,
	STAT_STALLS_ENDED,
	STAT_STALLED_MS,
	STAT_STALLS_STAYED,	/* that ran their course, and the client was still there */
	STAT_STALLS_LEFT,	/* the same, but it had gone */
	STAT_DEFERRED,
	STAT_PASSED,
	STAT_STORE_CALLS,
	STAT_STORE_FAILURES,	/* calls to memcached that failed or came too late */
	STAT_FORGIVEN,		/* clients, by the administrator */
	STAT_FLAGGED_BY_HAND,
	STAT_RELOADS,		/* of the configuration, that took effect */
	STAT_RELOADS_FAILED,	/* that were refused: the old configuration stayed */
	STAT_SIEGES,		/* of the site, that have begun */
	STAT_COUNT
};

void stats_add(enum stats_counter counter, uint64_t amount);
uint64_t stats_get(enum stats_counter counter);
/* The counter's name as the status line shows it. */
const char *stats_name(enum stats_counter counter);

/* Counters with a label; index is below STATS_LABELS_MAX. */
enum stats_family {
	FAMILY_STALLS_BY_STAGE,		/* enum stage */
	FAMILY_DEFERRED_BY_REASON,	/* enum reason */
	FAMILY_PASSED_BY_REASON,	/* enum reason */
	FAMILY_MTA_WARNINGS,		/* enum mta_warning */
	FAMILY_COUNT
};
#define STATS_LABELS_MAX 8
enum mta_warning {
	MTA_TIMEOUT_SHORT,		/* sessions end right after stalls */
	MTA_REJECTS_NOT_OFFERED,
	MTA_PRIVATE_CLIENT,		/* a client with a private address is flagged */
	MTA_ONE_CLIENT,			/* most sessions are of one address */
	MTA_WARNING_COUNT
};
void stats_add_labelled(enum stats_family family, unsigned index, uint64_t amount);
uint64_t stats_get_labelled(enum stats_family family, unsigned index);

/*
 * Rejected recipients by enhanced status code, or "hidden"; the codes are the MTA's. There is room
 * for STATS_CODES different ones, further ones are counted as "other". tell is called without lock.
 */
#define STATS_CODES 64
#define STATS_CODE_MAX 16
void stats_add_code(const char *code, uint64_t amount);
void stats_each_code(void (*tell)(const char *code, uint64_t count, void *arg), void *arg);

/*
 * Durations in microseconds: of stalls, of those that ran their course by whether the client was
 * still there, and of calls to memcached.
 */
enum stats_histogram {
	HISTOGRAM_STALL,
	HISTOGRAM_STAYED,
	HISTOGRAM_LEFT,
	HISTOGRAM_STORE,
	HISTOGRAM_COUNT
};
#define STATS_BUCKETS_MAX 16
struct stats_distribution {
	size_t buckets;				/* including the last, which has no bound */
	/* upper ones in seconds, inclusive; the last is infinite */
	double bounds[STATS_BUCKETS_MAX];
	uint64_t counts[STATS_BUCKETS_MAX];	/* of each bucket alone */
	uint64_t count, sum_us;
};
void stats_observe(enum stats_histogram histogram, int64_t us);
void stats_distribution(enum stats_histogram histogram, struct stats_distribution *distribution);

#endif
