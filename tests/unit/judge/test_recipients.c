/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "judge/recipients.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int begin(void **state)
{
	*state = recipients_new();
	return *state != NULL ? 0 : -1;
}

static int end(void **state)
{
	recipients_free(*state);
	return 0;
}

static void add(struct recipients *recipients, const char *text)
{
	char error[200];

	if (!recipients_add(recipients, text, error, sizeof(error)))
		fail_msg("%s: %s", text, error);
}

static const char *recipient_rule(const struct recipients *recipients, const char *argument)
{
	struct address address;

	address_parse(argument, &address);
	return recipients_rule(recipients, &address);
}

static void recipients_match_by_local_part_or_whole(void **state)
{
	static const struct {
		const char *argument, *rule;
	} rows[] = {
		{"postmaster@example.com", "postmaster"}, {"postmaster", "postmaster"},
		{"help@example.org", "help@example.org"}, {"help@example.com", NULL},
		{"postmaster2@example.com", NULL},        {"@example.com", NULL},
		{"", NULL},                               {"postmaster@[192.0.2.1]", "postmaster"},
		{"postmaster+1@example.com", NULL},       {"@x:postmaster", "postmaster"},
		{"@(:postmaster@)x.test:adam", NULL},     {"@[1:postmaster@2]:adam", NULL},
		{"postmaster@x@y", NULL},                 {"@\"a:postmaster@b\":adam", NULL},
		{"\"postmaster@\"", NULL},                {"postmaster@(", NULL},
	};

	add(*state, "PostMaster");
	add(*state, "help@Example.ORG");
	recipients_seal(*state);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *rule = recipient_rule(*state, rows[i].argument);

		if (rows[i].rule == NULL ? rule != NULL
					 : rule == NULL || strcmp(rule, rows[i].rule) != 0)
			fail_msg("%s: %s", rows[i].argument, rule != NULL ? rule : "none");
	}
}

static void recipients_are_taken_as_their_rule_in_any_spelling(void **state)
{
	add(*state, "\"Post.Master\"");
	add(*state, "help@Example.ORG.");
	recipients_seal(*state);
	assert_string_equal(recipient_rule(*state, "<(1)post.master@a.test>"), "post.master");
	assert_string_equal(recipient_rule(*state, "<\"help\"@example.org>"), "help@example.org");
}

static void an_empty_list_has_nobody(void **state)
{
	recipients_seal(*state);
	assert_null(recipient_rule(*state, "postmaster"));
}

static void what_is_no_recipient_is_refused_with_a_reason(void **state)
{
	static const char *const rows[] = {
		"", "@example.com", "<a@example.com>", "a@", "a b", "a%example.com"};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char error[200];

		if (recipients_add(*state, rows[i], error, sizeof(error)))
			fail_msg("'%s' was taken", rows[i]);
		assert_string_equal(error, "neither a local part nor an address");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(recipients_match_by_local_part_or_whole, begin, end),
		cmocka_unit_test_setup_teardown(recipients_are_taken_as_their_rule_in_any_spelling,
						begin, end),
		cmocka_unit_test_setup_teardown(an_empty_list_has_nobody, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_recipient_is_refused_with_a_reason,
						begin, end),
	};

	return cmocka_run_group_tests_name("recipients", tests, NULL, NULL);
}
