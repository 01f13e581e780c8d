/* SPDX-License-Identifier: BSD-2-Clause */
/* A screen: a grid of characters, each one column wide, for texts and bars. Pure. */
#ifndef TARPIT_TARPITCTL_SCREEN_H
#define TARPIT_TARPITCTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

enum screen_style {
	STYLE_PLAIN,
	STYLE_DIM,
	STYLE_BOLD,
	STYLE_TITLE,
	STYLE_HEADING,
	STYLE_BAR,
	STYLE_GOOD,
	STYLE_WARNING,
	STYLE_BAD,
	STYLE_ALARM,
	STYLE_COUNT
};

/* Row by row. A grid starts zeroed, which is without any room. */
struct screen_grid {
	int rows, columns;
	wchar_t *glyphs;
	uint8_t *styles;
	bool has_blocks; /* and an ellipsis, for terminals that show them; else all is ASCII */
};

/* Makes all cells blank. False if out of memory: then the grid stays as it was. */
bool screen_resize(struct screen_grid *grid, int rows, int columns);
void screen_free(struct screen_grid *grid);

/*
 * Any row and column is allowed: what is outside the grid is not drawn. What is not printable ASCII
 * becomes a question mark, so that no text can control the terminal. Returns the column behind what
 * was put.
 */
int screen_put(struct screen_grid *grid, int row, int column, enum screen_style style,
		const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A text longer than the width is cut, and ends in an ellipsis or "~". */
int screen_put_cut(struct screen_grid *grid, int row, int column, int width,
		    enum screen_style style, const char *text);
/* The text stands at the right end of its field, which is `width` columns wide. */
int screen_put_right(struct screen_grid *grid, int row, int column, int width,
		      enum screen_style style, const char *text);
/* "[#####     ]", `width` columns wide with its brackets. A part above 0 always shows. */
int screen_put_bar(struct screen_grid *grid, int row, int column, int width, double part,
		    enum screen_style style);
void screen_fill_row(struct screen_grid *grid, int row, enum screen_style style);

#endif
