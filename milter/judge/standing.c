/* SPDX-License-Identifier: BSD-2-Clause */
#include "judge/standing.h"

#include <stddef.h>

void standing_judge(const struct policy *policy, const struct client *client,
		    const struct store_view *view, const struct window *now,
		    struct standing *standing)
{
	struct tally own = view->client, network = view->network;
	bool by_hand = view->by_hand && (view->by_hand_until_s == 0 ||
					 view->by_hand_until_s > window_now_s(now));

	tally_roll(&own, view->window, now->index);
	tally_roll(&network, view->window, now->index);
	policy_judge(policy, &own, client_has_network(client) ? &network : NULL, now->elapsed,
		     by_hand, standing);
}
