/* SPDX-License-Identifier: BSD-2-Clause */
/* For how long a client stays flagged if nothing more happens. Pure. */
#ifndef TARPIT_JUDGE_FORECAST_H
#define TARPIT_JUDGE_FORECAST_H

#include <stdint.h>

#include "base/counters.h"
#include "base/prefix.h"
#include "base/store_view.h"
#include "judge/policy.h"

/*
 * Whole seconds, rounded down, for which the client stays flagged from now on if neither it nor a
 * neighbour offends again or delivers mail; two windows at most. A siege may end at any moment and
 * adds nothing. 0: not flagged, or for less than a second.
 */
int64_t forecast_flagged_s(const struct policy *policy, const struct client *client,
			   const struct store_view *view, const struct window *now);

#endif
