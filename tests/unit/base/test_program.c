/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/program.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LONG_MS 60000

static void tells_what_came_of_it(void **state)
{
	static const struct {
		const char *script;
		int status;
		const char *output, *error;
	} rows[] = {
		{"echo one; echo two >&2", 0, "one\n", "two\n"},
		{"exit 3", 3, "", ""},
		{"cat; echo \"$LC_ALL\"", 0, "C\n", ""},
		{"kill -9 $$", -1, "", "ended by signal 9"},
		{"case $PATH in *:/usr/sbin:*) echo yes;; esac", 0, "yes\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *argv[] = {"sh", "-c", rows[i].script, NULL};
		struct program_result result;

		program_run(argv, LONG_MS, &result);
		assert_int_equal(result.status, rows[i].status);
		assert_string_equal(result.output, rows[i].output);
		assert_string_equal(result.error, rows[i].error);
		program_result_free(&result);
	}
}

static void arguments_meet_no_shell(void **state)
{
	const char *argv[] = {"printf", "%s.", "$(id) `id` ; *", "a b", NULL};
	struct program_result result;

	(void)state;
	program_run(argv, LONG_MS, &result);
	assert_string_equal(result.output, "$(id) `id` ; *.a b.");
	program_result_free(&result);
}

static void what_is_not_there_is_said(void **state)
{
	const char *argv[] = {"no-such-program-of-ours", NULL};
	struct program_result result;

	(void)state;
	program_run(argv, LONG_MS, &result);
	assert_int_equal(result.status, -1);
	assert_string_equal(result.error, "No such file or directory");
	program_result_free(&result);
}

static void what_never_ends_is_ended(void **state)
{
	static const char *const scripts[] = {
		"exec sleep 600",
		"exec >&- 2>&-; exec sleep 600", /* says no more, and does not end */
		"yes",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		const char *argv[] = {"sh", "-c", scripts[i], NULL};
		struct program_result result;

		program_run(argv, strcmp(scripts[i], "yes") == 0 ? LONG_MS : 200, &result);
		assert_int_equal(result.status, -1);
		assert_non_null(strstr(result.error, "did not end"));
		assert_true(strlen(result.output) < 2 * PROGRAM_OUTPUT_MAX);
		program_result_free(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_came_of_it),
		cmocka_unit_test(arguments_meet_no_shell),
		cmocka_unit_test(what_is_not_there_is_said),
		cmocka_unit_test(what_never_ends_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
