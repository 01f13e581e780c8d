/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes log lines to syslog(3) from a thread of its own, so that no session waits for the log
 * daemon. Lines that find the queue full are left out, counted, and told of by a `limits` line.
 */
#ifndef TARPIT_BASE_LOG_WRITER_H
#define TARPIT_BASE_LOG_WRITER_H

#include <stdint.h>

/* Lines that wait for the log daemon at most, each of LOG_LINE_MAX bytes at most. */
#define LOG_WRITER_QUEUE 1024

/*
 * Log lines go to syslog(3) from now on: at once until the writer has started, by its queue then.
 */
void log_writer_open(int facility);
/* Starts the thread: not before the last fork. 0 or an errno. */
int log_writer_start(void);
/* Waits until all lines are written, timeout_ms at most. Thread-safe. */
void log_writer_flush(int64_t timeout_ms);

#endif
