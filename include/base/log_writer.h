/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where log lines go: nobody who logs ever waits for who reads. What can't be taken in time is left out,
 * counted, and told of by a `limits` line. Thread-safe, except for the two that begin.
 */
#ifndef TARPIT_BASE_LOG_WRITER_H
#define TARPIT_BASE_LOG_WRITER_H

#include <stdint.h>

/* Lines that wait for the log daemon at most, each of LOG_LINE_MAX bytes at most. */
#define LOG_WRITER_QUEUE 1024

/* To stderr, unless it would wait: a pipe that nobody reads. */
void log_writer_stderr(int priority, const char *line);

/* To syslog(3) at once until the writer has begun, by its queue then. */
void log_writer_open_syslog(int facility);
void log_writer_syslog(int priority, const char *line);
/* A thread that waits in syslog(3) for all others; not before the last fork. An error number, or 0. */
int log_writer_start(void);
/* Waits until all lines are written, so long at most. */
void log_writer_flush(int64_t timeout_ms);

#endif
