/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes what JSON has of time stamp, host, program and message in the order of a plain line. */
#include "unwrap.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MICROSECONDS_DIGITS 6

struct text {
	char *begin;
	size_t length, size;
};

/* What does not fit is cut. */
static void add(struct text *out, const char *text, size_t length)
{
	size_t left = out->size - out->length;

	if (length > left)
		length = left;
	memcpy(out->begin + out->length, text, length);
	out->length += length;
}

static void add_string(struct text *out, const char *text)
{
	add(out, text, strlen(text));
}

/* The first of these members that is text. */
static const char *text_of(const json_t *object, const char *const *names)
{
	for (; *names != NULL; names++) {
		const char *text = json_string_value(json_object_get(object, *names));

		if (text != NULL)
			return text;
	}
	return NULL;
}

/* A message: text, or, where it is not UTF-8, its bytes as numbers. */
static bool add_message(struct text *out, const json_t *message)
{
	size_t i;
	json_t *number;

	if (json_is_string(message)) {
		size_t length = json_string_length(message);
		const char *text = json_string_value(message);

		while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
			length--;
		add(out, text, length);
		return true;
	}
	if (!json_is_array(message))
		return false;
	json_array_foreach(message, i, number)
	{
		char byte = (char)json_integer_value(number);

		if (!json_is_integer(number))
			return false;
		add(out, &byte, 1);
	}
	return true;
}

/* "1795178096123456" as "1795178096.123456 ", as journalctl -o short-unix writes it. */
static bool add_microseconds(struct text *out, const char *time)
{
	size_t length = strlen(time);

	if (length <= MICROSECONDS_DIGITS || strspn(time, "0123456789") != length)
		return false;
	add(out, time, length - MICROSECONDS_DIGITS);
	add_string(out, ".");
	add_string(out, time + length - MICROSECONDS_DIGITS);
	add_string(out, " ");
	return true;
}

/* "1795178096.123456 mx postfix/smtpd[101]: text" */
static bool write_of_journal(const json_t *entry, struct text *out)
{
	static const char *const times[] = {"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP",
					    NULL};
	static const char *const hosts[] = {"_HOSTNAME", NULL};
	static const char *const programs[] = {"SYSLOG_IDENTIFIER", "_COMM", NULL};
	static const char *const pids[] = {"SYSLOG_PID", "_PID", NULL};
	const char *time = text_of(entry, times);
	const char *host = text_of(entry, hosts), *program = text_of(entry, programs);
	const char *pid = text_of(entry, pids);

	if (time == NULL || !add_microseconds(out, time))
		return false;
	add_string(out, host != NULL ? host : "-");
	add_string(out, " ");
	add_string(out, program != NULL ? program : "unknown");
	if (pid != NULL) {
		add_string(out, "[");
		add_string(out, pid);
		add_string(out, "]");
	}
	add_string(out, ": ");
	return add_message(out, json_object_get(entry, "MESSAGE"));
}

/* {"log": "Nov 20 ...\n", "stream": "stdout", "time": "2026-11-20T..."}: the stamp and the line. */
static bool write_of_container(const json_t *entry, struct text *out)
{
	static const char *const times[] = {"time", "@timestamp", "timestamp", NULL};
	const char *time = text_of(entry, times);
	const json_t *log = json_object_get(entry, "log");

	if (time == NULL)
		return false;
	add_string(out, time);
	add_string(out, " ");
	return add_message(out, log != NULL ? log : json_object_get(entry, "message"));
}

/* -o json-seq and json-sse put these before an entry. */
static void skip_mark(const char **text, size_t *length)
{
	static const char data[] = "data: ";
	size_t mark = 0;

	if (*length > 0 && **text == '\x1e')
		mark = 1;
	else if (*length > strlen(data) && memcmp(*text, data, strlen(data)) == 0)
		mark = strlen(data);
	*text += mark;
	*length -= mark;
}

void replay_unwrap(const char **text, size_t *length, char *buffer, size_t size)
{
	struct text out = {.begin = buffer, .size = size};
	const char *line = *text;
	size_t left = *length;
	json_t *entry;

	skip_mark(&line, &left);
	if (left == 0 || *line != '{')
		return;
	entry = json_loadb(line, left, JSON_ALLOW_NUL, NULL);
	if (entry == NULL)
		return;
	if (json_object_get(entry, "MESSAGE") != NULL ? write_of_journal(entry, &out)
						      : write_of_container(entry, &out)) {
		*text = buffer;
		*length = out.length;
	}
	json_decref(entry);
}
