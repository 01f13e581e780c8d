/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/duration.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void people_read_two_units_at_most(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{-5, "0 s"},
		{0, "0 s"},
		{1, "1 ms"},
		{500, "500 ms"},
		{999, "999 ms"},
		{1000, "1 s"},
		{1049, "1 s"},
		{1050, "1.1 s"},
		{5946, "5.9 s"},
		{20000, "20 s"},
		{59949, "59.9 s"},
		{59950, "1 min"},
		{60000, "1 min"},
		{61000, "1 min 1 s"},
		{90499, "1 min 30 s"},
		{3599499, "59 min 59 s"},
		{3599500, "1 h"},
		{3600000, "1 h"},
		{3630000, "1 h"},
		{14400000, "4 h"},
		{5400000, "1 h 30 min"},
		{93600000, "1 d 2 h"},
		{86400000, "1 d"},
		{1209600000, "14 d"},
		{INT64_MAX - 1000, "106751991167 d 7 h"},
	};
	char text[DURATION_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(duration_describe(rows[i].ms, text), rows[i].text);
}

static void what_is_written_reads_back(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
		const char *written;
	} rows[] = {
		{"0", 0, "0d"},
		{"7", 7000, "7s"},
		{"500ms", 500, "500ms"},
		{"0.5", 500, "500ms"},
		{"1.001s", 1001, "1001ms"},
		{"90m", 5400000, "90m"},
		{"90s", 90000, "90s"},
		{"60m", 3600000, "1h"},
		{"1.5h", 5400000, "90m"},
		{"48h", 172800000, "2d"},
		{"0.125d", 10800000, "3h"},
	};
	char text[DURATION_TEXT_MAX];
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(duration_parse(rows[i].text, &ms));
		assert_int_equal(ms, rows[i].ms);
		assert_string_equal(duration_format(ms, text), rows[i].written);
	}
	assert_true(duration_parse("999999999999d", &ms));
	assert_true(ms > INT64_C(1) << 50);
}

static void what_is_no_duration_is_refused(void **state)
{
	static const char *const texts[] = {"",	   "s",	  "-1s", "+1s", "1.", ".5s", "1.2345s", "0.5ms",
					    "1e3", "1 s", " 1s", "1S",	"1w", "1ss", "1234567890123s"};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_false(duration_parse(texts[i], &ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(people_read_two_units_at_most),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(what_is_no_duration_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
