/* SPDX-License-Identifier: BSD-2-Clause */
/* A client's standing as a sentence that a person can check. Pure. */
#ifndef TARPIT_JUDGE_EXPLAIN_H
#define TARPIT_JUDGE_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "judge/policy.h"
#include "base/counters.h"

#define EXPLAIN_MAX 512

/*
 * "8.25 bad - 2 x 1.00 good = 6.25 in 4 h, threshold 5: flagged, next delay 5.9 s". network is the
 * wider network's text, or NULL where there is none. by_hand_until_s is since the epoch, 0 without
 * an end. text holds EXPLAIN_MAX, and is returned.
 */
char *explain_standing(const struct policy *policy, const struct standing *standing,
		       uint32_t window_s, const char *network, int64_t by_hand_until_s, char *text);

#endif
