/* SPDX-License-Identifier: BSD-2-Clause */
/* How a client stands at a moment, by what a store said of it, perhaps earlier. Pure. */
#ifndef TARPIT_JUDGE_STANDING_H
#define TARPIT_JUDGE_STANDING_H

#include "judge/policy.h"
#include "base/counters.h"
#include "store/store.h"

/* The view's counts and its flag by hand are of their own time: they are taken for what they are now. */
void standing_judge(const struct policy *policy, const struct client *client,
		    const struct store_view *view, const struct window *now,
		    struct standing *standing);

#endif
