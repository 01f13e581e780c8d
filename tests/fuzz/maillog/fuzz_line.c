/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of mail logs, and their time stamps: one a line, as `tarpitctl replay` reads them. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "maillog/line.h"
#include "maillog/timestamp.h"

/* 2026-11-21 */
#define LATEST_S INT64_C(1795219200)

struct line {
	char *text;
	size_t length;
};

static void check_span(const struct line *line, struct span span)
{
	if (span.text == NULL)
		CHECK(span.length == 0);
	else
		CHECK(span.text >= line->text && span.text <= line->text + line->length &&
		      span.length <= (size_t)(line->text + line->length - span.text));
}

static void check_recipients(const struct line *line, struct span others)
{
	size_t left = others.length;
	struct span recipient;

	while (maillog_line_next_recipient(&others, &recipient)) {
		check_span(line, recipient);
		check_span(line, others);
		CHECK(others.length < left);
		left = others.length;
	}
}

static void check_line(const struct line *line, const struct maillog_line *parsed)
{
	CHECK(parsed->kind <= MAILLOG_REMOVED && parsed->times <= MAILLOG_TIMES_MAX);
	CHECK(!parsed->is_repetition || parsed->kind == MAILLOG_OTHER);
	if (parsed->kind == MAILLOG_OTHER || parsed->kind == MAILLOG_UNREADABLE)
		return;
	check_span(line, parsed->host_name);
	check_span(line, parsed->queue_id);
	check_span(line, parsed->address);
	check_span(line, parsed->host);
	check_span(line, parsed->sender);
	check_span(line, parsed->recipient);
	check_span(line, parsed->others);
	check_recipients(line, parsed->others);
	if (parsed->code.text == NULL || strncmp(parsed->code.text, "5.1.1", 5) != 0)
		check_span(line, parsed->code);
	CHECK(parsed->queue_id.length <= 32 && parsed->code.length <= 9);
	CHECK(!parsed->in_mail || parsed->kind == MAILLOG_LOST ||
	      parsed->kind == MAILLOG_DISCONNECT);
	CHECK(parsed->kind != MAILLOG_REMOVED || parsed->queue_id.length > 0);
}

static void read_line(struct maillog_timestamps *stamps, const struct line *line)
{
	size_t stamp_length = 0;
	struct maillog_line parsed;
	int64_t wall_ms = 0;

	if (!maillog_timestamp_read(stamps, line->text, line->length, &wall_ms, &stamp_length))
		stamp_length = 0;
	CHECK(stamp_length <= line->length);
	CHECK(!maillog_timestamp_is_foreign(line->text, line->length) || stamp_length == 0);
	/* From 1970 less a day to 9999 and more. */
	CHECK(wall_ms > -INT64_C(100000000) && wall_ms < INT64_C(10000000) * 86400 * 1000);
	maillog_line_parse(line->text, line->length, stamp_length, &parsed);
	check_line(line, &parsed);
	maillog_line_parse_service(line->text, line->length, stamp_length, "submission", &parsed);
	check_line(line, &parsed);
	CHECK(maillog_timestamp_length(line->text, line->length) <= line->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maillog_timestamps stamps;
	const uint8_t *end = data + size;

	fuzz_begin();
	maillog_timestamp_begin(&stamps, LATEST_S, 0);
	while (data < end) {
		const uint8_t *newline = memchr(data, '\n', (size_t)(end - data));
		struct line line = {.length = (size_t)((newline != NULL ? newline : end) - data)};

		line.text = malloc(line.length + (line.length == 0));
		CHECK(line.text != NULL);
		memcpy(line.text, data, line.length);
		read_line(&stamps, &line);
		free(line.text);
		data += line.length + 1;
	}
	return 0;
}
