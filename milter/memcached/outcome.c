/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks the outcomes that workers send. */
#include "outcome.h"

#include <stdio.h>
#include <string.h>

/* Of one request: a few dozen at most. */
#define CALLS_MAX 64

static bool are_values_valid(const struct message_outcome *outcome)
{
	for (size_t i = 0; i < MESSAGE_KEYS_MAX; i++)
		if (outcome->values[i].state >= MESSAGE_VALUES ||
		    (outcome->values[i].state == MESSAGE_NUMBER &&
		     outcome->values[i].number > COUNTERS_MAX))
			return false;
	return true;
}

static bool are_counts_valid(const struct message_outcome *outcome)
{
	for (size_t i = 0; i < MESSAGE_COUNTS_MAX; i++)
		if (outcome->counts[i] >= MESSAGE_STEPS)
			return false;
	return outcome->replaced >> MESSAGE_COUNTS_MAX == 0;
}

bool outcome_is_valid(const struct message_outcome *outcome, size_t length,
		      const struct message_request *request)
{
	return length == sizeof(*outcome) && outcome->serial == request->serial &&
	       outcome->result < MESSAGE_RESULTS && outcome->was_refused <= 1 &&
	       outcome->seen_before <= request->seen_count && outcome->calls <= CALLS_MAX &&
	       outcome->failures <= CALLS_MAX && are_counts_valid(outcome) &&
	       are_values_valid(outcome) &&
	       memchr(outcome->reason, '\0', sizeof(outcome->reason)) != NULL;
}

void outcome_not_asked(struct message_outcome *outcome, const char *reason)
{
	*outcome = (struct message_outcome){.result = MESSAGE_FAILED};
	snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
}

void outcome_lost(struct message_outcome *outcome, const char *reason)
{
	outcome_not_asked(outcome, reason);
	outcome->calls = outcome->failures = 1;
	for (size_t i = 0; i < MESSAGE_COUNTS_MAX; i++)
		outcome->counts[i] = MESSAGE_MAYBE_DONE;
}
