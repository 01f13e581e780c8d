/* SPDX-License-Identifier: BSD-2-Clause */
/* Reckons a client's score from its counters, whether it is flagged, and how long its commands wait. */
#include "judge/policy.h"

#include <math.h>
#include <stddef.h>

/* In a dirty network one offence of weight 1 flags a client. */
#define DIRTY_THRESHOLD 1.0
/* Sums of hundredths in binary fractions: 0.7 + 0.3 must not fall short of 1. */
#define ROUNDING 1e-9

static void weigh(const struct policy *policy, const struct tally *tally, double elapsed,
		  struct standing *standing)
{
	double left = 1 - elapsed;

	standing->bad = ((double)tally->bad_now + left * (double)tally->bad_previous) / 100;
	standing->good = ((double)tally->good_now + left * (double)tally->good_previous) / 100;
	standing->score = standing->bad - policy->good_credit * standing->good;
}

void policy_judge(const struct policy *policy, const struct tally *client,
		  const struct tally *network, double elapsed, bool by_hand,
		  struct standing *standing)
{
	*standing = (struct standing){.by_hand = by_hand};
	if (network != NULL) {
		weigh(policy, network, elapsed, standing);
		standing->network_score = standing->score;
	}
	weigh(policy, client, elapsed, standing);
	standing->effective_score = standing->score;
	standing->threshold = policy->threshold;

	standing->network_dirty = policy->network_threshold > 0 &&
				  standing->network_score >= policy->network_threshold - ROUNDING;
	if (standing->network_dirty)
		standing->threshold = fmin(policy->threshold, DIRTY_THRESHOLD);
	if (standing->network_dirty && standing->score >= DIRTY_THRESHOLD - ROUNDING) {
		standing->inherited_score =
			policy->threshold * standing->network_score / policy->network_threshold;
		standing->effective_score = fmax(standing->score, standing->inherited_score);
	}
	standing->flagged = by_hand || standing->score >= standing->threshold - ROUNDING;
}

void policy_judge_view(const struct policy *policy, const struct client *client,
		       const struct store_view *view, const struct window *now,
		       struct standing *standing)
{
	struct tally own = view->client, network = view->network;
	bool by_hand = view->by_hand &&
		       (view->by_hand_until_s == 0 || view->by_hand_until_s > window_now_s(now));

	tally_roll(&own, view->window, now->index);
	tally_roll(&network, view->window, now->index);
	policy_judge(policy, &own, client_has_network(client) ? &network : NULL, now->elapsed,
		     by_hand, standing);
}

uint64_t policy_amount(const struct policy *policy, unsigned weight, bool null_sender)
{
	double factor = null_sender ? policy->null_sender_weight : 1;

	return (uint64_t)llround((double)weight * factor);
}

int64_t policy_delay_ms(const struct policy *policy, const struct standing *standing, double chance)
{
	double least = (double)policy->delay_min_ms;
	double most = (double)policy->delay_max_ms;
	double doublings = (standing->effective_score - policy->threshold) / policy->threshold;
	double delay = standing->by_hand ? most : fmin(most, least * exp2(doublings));

	delay *= 1 + chance * (double)policy->jitter / 100;
	return llround(fmin(most, fmax(least, delay)));
}
