/* SPDX-License-Identifier: BSD-2-Clause */
/* Puts log lines together, and writes them to stderr unless another sink is installed. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/printable.h"

#define MINUTE_MS 60000

static _Atomic uint64_t lost_total;

void log_count_lost(void)
{
	atomic_fetch_add_explicit(&lost_total, 1, memory_order_relaxed);
}

uint64_t log_lost_total(void)
{
	return atomic_load_explicit(&lost_total, memory_order_relaxed);
}

void log_lost(char *text, unsigned lost)
{
	snprintf(text, LOG_LOST_MAX, "limits: warning=\"%u log line%s lost: nobody took %s\"", lost,
		 lost == 1 ? "" : "s", lost == 1 ? "it" : "them");
}

/* One write a line, so that the lines of many threads don't mix. False if the write would wait. */
static bool write_line(const char *line)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	char text[LOG_LINE_MAX + 2];
	int length = snprintf(text, sizeof(text), "%s\n", line);

	/* A pipe that can be written to takes a whole line: PIPE_BUF. */
	if (poll(&out, 1, 0) == 0)
		return false;
	while (write(STDERR_FILENO, text, (size_t)length) < 0 && errno == EINTR)
		;
	return true;
}

/*
 * A log_sink. A session that logs does not wait for a reader: what a full pipe does not take is
 * lost.
 */
static void write_stderr(int priority, const char *line)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static unsigned lost;
	char text[LOG_LOST_MAX];

	(void)priority;
	pthread_mutex_lock(&mutex);
	if (lost > 0) {
		log_lost(text, lost);
		if (write_line(text))
			lost = 0;
	}
	if (lost > 0 || !write_line(line)) {
		lost++;
		log_count_lost();
	}
	pthread_mutex_unlock(&mutex);
}

static log_sink *_Atomic sink = write_stderr;
static _Atomic int level = LOG_INFO;

void log_to(log_sink *other)
{
	sink = other != NULL ? other : write_stderr;
}

void log_set_level(int priority)
{
	level = priority;
}

static void append(struct log_line *line, const char *text, size_t length)
{
	size_t room = sizeof(line->text) - 1 - line->length;

	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
	line->text[line->length] = '\0';
}

void log_begin(struct log_line *line, int priority, const char *event)
{
	line->priority = priority;
	line->wanted = priority <= level;
	line->length = 0;
	append(line, event, strlen(event));
	append(line, ":", 1);
}

void log_put(struct log_line *line, const char *key, const char *format, ...)
{
	/* More than LOG_VALUE_MAX is never shown, so no more need be formatted. */
	char value[LOG_VALUE_MAX + 1];
	char text[LOG_VALUE_MAX + 1];
	va_list arguments;
	size_t length;
	bool quoted;

	if (!line->wanted)
		return;
	va_start(arguments, format);
	if (vsnprintf(value, sizeof(value), format, arguments) < 0)
		value[0] = '\0';
	va_end(arguments);

	/* The two characters that would end a quoted value or begin an escape are escaped, too. */
	length = printable_escape(value, "\"\\", PRINTABLE_UPPER_HEX, text, LOG_VALUE_MAX - 1);
	quoted = length == 0 || strchr(text, ' ') != NULL;
	append(line, " ", 1);
	append(line, key, strlen(key));
	append(line, quoted ? "=\"" : "=", quoted ? 2 : 1);
	append(line, text, length);
	if (quoted)
		append(line, "\"", 1);
}

void log_end(struct log_line *line)
{
	log_sink *current = sink;

	if (line->wanted)
		current(line->priority, line->text);
}

void log_message(int priority, const char *event, const char *format, ...)
{
	struct log_line line;
	char text[LOG_VALUE_MAX + 1];
	va_list arguments;
	const char *key = priority <= LOG_ERR	    ? "error"
			  : priority == LOG_WARNING ? "warning"
						    : "info";

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_begin(&line, priority, event);
	log_put(&line, key, "%s", text);
	log_end(&line);
}

bool log_allowed(struct log_limit *limit)
{
	return log_allowed_every(limit, MINUTE_MS);
}

bool log_allowed_every(struct log_limit *limit, int64_t ms)
{
	int64_t now = clock_now_ms();
	int64_t next = atomic_load(&limit->next_ms);

	return now >= next && atomic_compare_exchange_strong(&limit->next_ms, &next, now + ms);
}

struct name {
	const char *text;
	int value;
};

static int find_name(const struct name *names, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(names[i].text, text) == 0)
			return names[i].value;
	return -1;
}

int log_facility(const char *name)
{
	static const struct name names[] = {
		{"mail", LOG_MAIL},	{"daemon", LOG_DAEMON}, {"auth", LOG_AUTH},
		{"user", LOG_USER},	{"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
		{"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
		{"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
	};

	return find_name(names, sizeof(names) / sizeof(names[0]), name);
}

int log_priority(const char *name)
{
	static const struct name names[] = {
		{"debug", LOG_DEBUG},	  {"info", LOG_INFO}, {"notice", LOG_NOTICE},
		{"warning", LOG_WARNING}, {"err", LOG_ERR},
	};

	return find_name(names, sizeof(names) / sizeof(names[0]), name);
}
