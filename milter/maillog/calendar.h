/* SPDX-License-Identifier: BSD-2-Clause */
/* From dates and clocks to seconds since the epoch, in UTC and in local time. */
#ifndef TARPIT_MAILLOG_CALENDAR_H
#define TARPIT_MAILLOG_CALENDAR_H

#include "maillog/timestamp.h"

#define DAY_S 86400

/* As a stamp writes it: from 1970 on, months and days from 1. */
struct maillog_date {
	int year, month, day, hour, minute, second;
};

bool maillog_calendar_is_leap(int year);
/* A day past the month's end is one of the next month. */
int64_t maillog_calendar_utc_s(const struct maillog_date *date);
/* By TZ; of an hour that clocks repeat, the second if the line before was later in the first. */
int64_t maillog_calendar_local_s(struct maillog_half_hour *half_hour,
				 const struct maillog_date *date);

#endif
