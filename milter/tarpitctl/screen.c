/* SPDX-License-Identifier: BSD-2-Clause */
#include "screen.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 512

bool picture_resize(struct picture *picture, int rows, int columns)
{
	size_t cells = (size_t)rows * (size_t)columns;
	wchar_t *glyphs = calloc(cells, sizeof(*glyphs));
	uint8_t *styles = calloc(cells, sizeof(*styles));

	if (glyphs == NULL || styles == NULL) {
		free(glyphs);
		free(styles);
		return false;
	}
	picture_free(picture);
	picture->rows = rows;
	picture->columns = columns;
	picture->glyphs = glyphs;
	picture->styles = styles;
	for (int row = 0; row < rows; row++)
		picture_fill_row(picture, row, STYLE_PLAIN);
	return true;
}

void picture_free(struct picture *picture)
{
	free(picture->glyphs);
	free(picture->styles);
	picture->glyphs = NULL;
	picture->styles = NULL;
	picture->rows = picture->columns = 0;
}

static void put_glyph(struct picture *picture, int row, int column, wchar_t glyph,
		      enum picture_style style)
{
	size_t cell = (size_t)row * (size_t)picture->columns + (size_t)column;

	if (row < 0 || row >= picture->rows || column < 0 || column >= picture->columns)
		return;
	picture->glyphs[cell] = glyph;
	picture->styles[cell] = (uint8_t)style;
}

int picture_put_cut(struct picture *picture, int row, int column, int width,
		    enum picture_style style, const char *text)
{
	int length = (int)strnlen(text, TEXT_MAX);
	int shown = length < width ? length : width;

	for (int i = 0; i < shown; i++) {
		wchar_t glyph = text[i] >= ' ' && text[i] <= '~' ? (wchar_t)text[i] : L'?';

		if (i == width - 1 && length > width)
			glyph = picture->has_blocks ? L'\u2026' : L'~';
		put_glyph(picture, row, column + i, glyph, style);
	}
	return column + (shown > 0 ? shown : 0);
}

int picture_put(struct picture *picture, int row, int column, enum picture_style style,
		const char *format, ...)
{
	char text[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return picture_put_cut(picture, row, column, picture->columns - column, style, text);
}

int picture_put_right(struct picture *picture, int row, int column, int width,
		      enum picture_style style, const char *text)
{
	int length = (int)strnlen(text, TEXT_MAX);
	int blank = width > length ? width - length : 0;

	picture_put_cut(picture, row, column + blank, width - blank, style, text);
	return column + width;
}

void picture_fill_row(struct picture *picture, int row, enum picture_style style)
{
	for (int column = 0; column < picture->columns; column++)
		put_glyph(picture, row, column, L' ', style);
}

int picture_put_bar(struct picture *picture, int row, int column, int width, double part,
		    enum picture_style style)
{
	int steps = picture->has_blocks ? 8 : 1; /* of a character */
	int inner = width - 2, filled;

	if (inner < 1)
		return column;
	part = isfinite(part) ? fmin(fmax(part, 0), 1) : 0;
	filled = (int)lround(part * inner * steps);
	if (filled == 0 && part > 0)
		filled = 1;
	put_glyph(picture, row, column, L'[', STYLE_DIM);
	for (int i = 0; i < inner; i++, filled -= steps) {
		wchar_t glyph = L' ';

		if (filled >= steps)
			glyph = picture->has_blocks ? L'\u2588' : L'#';
		else if (filled > 0)
			glyph = (wchar_t)(0x2590 - filled); /* eighths, from the left */
		put_glyph(picture, row, column + 1 + i, glyph, style);
	}
	put_glyph(picture, row, column + width - 1, L']', STYLE_DIM);
	return column + width;
}
