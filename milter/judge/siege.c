/* SPDX-License-Identifier: BSD-2-Clause */
/* Reckons the site's score, its mean of the last day, and whether both make a siege. */
#include "judge/siege.h"

#include <math.h>

#define HOUR_MS 3600000
#define DAY_MS (24 * (int64_t)HOUR_MS)
/* Beyond that nothing is known of the last day. */
#define LEAP_MS (2 * DAY_MS)
/* A siege ends when for so long it has been none, or the log would flap. */
#define LAPSE_MS 60000
/* How closely the end of a siege is looked for where nothing was counted meanwhile. */
#define STEP_MS 10000
/* More than any site meets; what a hostile store says stays finite. */
#define SCORE_MAX 1e9
#define ROUNDING 1e-9

void siege_init(struct siege *siege, int64_t now_ms)
{
	*siege = (struct siege){
		.now_ms = now_ms, .since_ms = now_ms, .hour_ms = now_ms, .changed_ms = now_ms};
}

/* The clock was set back: all that was known is as long ago as it was before. */
static void set_back(struct siege *siege, int64_t by_ms)
{
	siege->now_ms -= by_ms;
	siege->since_ms -= by_ms;
	siege->hour_ms -= by_ms;
	siege->changed_ms -= by_ms;
	siege->lapsed_ms -= by_ms;
}

static double left_after(const struct siege_settings *settings, int64_t ms)
{
	return exp2(-(double)ms / (double)settings->half_life_ms);
}

/* What a score, of which `left` is left, has added up to meanwhile: offences times milliseconds. */
static double area(const struct siege_settings *settings, double score, double left)
{
	return score * (1 - left) * (double)settings->half_life_ms / log(2);
}

/* to_ms lies in the hour that has begun, or ends it. */
static void decay(struct siege *siege, const struct siege_settings *settings, int64_t to_ms)
{
	double left = left_after(settings, to_ms - siege->now_ms);

	siege->hours[0] += area(settings, siege->score, left);
	siege->score *= left;
	siege->now_ms = to_ms;
}

static void begin_hour(struct siege *siege)
{
	for (int i = SIEGE_HOURS - 1; i > 0; i--)
		siege->hours[i] = siege->hours[i - 1];
	siege->hours[0] = 0;
	siege->hour_ms += HOUR_MS;
}

static void advance(struct siege *siege, const struct siege_settings *settings, int64_t now_ms)
{
	/*
	 * The daemon says something every second: this was the clock, set after a boot, or a gap in
	 * a log.
	 */
	if (now_ms - siege->now_ms > LEAP_MS) {
		int64_t changed_ms = siege->is_on ? now_ms : siege->changed_ms;

		siege_init(siege, now_ms);
		siege->changed_ms = changed_ms;
		return;
	}
	while (now_ms - siege->hour_ms >= HOUR_MS) {
		decay(siege, settings, siege->hour_ms + HOUR_MS);
		begin_hour(siege);
	}
	decay(siege, settings, now_ms);
}

/*
 * The time before it began to watch is unknown, and no part of the mean; but an hour at least is,
 * or the first offences would be their own mean.
 */
static double mean(const struct siege *siege)
{
	int64_t known_ms = siege->now_ms - siege->since_ms;
	double gone = (double)(siege->now_ms - siege->hour_ms) / HOUR_MS;
	double sum = 0;

	for (int i = 0; i < SIEGE_HOURS - 1; i++)
		sum += siege->hours[i];
	/* Of the oldest hour only the end lies in the last day. */
	sum += siege->hours[SIEGE_HOURS - 1] * (1 - gone);
	return sum / fmin(DAY_MS, fmax(HOUR_MS, (double)known_ms));
}

static bool is_siege(const struct siege *siege, const struct siege_settings *settings)
{
	return settings->threshold > 0 && siege->score >= settings->threshold - ROUNDING &&
	       siege->score >= settings->factor * mean(siege) - ROUNDING;
}

static void change(struct siege *siege, bool is_on)
{
	siege->is_on = is_on;
	siege->is_lapsing = false;
	siege->changed_ms = siege->now_ms;
}

/* Begins or ends the siege as the score has it at this moment. */
static void judge(struct siege *siege, const struct siege_settings *settings)
{
	if (is_siege(siege, settings)) {
		siege->is_lapsing = false;
		if (!siege->is_on)
			change(siege, true);
		return;
	}
	if (!siege->is_on)
		return;
	if (!siege->is_lapsing) {
		siege->is_lapsing = true;
		siege->lapsed_ms = siege->now_ms;
	}
	if (settings->threshold <= 0 || siege->now_ms - siege->lapsed_ms >= LAPSE_MS)
		change(siege, false);
}

bool siege_update(struct siege *siege, const struct siege_settings *settings, int64_t now_ms)
{
	int64_t before_ms = siege->now_ms;
	bool was_on = siege->is_on;

	if (now_ms < siege->now_ms)
		set_back(siege, siege->now_ms - now_ms);
	/* It ends when it ended, not when something is heard again. */
	while (siege->is_on && now_ms - siege->now_ms > STEP_MS &&
	       siege->now_ms - before_ms < LEAP_MS) {
		advance(siege, settings, siege->now_ms + STEP_MS);
		judge(siege, settings);
	}
	advance(siege, settings, now_ms);
	judge(siege, settings);
	return siege->is_on != was_on;
}

bool siege_add(struct siege *siege, const struct siege_settings *settings, uint64_t hundredths,
	       int64_t age_ms, int64_t now_ms)
{
	bool was_on = siege->is_on;
	double amount = fmin((double)hundredths / 100, SCORE_MAX);
	double left = left_after(settings, age_ms > 0 ? age_ms : 0);

	siege_update(siege, settings, now_ms);
	siege->hours[0] += area(settings, amount, left);
	siege->score = fmin(siege->score + amount * left, SCORE_MAX);
	judge(siege, settings);
	return siege->is_on != was_on;
}

void siege_state(const struct siege *siege, struct siege_state *state)
{
	*state = (struct siege_state){
		.is_on = siege->is_on,
		.score = siege->score,
		.mean = mean(siege),
		.changed_ms = siege->changed_ms,
	};
}
