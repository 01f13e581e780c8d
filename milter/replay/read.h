/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads log files into a drive, merged by time. For one thread. */
#ifndef TARPIT_REPLAY_READ_H
#define TARPIT_REPLAY_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drive.h"

#define REPLAY_DAMAGE_MAX 160
#define REPLAY_SAMPLE_MAX 120

struct replay_file {
	const char *path;	/* the caller's; "-" is standard input */
	int64_t first_ms;	/* since the epoch, of the first line; INT64_MIN for a pipe */
	int first_year;		/* of the first stamp without one; 0: to be guessed */
	uint64_t filled, stamped;	/* lines that are not blank; those with a time stamp */
	char damage[REPLAY_DAMAGE_MAX];	/* why only a part has been read; empty: all has been */
};

/* What a sample is the first of: a later kind takes the place of an earlier one. */
enum replay_sample {
	REPLAY_SAMPLE_NONE,
	REPLAY_SAMPLE_ANY,
	REPLAY_SAMPLE_UNREADABLE,
	REPLAY_SAMPLE_UNSTAMPED,	/* unreadable, for it has no time stamp that is known */
	REPLAY_SAMPLE_FOREIGN,		/* unstamped, for its month is of another language */
};

/* How many lines there were, and what became of them. */
struct replay_lines {
	const char *service;	/* the caller's: see maillog_line_parse_service; NULL: none */
	uint64_t read, other, unreadable;
	uint64_t blank;		/* of other: empty, or a remark of journalctl's */
	uint64_t of_mta;	/* of Postfix or Sendmail, and readable */
	uint64_t of_service;	/* of a session of Postfix that is read */
	uint64_t submission;	/* of services for the site's own users */
	/*
	 * More than a day ahead of most lines that follow, and so unreadable; or more than a day
	 * behind, and taken as of the line before.
	 */
	uint64_t misdated;
	char *first_unreadable;	/* FILE:LINE, the caller's to free; NULL: none */
	/* The begin of a line that tells why so little was understood, and where that line is. */
	enum replay_sample sample_kind;
	char sample[REPLAY_SAMPLE_MAX];
	const char *sample_path;
	uint64_t sample_number;
	/* Private: what first_unreadable names. */
	const char *first_path;
	uint64_t first_number;
};

/*
 * Fills in first_ms and first_year, and sorts the files by first_ms. False with the reason in error
 * if a file can't be opened, or is so damaged that it has no line.
 */
bool replay_read_order(struct replay_file *files, size_t count, char *error, size_t size);
/*
 * Reads all files, as replay_read_order has sorted them: rotated logs one after the other, logs of
 * several machines side by side. Shows its progress on stderr if that is a terminal. Of a file that
 * breaks off the lines before that count; stderr and damage tell why. False as above.
 */
bool replay_read_all(struct replay_drive *drive, struct replay_file *files, size_t count,
		     struct replay_lines *lines, char *error, size_t size);

#endif
