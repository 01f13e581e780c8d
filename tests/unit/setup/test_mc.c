/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "setup/mc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OURS "ours\n"
#define BLOCK MC_BEGIN OURS MC_END

static void lines_go_before_the_mailers_and_come_out_again(void **state)
{
	static const struct {
		const char *before, *after; /* the place of our lines */
	} rows[] = {
		{"", "MAILER(`smtp')\n"},
		{"a\n", "  MAILER_DEFINITIONS\nMAILER(`smtp')"},
		{"INPUT_MAIL_FILTER(`x',\n  `S=y')dnl\n", "MAILER(smtp)dnl\nMAILER(`local')\n"},
		{"divert(-1)\nMAILER(`x')\ndivert(0)dnl\ndnl MAILER(`y')\n", "MAILER(`smtp')\n"},
		{"dnl MAIL_FILTER(`tarpit S=unix:/ours\n",
		 "MAILER(`smtp')\ndnl INPUT_MAIL_FILTER(`x')\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[500], expected[500], *added, *removed;
		const char *reason = NULL;

		strcat(strcpy(text, rows[i].before), rows[i].after);
		strcat(strcat(strcpy(expected, rows[i].before), BLOCK), rows[i].after);
		added = mc_add(text, OURS, "unix:/ours", &reason);
		assert_string_equal(added, expected);
		removed = mc_remove(added, &reason);
		assert_string_equal(removed, text);
		assert_null(reason);
		free(added);
		free(removed);
	}
}

static void no_place_is_said(void **state)
{
	static const char *const texts[] = {
		"",
		"a\nb\n",
		"divert(-1)\nMAILER(`smtp')\n",
		"INPUT_MAIL_FILTER(`tarpit', `S=x')\nMAILER(`smtp')\n",
		"MAIL_FILTER(`x',\n  `S=unix:/ours, T=y')\nMAILER(`smtp')\n",
		"MAILER(`smtp')\nINPUT_MAIL_FILTER(`x', `S=y')\n",
		"MAILER(`smtp')\ndefine(`confINPUT_MAIL_FILTERS', `x')\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		const char *reason = NULL;

		assert_null(mc_add(texts[i], OURS, "unix:/ours", &reason));
		assert_non_null(reason);
	}
}

static void marks_that_do_not_match(void **state)
{
	static const char *const texts[] = {
		MC_BEGIN "a\n",		  MC_END "a\n",		  MC_END MC_BEGIN,
		MC_BEGIN MC_BEGIN MC_END, MC_BEGIN MC_END MC_END,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		const char *reason = NULL;

		assert_null(mc_remove(texts[i], &reason));
		assert_non_null(reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_before_the_mailers_and_come_out_again),
		cmocka_unit_test(no_place_is_said),
		cmocka_unit_test(marks_that_do_not_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
