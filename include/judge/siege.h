/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the site as a whole is under siege: one score of the offences that strangers make, and
 * its mean of the last day. Pure; see tarpit-milter.conf(5). Times are milliseconds of the wall
 * clock, which may be set: to set it back takes no time, to set it forward takes as long as it
 * says.
 */
#ifndef TARPIT_JUDGE_SIEGE_H
#define TARPIT_JUDGE_SIEGE_H

#include <stdbool.h>
#include <stdint.h>

struct siege_settings {
	double threshold;	/* offences; 0: never a siege */
	double factor;		/* how many times its mean the score must be */
	int64_t half_life_ms;	/* of the score */
};

/* The hour that has begun and the 24 before it. */
#define SIEGE_HOURS 25

struct siege {
	double score;		/* offences, as of now_ms */
	int64_t now_ms;		/* to which moment it has been brought */
	int64_t since_ms;	/* when it began to watch */
	/*
	 * What the score adds up to in each hour, in offences times milliseconds; hours[0] is the
	 * latest.
	 */
	double hours[SIEGE_HOURS];
	int64_t hour_ms;	/* when hours[0] began */
	bool is_on;
	int64_t changed_ms;	/* when it went on or off; since_ms before */
	bool is_lapsing;	/* on, though what makes a siege has ended */
	int64_t lapsed_ms;	/* at this moment */
};

struct siege_state {
	bool is_on;
	double score, mean;	/* offences */
	int64_t changed_ms;
};

void siege_init(struct siege *siege, int64_t now_ms);

/*
 * Both return true if the siege has begun or ended: it begins with the offence that makes it one,
 * and ends when for a minute it has been none. siege_add counts offences that were made age_ms ago.
 */
bool siege_update(struct siege *siege, const struct siege_settings *settings, int64_t now_ms);
bool siege_add(struct siege *siege, const struct siege_settings *settings, uint64_t hundredths,
	       int64_t age_ms, int64_t now_ms);

/* As of the last of these calls. */
void siege_state(const struct siege *siege, struct siege_state *state);

#endif
