/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a log file, plain or gzip, or of standard input, in constant memory; knows zlib. */
#ifndef TARPIT_MAILLOG_FILE_H
#define TARPIT_MAILLOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer lines are cut, and the rest of them is passed over. */
#define MAILLOG_LINE_MAX 8192

struct maillog_file;

/* path may be "-". NULL with the reason, which names the path, in error. */
struct maillog_file *maillog_file_open(const char *path, char *error, size_t size);
/*
 * The next line without its end ("\n" or "\r\n"), NUL-terminated though it may hold NULs, valid
 * until the next call. False at the end, or at a fault that maillog_file_error tells: what came before
 * it is good.
 */
bool maillog_file_line(struct maillog_file *file, const char **line, size_t *length);
const char *maillog_file_error(const struct maillog_file *file);	/* NULL: none. It names the path */
const char *maillog_file_reason(const struct maillog_file *file);	/* the same, without the path */
/* Bytes of the file as it is, compressed or not: those read, and all; total is 0 for a pipe. */
void maillog_file_progress(const struct maillog_file *file, int64_t *done, int64_t *total);
int64_t maillog_file_changed_s(const struct maillog_file *file);	/* last written; now for a pipe */
void maillog_file_close(struct maillog_file *file);

#endif
