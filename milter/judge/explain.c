/* SPDX-License-Identifier: BSD-2-Clause */
/* Says a client's standing in a sentence, and a duration in a word or two. */
#include "judge/explain.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/duration.h"

#define SECOND_MS INT64_C(1000)

/* Half the least that two decimals show. */
#define HALF_HUNDREDTH 0.005

struct sentence {
	char *text;
	size_t length;
};

static void say(struct sentence *sentence, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct sentence *sentence, const char *format, ...)
{
	size_t room = EXPLAIN_MAX - sentence->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(sentence->text + sentence->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		sentence->length += (size_t)length < room ? (size_t)length : room - 1;
}

/* 0 for what two decimals show as 0: printf would write a small negative rest as -0.00. */
static double tidy(double value)
{
	return fabs(value) < HALF_HUNDREDTH ? 0 : value;
}

static void say_score(struct sentence *sentence, const struct policy *policy,
		      const struct standing *st, uint32_t window_s)
{
	char window[DURATION_TEXT_MAX];

	say(sentence, "%.2f bad", st->bad);
	if (st->has_trap)
		say(sentence, " (a trap among them)");
	if (policy->good_credit > 0)
		say(sentence, " - %.10g x %.2f good", policy->good_credit, st->good);
	if (policy->good_credit > 0 && st->kept_good >= HALF_HUNDREDTH)
		say(sentence, " (%.2f of it known to this host alone)", st->kept_good);
	if (policy->good_credit > 0)
		say(sentence, " = %.2f", tidy(st->score));
	say(sentence, " in %s", duration_describe((int64_t)window_s * SECOND_MS, window));
}

/* The score that the delay is reckoned from in a dirty network. */
static void say_inherited(struct sentence *sentence, const struct policy *policy,
			  const struct standing *st)
{
	say(sentence, ", inherited score %.10g x %.2f / %.10g = %.2f", policy->threshold,
	    st->network_score, policy->network_threshold, st->inherited_score);
	if (st->inherited_score < st->score)
		say(sentence, ", less than its own");
}

/* In UTC: the reader may be in another time zone than the daemon. */
static void say_until(struct sentence *sentence, int64_t until_s)
{
	time_t seconds = (time_t)until_s;
	char moment[40];
	struct tm utc;

	if (until_s > 0 && gmtime_r(&seconds, &utc) != NULL &&
	    strftime(moment, sizeof(moment), "%Y-%m-%dT%H:%M:%SZ", &utc) > 0)
		say(sentence, " until %s", moment);
}

static void say_verdict(struct sentence *sentence, const struct policy *policy,
			const struct standing *st, int64_t by_hand_until_s)
{
	double below = st->threshold - st->score;
	char delay[DURATION_TEXT_MAX];

	if (st->flagged) {
		say(sentence, ": flagged");
		if (st->by_hand) {
			say(sentence, " by hand");
			say_until(sentence, by_hand_until_s);
		}
		say(sentence, ", next delay %s",
		    duration_describe(policy_delay_ms(policy, st, 0), delay));
	} else if (below < HALF_HUNDREDTH) {
		say(sentence, ": not flagged, less than 0.01 below");
	} else {
		say(sentence, ": not flagged, %.2f below", below);
	}
}

char *explain_standing(const struct policy *policy, const struct standing *st, uint32_t window_s,
		       const char *network, int64_t by_hand_until_s, char *text)
{
	struct sentence sentence = {.text = text};

	text[0] = '\0';
	say_score(&sentence, policy, st, window_s);
	if (st->network_dirty)
		say(&sentence, ", network %s is dirty (%.2f, network_threshold %.10g)",
		    network != NULL ? network : "around it", st->network_score,
		    policy->network_threshold);
	if (st->score < st->threshold && st->inherited_score > 0)
		say(&sentence, ", where any offence of this window counts");
	else
		say(&sentence, ", threshold %.10g", st->threshold);
	if (st->by_siege)
		say(&sentence,
		    ", the site is under siege, where a stranger's first offence counts");
	if (st->inherited_score > 0)
		say_inherited(&sentence, policy, st);
	say_verdict(&sentence, policy, st, by_hand_until_s);
	return text;
}
