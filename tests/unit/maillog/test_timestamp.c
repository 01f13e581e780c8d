/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "maillog/timestamp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 2026-11-21 00:00:00 UTC */
#define LATEST_S 1795219200
#define DAY_S 86400

static void use_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

struct row {
	const char *line;
	int64_t wall_ms; /* -1: no stamp */
	size_t stamp_length;
};

/* In an allocation of exactly its size, so that a sanitizer sees who reads past it. */
static bool read_exactly(struct maillog_timestamps *stamps, const char *line, size_t length,
			 int64_t *wall_ms, size_t *stamp_length)
{
	char *copy = malloc(length + (length == 0));
	bool found;

	assert_non_null(copy);
	memcpy(copy, line, length);
	found = maillog_timestamp_read(stamps, copy, length, wall_ms, stamp_length);
	free(copy);
	return found;
}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct maillog_timestamps stamps;
		int64_t wall_ms = -1;
		size_t stamp_length = 0;

		maillog_timestamp_begin(&stamps, LATEST_S, 0);
		if (!read_exactly(&stamps, rows[i].line, strlen(rows[i].line), &wall_ms,
				  &stamp_length))
			wall_ms = -1;
		if (wall_ms != rows[i].wall_ms ||
		    (wall_ms >= 0 && stamp_length != rows[i].stamp_length))
			fail_msg("%s: %lld, length %zu", rows[i].line, (long long)wall_ms,
				 stamp_length);
	}
}

static void every_kind_of_stamp_is_read(void **state)
{
	static const struct row rows[] = {
		{"Nov  1 02:03:04 mx x: y", 1793498584000, 16},
		{"Nov 20 12:34:56 mx x: y", 1795178096000, 16},
		{"Nov 20 12:34:56.789012 mx x: y", 1795178096789, 23},
		{"Nov 1 02:03:04 mx x: y", 1793498584000, 15},
		{"Nov 1 2026 02:03:04 mx x: y", 1793498584000, 20},
		{"nov. 20 12:34:56 mx x: y", 1795178096000, 17},
		{"marras 20 12:34:56 mx x: y", 1795178096000, 19},
		{"ноя 20 12:34:56 mx x: y", 1795178096000, 19},
		{"11月 20 12:34:56 mx x: y", 1795178096000, 18},
		{"11월 20 12:34:56 mx x: y", 1795178096000, 18},
		{" 3月  1 00:00:00 mx x: y", 1772323200000, 18},
		{"M\xc3\xa4r 01 00:00:00 mx x: y", 1772323200000, 17},
		{"août 1 00:00:00 mx x: y", 1785542400000, 17},
		{"mail-1  | Nov 20 12:34:56 mx x: y", 1795178096000, 26},
		{"mail.1.x7f@node    | 2026-11-20T12:34:56.5Z Nov 20 12:34:56 mx x: y",
		 1795178096500, 60},
		{"\033[36mmail-1  | \033[0mNov 20 12:34:56 mx x: y", 1795178096000, 35},
		{"[pod/mail-0/postfix] Nov 20 12:34:56 mx x: y", 1795178096000, 37},
		{"2026-11-20T12:34:56.018306084Z Nov 20 10:00:00 mx x: y", 1795178096018, 47},
		{"2026-11-20T13:34:56.018306084+01:00 stdout F Nov 20 10:00:00 mx x: y",
		 1795178096018, 61},
		{"2026-11-20T12:34:56Z stderr P mx x: y", 1795178096000, 30},
		{"2026-11-20T12:34:56Z 1234567890 x: y", 1795178096000, 21},
		{"2026-11-20 12:34:56.018306084  Nov 20 12:34:56 mx x: y", 1795178096018, 47},
		{"ven. 2026-11-20 12:34:56 UTC mx x: y", 1795178096000, 29},
		{"Nov 20 12:34:56", 1795178096000, 15},
		{"Nov 20 12:34:60 mx x: y", 1795178100000, 16},
		{"2026-11-20T12:34:56.123456+01:00 mx x: y", 1795174496123, 33},
		{"2026-11-20T12:34:56+01:00 mx x: y", 1795174496000, 26},
		{"2026-11-20T12:34:56+0100 mx x: y", 1795174496000, 25},
		{"2026-11-20T12:34:56.123456-0330 mx x: y", 1795190696123, 32},
		{"2026-11-20T12:34:56+01 mx x: y", 1795174496000, 23},
		{"2026-11-20T12:34:56Z mx x: y", 1795178096000, 21},
		{"2026-11-20T12:34:56.5Z mx x: y", 1795178096500, 23},
		{"2026-11-20T12:34:56,25Z mx x: y", 1795178096250, 24},
		{"2026-11-20T12:34:56 mx x: y", 1795178096000, 20},
		{"2026-11-20 12:34:56 mx x: y", 1795178096000, 20},
		{"2026-11-20 12:34:56.123 mx x: y", 1795178096123, 24},
		{"Fri 2026-11-20 12:34:56 UTC mx x: y", 1795178096000, 28},
		{"Fri 2026-11-20 12:34:56 +0530 mx x: y", 1795158296000, 30},
		{"Fri 2026-11-20 12:34:56.123456 UTC mx x: y", 1795178096123, 35},
		{"1763642096.123456 mx x: y", 1763642096123, 18},
		{"1763642096 mx x: y", 1763642096000, 11},
		{"<22>1 2026-11-20T12:34:56.123456+01:00 mx x 1 - - y", 1795174496123, 39},
		{"1 2026-11-20T12:34:56Z mx x 1 - - y", 1795178096000, 23},
		{"<5>1 2026-11-20T12:34:56Z mx x 1 - - y", 1795178096000, 26},
		{"<22>Nov 20 12:34:56 mx x: y", 1795178096000, 20},
		{"<22>2026-11-20T12:34:56Z mx x: y", 1795178096000, 25},
		{"Nov 20 2026 12:34:56 mx x: y", 1795178096000, 21},
		{"Nov  1 2025 02:03:04.5 mx x: y", 1761962584500, 23},
		{"<22>Nov 20 2026 12:34:56 mx x: y", 1795178096000, 25},
		{"2000-02-29T00:00:00Z mx x: y", 951782400000, 21},
		{"1970-01-01T00:00:00Z mx x: y", 0, 21},
		{"2038-01-19T03:14:08Z mx x: y", 2147483648000, 21},
	};

	(void)state;
	use_zone("UTC");
	check_rows(rows, COUNT(rows));
}

static void what_is_no_stamp_is_refused(void **state)
{
	static const struct row rows[] = {
		{"", -1, 0},
		{"Nov 20 12:34", -1, 0},
		{"Nox 20 12:34:56 mx", -1, 0},
		{"Nov 32 12:34:56 mx", -1, 0},
		{"Nov  0 12:34:56 mx", -1, 0},
		{"Nov 20 24:34:56 mx", -1, 0},
		{"Nov 20 12:60:56 mx", -1, 0},
		{"Nov 20 12:34:61 mx", -1, 0},
		{"Nov 20 12:34:56mx", -1, 0},
		{"Nov 20 12:34:56. mx", -1, 0},
		{"2026-13-20T12:34:56Z mx", -1, 0},
		{"2026-00-20T12:34:56Z mx", -1, 0},
		{"2026-11-20T12:34:56+1 mx", -1, 0},
		{"2026-11-20T12:34:56+24:00 mx", -1, 0},
		{"2026-11-20T12:34:56+01:0 mx", -1, 0},
		{"1969-11-20T12:34:56Z mx", -1, 0},
		{"Fri 2026-11-20 12:34:56 U mx", -1, 0},
		{"lip 20 12:34:56 mx x: y", -1, 0},
		{"2026 2026-11-20 12:34:56 UTC mx", -1, 0},
		{"13月 20 12:34:56 mx", -1, 0},
		{"123456789 mx x: y", -1, 0},
		{"12345678901 mx x: y", -1, 0},
		{"<1234>1 2026-11-20T12:34:56Z mx", -1, 0},
		{"<22>2 2026-11-20T12:34:56Z mx", -1, 0},
		{"<22>>2026-11-20T12:34:56Z mx", -1, 0},
		{"Nov 20 1969 12:34:56 mx x: y", -1, 0},
		{"Nov 20 02026 12:34:56 mx x: y", -1, 0},
		{"Nov 20 2026 12:34 mx x: y", -1, 0},
		{"-- Journal begins at Fri 2026-11-20 --", -1, 0},
		{"some text that is no log at all", -1, 0},
	};

	(void)state;
	use_zone("UTC");
	check_rows(rows, COUNT(rows));
}

static void stamps_without_zone_are_local(void **state)
{
	static const struct row rows[] = {
		{"Nov 20 12:34:56 mx x: y", 1795174496000, 16},
		{"Jul 20 12:34:56 mx x: y", 1784543696000, 16},
		{"2026-11-20T12:34:56 mx x: y", 1795174496000, 20},
		{"Fri 2026-11-20 12:34:56 CET mx x: y", 1795174496000, 28},
		{"Mon 2026-07-20 12:34:56 CEST mx x: y", 1784543696000, 29},
		{"Fri 2026-11-20 12:34:56 UTC mx x: y", 1795178096000, 28},
		{"2026-11-20T12:34:56Z mx x: y", 1795178096000, 21},
		/*
		 * the hour that does not exist, and the one that exists twice: any time near will
		 * do
		 */
		{"2026-03-29T01:59:59 mx x: y", 1774745999000, 20},
		{"2026-03-29T03:00:00 mx x: y", 1774746000000, 20},
	};

	(void)state;
	use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	check_rows(rows, COUNT(rows));
	use_zone("UTC");
}

static void hours_of_a_change_of_time_are_near(void **state)
{
	static const struct {
		const char *line;
		int64_t about_ms;
	} rows[] = {
		{"2026-03-29T02:30:00 mx", 1774747800000},
		{"2026-10-25T02:30:00 mx", 1792890000000},
	};
	struct maillog_timestamps stamps;
	int64_t wall_ms;
	size_t stamp_length;

	(void)state;
	use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	maillog_timestamp_begin(&stamps, LATEST_S, 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(maillog_timestamp_read(&stamps, rows[i].line, strlen(rows[i].line),
						   &wall_ms, &stamp_length));
		assert_in_range(wall_ms - rows[i].about_ms + 3600000, 0, 7200000);
	}
	use_zone("UTC");
}

struct local {
	const char *stamp;
	int64_t wall_s;
};

static void check_locals(const char *zone, const struct local *rows, size_t count)
{
	struct maillog_timestamps stamps;
	int64_t wall_ms;
	size_t stamp_length;

	use_zone(zone);
	maillog_timestamp_begin(&stamps, LATEST_S, 0);
	for (size_t i = 0; i < count; i++) {
		assert_true(maillog_timestamp_read(&stamps, rows[i].stamp, strlen(rows[i].stamp),
						   &wall_ms, &stamp_length));
		if (wall_ms != 1000 * rows[i].wall_s)
			fail_msg("%s: %lld", rows[i].stamp, (long long)(wall_ms / 1000));
	}
	use_zone("UTC");
}

static void the_hour_that_is_there_twice_is_read_twice(void **state)
{
	static const struct local berlin[] = {
		{"Oct 25 01:59:59", 1792886399}, {"Oct 25 02:00:01", 1792886401},
		{"Oct 25 01:59:59", 1792886399}, {"Oct 25 02:59:59", 1792889999},
		{"Oct 25 02:56:00", 1792889760}, {"Oct 25 02:59:59", 1792889999},
		{"Oct 25 02:00:00", 1792890000}, {"Oct 25 02:31:00", 1792891860},
		{"Oct 25 02:29:00", 1792891740}, {"Oct 25 02:59:00", 1792893540},
		{"Oct 25 03:00:00", 1792893600}, {"Oct 25 02:59:59", 1792893599},
		{"Oct 25 03:00:01", 1792893601},
	};
	/* By half an hour. */
	static const struct local lord_howe[] = {
		{"Apr  5 01:29:00", 1775312940}, {"Apr  5 01:31:00", 1775313060},
		{"Apr  5 01:59:59", 1775314799}, {"Apr  5 01:30:00", 1775314800},
		{"Apr  5 01:45:00", 1775315700}, {"Apr  5 01:59:00", 1775316540},
		{"Apr  5 02:00:00", 1775316600},
	};

	(void)state;
	check_locals("CET-1CEST,M3.5.0,M10.5.0/3", berlin, COUNT(berlin));
	check_locals("LHST-10:30LHDT-11,M10.1.0/2,M4.1.0/2", lord_howe, COUNT(lord_howe));
}

static int year_of(struct maillog_timestamps *stamps, const char *stamp)
{
	int64_t wall_ms;
	size_t stamp_length;
	struct tm tm;
	time_t seconds;

	assert_true(maillog_timestamp_read(stamps, stamp, strlen(stamp), &wall_ms, &stamp_length));
	seconds = (time_t)(wall_ms / 1000);
	assert_non_null(gmtime_r(&seconds, &tm));
	return tm.tm_year + 1900;
}

struct years {
	const char *label;
	int64_t latest_s;
	struct {
		const char *stamp;
		int year;
	} lines[6];
};

static void the_year_is_guessed(void **state)
{
	static const struct years rows[] = {
		{"this year",
		 LATEST_S,
		 {{"Nov 20 23:00:00", 2026}, {"Nov 20 23:59:59", 2026}, {"Nov 21 00:00:00", 2026}}},
		{"the year before: the file is not that young",
		 LATEST_S,
		 {{"Dec  1 00:00:00", 2025}, {"Dec 31 23:59:59", 2025}, {"Jan  1 00:00:00", 2026}}},
		{"the clock of another host runs ahead",
		 LATEST_S,
		 {{"Nov 21 12:00:00", 2026}, {"Nov 21 12:00:01", 2026}}},
		{"lines that are not sorted, at the turn of the year",
		 LATEST_S,
		 {{"Dec 31 23:59:58", 2025},
		  {"Jan  1 00:00:00", 2026},
		  {"Dec 31 23:59:59", 2025},
		  {"Jan  1 00:00:01", 2026},
		  {"Dec 31 23:00:00", 2025},
		  {"Jan  2 00:00:01", 2026}}},
		{"lines that are not sorted, at a month's end",
		 LATEST_S,
		 {{"Oct 31 23:59:59", 2026}, {"Nov  1 00:00:00", 2026}, {"Oct 31 23:59:58", 2026}}},
		{"nothing for months",
		 LATEST_S,
		 {{"Nov 30 00:00:00", 2025}, {"Mar  1 00:00:00", 2026}, {"Nov  1 00:00:00", 2026}}},
		{"a year's silence",
		 LATEST_S,
		 {{"Dec 30 00:00:00", 2025}, {"Aug  1 00:00:00", 2026}}},
		{"files in the wrong order: there is no later year to go to",
		 LATEST_S,
		 {{"Nov 15 00:00:00", 2026}, {"Nov 20 00:00:00", 2026}, {"Nov  1 00:00:00", 2026}}},
		{"a full year: order counts more than the file's time",
		 LATEST_S,
		 {{"Nov 21 00:00:00", 2026},
		  {"Nov 26 00:00:00", 2026},
		  {"Dec 30 00:00:00", 2026},
		  {"Jan  2 00:00:00", 2027},
		  {"Jun  1 00:00:00", 2027},
		  {"Nov 20 00:00:00", 2027}}},
		{"a garbled month",
		 LATEST_S,
		 {{"Nov  9 00:00:00", 2026},
		  {"Jan  9 00:00:00", 2026},
		  {"Nov  9 00:00:01", 2026},
		  {"Nov 10 00:00:00", 2026}}},
		{"a garbled month of an old file",
		 LATEST_S + 200 * (int64_t)DAY_S,
		 {{"Nov  9 00:00:00", 2026},
		  {"Jan  9 00:00:00", 2027},
		  {"Nov  9 00:00:01", 2026},
		  {"Dec  9 00:00:00", 2026},
		  {"Nov 10 00:00:00", 2026},
		  {"Jan  1 00:00:00", 2027}}},
		{"two garbled months of an old file",
		 LATEST_S + 200 * (int64_t)DAY_S,
		 {{"Nov  9 00:00:00", 2026},
		  {"Jan  9 00:00:00", 2027},
		  {"Nov  9 00:00:01", 2026},
		  {"Mar  9 00:00:00", 2027},
		  {"Nov  9 00:00:02", 2026},
		  {"Nov  9 00:00:03", 2026}}},
		{"a clock that began anew",
		 LATEST_S,
		 {{"Nov 20 00:00:00", 2026},
		  {"Jan  1 00:00:05", 2026},
		  {"Jan  1 00:00:06", 2026},
		  {"Nov 20 00:10:00", 2026}}},
		{"a leap day of the past",
		 LATEST_S,
		 {{"Feb 29 12:00:00", 2024}, {"Mar  1 00:00:00", 2024}}},
		{"a leap day of this year",
		 1709251200, /* 2024-03-01 */
		 {{"Feb 28 12:00:00", 2024}, {"Feb 29 12:00:00", 2024}, {"Mar  1 00:00:00", 2024}}},
		{"a file with no time", 0, {{"Nov 20 12:00:00", 1970}, {"Nov 21 12:00:00", 1970}}},
	};

	(void)state;
	use_zone("UTC");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct maillog_timestamps stamps;

		maillog_timestamp_begin(&stamps, rows[i].latest_s, 0);
		for (size_t j = 0; j < COUNT(rows[i].lines) && rows[i].lines[j].stamp != NULL;
		     j++) {
			int year = year_of(&stamps, rows[i].lines[j].stamp);

			if (year != rows[i].lines[j].year)
				fail_msg("%s: %s is of %d", rows[i].label, rows[i].lines[j].stamp,
					 year);
		}
	}
}

static void a_survey_tells_the_first_year(void **state)
{
	static const struct {
		const char *label;
		int64_t latest_s;
		int first_year;
		const char *stamps[9];
	} rows[] = {
		{"none without a year", LATEST_S, 0, {"2026-11-20T00:00:00Z"}},
		{"one", LATEST_S, 2026, {"Nov 20 00:00:00"}},
		{"more than a year",
		 LATEST_S,
		 2025,
		 {"Oct  1 00:00:00", "Nov  1 00:00:00", "Jan  1 00:00:00", "Jun  1 00:00:00",
		  "Nov  1 00:00:00", "Nov  2 00:00:00"}},
		{"files in the wrong order",
		 LATEST_S,
		 2026,
		 {"Nov 10 00:00:00", "Nov 20 00:00:00", "Nov  1 00:00:00", "Nov  2 00:00:00"}},
		{"a clock that began anew",
		 LATEST_S,
		 2026,
		 {"Nov 20 00:00:00", "Jan  1 00:00:05", "Jan  1 00:00:06", "Nov 20 00:10:00",
		  "Nov 20 00:10:01"}},
		{"a garbled month",
		 LATEST_S,
		 2026,
		 {"Nov  9 00:00:00", "Jan  9 00:00:00", "Nov  9 00:00:01", "Nov 10 00:00:00"}},
		{"a file with no time", 0, 1970, {"Nov 20 12:00:00", "Nov 21 12:00:00"}},
	};

	(void)state;
	use_zone("UTC");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct maillog_timestamps stamps;
		int64_t wall_ms;
		size_t stamp_length;

		maillog_timestamp_survey(&stamps, rows[i].latest_s);
		for (size_t j = 0; j < COUNT(rows[i].stamps) && rows[i].stamps[j] != NULL; j++)
			assert_true(maillog_timestamp_read(&stamps, rows[i].stamps[j],
							   strlen(rows[i].stamps[j]), &wall_ms,
							   &stamp_length));
		if (maillog_timestamp_first_year(&stamps) != rows[i].first_year)
			fail_msg("%s: %d", rows[i].label, maillog_timestamp_first_year(&stamps));
	}
}

static void lines_of_an_hour_are_read_alike(void **state)
{
	struct maillog_timestamps stamps;
	int64_t wall_ms;
	size_t stamp_length;

	(void)state;
	use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	maillog_timestamp_begin(&stamps, LATEST_S, 0);
	for (int second = 0; second < 2 * DAY_S; second += 61) {
		char line[64];

		snprintf(line, sizeof(line), "Nov %2d %02d:%02d:%02d mx x: y", 1 + second / DAY_S,
			 second / 3600 % 24, second / 60 % 60, second % 60);
		assert_true(maillog_timestamp_read(&stamps, line, strlen(line), &wall_ms,
						   &stamp_length));
		assert_int_equal(wall_ms, (1793487600 + (int64_t)second) * 1000);
	}
	use_zone("UTC");
}

static void cut_and_garbled_stamps_are_harmless(void **state)
{
	static const char *const lines[] = {
		"Nov  1 02:03:04.5 mx x: y",
		"2026-11-20T12:34:56.123456+01:00 mx x: y",
		"Fri 2026-11-20 12:34:56.1 CET mx x: y",
		"1763642096.123456 mx x: y",
		"<22>1 2026-11-20T12:34:56Z mx x 1 - - y",
	};
	static const char bytes[] = {'\0', '\xff', '\n', ' ', '9', ':', '-', '+', 'Z'};
	struct maillog_timestamps stamps;
	int64_t wall_ms;
	size_t stamp_length;

	(void)state;
	maillog_timestamp_begin(&stamps, LATEST_S, 0);
	for (size_t i = 0; i < COUNT(lines); i++) {
		size_t length = strlen(lines[i]);

		for (size_t cut = 0; cut <= length; cut++) {
			if (read_exactly(&stamps, lines[i], cut, &wall_ms, &stamp_length))
				assert_in_range(stamp_length, 10, cut);
			for (size_t j = 0; j < COUNT(bytes); j++) {
				char garbled[64];

				memcpy(garbled, lines[i], length);
				garbled[cut] = bytes[j];
				if (read_exactly(&stamps, garbled, length, &wall_ms, &stamp_length))
					assert_in_range(stamp_length, 10, length);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_stamp_is_read),
		cmocka_unit_test(what_is_no_stamp_is_refused),
		cmocka_unit_test(stamps_without_zone_are_local),
		cmocka_unit_test(hours_of_a_change_of_time_are_near),
		cmocka_unit_test(the_hour_that_is_there_twice_is_read_twice),
		cmocka_unit_test(the_year_is_guessed),
		cmocka_unit_test(a_survey_tells_the_first_year),
		cmocka_unit_test(lines_of_an_hour_are_read_alike),
		cmocka_unit_test(cut_and_garbled_stamps_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
