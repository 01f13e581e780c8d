/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of cells in aligned columns, and texts, as a terminal may get them: no byte in them can control it. */
#ifndef TARPIT_TARPITCTL_TABLE_H
#define TARPIT_TARPITCTL_TABLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum table_style { TABLE_PLAIN, TABLE_STRONG, TABLE_ALARM };

struct table_column {
	const char *title;	/* NULL in the first column: there is no header line */
	bool right;		/* aligned to the right, as numbers are */
};

struct table_cell {
	char *text;
	enum table_style style;
};

struct table {
	const struct table_column *columns;
	size_t columns_count;
	struct table_cell *cells;		/* row after row */
	size_t cells_count, cells_size;
	bool failed;			/* out of memory */
};

/* Fills the next cell. A table begins as its columns and zeros. */
void table_add(struct table *table, enum table_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes all rows, each behind `indent` blanks. False, with nothing written, if memory ran out before. */
bool table_print(const struct table *table, size_t indent, bool colour, FILE *out);
void table_free(struct table *table);

/* What starts and ends a style on a terminal; empty without colour. */
const char *table_style_begin(enum table_style style, bool colour);
const char *table_style_end(enum table_style style, bool colour);

/* A copy with \xHH for each byte that is not printable ASCII; the caller frees it. NULL: out of memory. */
char *table_escape(const char *text);
/* The same of the text that vprintf would print. */
char *table_escape_format(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

#endif
