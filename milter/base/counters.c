/* SPDX-License-Identifier: BSD-2-Clause */
/* Windows, tallies, and the keys and values that memcached keeps them under. */
#include "base/counters.h"

#include <inttypes.h>
#include <stdio.h>

struct window window_at(int64_t wall_ms, uint32_t length_s)
{
	int64_t length_ms = (int64_t)length_s * 1000;
	struct window window = {.length_s = length_s};

	if (wall_ms < 0)
		wall_ms = 0;
	window.index = wall_ms / length_ms;
	window.elapsed = (double)(wall_ms % length_ms) / (double)length_ms;
	return window;
}

int64_t window_now_s(const struct window *window)
{
	return window->index * window->length_s +
	       (int64_t)(window->elapsed * (double)window->length_s);
}

void tally_roll(struct tally *tally, int64_t from, int64_t to)
{
	if (to == from)
		return;
	if (to == from + 1) {
		tally->bad_previous = tally->bad_now;
		tally->good_previous = tally->good_now;
		tally->passed_previous = tally->passed_now;
	} else {
		tally->bad_previous = 0;
		tally->good_previous = 0;
		tally->passed_previous = 0;
	}
	tally->bad_now = 0;
	tally->good_now = 0;
	tally->passed_now = 0;
}

static void add_capped(uint64_t *counter, uint64_t amount)
{
	*counter += amount;
	if (*counter > COUNTERS_MAX)
		*counter = COUNTERS_MAX;
}

void tally_add(struct tally *tally, const struct tally *more)
{
	add_capped(&tally->bad_now, more->bad_now);
	add_capped(&tally->bad_previous, more->bad_previous);
	add_capped(&tally->good_now, more->good_now);
	add_capped(&tally->good_previous, more->good_previous);
	add_capped(&tally->passed_now, more->passed_now);
	add_capped(&tally->passed_previous, more->passed_previous);
}

static void raise_to(uint64_t *counter, uint64_t least)
{
	if (*counter < least)
		*counter = least;
}

void tally_raise(struct tally *tally, const struct tally *to)
{
	raise_to(&tally->bad_now, to->bad_now);
	raise_to(&tally->bad_previous, to->bad_previous);
	raise_to(&tally->good_now, to->good_now);
	raise_to(&tally->good_previous, to->good_previous);
	raise_to(&tally->passed_now, to->passed_now);
	raise_to(&tally->passed_previous, to->passed_previous);
}

static void subtract_floored(uint64_t *counter, uint64_t amount)
{
	*counter -= amount < *counter ? amount : *counter;
}

void tally_subtract(struct tally *tally, const struct tally *less)
{
	subtract_floored(&tally->bad_now, less->bad_now);
	subtract_floored(&tally->bad_previous, less->bad_previous);
	subtract_floored(&tally->good_now, less->good_now);
	subtract_floored(&tally->good_previous, less->good_previous);
	subtract_floored(&tally->passed_now, less->passed_now);
	subtract_floored(&tally->passed_previous, less->passed_previous);
}

void tally_count(struct tally *tally, enum side side, uint64_t amount)
{
	uint64_t *const counters[SIDE_COUNT] = {
		[SIDE_BAD] = &tally->bad_now,
		[SIDE_GOOD] = &tally->good_now,
		[SIDE_PASSED] = &tally->passed_now,
	};

	add_capped(counters[side], amount);
}

bool tally_is_zero(const struct tally *tally)
{
	return (tally->bad_now | tally->bad_previous | tally->good_now | tally->good_previous |
		tally->passed_now | tally->passed_previous) == 0;
}

size_t counters_key(char *key, const char *prefix, const struct prefix *client, int64_t window,
		    enum side side)
{
	char text[PREFIX_TEXT_MAX];

	return (size_t)snprintf(key, COUNTERS_KEY_MAX, "%.*s:1:%s:%" PRId64 ":%c",
				COUNTERS_KEY_PREFIX_MAX, prefix, prefix_format(client, text),
				window, "bgp"[side]);
}

size_t counters_flag_key(char *key, const char *prefix, const struct prefix *client)
{
	char text[PREFIX_TEXT_MAX];

	return (size_t)snprintf(key, COUNTERS_KEY_MAX, "%.*s:1:%s:f", COUNTERS_KEY_PREFIX_MAX,
				prefix, prefix_format(client, text));
}

size_t counters_seen_key(char *key, const char *prefix, const struct prefix *client, int64_t window,
			 uint64_t hash)
{
	char text[PREFIX_TEXT_MAX];

	return (size_t)snprintf(key, COUNTERS_KEY_MAX, "%.*s:1:%s:%" PRId64 ":r:%016" PRIx64,
				COUNTERS_KEY_PREFIX_MAX, prefix, prefix_format(client, text),
				window, hash);
}

size_t counters_site_key(char *key, const char *prefix, int64_t minute)
{
	return (size_t)snprintf(key, COUNTERS_KEY_MAX, "%.*s:1:siege:%" PRId64,
				COUNTERS_KEY_PREFIX_MAX, prefix, minute);
}

bool counters_parse(const char *value, size_t length, uint64_t *counter)
{
	uint64_t number = 0;
	size_t i = 0;

	for (; i < length && value[i] >= '0' && value[i] <= '9'; i++) {
		number = number * 10 + (uint64_t)(value[i] - '0');
		if (number > COUNTERS_MAX)
			return false;
	}
	if (i == 0)
		return false;
	/* memcached leaves blanks behind when a number gets shorter. */
	for (; i < length; i++)
		if (value[i] != ' ')
			return false;
	*counter = number;
	return true;
}
