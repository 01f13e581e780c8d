/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reckons a client's score from its counters, whether it is flagged, and how long its commands
 * wait.
 */
#include "judge/policy.h"

#include <math.h>
#include <stddef.h>

/* Sums of hundredths in binary fractions: 0.7 + 0.3 must not fall short of 1. */
#define ROUNDING 1e-9
/* Who has so many offences at most for each recipient that its mail has reached sends mail. */
#define SENDER_SHARE 4

/* A counter of two windows, in the unit of a recipient: the older one fades. */
static double fade(uint64_t now, uint64_t previous, double elapsed)
{
	return ((double)now + (1 - elapsed) * (double)previous) / 100;
}

static double score(const struct policy *policy, const struct tally *tally, double elapsed)
{
	return fade(tally->bad_now, tally->bad_previous, elapsed) -
	       policy->good_credit * fade(tally->good_now, tally->good_previous, elapsed);
}

/* What a client has done. */
static void weigh(const struct policy *policy, const struct tally *tally,
		  const struct circumstances *circumstances, struct standing *st)
{
	struct tally sum = *tally;

	tally_count(&sum, SIDE_GOOD, circumstances->pending_good);
	st->bad = fade(sum.bad_now, sum.bad_previous, circumstances->elapsed);
	st->good = fade(sum.good_now, sum.good_previous, circumstances->elapsed);
	st->passed = fade(sum.passed_now, sum.passed_previous, circumstances->elapsed);
	st->score = score(policy, &sum, circumstances->elapsed);
	st->effective_score = st->score;
	st->has_credit = (tally->good_now | tally->good_previous) > 0;
}

/*
 * What its neighbours have done. In a dirty network the clients that are slowed share what may
 * pass.
 */
static void weigh_network(const struct policy *policy, const struct tally *network,
			  const struct circumstances *circumstances, struct standing *st)
{
	double elapsed = circumstances->elapsed;
	struct tally sum = *network;

	tally_count(&sum, SIDE_GOOD, circumstances->pending_good);
	st->network_score = score(policy, &sum, elapsed);
	st->network_dirty = policy->network_threshold > 0 &&
			    st->network_score >= policy->network_threshold - ROUNDING;
	if (!st->network_dirty)
		return;
	st->threshold = fmin(policy->threshold, POLICY_DIRTY_THRESHOLD);
	if (!st->has_credit)
		st->passed = fmax(st->passed, fade(network->passed_now, network->passed_previous, elapsed));
}

void policy_judge(const struct policy *policy, const struct tally *client,
		  const struct tally *network, const struct circumstances *circumstances,
		  struct standing *standing)
{
	bool is_offender, in_siege;

	*standing = (struct standing){.by_hand = circumstances->by_hand,
				      .threshold = policy->threshold};
	weigh(policy, client, circumstances, standing);
	if (network != NULL)
		weigh_network(policy, network, circumstances, standing);

	/*
	 * It has an offence of this window that its credit does not make up for, or as much as one
	 * of before.
	 */
	is_offender = standing->score >= POLICY_DIRTY_THRESHOLD - ROUNDING ||
		      (client->bad_now > 0 && standing->score > ROUNDING);
	if (standing->network_dirty && is_offender) {
		standing->inherited_score =
			policy->threshold * standing->network_score / policy->network_threshold;
		standing->effective_score = fmax(standing->score, standing->inherited_score);
	}
	in_siege = circumstances->in_siege && !standing->has_credit && is_offender;
	if (in_siege)
		standing->effective_score = fmax(standing->effective_score, policy->threshold);
	standing->flagged = standing->by_hand || (standing->network_dirty && is_offender) ||
			    standing->score >= standing->threshold - ROUNDING;
	standing->by_siege = in_siege && !standing->flagged;
	standing->flagged = standing->flagged || in_siege;
}

void policy_judge_view(const struct policy *policy, const struct client *client,
		       const struct store_view *view, const struct window *now,
		       struct circumstances circumstances, struct standing *standing)
{
	struct tally own = view->client, network = view->network, kept = view->kept;

	circumstances.elapsed = now->elapsed;
	circumstances.by_hand = view->by_hand && (view->by_hand_until_s == 0 ||
						  view->by_hand_until_s > window_now_s(now));
	tally_roll(&own, view->window, now->index);
	tally_roll(&network, view->window, now->index);
	policy_judge(policy, &own, client_has_network(client) ? &network : NULL, &circumstances,
		     standing);
	tally_roll(&kept, view->window, now->index);
	standing->kept_good = fade(kept.good_now, kept.good_previous, now->elapsed);
	standing->has_trap = view->has_trap;
}

bool policy_is_protected(const struct standing *standing, unsigned pass_limit)
{
	return standing->has_credit &&
	       (standing->passed < pass_limit || SENDER_SHARE * standing->good >= standing->bad);
}

uint64_t policy_amount(const struct policy *policy, unsigned weight, bool null_sender)
{
	double factor = null_sender ? policy->null_sender_weight : 1;

	return (uint64_t)llround((double)weight * factor);
}

uint64_t policy_trap_amount(const struct policy *policy)
{
	return (uint64_t)ceil(policy->threshold * 100);
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
