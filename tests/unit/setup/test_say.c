/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/program.h"
#include "setup/say.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Bash has every word back, and nothing in it is a command, or controls a terminal. */
static void words_are_quoted_for_a_shell(void **state)
{
	static const struct {
		const char *word, *quoted;
	} rows[] = {
		{"plain-_@%+=:,./1", "plain-_@%+=:,./1"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's", "'it'\\''s'"},
		{"$(id)`id`\"*;\\", "'$(id)`id`\"*;\\'"},
		{"a\nb\x1b'\\", "$'a\\x0ab\\x1b\\x27\\x5c'"},
		{"gr\xc3\xbcn", "$'gr\\xc3\\xbcn'"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *quoted = say_quote(rows[i].word);
		char *script = say_format("printf %%s %s", quoted);
		const char *argv[] = {"bash", "-c", script, NULL};
		struct program_result result;

		assert_string_equal(quoted, rows[i].quoted);
		program_run(argv, 60000, &result);
		assert_string_equal(result.output, rows[i].word);
		program_result_free(&result);
		free(script);
		free(quoted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_quoted_for_a_shell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
