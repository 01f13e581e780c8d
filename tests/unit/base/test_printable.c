/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/printable.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void other_bytes_are_masked(void **state)
{
	char every[256], text[] = "a\033[31mb\n\177\303\244 ~";

	(void)state;
	assert_string_equal(printable_mask(text), "a?[31mb???? ~");
	for (int i = 0; i < 255; i++)
		every[i] = (char)(i + 1);
	every[255] = '\0';
	printable_mask(every);
	assert_int_equal(strlen(every), 255);
	for (int i = 0; i < 255; i++)
		assert_int_equal(every[i], i + 1 >= ' ' && i + 1 <= '~' ? i + 1 : '?');
}

static void other_bytes_are_escaped(void **state)
{
	static const struct {
		const char *from, *also, *hex, *escaped;
	} rows[] = {
		{"", "", PRINTABLE_UPPER_HEX, ""},
		{"192.0.2.1 ~", "", PRINTABLE_UPPER_HEX, "192.0.2.1 ~"},
		{"a\033[31mb\n\177", "", PRINTABLE_LOWER_HEX, "a\\x1b[31mb\\x0a\\x7f"},
		{"\303\244\377", "", PRINTABLE_UPPER_HEX, "\\xC3\\xA4\\xFF"},
		{"a\"b\\c", "\"\\", PRINTABLE_UPPER_HEX, "a\\x22b\\x5Cc"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(printable_escape(rows[i].from, rows[i].also, rows[i].hex, text,
						  sizeof(text)),
				 strlen(rows[i].escaped));
		assert_string_equal(text, rows[i].escaped);
	}
}

static void no_escape_is_cut(void **state)
{
	static const char *const rows[] = {"",	      "",    "a",	 "a",	      "a",
					   "a",	      "a\\x0A", "a\\x0Ab"};
	char text[16];

	(void)state;
	for (size_t size = 1; size < COUNT(rows); size++) {
		memset(text, 'x', sizeof(text));
		printable_escape("a\nb", "", PRINTABLE_UPPER_HEX, text, size);
		assert_string_equal(text, rows[size]);
		assert_int_equal(text[size], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_bytes_are_masked),
		cmocka_unit_test(other_bytes_are_escaped),
		cmocka_unit_test(no_escape_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
