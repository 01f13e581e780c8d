/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time stamps of logs: syslog's "Nov  1 02:03:04" without a year or with one behind the day, RFC
 * 3339 with or without fractions, RFC 5424, journalctl's short-iso, short-full and short-unix; each
 * with or without syslog's "<22>" before it. Names may be of another language. A container's stamp
 * stands in front of the line's own, and counts.
 */
#ifndef TARPIT_MAILLOG_TIMESTAMP_H
#define TARPIT_MAILLOG_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stamp whose year was guessed. */
struct maillog_guess {
	int year;		/* 0: none */
	int64_t seconds;	/* since the epoch, as if the stamp were UTC */
	bool is_forced;		/* by latest_s, against the order of the lines */
};

/* How the years of stamps without one go on. */
struct maillog_years {
	int64_t latest_s;	/* no line is younger than the file, in seconds since the epoch */
	int first;		/* year of the first such stamp; 0: not known yet */
	bool is_survey;		/* only the order of the lines counts, not latest_s */
	bool is_lost;		/* the years of some lines could not be told */
	struct maillog_guess last;
	/* Far from last, and not borne out by another stamp yet: this one may be garbled. */
	struct maillog_guess doubtful;
};

/* The half hour of local time that was looked up last, so that mktime is not asked each time. */
struct maillog_half_hour {
	int64_t key;		/* -1: none */
	int64_t begin_s;	/* seconds since the epoch */
	int64_t again_s;	/* where clocks were set back: its second begin; else begin_s */
	int64_t last_s;		/* the last line's */
};

/* One for each stream of lines, for one thread. */
struct maillog_timestamps {
	struct maillog_years years;
	struct maillog_half_hour half_hour;
};

/*
 * latest_s: when the file was last written, seconds since the epoch. first_year is that of the
 * first stamp without one, as maillog_timestamp_first_year told; 0: to be guessed.
 */
void maillog_timestamp_begin(struct maillog_timestamps *stamps, int64_t latest_s, int first_year);
/*
 * A log of more than a year needs to be read twice: after the first time, begun by this and with
 * all lines read, maillog_timestamp_first_year gives the year that the log must have begun in so as
 * to end by latest_s; 0 if every stamp has a year.
 */
void maillog_timestamp_survey(struct maillog_timestamps *stamps, int64_t latest_s);
int maillog_timestamp_first_year(const struct maillog_timestamps *stamps);
/*
 * Reads the stamp that the line begins with: milliseconds since the epoch, and the stamp's length
 * with what is before it, the blank after it, and further stamps. False if there is none. A stamp
 * without a zone, or with a zone's name that is not UTC, is local time (TZ); in the hour that a
 * change of clocks repeats, the first one until the log steps back. Times step back where the log's
 * lines do.
 */
bool maillog_timestamp_read(struct maillog_timestamps *stamps, const char *line, size_t length,
			    int64_t *wall_ms, size_t *stamp_length);
/* Whether the line begins with a stamp of syslog's whose month no language that is read has. */
bool maillog_timestamp_is_foreign(const char *line, size_t length);
/* The length of a stamp that text begins with, and of the blank after it; 0: there is none. */
size_t maillog_timestamp_length(const char *text, size_t length);

#endif
