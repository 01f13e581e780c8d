/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts the seconds from the epoch to a date, in UTC by arithmetic and in local time by mktime. */
#include "calendar.h"

#include <time.h>

#define HALF_HOUR_S 1800
/* Unsorted lines step back as far as this; further back, the log's clock was set back. */
#define UNSORTED_S 300

bool maillog_calendar_is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to a day of the Gregorian calendar. */
static int64_t days(const struct maillog_date *date)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t years = date->year - 1;
	int64_t leaps = years / 4 - years / 100 + years / 400 +
			(date->month > 2 && maillog_calendar_is_leap(date->year));

	/* 719162: the same sum for 1970-01-01 */
	return years * 365 + leaps + before[date->month - 1] + date->day - 1 - 719162;
}

int64_t maillog_calendar_utc_s(const struct maillog_date *date)
{
	return days(date) * DAY_S + date->hour * 3600 + date->minute * 60 + date->second;
}

static bool is_wall_time(int64_t seconds, const struct tm *wall)
{
	time_t moment = (time_t)seconds;
	struct tm tm;

	return localtime_r(&moment, &tm) != NULL && tm.tm_mday == wall->tm_mday &&
	       tm.tm_hour == wall->tm_hour && tm.tm_min == wall->tm_min;
}

static void look_up_half(struct maillog_half_hour *half_hour, const struct maillog_date *date)
{
	static const int64_t shifts[] = {-HALF_HOUR_S, HALF_HOUR_S, -2 * HALF_HOUR_S,
					 2 * HALF_HOUR_S};
	struct tm wall = {.tm_year = date->year - 1900,
			  .tm_mon = date->month - 1,
			  .tm_mday = date->day,
			  .tm_hour = date->hour,
			  .tm_min = date->minute < 30 ? 0 : 30,
			  .tm_isdst = -1};
	int64_t seconds = mktime(&wall);

	half_hour->begin_s = half_hour->again_s = seconds;
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++)
		if (is_wall_time(seconds + shifts[i], &wall)) {
			half_hour->begin_s = shifts[i] < 0 ? seconds + shifts[i] : seconds;
			half_hour->again_s = shifts[i] < 0 ? seconds : seconds + shifts[i];
		}
}

int64_t maillog_calendar_local_s(struct maillog_half_hour *half_hour,
				 const struct maillog_date *date)
{
	int64_t key = days(date) * 48 + date->hour * 2 + date->minute / 30;
	int64_t within_s = date->minute % 30 * 60 + date->second;
	int64_t seconds, again_s;

	if (key != half_hour->key) {
		look_up_half(half_hour, date);
		half_hour->key = key;
	}
	seconds = half_hour->begin_s + within_s;
	again_s = half_hour->again_s + within_s;
	if (again_s > seconds && seconds + UNSORTED_S < half_hour->last_s &&
	    again_s + (again_s - seconds) >= half_hour->last_s)
		seconds = again_s;
	half_hour->last_s = seconds;
	return seconds;
}
