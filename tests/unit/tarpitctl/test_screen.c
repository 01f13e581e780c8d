/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tarpitctl/screen.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define COLUMNS 12

static void assert_row(const struct screen_grid *grid, int row, const wchar_t *expected)
{
	const wchar_t *glyphs = grid->glyphs + row * grid->columns;

	for (int i = 0; i < grid->columns; i++)
		if (glyphs[i] != expected[i])
			fail_msg("'%.*ls' is not '%ls'", grid->columns, glyphs, expected);
}

static void bars(void **state)
{
	static const struct {
		bool has_blocks;
		int width;
		double part;
		const wchar_t *expected;
	} rows[] = {
		{false, 10, 0, L"[        ]  "},
		{false, 10, 1, L"[########]  "},
		{false, 10, 0.5, L"[####    ]  "},
		{false, 10, 0.001, L"[#       ]  "},
		{false, 10, -1, L"[        ]  "},
		{false, 10, 7, L"[########]  "},
		{false, 10, NAN, L"[        ]  "},
		{false, 10, INFINITY, L"[        ]  "},
		{false, 3, 1, L"[#]         "},
		{false, 2, 1, L"            "},
		{false, 0, 1, L"            "},
		{false, -5, 1, L"            "},
		{false, 20, 0.9, L"[###########"},
		{true, 10, 1, L"[████████]  "},
		{true, 10, 0.5, L"[████    ]  "},
		{true, 10, 1.0 / 64, L"[▏       ]  "},
		{true, 10, 0.0001, L"[▏       ]  "},
		{true, 10, 7.0 / 64, L"[▉       ]  "},
		{true, 10, 28.0 / 64, L"[███▌    ]  "},
		{true, 10, 63.0 / 64, L"[███████▉]  "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct screen_grid grid = {.has_blocks = rows[i].has_blocks};

		assert_true(screen_resize(&grid, 1, COLUMNS));
		screen_put_bar(&grid, 0, 0, rows[i].width, rows[i].part, STYLE_BAR);
		assert_row(&grid, 0, rows[i].expected);
		screen_free(&grid);
	}
}

static void texts_are_cut(void **state)
{
	static const struct {
		bool has_blocks, right;
		int column, width;
		const char *text;
		const wchar_t *expected;
	} rows[] = {
		{false, false, 0, 8, "abc", L"abc         "},
		{false, false, 0, 3, "abc", L"abc         "},
		{false, false, 0, 3, "abcd", L"ab~         "},
		{true, false, 0, 3, "abcd", L"ab…         "},
		{false, false, 0, 1, "abcd", L"~           "},
		{false, false, 0, 0, "abcd", L"            "},
		{false, false, 0, -3, "abcd", L"            "},
		{false, false, 10, 8, "abcd", L"          ab"},
		{false, false, -2, 8, "abcd", L"cd          "},
		{false, false, 40, 8, "abcd", L"            "},
		{false, true, 2, 6, "12.5", L"    12.5    "},
		{false, true, 2, 4, "12.5", L"  12.5      "},
		{false, true, 2, 3, "12.5", L"  12~       "},
		{false, true, 2, 0, "12.5", L"            "},
		{false, true, 2, -9, "12.5", L"            "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct screen_grid grid = {.has_blocks = rows[i].has_blocks};

		assert_true(screen_resize(&grid, 1, COLUMNS));
		if (rows[i].right)
			screen_put_right(&grid, 0, rows[i].column, rows[i].width, STYLE_PLAIN,
					  rows[i].text);
		else
			screen_put_cut(&grid, 0, rows[i].column, rows[i].width, STYLE_PLAIN,
					rows[i].text);
		assert_row(&grid, 0, rows[i].expected);
		screen_free(&grid);
	}
}

static void each_put_tells_where_it_ends(void **state)
{
	struct screen_grid grid = {0};

	(void)state;
	assert_true(screen_resize(&grid, 1, COLUMNS));
	assert_int_equal(screen_put(&grid, 0, 2, STYLE_PLAIN, "%d-%s", 7, "x"), 5);
	assert_int_equal(screen_put(&grid, 0, 10, STYLE_PLAIN, "long"), 12);
	assert_int_equal(screen_put_right(&grid, 0, 1, 6, STYLE_PLAIN, "1"), 7);
	assert_int_equal(screen_put_cut(&grid, 0, 1, 2, STYLE_PLAIN, "1234"), 3);
	assert_int_equal(screen_put_cut(&grid, 0, 1, -2, STYLE_PLAIN, "1234"), 1);
	assert_int_equal(screen_put_bar(&grid, 0, 1, 6, 1, STYLE_BAR), 7);
	assert_int_equal(screen_put_bar(&grid, 0, 1, 1, 1, STYLE_BAR), 1);
	screen_free(&grid);
}

static void only_printable_ascii_gets_through(void **state)
{
	struct screen_grid grid = {.has_blocks = true};
	char byte[2] = "";

	(void)state;
	assert_true(screen_resize(&grid, 1, 1));
	for (int value = 1; value < 256; value++) {
		wchar_t expected = value >= ' ' && value < 0x7f ? (wchar_t)value : L'?';

		byte[0] = (char)value;
		screen_put(&grid, 0, 0, STYLE_PLAIN, "%s", byte);
		assert_int_equal(grid.glyphs[0], expected);
	}
	screen_free(&grid);
}

static void nothing_is_drawn_outside(void **state)
{
	struct screen_grid grid = {0};

	(void)state;
	assert_true(screen_resize(&grid, 2, 3));
	for (int row = -2; row < 5; row++) {
		for (int column = -4; column < 6; column++) {
			screen_put(&grid, row, column, STYLE_PLAIN, "abc");
			screen_put_bar(&grid, row, column, 9, 1, STYLE_BAR);
		}
		screen_fill_row(&grid, row, STYLE_DIM);
	}
	assert_row(&grid, 0, L"   ");
	assert_row(&grid, 1, L"   ");
	assert_int_equal(grid.styles[5], STYLE_DIM);
	screen_free(&grid);
	screen_free(&grid);
}

static void a_new_size_is_blank(void **state)
{
	struct screen_grid grid = {.has_blocks = true};

	(void)state;
	assert_true(screen_resize(&grid, 1, 3));
	screen_put(&grid, 0, 0, STYLE_BAD, "abc");
	assert_true(screen_resize(&grid, 2, 5));
	assert_row(&grid, 0, L"     ");
	assert_row(&grid, 1, L"     ");
	assert_int_equal(grid.styles[0], STYLE_PLAIN);
	assert_true(grid.has_blocks);
	screen_free(&grid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars),
		cmocka_unit_test(texts_are_cut),
		cmocka_unit_test(each_put_tells_where_it_ends),
		cmocka_unit_test(only_printable_ascii_gets_through),
		cmocka_unit_test(nothing_is_drawn_outside),
		cmocka_unit_test(a_new_size_is_blank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
