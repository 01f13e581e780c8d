/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log events: one line each, `event: key=value key=value ...`, nothing but printable ASCII in it.
 */
#ifndef TARPIT_BASE_LOG_H
#define TARPIT_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Longest value after escaping, quotes included, and longest line, in bytes. Longer ones are cut.
 */
#define LOG_VALUE_MAX 200
#define LOG_LINE_MAX 3000

/* Priorities are syslog's (LOG_WARNING ...). */
typedef void log_sink(int priority, const char *line);

/* An event being put together, on its caller's stack and for one thread. */
struct log_line {
	int priority;
	bool wanted;		/* urgent enough for the level */
	size_t length;
	char text[LOG_LINE_MAX];
};

/* One for each message that could come in floods. Zeroed at first; threads may share it. */
struct log_limit {
	_Atomic int64_t next_ms;
};

/*
 * Lines go to sink from now on. At first, and for NULL, that is stderr: a line that its reader does
 * not take at once is lost, and counted. Thread-safe.
 */
void log_to(log_sink *sink);
/* For sinks: the line that tells how many lines nobody took. text holds LOG_LOST_MAX. */
#define LOG_LOST_MAX 100
void log_lost(char *text, unsigned lost);
/* A sink has lost a line; and how many there were, of all sinks. Thread-safe. */
void log_count_lost(void);
uint64_t log_lost_total(void);
/* The least urgent priority that is still logged. Thread-safe. */
void log_set_level(int priority);

/*
 * All three are thread-safe. log_put escapes, quotes and cuts the value, and never leaves one out
 * for its content.
 */
void log_begin(struct log_line *line, int priority, const char *event);
void log_put(struct log_line *line, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void log_end(struct log_line *line);

/* A whole event with the one key `warning`, `error` or `info`, after its priority. Thread-safe. */
void log_message(int priority, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* True at most once a minute for this limit, or once in so long a time. Thread-safe. */
bool log_allowed(struct log_limit *limit);
bool log_allowed_every(struct log_limit *limit, int64_t ms);

/* LOG_MAIL for "mail", LOG_INFO for "info", ...; -1 for a name that is none. */
int log_facility(const char *name);
int log_priority(const char *name);

#endif
