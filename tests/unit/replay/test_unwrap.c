/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that are JSON, and what is made of them; logs that are not understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replay/understood.h"
#include "replay/unwrap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SMALL 24

static const struct {
	const char *line, *plain; /* NULL: as it is */
} rows[] = {
	{"", NULL},
	{"Nov 20 12:34:56 mx x: y", NULL},
	{"{", NULL},
	{"{}", NULL},
	{"{\"MESSAGE\":\"x\"}", NULL},
	{"{\"MESSAGE\":\"x\"} rubbish", NULL},
	{"{\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"1795178096123456\"}",
	 "1795178096.123456 - unknown: x"},
	{"{\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"soon\"}", NULL},
	{"{\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"123456\"}", NULL},
	{"{\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":1795178096123456}", NULL},
	{"{\"MESSAGE\":null,\"__REALTIME_TIMESTAMP\":\"1795178096123456\"}", NULL},
	{"{\"MESSAGE\":{},\"__REALTIME_TIMESTAMP\":\"1795178096123456\"}", NULL},
	{"{\"MESSAGE\":[120,\"y\"],\"__REALTIME_TIMESTAMP\":\"1795178096123456\"}", NULL},
	{"{\"MESSAGE\":[120,121],\"__REALTIME_TIMESTAMP\":\"1795178096123456\"}",
	 "1795178096.123456 - unknown: xy"},
	{"{\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"1\",\"_HOSTNAME\":\"mx\","
	 "\"_SOURCE_REALTIME_TIMESTAMP\":\"1795178096123456\",\"_PID\":\"7\","
	 "\"SYSLOG_IDENTIFIER\":\"postfix/smtpd\"}",
	 "1795178096.123456 mx postfix/smtpd[7]: x"},
	{"\x1e{\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"1795178096123456\"}",
	 "1795178096.123456 - unknown: x"},
	{"data: {\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"1795178096123456\"}",
	 "1795178096.123456 - unknown: x"},
	{"{\"log\":\"mx x: y\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T12:34:56.018306084Z\"}",
	 "2026-11-20T12:34:56.018306084Z mx x: y"},
	{"{\"message\":\"mx x: y\",\"@timestamp\":\"2026-11-20T12:34:56.018Z\"}",
	 "2026-11-20T12:34:56.018Z mx x: y"},
	{"{\"log\":7,\"time\":\"2026-11-20T12:34:56Z\"}", NULL},
};

static void json_becomes_a_plain_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *plain = rows[i].plain != NULL ? rows[i].plain : rows[i].line;
		const char *text = rows[i].line;
		size_t length = strlen(text);
		char buffer[256];

		replay_unwrap(&text, &length, buffer, sizeof(buffer));
		if (length != strlen(plain) || memcmp(text, plain, length) != 0)
			fail_msg("%s: %.*s", rows[i].line, (int)length, text);
	}
}

/* In allocations of exactly their size, so that a sanitizer sees who reads or writes past them. */
static void what_does_not_fit_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t size = strlen(rows[i].line); size > 0; size--) {
			char *line = malloc(size), *buffer = malloc(SMALL);
			const char *text = line;
			size_t length = size;

			assert_non_null(line);
			assert_non_null(buffer);
			memcpy(line, rows[i].line, size);
			replay_unwrap(&text, &length, buffer, SMALL);
			assert_true(text == line ? length == size : length <= SMALL);
			free(line);
			free(buffer);
		}
}

#define SAMPLE(text) .sample = text, .sample_path = "log", .sample_number = 7
#define FOREIGN_SAMPLE SAMPLE("lip 20 12:34:56 mx x: y"), .sample_kind = REPLAY_SAMPLE_FOREIGN

static void what_is_understood(void **state)
{
	static const struct {
		struct replay_lines lines;
		enum replay_understood found;
		const char *said;
	} cases[] = {
		{{0}, REPLAY_NOTHING, "nothing in it"},
		{{.read = 5, .other = 5, .blank = 5}, REPLAY_NOTHING, "nothing in it but"},
		{{.read = 5, .other = 5, SAMPLE("Nov 20 12:34:56 mx x: y")},
		 REPLAY_NOTHING,
		 "cut, or not of Postfix"},
		{{.read = 1, .unreadable = 1, SAMPLE("lip 20 12:34:56 mx x: y")},
		 REPLAY_NOTHING,
		 "none of 1 line could be understood; log:7: \"lip 20 "},
		{{.read = 1, .unreadable = 1, FOREIGN_SAMPLE},
		 REPLAY_NOTHING,
		 "the month is in a language that is not read: give it as `LC_ALL=C journalctl -o "
		 "short-iso"},
		{{.read = 4, .unreadable = 2, .of_mta = 2}, REPLAY_MOST, ""},
		{{.read = 9, .unreadable = 1, .of_mta = 8, FOREIGN_SAMPLE},
		 REPLAY_LITTLE,
		 "only 8 of 9 lines could be understood; log:7: \"lip 20 "},
		{{.read = 5, .unreadable = 3, .of_mta = 2, SAMPLE("x")},
		 REPLAY_LITTLE,
		 "only 2 of 5 lines"},
		{{.read = 6, .blank = 1, .unreadable = 3, .of_mta = 2, SAMPLE("x")},
		 REPLAY_LITTLE,
		 "2 of 5"},
		{{.read = 5, .of_mta = 5, .service = "x"}, REPLAY_NOTHING, "service x"},
		{{.read = 5, .of_mta = 5, .of_service = 1, .service = "x"}, REPLAY_MOST, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[512] = "";

		assert_int_equal(replay_understood(&cases[i].lines, text, sizeof(text)),
				 cases[i].found);
		if (strstr(text, cases[i].said) == NULL)
			fail_msg("%zu: %s", i, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_becomes_a_plain_line),
		cmocka_unit_test(what_does_not_fit_is_cut),
		cmocka_unit_test(what_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
