/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of who is flagged and how long it waits. Pure; see tarpit-milter.conf(5). */
#ifndef TARPIT_JUDGE_POLICY_H
#define TARPIT_JUDGE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/prefix.h"
#include "base/store_view.h"

struct policy {
	double threshold;
	double good_credit;
	double network_threshold;	/* 0: networks don't matter */
	double null_sender_weight;
	unsigned hidden_weight;		/* hundredths */
	unsigned jitter;		/* percent */
	int64_t delay_min_ms, delay_max_ms;
};

/* How a client stands at one moment. */
struct standing {
	double bad, good, score;	/* its own */
	double network_score;
	double effective_score;		/* what the delay is reckoned from */
	bool network_dirty;		/* and the client is judged by threshold 1 therefore */
	bool by_hand;
	bool flagged;
};

/* network may be NULL: there is none. elapsed is the fraction of the current window that has gone. */
void policy_judge(const struct policy *policy, const struct tally *client,
		  const struct tally *network, double elapsed, bool by_hand,
		  struct standing *standing);

/*
 * The same from what a store said of the client, perhaps in an earlier window: counts are rolled on to
 * now, and a flag by hand ends at its moment.
 */
void policy_judge_view(const struct policy *policy, const struct client *client,
		       const struct store_view *view, const struct window *now,
		       struct standing *standing);

/* Hundredths that an offence of this weight (hundredths) adds. */
uint64_t policy_amount(const struct policy *policy, unsigned weight, bool null_sender);

/* Milliseconds for a flagged client before any bound of session or MTA; chance is from -1 to 1. */
int64_t policy_delay_ms(const struct policy *policy, const struct standing *standing, double chance);

#endif
