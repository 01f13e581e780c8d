/* SPDX-License-Identifier: BSD-2-Clause */
#include "line_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kind_names[] = {"other",      "unreadable", "submission", "connect",
					 "disconnect", "lost",	     "rejected",   "hidden",
					 "client",     "queued",     "recipient",  "removed"};

/* Fields as text: "kind queue_id=... address=...", those that the line has. */
static void add_span(char *text, size_t size, const char *name, struct span span)
{
	size_t length = strlen(text);

	if (span.text != NULL)
		snprintf(text + length, size - length, " %s=%.*s", name, (int)span.length,
			 span.text);
}

static void describe(const struct maillog_line *parsed, char *text, size_t size)
{
	struct span others = parsed->others;
	struct span recipient;

	snprintf(text, size, "%s", kind_names[parsed->kind]);
	if (parsed->kind <= MAILLOG_SUBMISSION)
		return;
	add_span(text, size, "id", parsed->queue_id);
	add_span(text, size, "address", parsed->address);
	add_span(text, size, "host", parsed->host);
	add_span(text, size, "code", parsed->code);
	add_span(text, size, "from", parsed->sender);
	add_span(text, size, "to", parsed->recipient);
	while (maillog_line_next_recipient(&others, &recipient))
		add_span(text, size, "to", recipient);
	if (parsed->kind == MAILLOG_QUEUED)
		snprintf(text + strlen(text), size - strlen(text), " count=%u", parsed->count);
	if (parsed->authenticated)
		snprintf(text + strlen(text), size - strlen(text), " authenticated");
	if (parsed->in_mail)
		snprintf(text + strlen(text), size - strlen(text), " in-mail");
}

static bool is_within(struct span span, const char *line, size_t length)
{
	return span.text == NULL || (span.text >= line && span.text + span.length <= line + length);
}

static void check_within(const struct maillog_line *parsed, const char *line, size_t length)
{
	struct span others = parsed->others;
	struct span recipient;

	assert_in_range(parsed->kind, MAILLOG_OTHER, MAILLOG_REMOVED);
	assert_true(is_within(parsed->host_name, line, length));
	assert_true(is_within(parsed->queue_id, line, length));
	assert_true(is_within(parsed->address, line, length));
	assert_true(is_within(parsed->host, line, length));
	assert_true(is_within(parsed->sender, line, length));
	assert_true(is_within(parsed->recipient, line, length));
	while (maillog_line_next_recipient(&others, &recipient))
		assert_true(is_within(recipient, line, length));
	if (parsed->kind == MAILLOG_REJECTED || parsed->kind == MAILLOG_RECIPIENT)
		assert_non_null(parsed->recipient.text);
	if (parsed->kind == MAILLOG_CONNECT || parsed->kind == MAILLOG_LOST ||
	    parsed->kind == MAILLOG_CLIENT)
		assert_non_null(parsed->host.text);
}

/* In an allocation of exactly its size, so that a sanitizer sees who reads past it. */
static void parse_exactly(const char *line, size_t length, size_t stamp_length)
{
	char *copy = malloc(length + (length == 0));
	struct maillog_line parsed;

	assert_non_null(copy);
	memcpy(copy, line, length);
	maillog_line_parse(copy, length, stamp_length < length ? stamp_length : length, &parsed);
	check_within(&parsed, copy, length);
	free(copy);
}

void line_rows_check(const struct line_row *rows, size_t count, enum maillog_mta mta)
{
	for (size_t i = 0; i < count; i++) {
		struct maillog_line parsed;
		char text[1024];

		maillog_line_parse(rows[i].line, strlen(rows[i].line), LINE_ROWS_STAMP, &parsed);
		describe(&parsed, text, sizeof(text));
		if (strcmp(text, rows[i].found) != 0)
			fail_msg("%s\nis:    %s\nought: %s", rows[i].line, text, rows[i].found);
		if (parsed.kind > MAILLOG_SUBMISSION)
			assert_int_equal(parsed.mta, mta);
	}
}

void line_rows_maul(const struct line_row *rows, size_t count)
{
	static const char bytes[] = {'\0', '\xff', '\n', '\r', '"', '\\', '<', '>', '[', ' '};

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(rows[i].line);
		char *garbled = strdup(rows[i].line);

		assert_non_null(garbled);
		for (size_t at = LINE_ROWS_STAMP; at <= length; at++) {
			parse_exactly(rows[i].line, at, LINE_ROWS_STAMP);
			for (size_t j = 0; j < COUNT(bytes) && at < length; j++) {
				garbled[at] = bytes[j];
				parse_exactly(garbled, length, LINE_ROWS_STAMP);
			}
			garbled[at] = rows[i].line[at];
		}
		free(garbled);
	}
}
