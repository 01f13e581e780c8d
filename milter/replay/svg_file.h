/* SPDX-License-Identifier: BSD-2-Clause */
/* The file that a picture is to be in, which is never one that somebody needs. */
#ifndef TARPIT_REPLAY_SVG_FILE_H
#define TARPIT_REPLAY_SVG_FILE_H

#include <stddef.h>

#include "report.h"

/*
 * Whether there could be a picture, without leaving a trace: a file that is there must be empty or a
 * picture, and none of the logs. Returns a sysexits code, EX_OK if so, with the reason in error if not.
 */
int canvas_check(const char *path, const struct replay_file *files, size_t count, char *error,
		 size_t size);
/* Draws in a new file that takes the place of the old one when it is complete. The same returns. */
int canvas_draw(const char *path, const struct replay_report *report, char *error, size_t size);

#endif
