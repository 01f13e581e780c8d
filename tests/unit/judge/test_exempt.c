/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "judge/exempt.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef bool add_fn(struct exempt *exempt, const char *text, char *error, size_t size);

static int begin(void **state)
{
	*state = exempt_new();
	return *state != NULL ? 0 : -1;
}

static int end(void **state)
{
	exempt_free(*state);
	return 0;
}

static void add(struct exempt *exempt, add_fn *add_rule, const char *text)
{
	char error[200];

	if (!add_rule(exempt, text, error, sizeof(error)))
		fail_msg("%s: %s", text, error);
}

static void the_longest_network_is_the_rule(void **state)
{
	static const struct {
		const char *address, *rule;	/* NULL: not exempt */
	} rows[] = {
		{"10.1.2.3", "10.1.0.0/16"},   {"10.2.0.1", "10.0.0.0/8"}, {"11.0.0.1", NULL},
		{"192.0.2.1", "192.0.2.1/32"}, {"192.0.2.2", NULL},        {"::1", "::1/128"},
		{"2001:db8::5", "2001:db8::/32"}, {"2001:db9::5", NULL},
	};
	static const char *const rules[] = {"192.0.2.1", "10.0.0.0/8", "::1", "2001:db8::/32",
					    "10.1.0.0/16"};

	for (size_t i = 0; i < COUNT(rules); i++)
		add(*state, exempt_add_client, rules[i]);
	exempt_seal(*state);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefix address, rule;
		char text[PREFIX_TEXT_MAX];

		assert_true(prefix_parse(rows[i].address, &address));
		if (exempt_has_client(*state, &address, &rule) != (rows[i].rule != NULL))
			fail_msg("%s", rows[i].address);
		if (rows[i].rule != NULL)
			assert_string_equal(prefix_format(&rule, text), rows[i].rule);
	}
}

static void a_rule_touches_what_it_is_in_and_what_is_in_it(void **state)
{
	static const struct {
		const char *prefix;
		bool touches;
	} rows[] = {
		{"10.1.2.3/32", true},	      {"10.0.0.0/8", true},	 {"10.0.0.0/7", true},
		{"11.0.0.0/8", false},	      {"0.0.0.0/0", true},	 {"192.0.2.0/24", true},
		{"192.0.2.0/31", true},	      {"192.0.2.2/31", false},	 {"192.0.3.0/24", false},
		{"2001:db8:1:2::/64", true},  {"2001:db8:1:3::/64", false}, {"2001:db8:1:1::/64", false},
		{"2001:db8:1::/48", true},    {"2001:db8:2::/48", false}, {"2001:db8:1:2::/127", false},
		{"2001:db8:1:2::4/126", true},
	};
	static const char *const rules[] = {"192.0.2.1", "10.0.0.0/8", "2001:db8:1:2::5", "192.0.1.255"};

	for (size_t i = 0; i < COUNT(rules); i++)
		add(*state, exempt_add_client, rules[i]);
	exempt_seal(*state);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefix prefix;

		assert_true(prefix_parse(rows[i].prefix, &prefix));
		if (exempt_touches(*state, &prefix) != rows[i].touches)
			fail_msg("%s", rows[i].prefix);
	}
}

static void no_rule_exempts_nobody(void **state)
{
	struct prefix address;

	exempt_seal(*state);
	assert_true(prefix_parse("127.0.0.1", &address));
	assert_false(exempt_has_client(*state, &address, NULL));
	assert_null(exempt_host_rule(*state, "localhost"));
}

static void hosts_match_whole_labels(void **state)
{
	static const struct {
		const char *name, *rule;
	} rows[] = {
		{"mail.example.com", "mail.example.com"}, {"MAIL.Example.COM.", "mail.example.com"},
		{"a.mail.example.com", NULL},             {"example.com", NULL},
		{"a.example.net", ".example.net"},        {"a.b.example.net", ".example.net"},
		{"example.net", NULL},                    {"badexample.net", NULL},
		{".example.net", NULL},                   {"", NULL},
		{"[192.0.2.1]", NULL},
	};
	char endless[1000];

	add(*state, exempt_add_host, "mail.EXAMPLE.com");
	add(*state, exempt_add_host, ".example.net");
	exempt_seal(*state);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *rule = exempt_host_rule(*state, rows[i].name);

		if (rows[i].rule == NULL ? rule != NULL
					 : rule == NULL || strcmp(rule, rows[i].rule) != 0)
			fail_msg("%s: %s", rows[i].name, rule != NULL ? rule : "none");
	}
	memset(endless, 'a', sizeof(endless) - 1);
	strcpy(endless + sizeof(endless) - 14, ".example.net");
	assert_null(exempt_host_rule(*state, endless));
}

static void bad_rules_are_refused_with_a_reason(void **state)
{
	static const struct {
		add_fn *add_rule;
		const char *text, *reason;
	} rows[] = {
		{exempt_add_client, "10.0.0.1/8", "host bits are set: was 10.0.0.0/8 meant?"},
		{exempt_add_client, "localhost", "a host name: exempt_hosts is for those"},
		{exempt_add_client, "mail.example.com", "a host name: exempt_hosts is for those"},
		{exempt_add_client, "a b", "neither an address nor a network"},
		{exempt_add_client, "", "neither an address nor a network"},
		{exempt_add_host, "", "not a host name"},
		{exempt_add_host, ".", "not a host name"},
		{exempt_add_host, "a..b", "not a host name"},
		{exempt_add_host, "*.example.com", "not a host name"},
		{exempt_add_host, "a b", "not a host name"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char error[200];

		if (rows[i].add_rule(*state, rows[i].text, error, sizeof(error)))
			fail_msg("'%s' was taken", rows[i].text);
		assert_string_equal(error, rows[i].reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_longest_network_is_the_rule, begin, end),
		cmocka_unit_test_setup_teardown(a_rule_touches_what_it_is_in_and_what_is_in_it, begin, end),
		cmocka_unit_test_setup_teardown(no_rule_exempts_nobody, begin, end),
		cmocka_unit_test_setup_teardown(hosts_match_whole_labels, begin, end),
		cmocka_unit_test_setup_teardown(bad_rules_are_refused_with_a_reason, begin, end),
	};

	return cmocka_run_group_tests_name("exempt", tests, NULL, NULL);
}
