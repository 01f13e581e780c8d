/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a time stamp in whichever form the line begins with. */
#include "maillog/timestamp.h"

#include <string.h>

#include "month.h"
#include "wrapping.h"
#include "year.h"

/* Longer than any month or weekday of glibc's locales, in bytes. */
#define WORD_MAX 48
/* "Thg 1", Vietnamese. */
#define MONTH_WORDS_MAX 2
/* The runtime's, the container's syslogd's, and the program's. */
#define STAMPS_MAX 3

struct stamp {
	const char *text, *end; /* what is left of the line */
	struct maillog_date date; /* year 0: none */
	int milliseconds;
	bool is_utc; /* else local time */
	int64_t shift_s; /* what date, in UTC, is short of the moment */
};

void maillog_timestamp_begin(struct maillog_timestamps *stamps, int64_t latest_s, int first_year)
{
	*stamps = (struct maillog_timestamps){.years = {.latest_s = latest_s, .first = first_year},
					      .half_hour = {.key = -1}};
}

void maillog_timestamp_survey(struct maillog_timestamps *stamps, int64_t latest_s)
{
	maillog_timestamp_begin(stamps, latest_s, 0);
	stamps->years.is_survey = true;
}

int maillog_timestamp_first_year(const struct maillog_timestamps *stamps)
{
	return maillog_year_first(&stamps->years);
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

/* ".123456", if it is there: what is finer than milliseconds is left out. */
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

/* "02:03:04.567"; 60 is a leap second. */
static bool read_clock(struct stamp *stamp)
{
	struct maillog_date *date = &stamp->date;

	return read_digits(stamp, 2, &date->hour) && read_char(stamp, ':') &&
	       read_digits(stamp, 2, &date->minute) && read_char(stamp, ':') &&
	       read_digits(stamp, 2, &date->second) && read_fraction(stamp) && date->hour < 24 &&
	       date->minute < 60 && date->second <= 60;
}

/* "2026-11-20T12:34:56.789", with a blank for the T as well. */
static bool read_date_and_clock(struct stamp *stamp)
{
	struct maillog_date *date = &stamp->date;

	return read_digits(stamp, 4, &date->year) && read_char(stamp, '-') &&
	       read_digits(stamp, 2, &date->month) && read_char(stamp, '-') &&
	       read_digits(stamp, 2, &date->day) && date->year >= 1970 && date->month >= 1 &&
	       date->month <= 12 && date->day >= 1 && date->day <= 31 &&
	       (read_char(stamp, 'T') || read_char(stamp, ' ')) && read_clock(stamp);
}

/* "Z", "+01:00", "+0100" or "+01"; nothing is local time. False if the offset is garbled. */
static bool read_offset(struct stamp *stamp)
{
	int hours, minutes = 0, sign;

	if (read_char(stamp, 'Z')) {
		stamp->is_utc = true;
		return true;
	}
	sign = read_char(stamp, '+') ? 1 : read_char(stamp, '-') ? -1 : 0;
	if (sign == 0)
		return true;
	if (!read_digits(stamp, 2, &hours))
		return false;
	if ((read_char(stamp, ':') || is_next_digit(stamp)) && !read_digits(stamp, 2, &minutes))
		return false;
	stamp->is_utc = true;
	stamp->shift_s = -sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* "CET", of which no more can be known than whether that is UTC; or an offset. */
static bool read_zone_name(struct stamp *stamp)
{
	const char *name = stamp->text;
	size_t length;

	if (stamp->text < stamp->end && (*stamp->text == '+' || *stamp->text == '-'))
		return read_offset(stamp);
	while (stamp->text < stamp->end && is_letter(*stamp->text))
		stamp->text++;
	length = (size_t)(stamp->text - name);
	stamp->is_utc = length == 3 && (memcmp(name, "UTC", 3) == 0 || memcmp(name, "GMT", 3) == 0);
	return length >= 2;
}

static void skip_blanks(struct stamp *stamp)
{
	while (read_char(stamp, ' ') || read_char(stamp, '\t'))
		;
}

static size_t most_left(const struct stamp *stamp, size_t most)
{
	size_t left = (size_t)(stamp->end - stamp->text);

	return left < most ? left : most;
}

/* Takes a word off, and the blank after it; false if it is longer than any month or weekday. */
static bool read_word(struct stamp *stamp, struct span *word)
{
	const char *blank = memchr(stamp->text, ' ', most_left(stamp, WORD_MAX));

	if (blank == NULL || blank == stamp->text)
		return false;
	*word = (struct span){stamp->text, (size_t)(blank - stamp->text)};
	stamp->text = blank + 1;
	return true;
}

/* "Nov", or in another language "nov." or "11月", which some locales pad on either side. */
static bool read_month(struct stamp *stamp)
{
	static const char english[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct span word;

	for (int i = 0; i < 12 && stamp->end - stamp->text > 3; i++)
		if (memcmp(english + 3 * i, stamp->text, 3) == 0 && stamp->text[3] == ' ') {
			stamp->text += 4;
			stamp->date.month = i + 1;
			return true;
		}
	read_char(stamp, ' ');
	if (!read_word(stamp, &word))
		return false;
	skip_blanks(stamp);
	stamp->date.month = maillog_month(word);
	return stamp->date.month != 0;
}

/* "20", " 2" or "2", and a blank. */
static bool read_day(struct stamp *stamp)
{
	int *day = &stamp->date.day;

	read_char(stamp, ' ');
	if (!read_digits(stamp, 2, day) && !read_digits(stamp, 1, day))
		return false;
	return read_char(stamp, ' ') && *day >= 1 && *day <= 31;
}

/* "2026 ", if it is there. */
static bool read_year(struct stamp *stamp)
{
	if (stamp->end - stamp->text < 3 || stamp->text[2] == ':')
		return true;
	return read_digits(stamp, 4, &stamp->date.year) && read_char(stamp, ' ') &&
	       stamp->date.year >= 1970;
}

/* "Nov  1 02:03:04", "Nov  1 2026 02:03:04" */
static bool read_syslog(struct stamp *stamp)
{
	return read_month(stamp) && read_day(stamp) && read_year(stamp) && read_clock(stamp);
}

/* "2026-11-20T12:34:56+01:00" */
static bool read_rfc3339(struct stamp *stamp)
{
	return read_date_and_clock(stamp) && read_offset(stamp);
}

/* "Fri 2026-11-20 12:34:56 CET"; the weekday may be of another language. */
static bool read_short_full(struct stamp *stamp)
{
	struct span weekday;

	return !is_next_digit(stamp) && read_word(stamp, &weekday) && is_next_digit(stamp) &&
	       read_date_and_clock(stamp) && (!read_char(stamp, ' ') || read_zone_name(stamp));
}

/* "1763642096.123456" */
static bool read_short_unix(struct stamp *stamp)
{
	int high, low;

	if (!read_digits(stamp, 5, &high) || !read_digits(stamp, 5, &low))
		return false;
	stamp->date = (struct maillog_date){.year = 1970, .month = 1, .day = 1};
	stamp->is_utc = true;
	stamp->shift_s = (int64_t)high * 100000 + low;
	return read_fraction(stamp);
}

/* The forms of a stamp. No two begin alike, so what one can not read to its end no other can. */
static bool (*const forms[])(struct stamp *stamp) = {
	read_rfc3339,
	read_syslog,
	read_short_full,
	read_short_unix,
};

static bool read_form(struct stamp *stamp)
{
	const char *begin = stamp->text;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (forms[i](stamp))
			return true;
		stamp->text = begin;
	}
	return false;
}

/* "<22>", syslog's priority. */
static void skip_priority(struct stamp *stamp)
{
	const char *begin = stamp->text;

	if (!read_char(stamp, '<'))
		return;
	while (is_next_digit(stamp) && stamp->text - begin < 4)
		stamp->text++;
	if (!read_char(stamp, '>'))
		stamp->text = begin;
}

/* "1 ", the version of RFC 5424, also where the priority has been left out. */
static void skip_version(struct stamp *stamp)
{
	const char *begin = stamp->text;

	if (!read_char(stamp, '1') || !read_char(stamp, ' '))
		stamp->text = begin;
}

static int64_t seconds_of(struct maillog_timestamps *stamps, struct stamp *stamp)
{
	if (stamp->is_utc)
		return maillog_calendar_utc_s(&stamp->date) + stamp->shift_s;
	if (stamp->date.year == 0)
		maillog_year_guess(&stamps->years, &stamp->date);
	return maillog_calendar_local_s(&stamps->half_hour, &stamp->date);
}

static void skip_wrapping(struct stamp *stamp)
{
	struct span rest = {stamp->text, (size_t)(stamp->end - stamp->text)};

	maillog_wrapping_skip(&rest);
	stamp->text = rest.text;
}

static bool read_blank(struct stamp *stamp)
{
	if (stamp->text < stamp->end && !read_char(stamp, ' ') && !read_char(stamp, '\t'))
		return false;
	skip_blanks(stamp);
	return true;
}

/* A date with a blank behind it. */
static bool read_whole(struct stamp *stamp)
{
	skip_priority(stamp);
	skip_version(stamp);
	return read_form(stamp) && read_blank(stamp);
}

/* Behind the stamp of who runs the container stands the line with its own. */
static void skip_further(struct stamp *stamp)
{
	skip_wrapping(stamp);
	for (int i = 1; i < STAMPS_MAX; i++) {
		struct stamp inner = {.text = stamp->text, .end = stamp->end};

		/* A host may have a name of ten digits, but none that is a date. */
		if (is_next_digit(&inner) && memchr(inner.text, '-', most_left(&inner, 5)) == NULL)
			return;
		if (!read_whole(&inner))
			return;
		stamp->text = inner.text;
		skip_wrapping(stamp);
	}
}

bool maillog_timestamp_read(struct maillog_timestamps *stamps, const char *line, size_t length,
			    int64_t *wall_ms, size_t *stamp_length)
{
	struct stamp stamp = {.text = line, .end = line + length};

	skip_wrapping(&stamp);
	if (!read_whole(&stamp))
		return false;
	skip_further(&stamp);
	*wall_ms = seconds_of(stamps, &stamp) * 1000 + stamp.milliseconds;
	*stamp_length = (size_t)(stamp.text - line);
	return true;
}

bool maillog_timestamp_is_foreign(const char *line, size_t length)
{
	struct stamp stamp = {.text = line, .end = line + length}, rest;
	struct span word;

	skip_wrapping(&stamp);
	skip_priority(&stamp);
	rest = stamp;
	if (is_next_digit(&stamp) || read_form(&rest))
		return false;
	skip_blanks(&stamp);
	for (int i = 0; i < MONTH_WORDS_MAX && read_word(&stamp, &word); i++) {
		skip_blanks(&stamp);
		rest = stamp;
		if (read_day(&rest) && read_year(&rest) && read_clock(&rest))
			return true;
	}
	return false;
}

size_t maillog_timestamp_length(const char *text, size_t length)
{
	struct stamp stamp = {.text = text, .end = text + length};

	return read_whole(&stamp) ? (size_t)(stamp.text - text) : 0;
}
