/* SPDX-License-Identifier: BSD-2-Clause */
/* One log file: its lines that have a time stamp which can be believed. For one thread. */
#ifndef TARPIT_REPLAY_SOURCE_H
#define TARPIT_REPLAY_SOURCE_H

#include "maillog/file.h"
#include "maillog/timestamp.h"
#include "read.h"

#define REPLAY_AHEAD_MAX 64

struct replay_stamped {
	const char *text;	/* valid until the next line is read */
	size_t length, stamp_length;
	int64_t wall_ms;	/* since the epoch */
	uint64_t number;	/* of the line in its file, from 1 on */
};

/* A line that has been read ahead of its time. */
struct replay_kept {
	struct replay_stamped line;
	char *text;
	size_t size;
};

struct replay_source {
	struct replay_source *next;
	struct replay_file *from;
	struct maillog_file *file;
	struct maillog_timestamps stamps;
	struct replay_stamped line;	/* the present one */
	uint64_t number;		/* lines read up to now */
	int64_t last_ms;		/* since the epoch: the youngest line before */
	struct replay_kept ahead[REPLAY_AHEAD_MAX];	/* a ring of what follows line */
	size_t ahead_first, ahead_count;
	struct replay_kept refused;	/* the line before, if it is of a refusal; else length 0 */
	char unwrapped[MAILLOG_LINE_MAX];	/* the line that was read last, if it was JSON */
};

/* from stays the caller's. NULL with the reason in error. */
struct replay_source *replay_source_open(struct replay_file *from, char *error, size_t size);
void replay_source_close(struct replay_source *source);
/*
 * Goes on to the next line with a stamp that can be believed; false at the end. The clock of a
 * replay never goes back, so a stamp far ahead, garbled or of a clock that was wrong for a moment,
 * must not move it to the end of time.
 */
bool replay_source_next(struct replay_source *source, struct replay_lines *lines);
/* Keeps a copy of the present line, a refusal, for syslogd may say that it was repeated. */
void replay_source_keep_refused(struct replay_source *source);
/* Counts an unreadable line, and names the first such line. */
void replay_source_unreadable(const struct replay_source *source, struct replay_lines *lines,
			      const struct replay_stamped *line);
/* Whether the file is damaged, or of a foreign format, from its begin on; the reason in error. */
bool replay_source_is_illegible(const struct replay_source *source, char *error, size_t size);
/* "-" as "standard input". */
const char *replay_source_name(const char *path);

#endif
