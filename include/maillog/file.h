/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a log file, plain or gzip, or of standard input, in constant memory; knows zlib. */
#ifndef TARPIT_MAILLOG_FILE_H
#define TARPIT_MAILLOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer lines are cut, and the rest of them is passed over. */
#define LOGFILE_LINE_MAX 8192

struct logfile;

/* path may be "-". NULL with the reason, which names the path, in error. */
struct logfile *logfile_open(const char *path, char *error, size_t size);
/*
 * The next line without its end ("\n" or "\r\n"), NUL-terminated though it may hold NULs, valid
 * until the next call. False at the end, or at a fault that logfile_error tells: what came before
 * it is good.
 */
bool logfile_line(struct logfile *file, const char **line, size_t *length);
const char *logfile_error(const struct logfile *file);	/* NULL: none. It names the path */
const char *logfile_reason(const struct logfile *file);	/* the same, without the path */
/* Bytes of the file as it is, compressed or not: those read, and all; total is 0 for a pipe. */
void logfile_progress(const struct logfile *file, int64_t *done, int64_t *total);
int64_t logfile_changed_s(const struct logfile *file);	/* last written; now for a pipe */
void logfile_close(struct logfile *file);

#endif
