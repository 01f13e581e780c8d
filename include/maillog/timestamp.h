/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time stamps of logs: syslog's "Nov  1 02:03:04" without a year or with one behind the day, RFC 3339
 * with or without fractions, RFC 5424, journalctl's short-iso, short-full and short-unix; each with
 * or without syslog's "<22>" before it.
 */
#ifndef TARPIT_MAILLOG_TIMESTAMP_H
#define TARPIT_MAILLOG_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stamp whose year was guessed, as if it were UTC; year 0: none. */
struct maillog_guess {
	int year;
	int64_t seconds;
	bool is_forced;		/* by latest_s, against the order of the lines */
};

/* One for each stream of lines, for one thread. */
struct maillog_timestamps {
	int64_t latest_s;	/* no line is younger: where the year is to be guessed */
	int first_year;		/* of the first such line; 0: it is to be guessed too */
	bool is_survey;
	bool is_lost;		/* the year of some lines could not be told */
	struct maillog_guess last;
	/* far from last, and not borne out by another stamp yet: it may be garbled */
	struct maillog_guess doubtful;
	/*
	 * When a half hour of local time began, so that mktime is not asked for each line; and when
	 * again, where clocks were set back, else the same.
	 */
	int64_t half_key, half_s, again_s;
	int64_t last_local_s;
};

/* latest_s: when the file was last written, seconds since the epoch. */
void maillog_timestamp_begin(struct maillog_timestamps *stamps, int64_t latest_s);
/*
 * The same, to read all lines beforehand; after that maillog_timestamp_first_year gives the first_year of a
 * log that may be of more than a year, 0 if it has none without one.
 */
void maillog_timestamp_survey(struct maillog_timestamps *stamps, int64_t latest_s);
int maillog_timestamp_first_year(const struct maillog_timestamps *stamps);
/*
 * Milliseconds since the epoch of the stamp that the line begins with, and its length with the
 * blank after it. False if there is none. A stamp without a zone, or with a zone's name that is
 * not UTC, is local time (TZ); in the hour that is there twice, it is the first one until the clock
 * of the log steps back. Times step back where the log's lines do, as they do that are not
 * sorted.
 */
bool maillog_timestamp_read(struct maillog_timestamps *stamps, const char *line, size_t length, int64_t *wall_ms,
		  size_t *stamp_length);

#endif
