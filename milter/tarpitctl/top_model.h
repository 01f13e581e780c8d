/* SPDX-License-Identifier: BSD-2-Clause */
/* The model of the live screen: the last answers, and rates between two of them. Pure. */
#ifndef TARPIT_TARPITCTL_TOP_MODEL_H
#define TARPIT_TARPITCTL_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "top_feed.h"

/* What an answer lacks: TOP_UNKNOWN for whole numbers, NAN for others, empty texts. */
#define TOP_UNKNOWN (-1)
#define TOP_STALLS_MAX 1000
#define TOP_SERVERS_MAX 16

enum top_counter {
	TOP_SESSIONS,
	TOP_REJECTS,
	TOP_FLAGS,
	TOP_STALLS,
	TOP_DEFERRED,
	TOP_PASSED,
	TOP_STORE_CALLS,
	TOP_STORE_FAILURES,
	TOP_COUNTERS
};

struct top_server {
	char name[64], state[12];
};

struct top_stall {
	char client[52], stage[12];
	int64_t delay_ms, remains_ms; /* remains_ms: at the model's stalls_ms */
	double score;
	size_t position; /* in the answer */
};

struct top_client {
	char client[52], network[52];
	double bad, good, score, network_score; /* score: the effective one, which decides */
	int64_t delay_ms, sessions;
	bool flagged, by_hand, exempt;
};

struct top_model {
	char version[32], mode[12], store[16], store_state[12];
	int64_t status_ms, stalls_ms; /* when the answers came, monotonic */
	int64_t uptime_s, sessions, max_sessions, stalling, max_stalls, clients, flagged;
	bool in_siege;
	double siege_score, siege_mean;
	int64_t totals[TOP_COUNTERS];
	double rates[TOP_COUNTERS]; /* a second; NAN until there are two answers of one daemon */
	size_t server_count, stall_count, client_count;
	size_t stalls_active; /* all of them; the daemon lists 1000 at most */
	/* Rows of the table of stalls: it shrinks late, so that what is below does not jump. */
	size_t stall_rows;
	int64_t stall_rows_ms;
	struct top_server servers[TOP_SERVERS_MAX];
	struct top_stall stalls[TOP_STALLS_MAX]; /* the one that ends last comes first */
	struct top_client list[TOP_CLIENTS_MAX];
};

/* A model starts zeroed. The answers may be any JSON, null too. */
void top_model_take(struct top_model *model, const struct top_answers *answers);
/* How long the stall still lasts; TOP_UNKNOWN if the daemon did not say. */
int64_t top_model_remains_ms(const struct top_model *model, const struct top_stall *stall,
			     int64_t now_ms);

#endif
