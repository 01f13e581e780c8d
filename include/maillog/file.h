/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a log file, plain or gzip, or of standard input, in constant memory; knows zlib. */
#ifndef TARPIT_MAILLOG_FILE_H
#define TARPIT_MAILLOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer lines are cut, and the rest of them is passed over. */
#define MAILLOG_LINE_MAX 8192

/* For one thread at a time. */
struct maillog_file;

/* path may be "-", standard input. NULL with the reason, which names the path, in error. */
struct maillog_file *maillog_file_open(const char *path, char *error, size_t size);
/*
 * The next line without its end ("\n" or "\r\n"), NUL-terminated though it may hold NULs, valid
 * until the next call. False at the end of the file, or at a fault that maillog_file_error tells:
 * the lines before that are good. Blocks as read(2) does.
 */
bool maillog_file_line(struct maillog_file *file, const char **line, size_t *length);
/* What ended the file too early, with the path and without it, as long as file; NULL: nothing. */
const char *maillog_file_error(const struct maillog_file *file);
const char *maillog_file_reason(const struct maillog_file *file);
/* Bytes as they are stored, compressed or not: those read, and all, which is 0 for a pipe. */
void maillog_file_progress(const struct maillog_file *file, int64_t *done, int64_t *total);
/* When the file was last written, in seconds since the epoch; now for a pipe. */
int64_t maillog_file_changed_s(const struct maillog_file *file);
void maillog_file_close(struct maillog_file *file);	/* NULL is allowed */

#endif
