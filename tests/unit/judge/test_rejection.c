/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "judge/rejection.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct macros {
	const char *label, *mailer, *host;
	enum rejection_outcome outcome;
	const char *code; /* NULL: none is promised */
};

static void check_macros(const struct macros *rows, size_t count, bool is_sendmail)
{
	for (size_t i = 0; i < count; i++) {
		struct dsn code;
		char text[DSN_TEXT_MAX];

		if (rejection_classify(rows[i].mailer, rows[i].host, is_sendmail, &code) !=
		    rows[i].outcome)
			fail_msg("wrong outcome: %s", rows[i].label);
		if (rows[i].code != NULL)
			assert_string_equal(dsn_format(&code, text), rows[i].code);
	}
}

static void every_postfix_row_is_classified(void **state)
{
	static const struct macros rows[] = {
		{"local recipient", "local", "example.test", RCPT_ACCEPTED, NULL},
		{"relay recipient", "smtp", "[192.0.2.25]:25", RCPT_ACCEPTED, NULL},
		{"discarded recipient", "discard", "example.test", RCPT_ACCEPTED, NULL},
		{"virtual alias", "error", "5.1.1 User unknown in virtual alias table",
		 RCPT_ACCEPTED, NULL},
		{"unknown local user", "error", "5.1.1", RCPT_REJECTED, "5.1.1"},
		{"relay denied", "error", "5.7.1", RCPT_REJECTED, "5.7.1"},
		{"access map greylist", "error", "4.2.0", RCPT_REFUSED, "4.2.0"},
		{"access map DEFER", "error", "4.7.1", RCPT_REFUSED, "4.7.1"},
		{"access map 421", "error", "4.7.0", RCPT_REFUSED, "4.7.0"},
		{"transport map error", "error", "5.4.4", RCPT_REJECTED, "5.4.4"},
		{"name without domain", "error", "5.5.2", RCPT_REJECTED, "5.5.2"},
		{"sender without MX", "error", "4.1.8", RCPT_REFUSED, "4.1.8"},
		{"mailbox full", "error", "5.2.2", RCPT_REJECTED, "5.2.2"},
	};

	(void)state;
	check_macros(rows, COUNT(rows), false);
}

static void every_sendmail_row_is_classified(void **state)
{
	static const struct macros rows[] = {
		{"local recipient", "local", "", RCPT_ACCEPTED, NULL},
		{"local recipient, host absent", "local", NULL, RCPT_ACCEPTED, NULL},
		{"relay recipient", "esmtp", "relay.test.", RCPT_ACCEPTED, NULL},
		{"remote recipient", "smtp", "[192.0.2.25]", RCPT_ACCEPTED, NULL},
		{"unknown local user", "error", "5.1.1", RCPT_REJECTED, "5.1.1"},
		{"unknown local user, 8.18", "error", "", RCPT_REJECTED, "5.1.1"},
		{"unknown local user, no host", "error", NULL, RCPT_REJECTED, "5.1.1"},
		{"text for a code", "error", "zzz", RCPT_UNKNOWN, NULL},
		{"macro list emptied", NULL, NULL, RCPT_UNKNOWN, NULL},
	};

	(void)state;
	check_macros(rows, COUNT(rows), true);
}

static void hostile_macros_are_neither_good_nor_rejected(void **state)
{
	static const struct macros rows[] = {
		{"no mailer but a code", NULL, "5.1.1", RCPT_UNKNOWN, NULL},
		{"empty mailer", "", "5.1.1", RCPT_UNKNOWN, NULL},
		{"no code", "error", NULL, RCPT_UNKNOWN, NULL},
		{"empty code", "error", "", RCPT_UNKNOWN, NULL},
		{"text only", "error", "User unknown", RCPT_UNKNOWN, NULL},
		{"SMTP code", "error", "550", RCPT_UNKNOWN, NULL},
		{"success", "error", "2.1.5", RCPT_UNKNOWN, NULL},
		{"success and text", "error", "2.1.5 fine", RCPT_UNKNOWN, NULL},
		{"no such class", "error", "3.1.1", RCPT_UNKNOWN, NULL},
		{"class of two digits", "error", "55.1.1", RCPT_UNKNOWN, NULL},
		{"two parts", "error", "5.1", RCPT_UNKNOWN, NULL},
		{"four parts", "error", "5.1.1.1", RCPT_UNKNOWN, NULL},
		{"trailing dot", "error", "5.1.", RCPT_UNKNOWN, NULL},
		{"leading blank", "error", " 5.1.1", RCPT_UNKNOWN, NULL},
		{"sign", "error", "5.-1.1", RCPT_UNKNOWN, NULL},
		{"four digits", "error", "5.1.1000", RCPT_UNKNOWN, NULL},
		{"glued text", "error", "5.1.1x", RCPT_UNKNOWN, NULL},
		{"empty part", "error", "5..1", RCPT_UNKNOWN, NULL},
		{"commas", "error", "5,1,1", RCPT_UNKNOWN, NULL},
		{"four digits before", "error", "5.1234.1", RCPT_UNKNOWN, NULL},
		{"class 1", "error", "1.1.1", RCPT_UNKNOWN, NULL},
		{"line feed", "error", "5.1.1\n", RCPT_UNKNOWN, NULL},
	};

	(void)state;
	check_macros(rows, COUNT(rows), false);
}

static void mailer_is_compared_whole(void **state)
{
	static const struct macros rows[] = {
		{"longer", "errors", "5.1.1", RCPT_ACCEPTED, NULL},
		{"shorter", "err", "5.1.1", RCPT_ACCEPTED, NULL},
		{"largest code", "error", "5.999.999", RCPT_REJECTED, "5.999.999"},
		{"smallest code", "error", "5.0.0", RCPT_REJECTED, "5.0.0"},
		{"long parts", "error", "5.123.999", RCPT_REJECTED, "5.123.999"},
		{"two digits", "error", "4.7.25", RCPT_REFUSED, "4.7.25"},
	};

	(void)state;
	check_macros(rows, COUNT(rows), false);
}

static void offence_patterns_that_are_allowed(void **state)
{
	static const struct {
		const char *text;
		struct offence offence;
	} rows[] = {
		{"5.2.2 0", {2, 2, 0, false}},
		{"5.*.* 1", {-1, -1, 100, false}},
		{"5.1.* 0.25", {1, -1, 25, false}},
		{"5.*.25 2.5", {-1, 25, 250, false}},
		{"5.7.1   10", {7, 1, 1000, false}},
		{"5.7.1 10.00", {7, 1, 1000, false}},
		{"5.0.0 9.9", {0, 0, 990, false}},
		{"5.7.* 0.09", {7, -1, 9, false}},
		{"5.999.999 0.01", {999, 999, 1, false}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct offence offence;
		char error[100];

		if (!offence_parse(rows[i].text, false, &offence, error, sizeof(error)))
			fail_msg("\"%s\": %s", rows[i].text, error);
		assert_int_equal(offence.subject, rows[i].offence.subject);
		assert_int_equal(offence.detail, rows[i].offence.detail);
		assert_int_equal(offence.weight, rows[i].offence.weight);
	}
}

static void offence_patterns_that_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"5",
		"5.1.1",
		"5.1.1 ",
		"5.1.1 x",
		"5.1.1 -1",
		"5.1.1 10.01",
		"5.1.1 11",
		"5.1.1 0.125",
		"5.1.1 1.",
		"5.1.1 .5",
		"5.1.1 1..5",
		"5.1.1 1:",
		"5.1.1 0./",
		"5.1.1 0.5:",
		"5.1.1 1 2",
		"5.1.1 1e1",
		"5.1.1 1,5",
		"4.7.1 1",
		"4.*.* 0",
		"2.1.5 1",
		"*.*.* 1",
		"5.**.1 1",
		"5.*1.1 1",
		"5.1000.1 1",
		"5.1.1000 1",
		"5.1.1 999999999999",
		"5.1.1.1 1",
		"55.1.1 1",
		"5.1 1",
		"5.1.1\t1",
		"5.1.1 1.2.3",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct offence offence;
		char error[100] = "";

		if (offence_parse(texts[i], false, &offence, error, sizeof(error)))
			fail_msg("\"%s\" was allowed", texts[i]);
		assert_true(strlen(error) > 0);
	}
}

static void reason_for_a_temporary_pattern_says_so(void **state)
{
	struct offence offence;
	char error[100];

	(void)state;
	assert_false(offence_parse("4.2.0 1", false, &offence, error, sizeof(error)));
	assert_non_null(strstr(error, "4.x.x counts in soft_offences only"));
	/* A small buffer is not overrun. */
	assert_false(offence_parse("4.2.0 1", false, &offence, error, 4));
	assert_string_equal(error, "not");
}

static void soft_offences_are_of_class_4(void **state)
{
	const struct dsn relaying = {4, 7, 1}, greylisted = {4, 2, 0}, denied = {5, 7, 1};
	struct offence offences[2];
	char error[100];

	(void)state;
	assert_false(offence_parse("5.7.1 1", true, &offences[0], error, sizeof(error)));
	assert_non_null(strstr(error, "temporary"));
	assert_true(offence_parse("4.7.1 0.5", true, &offences[0], error, sizeof(error)));
	assert_true(offence_parse("5.*.* 1", false, &offences[1], error, sizeof(error)));
	assert_int_equal(offence_weight(offences, 2, &relaying), 50);
	assert_int_equal(offence_weight(offences, 2, &greylisted), 0);
	assert_int_equal(offence_weight(offences, 2, &denied), 100);
}

static void first_matching_offence_counts(void **state)
{
	static const struct offence defaults[] = {
		{2, 2, 0, false}, {3, 4, 0, false}, {-1, -1, 100, false}};
	static const struct offence narrow[] = {
		{1, -1, 150, false}, {1, 1, 300, false}, {-1, 6, 25, false}};
	/* A zero is no wildcard. */
	static const struct offence zeros[] = {
		{0, 0, 10, false}, {0, 1, 20, false}, {1, 0, 30, false}};
	static const struct {
		const struct offence *offences;
		struct dsn code;
		unsigned weight;
	} rows[] = {
		{defaults, {5, 1, 1}, 100}, {defaults, {5, 2, 2}, 0},	{defaults, {5, 3, 4}, 0},
		{defaults, {5, 2, 1}, 100}, {defaults, {5, 3, 3}, 100}, {defaults, {4, 1, 1}, 0},
		{defaults, {4, 9, 9}, 0},   {defaults, {2, 1, 5}, 0},	{narrow, {5, 1, 1}, 150},
		{narrow, {5, 1, 6}, 150},   {narrow, {5, 7, 6}, 25},	{narrow, {5, 7, 1}, 0},
		{zeros, {5, 0, 0}, 10},	    {zeros, {5, 0, 1}, 20},	{zeros, {5, 1, 0}, 30},
		{zeros, {5, 1, 1}, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (offence_weight(rows[i].offences, 3, &rows[i].code) != rows[i].weight)
			fail_msg("row %zu", i);
	assert_int_equal(offence_weight(NULL, 0, &rows[0].code), 0);
}

static void bad_recipient_count_is_a_plain_number(void **state)
{
	static const struct {
		const char *text;
		bool valid;
		unsigned count;
	} rows[] = {
		{"0", true, 0},
		{"1", true, 1},
		{"42", true, 42},
		{"99", true, 99},
		{"007", true, 7},
		{"100000", true, 100000},
		{"100001", false, 0},
		{NULL, false, 0},
		{"", false, 0},
		{"-1", false, 0},
		{"+1", false, 0},
		{" 1", false, 0},
		{"1 ", false, 0},
		{"1.5", false, 0},
		{"0x1", false, 0},
		{"4294967297", false, 0},
		{"18446744073709551617", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned count = 12345;

		if (rejection_count_parse(rows[i].text, &count) != rows[i].valid)
			fail_msg("\"%s\"", rows[i].text != NULL ? rows[i].text : "NULL");
		assert_int_equal(count, rows[i].valid ? rows[i].count : 12345);
	}
}

static void a_mailbox_is_rejected_by_few_codes(void **state)
{
	static const struct {
		struct dsn code;
		bool expected;
	} rows[] = {
		{{5, 1, 0}, true},  {{5, 1, 1}, true},	{{5, 1, 2}, true},  {{5, 1, 6}, true},
		{{5, 1, 10}, true}, {{5, 2, 1}, true},	{{4, 1, 1}, true},  {{5, 1, 3}, false},
		{{5, 1, 7}, false}, {{5, 1, 8}, false}, {{5, 2, 2}, false}, {{5, 5, 2}, false},
		{{5, 7, 1}, false}, {{5, 0, 0}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rejection_is_of_mailbox(&rows[i].code) != rows[i].expected)
			fail_msg("row %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_postfix_row_is_classified),
		cmocka_unit_test(every_sendmail_row_is_classified),
		cmocka_unit_test(hostile_macros_are_neither_good_nor_rejected),
		cmocka_unit_test(mailer_is_compared_whole),
		cmocka_unit_test(offence_patterns_that_are_allowed),
		cmocka_unit_test(offence_patterns_that_are_refused),
		cmocka_unit_test(soft_offences_are_of_class_4),
		cmocka_unit_test(reason_for_a_temporary_pattern_says_so),
		cmocka_unit_test(first_matching_offence_counts),
		cmocka_unit_test(a_mailbox_is_rejected_by_few_codes),
		cmocka_unit_test(bad_recipient_count_is_a_plain_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
