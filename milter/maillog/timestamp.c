/* SPDX-License-Identifier: BSD-2-Clause */
#include "maillog/timestamp.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define HALF_S 1800
/* As far as lines step back without that a clock was set back. */
#define UNSORTED_LOCAL_S 300
/* A file's time and its lines' may be of different clocks. */
#define LATEST_SLACK_S DAY_S
/* Unsorted lines are never further apart. */
#define UNSORTED_S (7 * (int64_t)DAY_S)
/* A log is silent for less, as far as a survey goes: a longer step is one back, by an unsorted line. */
#define SILENT_S (190 * (int64_t)DAY_S)
/* There is always a leap year among so many. */
#define YEARS_BACK 9

struct stamp {
	const char *text, *end; /* what is left */
	int year, month, day, hour, minute, second;
	int milliseconds;
};

void maillog_timestamp_begin(struct maillog_timestamps *stamps, int64_t latest_s)
{
	*stamps = (struct maillog_timestamps){.latest_s = latest_s, .half_key = -1};
}

void maillog_timestamp_survey(struct maillog_timestamps *stamps, int64_t latest_s)
{
	maillog_timestamp_begin(stamps, latest_s);
	stamps->is_survey = true;
}

/* Exactly so many digits. */
static bool read_digits(struct stamp *stamp, int digits, int *value)
{
	int number = 0;

	if (stamp->end - stamp->text < digits)
		return false;
	for (int i = 0; i < digits; i++) {
		char c = stamp->text[i];

		if (c < '0' || c > '9')
			return false;
		number = number * 10 + (c - '0');
	}
	stamp->text += digits;
	*value = number;
	return true;
}

static bool read_char(struct stamp *stamp, char c)
{
	if (stamp->text == stamp->end || *stamp->text != c)
		return false;
	stamp->text++;
	return true;
}

static bool is_next_digit(const struct stamp *stamp)
{
	return stamp->text < stamp->end && *stamp->text >= '0' && *stamp->text <= '9';
}

/* ".123456", if it is there. */
static bool read_fraction(struct stamp *stamp)
{
	int unit = 100;

	if (!read_char(stamp, '.') && !read_char(stamp, ','))
		return true;
	if (!is_next_digit(stamp))
		return false;
	for (; is_next_digit(stamp); stamp->text++, unit /= 10)
		stamp->milliseconds += unit * (*stamp->text - '0');
	return true;
}

static bool read_clock(struct stamp *stamp)
{
	return read_digits(stamp, 2, &stamp->hour) && read_char(stamp, ':') &&
	       read_digits(stamp, 2, &stamp->minute) && read_char(stamp, ':') &&
	       read_digits(stamp, 2, &stamp->second) && read_fraction(stamp) && stamp->hour < 24 &&
	       stamp->minute < 60 && stamp->second <= 60;
}

static bool read_date(struct stamp *stamp)
{
	return read_digits(stamp, 4, &stamp->year) && read_char(stamp, '-') &&
	       read_digits(stamp, 2, &stamp->month) && read_char(stamp, '-') &&
	       read_digits(stamp, 2, &stamp->day) && stamp->year >= 1970 && stamp->month >= 1 &&
	       stamp->month <= 12 && stamp->day >= 1 && stamp->day <= 31;
}

/* "Z", "+01:00", "+0100" or "+01". False if it is garbled; known tells whether there is one. */
static bool read_offset(struct stamp *stamp, int *offset_s, bool *known)
{
	int hours, minutes = 0;
	int sign;

	*known = true;
	*offset_s = 0;
	if (read_char(stamp, 'Z'))
		return true;
	sign = read_char(stamp, '+') ? 1 : read_char(stamp, '-') ? -1 : 0;
	if (sign == 0) {
		*known = false;
		return true;
	}
	if (!read_digits(stamp, 2, &hours))
		return false;
	if ((read_char(stamp, ':') || is_next_digit(stamp)) && !read_digits(stamp, 2, &minutes))
		return false;
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

/* "CET": no more than whether it is UTC can be known of it. */
static bool read_zone_name(struct stamp *stamp, int *offset_s, bool *known)
{
	const char *name = stamp->text;
	size_t length;

	if (stamp->text < stamp->end && (*stamp->text == '+' || *stamp->text == '-'))
		return read_offset(stamp, offset_s, known);
	while (stamp->text < stamp->end && ((*stamp->text >= 'A' && *stamp->text <= 'Z') ||
					    (*stamp->text >= 'a' && *stamp->text <= 'z')))
		stamp->text++;
	length = (size_t)(stamp->text - name);
	*known = length == 3 && (memcmp(name, "UTC", 3) == 0 || memcmp(name, "GMT", 3) == 0);
	*offset_s = 0;
	return length >= 2;
}

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to a day of the Gregorian calendar. A day past the month's end is in the next one. */
static int64_t days(int year, int month, int day)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t years = year - 1;
	int64_t leaps = years / 4 - years / 100 + years / 400 + (month > 2 && is_leap(year));

	/* 719162: the same sum for 1970-01-01 */
	return years * 365 + leaps + before[month - 1] + day - 1 - 719162;
}

static int64_t utc_seconds(const struct stamp *stamp)
{
	return days(stamp->year, stamp->month, stamp->day) * DAY_S + stamp->hour * 3600 +
	       stamp->minute * 60 + stamp->second;
}

static bool is_wall_time(int64_t seconds, const struct tm *wall)
{
	time_t moment = (time_t)seconds;
	struct tm tm;

	return localtime_r(&moment, &tm) != NULL && tm.tm_mday == wall->tm_mday &&
	       tm.tm_hour == wall->tm_hour && tm.tm_min == wall->tm_min;
}

static void look_up_half(struct maillog_timestamps *stamps, const struct stamp *stamp)
{
	static const int64_t shifts[] = {-HALF_S, HALF_S, -2 * HALF_S, 2 * HALF_S};
	struct tm wall = {.tm_year = stamp->year - 1900,
			  .tm_mon = stamp->month - 1,
			  .tm_mday = stamp->day,
			  .tm_hour = stamp->hour,
			  .tm_min = stamp->minute < 30 ? 0 : 30,
			  .tm_isdst = -1};
	int64_t seconds = mktime(&wall);

	stamps->half_s = stamps->again_s = seconds;
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++)
		if (is_wall_time(seconds + shifts[i], &wall)) {
			stamps->half_s = shifts[i] < 0 ? seconds + shifts[i] : seconds;
			stamps->again_s = shifts[i] < 0 ? seconds : seconds + shifts[i];
		}
}

static int64_t local_seconds(struct maillog_timestamps *stamps, const struct stamp *stamp)
{
	int64_t key = days(stamp->year, stamp->month, stamp->day) * 48 + stamp->hour * 2 +
		      stamp->minute / 30;
	int64_t within_s = stamp->minute % 30 * 60 + stamp->second;
	int64_t seconds, again_s;

	if (key != stamps->half_key) {
		look_up_half(stamps, stamp);
		stamps->half_key = key;
	}
	seconds = stamps->half_s + within_s;
	again_s = stamps->again_s + within_s;
	if (again_s > seconds && seconds + UNSORTED_LOCAL_S < stamps->last_local_s &&
	    again_s + (again_s - seconds) >= stamps->last_local_s)
		seconds = again_s;
	stamps->last_local_s = seconds;
	return seconds;
}

/* Guessing is in UTC throughout: hours do not matter to it. */
static void guess_first_year(struct maillog_timestamps *stamps, struct stamp *stamp)
{
	time_t latest = (time_t)stamps->latest_s;
	struct tm tm;

	if (gmtime_r(&latest, &tm) == NULL || tm.tm_year < 70 || tm.tm_year > 8000)
		tm.tm_year = 70;
	stamp->year = tm.tm_year + 1901;
	for (int i = 0; i < YEARS_BACK && stamp->year > 1970; i++, stamp->year--) {
		bool exists = stamp->month != 2 || stamp->day != 29 || is_leap(stamp->year);

		if (exists && utc_seconds(stamp) <= stamps->latest_s + LATEST_SLACK_S)
			break;
	}
}

/* Lines near each other may be unsorted, and on either side of a year's end. */
static bool is_near(struct maillog_timestamps *stamps, struct stamp *stamp)
{
	struct maillog_guess *last = &stamps->last;

	for (stamp->year = last->year - 1; stamp->year <= last->year + 1; stamp->year++) {
		int64_t seconds = utc_seconds(stamp);

		if (llabs(seconds - last->seconds) <= UNSORTED_S) {
			*last = (struct maillog_guess){stamp->year, seconds, false};
			if (seconds > stamps->latest_s + LATEST_SLACK_S)
				stamps->is_lost = true;
			return true;
		}
	}
	return false;
}

static void survey_year(const struct maillog_timestamps *stamps, struct stamp *stamp)
{
	stamp->year = stamps->last.year + 1;
	while (stamp->year > stamps->last.year - 1 &&
	       utc_seconds(stamp) > stamps->last.seconds + SILENT_S)
		stamp->year--;
}

/*
 * After a gap in the log: the next such day, unless that is in the file's future. A log that is there
 * already began a year earlier than was guessed; then its own order is all there is. True if the file's time
 * was against the order.
 */
static bool guess_year(const struct maillog_timestamps *stamps, struct stamp *stamp)
{
	int64_t limit = stamps->latest_s + LATEST_SLACK_S;
	bool is_forced = false;

	if (stamps->last.seconds > limit)
		limit = INT64_MAX;
	stamp->year = stamps->last.year;
	if (utc_seconds(stamp) < stamps->last.seconds)
		stamp->year++;
	for (; stamp->year > stamps->last.year - 1 && utc_seconds(stamp) > limit; stamp->year--)
		is_forced = true;
	return is_forced;
}

static void add_year(struct maillog_timestamps *stamps, struct stamp *stamp)
{
	bool is_forced = false;

	if (stamps->last.year == 0) {
		guess_first_year(stamps, stamp);
		if (stamps->first_year != 0)
			stamp->year = stamps->first_year;
		else
			stamps->first_year = stamp->year;
		stamps->last = (struct maillog_guess){stamp->year, utc_seconds(stamp), false};
		return;
	}
	if (is_near(stamps, stamp)) {
		stamps->doubtful.year = 0;
		return;
	}
	if (stamps->doubtful.year != 0) {
		stamps->last = stamps->doubtful;
		stamps->is_lost |= stamps->doubtful.is_forced;
		stamps->doubtful.year = 0;
		if (is_near(stamps, stamp))
			return;
	}
	if (stamps->is_survey)
		survey_year(stamps, stamp);
	else
		is_forced = guess_year(stamps, stamp);
	stamps->doubtful = (struct maillog_guess){stamp->year, utc_seconds(stamp), is_forced};
}

int maillog_timestamp_first_year(const struct maillog_timestamps *stamps)
{
	int64_t beyond_s = stamps->last.seconds - stamps->latest_s - LATEST_SLACK_S;
	int years = beyond_s > 0 ? (int)((beyond_s - 1) / (365 * (int64_t)DAY_S)) + 1 : 0;

	return stamps->first_year - years >= 1970 ? stamps->first_year - years : stamps->first_year;
}

static int month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (memcmp(names + 3 * i, name, 3) == 0)
			return i + 1;
	return 0;
}

/* "2026 ", if it is there. */
static bool read_year(struct stamp *stamp)
{
	if (stamp->end - stamp->text < 3 || stamp->text[2] == ':')
		return true;
	return read_digits(stamp, 4, &stamp->year) && read_char(stamp, ' ') && stamp->year >= 1970;
}

/* "Nov  1 02:03:04", "Nov  1 2026 02:03:04" */
static bool read_syslog(struct maillog_timestamps *stamps, struct stamp *stamp, int64_t *seconds)
{
	if (stamp->end - stamp->text < 15)
		return false;
	stamp->month = month_of(stamp->text);
	stamp->text += 3;
	if (stamp->month == 0 || !read_char(stamp, ' '))
		return false;
	if (!read_digits(stamp, read_char(stamp, ' ') ? 1 : 2, &stamp->day) ||
	    !read_char(stamp, ' '))
		return false;
	if (stamp->day < 1 || stamp->day > 31 || !read_year(stamp) || !read_clock(stamp))
		return false;
	if (stamp->year == 0)
		add_year(stamps, stamp);
	*seconds = local_seconds(stamps, stamp);
	return true;
}

static bool read_dated(struct maillog_timestamps *stamps, struct stamp *stamp, bool named_zone,
		       int64_t *seconds)
{
	int offset_s = 0;
	bool known = false;

	if (!read_date(stamp) || !(read_char(stamp, 'T') || read_char(stamp, ' ')) ||
	    !read_clock(stamp))
		return false;
	if (!named_zone && !read_offset(stamp, &offset_s, &known))
		return false;
	if (named_zone && read_char(stamp, ' ') && !read_zone_name(stamp, &offset_s, &known))
		return false;
	*seconds = known ? utc_seconds(stamp) - offset_s : local_seconds(stamps, stamp);
	return true;
}

/* "Fri 2026-11-20 12:34:56 CET" */
static bool read_short_full(struct maillog_timestamps *stamps, struct stamp *stamp,
			    int64_t *seconds)
{
	static const char names[] = "MonTueWedThuFriSatSun";
	int weekday = 0;

	if (stamp->end - stamp->text < 4)
		return false;
	while (weekday < 7 && memcmp(names + 3 * weekday, stamp->text, 3) != 0)
		weekday++;
	stamp->text += 3;
	return weekday < 7 && read_char(stamp, ' ') && read_dated(stamps, stamp, true, seconds);
}

/* "1763642096.123456" */
static bool read_unix(struct stamp *stamp, int64_t *seconds)
{
	int high, low;

	if (!read_digits(stamp, 5, &high) || !read_digits(stamp, 5, &low))
		return false;
	*seconds = (int64_t)high * 100000 + low;
	return read_fraction(stamp);
}

/* "<22>", "<22>1 " of RFC 5424, or "1 " where the priority has been left out. */
static void skip_priority(struct stamp *stamp)
{
	const char *begin = stamp->text;

	if (read_char(stamp, '<')) {
		while (is_next_digit(stamp) && stamp->text - begin < 4)
			stamp->text++;
		if (!read_char(stamp, '>'))
			stamp->text = begin;
	}
	begin = stamp->text;
	if (!read_char(stamp, '1') || !read_char(stamp, ' '))
		stamp->text = begin;
}

bool maillog_timestamp_read(struct maillog_timestamps *stamps, const char *line, size_t length,
			    int64_t *wall_ms, size_t *stamp_length)
{
	struct stamp stamp = {.text = line, .end = line + length};
	const char *text;
	int64_t seconds;
	bool found;

	skip_priority(&stamp);
	text = stamp.text;
	if (stamp.end - text < 10)
		return false;
	if (!is_next_digit(&stamp))
		found = text[3] == ' ' && text[4] >= '1' && text[4] <= '9' && text[8] == '-'
				? read_short_full(stamps, &stamp, &seconds)
				: read_syslog(stamps, &stamp, &seconds);
	else if (text[4] == '-')
		found = read_dated(stamps, &stamp, false, &seconds);
	else
		found = read_unix(&stamp, &seconds);
	if (!found ||
	    (stamp.text < stamp.end && !read_char(&stamp, ' ') && !read_char(&stamp, '\t')))
		return false;
	*wall_ms = seconds * 1000 + stamp.milliseconds;
	*stamp_length = (size_t)(stamp.text - line);
	return true;
}
