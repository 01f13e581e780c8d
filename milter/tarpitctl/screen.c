/* SPDX-License-Identifier: BSD-2-Clause */
/* Puts texts and bars into a grid of characters, clipped at its edges. */
#include "screen.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

#define TEXT_MAX 512

bool screen_resize(struct screen_grid *grid, int rows, int columns)
{
	size_t cells = (size_t)rows * (size_t)columns;
	wchar_t *glyphs = calloc(cells, sizeof(*glyphs));
	uint8_t *styles = calloc(cells, sizeof(*styles));

	if (glyphs == NULL || styles == NULL) {
		free(glyphs);
		free(styles);
		return false;
	}
	screen_free(grid);
	grid->rows = rows;
	grid->columns = columns;
	grid->glyphs = glyphs;
	grid->styles = styles;
	for (int row = 0; row < rows; row++)
		screen_fill_row(grid, row, STYLE_PLAIN);
	return true;
}

void screen_free(struct screen_grid *grid)
{
	free(grid->glyphs);
	free(grid->styles);
	grid->glyphs = NULL;
	grid->styles = NULL;
	grid->rows = grid->columns = 0;
}

static void put_glyph(struct screen_grid *grid, int row, int column, wchar_t glyph,
		      enum screen_style style)
{
	size_t cell = (size_t)row * (size_t)grid->columns + (size_t)column;

	if (row < 0 || row >= grid->rows || column < 0 || column >= grid->columns)
		return;
	grid->glyphs[cell] = glyph;
	grid->styles[cell] = (uint8_t)style;
}

int screen_put_cut(struct screen_grid *grid, int row, int column, int width,
		   enum screen_style style, const char *text)
{
	int length = (int)strnlen(text, TEXT_MAX);
	int shown = length < width ? length : width;

	for (int i = 0; i < shown; i++) {
		wchar_t glyph = printable_is(text[i]) ? (wchar_t)text[i] : L'?';

		if (i == width - 1 && length > width)
			glyph = grid->has_blocks ? L'\u2026' : L'~';
		put_glyph(grid, row, column + i, glyph, style);
	}
	return column + (shown > 0 ? shown : 0);
}

int screen_put(struct screen_grid *grid, int row, int column, enum screen_style style,
	       const char *format, ...)
{
	char text[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return screen_put_cut(grid, row, column, grid->columns - column, style, text);
}

int screen_put_right(struct screen_grid *grid, int row, int column, int width,
		     enum screen_style style, const char *text)
{
	int length = (int)strnlen(text, TEXT_MAX);
	int blank = width > length ? width - length : 0;

	screen_put_cut(grid, row, column + blank, width - blank, style, text);
	return column + width;
}

void screen_fill_row(struct screen_grid *grid, int row, enum screen_style style)
{
	for (int column = 0; column < grid->columns; column++)
		put_glyph(grid, row, column, L' ', style);
}

int screen_put_bar(struct screen_grid *grid, int row, int column, int width, double part,
		   enum screen_style style)
{
	int steps = grid->has_blocks ? 8 : 1; /* that a character of the bar can show */
	int inner = width - 2, filled;

	if (inner < 1)
		return column;
	part = isfinite(part) ? fmin(fmax(part, 0), 1) : 0;
	filled = (int)lround(part * inner * steps);
	if (filled == 0 && part > 0)
		filled = 1;
	put_glyph(grid, row, column, L'[', STYLE_DIM);
	for (int i = 0; i < inner; i++, filled -= steps) {
		wchar_t glyph = L' ';

		if (filled >= steps)
			glyph = grid->has_blocks ? L'\u2588' : L'#';
		else if (filled > 0)
			glyph = (wchar_t)(0x2590 - filled); /* U+258F to U+2589: eighths */
		put_glyph(grid, row, column + 1 + i, glyph, style);
	}
	put_glyph(grid, row, column + width - 1, L']', STYLE_DIM);
	return column + width;
}
