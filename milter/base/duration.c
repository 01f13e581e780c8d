/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads durations, and writes them in one unit or in two. */
#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* The largest first. A bare number is seconds. */
static const struct {
	const char *name;
	int64_t ms;
} units[] = {{"d", DAY_MS},    {"h", HOUR_MS}, {"m", MINUTE_MS},
	     {"s", SECOND_MS}, {"ms", 1},      {"", SECOND_MS}};

bool duration_parse(const char *text, int64_t *ms)
{
	int64_t thousandths;
	const char *unit = decimal_parse(text, 3, &thousandths);

	for (size_t i = 0; unit != NULL && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(thousandths, units[i].ms, &thousandths))
			thousandths = INT64_MAX / 1000 * 1000;
		*ms = thousandths / 1000;
		return thousandths % 1000 == 0;
	}
	return false;
}

char *duration_format(int64_t ms, char *text)
{
	size_t i = 0;

	while (ms % units[i].ms != 0)
		i++;
	snprintf(text, DURATION_TEXT_MAX, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
	return text;
}

/* Whole seconds, in their largest unit and the next smaller one. */
static void describe_in_two(int64_t ms, char *text)
{
	static const char *const names[] = {"d", "h", "min", "s"};
	size_t unit = 0;
	int64_t rest;
	int length;

	while (ms < units[unit].ms)
		unit++;
	length = snprintf(text, DURATION_TEXT_MAX, "%" PRId64 " %s", ms / units[unit].ms,
			  names[unit]);
	rest = ms % units[unit].ms / units[unit + 1].ms;
	if (rest > 0)
		snprintf(text + length, DURATION_TEXT_MAX - (size_t)length, " %" PRId64 " %s", rest,
			 names[unit + 1]);
}

char *duration_describe(int64_t ms, char *text)
{
	int64_t tenths = (ms + 50) / 100;

	if (ms <= 0)
		snprintf(text, DURATION_TEXT_MAX, "0 s");
	else if (ms < SECOND_MS)
		snprintf(text, DURATION_TEXT_MAX, "%" PRId64 " ms", ms);
	else if (tenths < 600)
		snprintf(text, DURATION_TEXT_MAX, tenths % 10 != 0 ? "%.1f s" : "%.0f s",
			 (double)tenths / 10);
	else
		describe_in_two((ms + SECOND_MS / 2) / SECOND_MS * SECOND_MS, text);
	return text;
}
