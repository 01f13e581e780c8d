/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char caught[LOG_LINE_MAX + 100];
static int caught_priority;
static unsigned caught_lines;

static void catch_line(int priority, const char *line)
{
	snprintf(caught, sizeof(caught), "%s", line);
	caught_priority = priority;
	caught_lines++;
}

static int set_up(void **state)
{
	(void)state;
	caught[0] = '\0';
	caught_lines = 0;
	log_to(catch_line);
	log_set_level(LOG_INFO);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_to(NULL);
	return 0;
}

static void log_value(const char *value)
{
	struct log_line line;

	log_begin(&line, LOG_INFO, "reject");
	log_put(&line, "rcpt", "%s", value);
	log_end(&line);
}

static void event_is_one_line_of_keys_and_values(void **state)
{
	struct log_line line;

	(void)state;
	log_begin(&line, LOG_NOTICE, "stall");
	log_put(&line, "client", "%s", "192.0.2.1");
	log_put(&line, "delay_ms", "%d", 5000);
	log_put(&line, "host", "%s", "two words");
	log_put(&line, "score", "%.2f", 5.0);
	log_end(&line);
	assert_string_equal(caught,
			    "stall: client=192.0.2.1 delay_ms=5000 host=\"two words\" score=5.00");
	assert_int_equal(caught_priority, LOG_NOTICE);
	assert_int_equal(caught_lines, 1);
}

static void event_without_keys_is_logged(void **state)
{
	struct log_line line;

	(void)state;
	log_begin(&line, LOG_INFO, "stop");
	log_end(&line);
	assert_string_equal(caught, "stop:");
}

static void values_are_escaped(void **state)
{
	static const struct {
		const char *value, *shown;
	} rows[] = {
		{"user@example.test", "user@example.test"},
		{"", "\"\""},
		{" ", "\" \""},
		{"a b", "\"a b\""},
		{"a\tb", "a\\x09b"},
		{"a\nreject: client=192.0.2.99", "\"a\\x0Areject: client=192.0.2.99\""},
		{"a\r\nb", "a\\x0D\\x0Ab"},
		{"\x01\x1b[2J\x7f", "\\x01\\x1B[2J\\x7F"},
		{"\"", "\\x22"},
		{"\"a b\"@x", "\"\\x22a b\\x22@x\""},
		{"a\\b", "a\\x5Cb"},
		{"\\x41", "\\x5Cx41"},
		{"\xc3\xa4", "\\xC3\\xA4"},
		{"\xff\x80", "\\xFF\\x80"},
		{"%s%n%d%%", "%s%n%d%%"},
		{"a=b", "a=b"},
		{"~!#$&'()*;<>?`|", "~!#$&'()*;<>?`|"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char expected[300];

		log_value(rows[i].value);
		snprintf(expected, sizeof(expected), "reject: rcpt=%s", rows[i].shown);
		assert_string_equal(caught, expected);
	}
}

static void every_byte_keeps_the_line_printable(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		const char value[] = {'a', (char)c, 'z', '\0'};

		log_value(value);
		for (const char *p = caught; *p != '\0'; p++)
			assert_in_range((unsigned char)*p, 0x20, 0x7e);
		/* The reader can tell where the value ends. */
		assert_true(strchr(strchr(caught, '=') + 1, ' ') == NULL || c == ' ');
	}
}

/* Of what a value became, without event and key. */
static const char *shown_value(void)
{
	return caught + strlen("reject: rcpt=");
}

static void values_are_cut_at_200_bytes_quotes_and_escapes_included(void **state)
{
	static const struct {
		const char *label;
		char fill, first;
		size_t count;
		size_t least, most;
	} rows[] = {
		{"198 fit", 'x', 'x', 198, 198, 198},
		{"10 kB", 'x', 'x', 10000, 198, 200},
		{"10 kB with a blank", 'x', ' ', 10000, 200, 200},
		{"10 kB of blanks", ' ', ' ', 10000, 200, 200},
		{"10 kB of control characters", '\n', '\n', 10000, 196, 200},
		{"10 kB of 8-bit and a blank", '\xff', ' ', 10000, 197, 200},
		{"10 kB of quotes", '"', '"', 10000, 196, 200},
		{"a cut in an escape", '\t', 'x', 50, 197, 197},
	};
	static char value[10001];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *shown;

		memset(value, rows[i].fill, rows[i].count);
		value[0] = rows[i].first;
		value[rows[i].count] = '\0';
		log_value(value);
		shown = shown_value();
		if (strlen(shown) < rows[i].least || strlen(shown) > rows[i].most)
			fail_msg("%s: %zu bytes", rows[i].label, strlen(shown));
		if (shown[0] == '"')
			assert_int_equal(shown[strlen(shown) - 1], '"');
		/* No escape is cut in two. */
		for (const char *p = strchr(shown, '\\'); p != NULL; p = strchr(p + 1, '\\'))
			assert_int_equal(strspn(p + 2, "0123456789ABCDEF") >= 2, 1);
	}
}

static void line_is_bounded_however_many_keys(void **state)
{
	static char value[10001];
	struct log_line line;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	caught_lines = 0;
	log_begin(&line, LOG_INFO, "reject");
	for (int i = 0; i < 100; i++)
		log_put(&line, "key", "%s", value);
	log_end(&line);
	assert_int_equal(caught_lines, 1);
	assert_true(strlen(caught) < LOG_LINE_MAX);
	assert_true(strlen(caught) >= LOG_LINE_MAX - 1 - (LOG_VALUE_MAX + 5));
}

static void level_decides_what_is_logged(void **state)
{
	static const struct {
		int level, priority;
		unsigned lines;
	} rows[] = {
		{LOG_INFO, LOG_INFO, 1},       {LOG_INFO, LOG_DEBUG, 0},
		{LOG_DEBUG, LOG_DEBUG, 1},     {LOG_WARNING, LOG_NOTICE, 0},
		{LOG_WARNING, LOG_WARNING, 1}, {LOG_WARNING, LOG_ERR, 1},
		{LOG_NOTICE, LOG_INFO, 0},     {LOG_ERR, LOG_WARNING, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct log_line line;

		caught_lines = 0;
		log_set_level(rows[i].level);
		log_begin(&line, rows[i].priority, "stall");
		log_put(&line, "client", "%s", "192.0.2.1");
		log_end(&line);
		assert_int_equal(caught_lines, rows[i].lines);
	}
}

static void message_is_keyed_by_its_urgency(void **state)
{
	static const struct {
		int priority;
		const char *line;
	} rows[] = {
		{LOG_CRIT, "store: error=\"no 7 here\""},
		{LOG_ERR, "store: error=\"no 7 here\""},
		{LOG_WARNING, "store: warning=\"no 7 here\""},
		{LOG_NOTICE, "store: info=\"no 7 here\""},
		{LOG_INFO, "store: info=\"no 7 here\""},
	};
	static char value[10001];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		log_message(rows[i].priority, "store", "no %d here", 7);
		assert_string_equal(caught, rows[i].line);
		assert_int_equal(caught_priority, rows[i].priority);
	}
	memset(value, '\n', sizeof(value) - 1);
	log_message(LOG_INFO, "store", "%s", value);
	assert_null(strchr(caught, '\n'));
	log_message(LOG_INFO, "store", "%s", "%s%n");
	assert_string_equal(caught, "store: info=%s%n");
}

static void flood_is_let_through_once_a_minute(void **state)
{
	struct log_limit limit = {0}, other = {0};
	int64_t next_ms;

	(void)state;
	assert_true(log_allowed(&limit));
	for (int i = 0; i < 1000; i++)
		assert_false(log_allowed(&limit));
	assert_true(log_allowed(&other));
	/* The minute is over. */
	next_ms = limit.next_ms;
	limit.next_ms = next_ms - 60000;
	assert_true(log_allowed(&limit));
	assert_in_range(limit.next_ms, next_ms, next_ms + 30000);
	assert_false(log_allowed(&limit));
}

static void lines_go_to_stderr_one_write_each(void **state)
{
	int ends[2], saved = dup(STDERR_FILENO);
	char text[LOG_LINE_MAX + 2];
	struct log_line line;
	ssize_t length;

	(void)state;
	assert_true(saved >= 0);
	/* A packet socket keeps the writes apart. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	log_to(NULL);
	log_begin(&line, LOG_INFO, "stop");
	for (int i = 0; i < 100; i++)
		log_put(&line, "key", "%0100d", i);
	log_end(&line);
	log_message(LOG_INFO, "stop", "bye");
	dup2(saved, STDERR_FILENO);
	close(saved);
	log_to(catch_line);

	length = read(ends[0], text, sizeof(text));
	assert_int_equal(length, LOG_LINE_MAX);
	assert_memory_equal(text, "stop: key=000", 13);
	assert_int_equal(text[length - 1], '\n');
	length = read(ends[0], text, sizeof(text));
	assert_int_equal(length, strlen("stop: info=bye\n"));
	assert_memory_equal(text, "stop: info=bye\n", (size_t)length);
	close(ends[0]);
	close(ends[1]);
}

static void names_of_syslog_are_known(void **state)
{
	(void)state;
	assert_int_equal(log_facility("mail"), LOG_MAIL);
	assert_int_equal(log_facility("LOCAL7"), LOG_LOCAL7);
	assert_int_equal(log_facility("daemon"), LOG_DAEMON);
	assert_int_equal(log_facility("kern"), -1);
	assert_int_equal(log_facility(""), -1);
	assert_int_equal(log_facility("local8"), -1);
	assert_int_equal(log_priority("debug"), LOG_DEBUG);
	assert_int_equal(log_priority("info"), LOG_INFO);
	assert_int_equal(log_priority("notice"), LOG_NOTICE);
	assert_int_equal(log_priority("Warning"), LOG_WARNING);
	assert_int_equal(log_priority("err"), LOG_ERR);
	assert_int_equal(log_priority("loud"), -1);
	assert_int_equal(log_priority(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_is_one_line_of_keys_and_values),
		cmocka_unit_test(event_without_keys_is_logged),
		cmocka_unit_test(values_are_escaped),
		cmocka_unit_test(every_byte_keeps_the_line_printable),
		cmocka_unit_test(values_are_cut_at_200_bytes_quotes_and_escapes_included),
		cmocka_unit_test(line_is_bounded_however_many_keys),
		cmocka_unit_test_setup(level_decides_what_is_logged, set_up),
		cmocka_unit_test_setup(message_is_keyed_by_its_urgency, set_up),
		cmocka_unit_test(flood_is_let_through_once_a_minute),
		cmocka_unit_test_setup(lines_go_to_stderr_one_write_each, set_up),
		cmocka_unit_test(names_of_syslog_are_known),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
