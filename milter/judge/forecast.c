/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the moment at which policy lets a flagged client go. Within a window all scores change
 * linearly, so what policy says changes only where one of them crosses a level, or a flag by hand
 * ends: policy is asked once between each two of these moments.
 */
#include "judge/forecast.h"

#include <stddef.h>
#include <stdlib.h>

/* Counts are gone after two windows. */
#define WINDOWS 2
/* The begin and end of a window, three levels of the client, one of its network, and by hand. */
#define MOMENTS_MAX 7
/* What binary fractions of a window may be wrong by: 600 s must not come out as 599. */
#define ROUNDING_S 1e-6

struct forecast {
	const struct policy *policy;
	const struct client *client;
	const struct store_view *view;
	const struct window *now;
};

/* Fractions of one window. */
struct moments {
	double of[MOMENTS_MAX];
	size_t count;
};

static struct standing judge_at(const struct forecast *forecast, int64_t windows, double elapsed)
{
	struct window then = {.index = forecast->now->index + windows,
			      .length_s = forecast->now->length_s,
			      .elapsed = elapsed};
	struct standing st;

	policy_judge_view(forecast->policy, forecast->client, forecast->view, &then,
			  (struct circumstances){0}, &st);
	return st;
}

static void add_moment(struct moments *moments, double begin, double moment)
{
	if (moment > begin && moment < 1)
		moments->of[moments->count++] = moment;
}

/* Where a score that goes from one value at begin to another at the window's end has that level. */
static void add_crossing(struct moments *moments, double begin, double from, double to,
			 double level)
{
	if (from != to)
		add_moment(moments, begin, begin + (from - level) / (from - to) * (1 - begin));
}

static int compare(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* The moments of a window, from begin on, at which policy may change its mind, in order. */
static void find_moments(const struct forecast *forecast, int64_t windows, double begin,
			 struct moments *moments)
{
	const double levels[] = {forecast->policy->threshold, POLICY_DIRTY_THRESHOLD, 0};
	const struct window *now = forecast->now;
	int64_t began_s = (now->index + windows) * now->length_s;
	struct standing first = judge_at(forecast, windows, begin);
	struct standing last = judge_at(forecast, windows, 1);

	*moments = (struct moments){{begin, 1}, 2};
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		add_crossing(moments, begin, first.score, last.score, levels[i]);
	add_crossing(moments, begin, first.network_score, last.network_score,
		     forecast->policy->network_threshold);
	add_moment(moments, begin,
		   (double)(forecast->view->by_hand_until_s - began_s) / now->length_s);
	qsort(moments->of, moments->count, sizeof(moments->of[0]), compare);
}

int64_t forecast_flagged_s(const struct policy *policy, const struct client *client,
			   const struct store_view *view, const struct window *now)
{
	const struct forecast forecast = {policy, client, view, now};
	const int64_t most = WINDOWS * (int64_t)now->length_s;

	for (int64_t windows = 0; windows <= WINDOWS; windows++) {
		struct moments moments;

		find_moments(&forecast, windows, windows == 0 ? now->elapsed : 0, &moments);
		for (size_t i = 0; i + 1 < moments.count; i++) {
			double begin = moments.of[i], end = moments.of[i + 1];
			double left_s = ((double)windows + begin - now->elapsed) * now->length_s +
					ROUNDING_S;

			if (!judge_at(&forecast, windows, (begin + end) / 2).flagged)
				return left_s < (double)most ? (int64_t)left_s : most;
		}
	}
	return most;
}
