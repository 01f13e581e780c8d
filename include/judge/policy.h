/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arithmetic of which client is flagged and how long its commands wait. Pure; see tarpit-
 * milter.conf(5).
 */
#ifndef TARPIT_JUDGE_POLICY_H
#define TARPIT_JUDGE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/prefix.h"
#include "base/store_view.h"

/* In a dirty network one offence of weight 1 flags a client. */
#define POLICY_DIRTY_THRESHOLD 1.0

struct policy {
	double threshold;
	double good_credit;
	double network_threshold;	/* 0: networks don't matter */
	double null_sender_weight;
	unsigned hidden_weight;		/* hundredths */
	unsigned jitter;		/* percent */
	int64_t delay_min_ms, delay_max_ms;
};

/* What a client is judged by beside its counts. */
struct circumstances {
	double elapsed;		/* the fraction of the current window that has gone, 0 to 1 */
	bool by_hand;		/* an administrator has flagged the client */
	bool in_siege;		/* the site is under siege: see siege.h */
	/* hundredths, of recipients whose message has not reached its end yet */
	uint64_t pending_good;
};

/* How a client stands at one moment. */
struct standing {
	double bad, good, score;	/* its own */
	/* recipients that passed without a wait: its own, or its dirty network's */
	double passed;
	double kept_good;		/* of good, what only this host knows */
	bool has_trap;			/* a trap is among its offences */
	bool has_credit;		/* it has good counts, those that are pending apart */
	double threshold;		/* from which score the client is flagged */
	double network_score;
	/* from a dirty network, by a client with an offence of its own; else 0 */
	double inherited_score;
	double effective_score;		/* what the delay is reckoned from */
	/* then threshold is 1 at most, and any offence of this window counts */
	bool network_dirty;
	bool by_siege;			/* flagged by the siege, and nothing else */
	bool by_hand;			/* an administrator has flagged the client */
	bool flagged;
};

/* network is NULL where a client has none. */
void policy_judge(const struct policy *policy, const struct tally *client,
		  const struct tally *network, const struct circumstances *circumstances,
		  struct standing *standing);

/*
 * The same from what a store said of the client, perhaps in an earlier window: its counts are taken
 * on to now, and a flag by hand ends when by_hand_until_s is reached. Of circumstances, elapsed and
 * by_hand are not looked at.
 */
void policy_judge_view(const struct policy *policy, const struct client *client,
		       const struct store_view *view, const struct window *now,
		       struct circumstances circumstances, struct standing *standing);

/*
 * Whether a flagged client is spared any refusal. Some senders take a 421 for final, so who delivers
 * mail gets none: with any credit until pass_limit of its recipients have passed, and then if that
 * is no small part of what it does. A harvester can send one mail, too.
 */
bool policy_is_protected(const struct standing *standing, unsigned pass_limit);

/* Hundredths that an offence of this weight (hundredths) adds. */
uint64_t policy_amount(const struct policy *policy, unsigned weight, bool null_sender);

/* Hundredths that a trap adds: enough to flag a client at once. */
uint64_t policy_trap_amount(const struct policy *policy);

/*
 * Milliseconds for a flagged client, before what session and MTA allow; chance, for the jitter, is
 * from -1 to 1.
 */
int64_t policy_delay_ms(const struct policy *policy, const struct standing *standing, double chance);

#endif
