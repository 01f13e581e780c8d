/* SPDX-License-Identifier: BSD-2-Clause */
/* What a replay has found: as text, as JSON, as a picture in SVG. For one thread. */
#ifndef TARPIT_REPLAY_REPORT_H
#define TARPIT_REPLAY_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "drive.h"
#include "read.h"

/* "2026-11-01 02:03:04" and its NUL, with room for any year. */
#define REPLAY_TIME_MAX 40
/* Worst clients, innocents, and candidates for traps, that can be asked for. */
#define REPLAY_ROWS_MAX 1000

struct replay_report {
	struct replay_drive *drive;
	const struct replay_lines *lines;
	const struct replay_file *files;
	size_t files_count;
	size_t rows;		/* of worst clients, and so on; REPLAY_ROWS_MAX at most */
	unsigned width;		/* columns of the terminal */
	bool is_utf8;		/* the terminal can show block characters */
};

void replay_text_print(const struct replay_report *report, FILE *out);
/* False if the picture could not be written. */
bool replay_svg_draw(const struct replay_report *report, FILE *out);
/* NULL if out of memory. */
json_t *replay_json(const struct replay_report *report);

enum replay_time_form { REPLAY_TIME_MOMENT, REPLAY_TIME_DATE, REPLAY_TIME_CLOCK };
/* Local time: all of it, or a part. text holds REPLAY_TIME_MAX; returned too. */
const char *replay_text_time(int64_t wall_ms, enum replay_time_form form, char *text);
/*
 * "1.5 s", "12 s", "3 min 20 s", "2 h 5 min", "20 d 3 h". text holds REPLAY_TIME_MAX; returned too.
 */
const char *replay_text_duration(int64_t ms, char *text);
/* A copy in which all but printable ASCII is \xHH, cut to size with the NUL; returned too. */
const char *replay_text_plain(const char *from, char *text, size_t size);

#endif
