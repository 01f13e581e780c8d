/* SPDX-License-Identifier: BSD-2-Clause */
/* The file that a picture goes to, which must not be one that somebody needs. */
#ifndef TARPIT_REPLAY_SVG_FILE_H
#define TARPIT_REPLAY_SVG_FILE_H

#include "report.h"

struct replay_svg_file {
	const char *path;	/* the caller's */
	int fd;
	bool is_new;
};

/*
 * Opens path for the picture, before the logs are read: a file that is there must be empty or a
 * picture, and none of the logs, and is left as it is. Returns a sysexits code, EX_OK if so, with
 * the reason in error if not.
 */
int replay_svg_file_open(struct replay_svg_file *file, const char *path,
			 const struct replay_file *logs, size_t count, char *error, size_t size);
/* Draws over what the file held, and closes it. The same returns. */
int replay_svg_file_draw(const struct replay_svg_file *file, const struct replay_report *report,
			 char *error, size_t size);
/* Closes the file without a picture, and removes it if it was not there before. */
void replay_svg_file_cancel(const struct replay_svg_file *file);

#endif
