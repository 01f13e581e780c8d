/* SPDX-License-Identifier: BSD-2-Clause */
/* A screen as an array of characters, each one column wide, that texts and bars are put into. Pure. */
#ifndef TARPIT_TARPITCTL_SCREEN_H
#define TARPIT_TARPITCTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

enum picture_style {
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

/* Zeroed, it has no room. Row by row. */
struct picture {
	int rows, columns;
	wchar_t *glyphs;
	uint8_t *styles;
	bool has_blocks; /* the terminal shows block characters and more; else it is all ASCII */
};

/* False if there is no memory; the picture is as it was then. */
bool picture_resize(struct picture *picture, int rows, int columns);
void picture_free(struct picture *picture);

/*
 * All of these may be given any place: what is outside is not drawn. What is not printable ASCII becomes a
 * question mark, so no text can control the terminal. They return the column behind what was put.
 */
int picture_put(struct picture *picture, int row, int column, enum picture_style style,
		const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A text longer than the width is cut, and ends in a mark that says so. */
int picture_put_cut(struct picture *picture, int row, int column, int width,
		    enum picture_style style, const char *text);
/* At the right end of its field. */
int picture_put_right(struct picture *picture, int row, int column, int width,
		      enum picture_style style, const char *text);
/* "[#####     ]", of that width in all. A part that is not nothing shows. */
int picture_put_bar(struct picture *picture, int row, int column, int width, double part,
		    enum picture_style style);
void picture_fill_row(struct picture *picture, int row, enum picture_style style);

#endif
