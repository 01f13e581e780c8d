/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "setup/facts.h"
#include "setup/milters.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ENTRY "{ unix:x, default_action=accept, connect_timeout=30s, command_timeout=30s }"

/* NULL is a text, too. The text is freed. */
static void assert_text(char *text, const char *expected)
{
	if (expected == NULL)
		assert_null(text);
	else
		assert_string_equal(text, expected);
	free(text);
}

static void socket_as_postfix_has_it(void **state)
{
	static const struct {
		const char *socket, *queue;
		bool is_chrooted;
		const char *address;
	} rows[] = {
		{"unix:/q/t/m.sock", "/q", true, "unix:t/m.sock"},
		{"local:/q/t/m.sock", "/q/", false, "unix:t/m.sock"},
		{"unix:/q//m.sock", "/q", true, "unix:m.sock"},
		{"unix:/queue/m.sock", "/q", false, "unix:/queue/m.sock"},
		{"unix:/queue/m.sock", "/q", true, NULL},
		{"unix:/q", "/q", true, NULL},
		{"unix:/q/", "/q", true, NULL},
		{"unix:/q/a b", "/q", true, NULL},
		{"unix:/q/$a", "/q", true, NULL},
		{"unix:/q/{a", "/q", true, NULL},
		{"unix:/q/\x1b", "/q", true, NULL},
		{"inet:1@127.0.0.1", "/q", true, "inet:127.0.0.1:1"},
		{"inet:1@mx.example", "/q", true, "inet:mx.example:1"},
		{"inet:1@0.0.0.0", "/q", true, "inet:127.0.0.1:1"},
		{"inet6:1@2001:db8::1", "/q", true, "inet:[2001:db8::1]:1"},
		{"inet6:1@[2001:db8::1]", "/q", true, "inet:[2001:db8::1]:1"},
		{"inet6:1@[::]", "/q", true, "inet:[::1]:1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char error[200] = "";

		assert_text(milters_address(rows[i].socket, rows[i].queue, rows[i].is_chrooted,
					    error, sizeof(error)),
			    rows[i].address);
		assert_int_equal(*error == '\0', rows[i].address != NULL);
	}
}

static void others_come_first(void **state)
{
	char *entry = milters_entry("unix:x", 30);

	(void)state;
	assert_string_equal(entry, ENTRY);
	assert_text(milters_append(NULL, entry), ENTRY);
	assert_text(milters_append(" , ", entry), ENTRY);
	assert_text(milters_append("inet:a:1", entry), "inet:a:1, " ENTRY);
	assert_text(milters_append("inet:a:1 ,", entry), "inet:a:1, " ENTRY);
	free(entry);
}

static void ours_is_found_whole_only(void **state)
{
	static const struct {
		const char *list;
		bool has;
	} rows[] = {
		{"unix:x", true},
		{"inet:a:1,unix:x", true},
		{"unix:x inet:a:1", true},
		{"{unix:x, a=b}", true},
		{"{ unix:x }", true},
		{"{unix:x}", true},
		{"", false},
		{"unix:x/y", false},
		{"unix:xy, unix:x", true},
		{"aunix:x", false},
		{"unix:/x", false},
		{"unix:xy", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(milters_have(rows[i].list, "unix:x"), rows[i].has);
}

static void ours_by_any_name(void **state)
{
	static const struct {
		const char *list, *socket;
		bool has;
	} rows[] = {
		{"{unix:t/m, a=b}", "unix:/q/t/m", true},
		{"unix:/t/m", "unix:/q/t/m", true},
		{"unix:/q/t/m", "local:/q/t/m", true},
		{"unix:/m", "unix:/q/t/m", false},
		{"unix:/run/m", "unix:/run/m", true},
		{"unix:m", "unix:/run/m", false},
		{"inet:127.0.0.1:1", "inet:1@127.0.0.1", true},
		{"inet:localhost:1", "inet:1@127.0.0.1", true},
		{"inet:localhost:12", "inet:1@127.0.0.1", false},
		{"inet:[::1]:1", "inet6:1@::", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(milters_have_socket(rows[i].list, rows[i].socket, "/q"),
				 rows[i].has);
}

static void names_in_values(void **state)
{
	static const struct {
		const char *text;
		bool refers;
	} rows[] = {
		{"$smtpd_milters", true},
		{"${smtpd_milters}", true},
		{"$(smtpd_milters)", true},
		{"a, $smtpd_milters, b", true},
		{"${smtpd_milters?{a}}", true},
		{"$$smtpd_milters", true},
		{"${ smtpd_milters }", true},
		{"smtpd_milters", false},
		{"$smtpd_milters_x", false},
		{"$smtpd_milters2", false},
		{"$smtpd", false},
		{"", false},
		{"$", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(milters_refer_to(rows[i].text, "smtpd_milters"), rows[i].refers);
}

static void blanks_that_are_separators(void **state)
{
	static const struct {
		const char *list, *without;
	} rows[] = {
		{"", ""},
		{"inet:a:1", "inet:a:1"},
		{" inet:a:1 , \t inet:b:2 ", "inet:a:1,inet:b:2"},
		{"{ inet:a:1, x=y }, $b", "{inet:a:1,x=y},$b"},
		{"$a ${b} $(c) ${d?{e}:{f}}", "$a,${b},$(c),${d?{e}:{f}}"},
		{"{ inet:a:1, { x = y } }", NULL},
		{"{ inet:a:1, {x=y} }", NULL},
		{"${a? {b} : {c}}", NULL},
		{"a ${b", NULL},
		{"a $(", NULL},
		{"} a", "},a"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_text(milters_without_blanks(rows[i].list), rows[i].without);
}

static void versions_with_settings_of_one_milter(void **state)
{
	(void)state;
	assert_false(facts_is_recent("2.11.3"));
	assert_true(facts_is_recent("3.0.0"));
	assert_true(facts_is_recent("3.10.1"));
	assert_true(facts_is_recent("10.0"));
	assert_false(facts_is_recent(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socket_as_postfix_has_it),
		cmocka_unit_test(others_come_first),
		cmocka_unit_test(ours_is_found_whole_only),
		cmocka_unit_test(ours_by_any_name),
		cmocka_unit_test(names_in_values),
		cmocka_unit_test(blanks_that_are_separators),
		cmocka_unit_test(versions_with_settings_of_one_milter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
