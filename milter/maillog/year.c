/* SPDX-License-Identifier: BSD-2-Clause */
/* Guesses years, as if all stamps were UTC: hours do not matter here. */
#include "year.h"

#include <stdlib.h>
#include <time.h>

/* The clocks of the file and of its lines may be those of different machines. */
#define LATEST_SLACK_S DAY_S
/* Lines that are not sorted are never further apart. */
#define UNSORTED_S (7 * (int64_t)DAY_S)
/* No log is silent that long: a survey takes such a step for one back, by an unsorted line. */
#define SILENT_S (190 * (int64_t)DAY_S)
/* There is always a leap year among so many. */
#define YEARS_BACK 9

static int64_t latest_s(const struct maillog_years *years)
{
	return years->latest_s + LATEST_SLACK_S;
}

/* The youngest year in which the stamp is not later than the file. */
static int year_of_first(const struct maillog_years *years, struct maillog_date date)
{
	time_t latest = (time_t)years->latest_s;
	struct tm tm;

	if (gmtime_r(&latest, &tm) == NULL || tm.tm_year < 70 || tm.tm_year > 8000)
		tm.tm_year = 70;
	date.year = tm.tm_year + 1901;
	for (int i = 0; i < YEARS_BACK && date.year > 1970; i++, date.year--) {
		bool exists =
			date.month != 2 || date.day != 29 || maillog_calendar_is_leap(date.year);

		if (exists && maillog_calendar_utc_s(&date) <= latest_s(years))
			break;
	}
	return date.year;
}

static void guess_first(struct maillog_years *years, struct maillog_date *date)
{
	if (years->first == 0)
		years->first = year_of_first(years, *date);
	date->year = years->first;
	years->last = (struct maillog_guess){date->year, maillog_calendar_utc_s(date), false};
}

/* Lines within a week of the last one may be unsorted, and on either side of a year's end. */
static bool is_near(struct maillog_years *years, struct maillog_date *date)
{
	static const int steps[] = {0, -1, 1};
	struct maillog_guess *last = &years->last;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int64_t seconds;

		date->year = last->year + steps[i];
		seconds = maillog_calendar_utc_s(date);
		if (llabs(seconds - last->seconds) <= UNSORTED_S) {
			*last = (struct maillog_guess){date->year, seconds, false};
			if (seconds > latest_s(years))
				years->is_lost = true;
			return true;
		}
	}
	return false;
}

/*
 * No stamp is later. A log that goes on past the file's time began a year earlier than was guessed,
 * and then nothing but its order is left to go by.
 */
static int64_t limit_s(const struct maillog_years *years)
{
	if (years->is_survey)
		return years->last.seconds + SILENT_S;
	return years->last.seconds > latest_s(years) ? INT64_MAX : latest_s(years);
}

/* After a gap in the log: the next such day that is within the limit. */
static struct maillog_guess guess_next(const struct maillog_years *years, struct maillog_date *date)
{
	struct maillog_guess guess = {0};

	date->year = years->last.year;
	if (maillog_calendar_utc_s(date) < years->last.seconds)
		date->year++;
	for (; date->year > years->last.year - 1 && maillog_calendar_utc_s(date) > limit_s(years);
	     date->year--)
		guess.is_forced = true;
	guess.year = date->year;
	guess.seconds = maillog_calendar_utc_s(date);
	return guess;
}

void maillog_year_guess(struct maillog_years *years, struct maillog_date *date)
{
	if (years->last.year == 0) {
		guess_first(years, date);
		return;
	}
	if (is_near(years, date)) {
		years->doubtful.year = 0;
		return;
	}
	if (years->doubtful.year != 0) {
		years->last = years->doubtful;
		years->is_lost |= years->doubtful.is_forced;
		years->doubtful.year = 0;
		if (is_near(years, date))
			return;
	}
	years->doubtful = guess_next(years, date);
}

int maillog_year_first(const struct maillog_years *years)
{
	int64_t beyond_s = years->last.seconds - latest_s(years);
	int too_late = beyond_s > 0 ? (int)((beyond_s - 1) / (365 * (int64_t)DAY_S)) + 1 : 0;

	return years->first - too_late >= 1970 ? years->first - too_late : years->first;
}
