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

/* Log lines go to syslog(3) from now on: at once until the writer has started, by its queue then. */
void log_writer_open(int facility);
/* A thread that waits in syslog(3) for all others; not before the last fork. An error number, or 0. */
int log_writer_start(void);
/* Waits until all lines are written, so long at most. */
void log_writer_flush(int64_t timeout_ms);

#endif
