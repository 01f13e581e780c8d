/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads log files into a drive, merged by time. For one thread. */
#ifndef TARPIT_REPLAY_READ_H
#define TARPIT_REPLAY_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drive.h"

#define REPLAY_DAMAGE_MAX 160

struct replay_file {
	const char *path;
	int64_t first_ms;	/* of its first line; INT64_MIN for what can be read but once, as "-" */
	int first_year;		/* of its first stamp without one; 0: it is to be guessed */
	char damage[REPLAY_DAMAGE_MAX];	/* why it has been read in part only; empty if it has not */
};

struct replay_lines {
	uint64_t read, other, unreadable;
	uint64_t submission;	/* of services for the site's own users */
	/* far ahead of most lines after it, so unreadable; or far behind, and taken as of before */
	uint64_t misdated;
	char *first_unreadable;		/* FILE:LINE; NULL: none */
	/* private: what it names */
	const char *first_path;
	uint64_t first_number;
};

/*
 * Fills in first_ms and first_year, and puts the files in its order. False with the reason in error if one can't be
 * opened, or is so damaged that it has no line.
 */
bool replay_read_order(struct replay_file *files, size_t count, char *error, size_t size);
/*
 * Reads them all, which replay_read_order has put in order: rotated logs one after the other, logs of several
 * machines side by side. Shows how far it has come on stderr if that is a terminal. A file that breaks off
 * is said on stderr, and counts as far as it goes. False as above.
 */
bool replay_read_all(struct replay_drive *drive, struct replay_file *files, size_t count,
		 struct replay_lines *lines, char *error, size_t size);

#endif
