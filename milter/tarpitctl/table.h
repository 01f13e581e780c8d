/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts, and tables of them, in which no byte can control the terminal. */
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
void table_add_arguments(struct table *table, enum table_style style, const char *format,
			 va_list arguments) __attribute__((format(printf, 3, 0)));
/* Writes all rows, each behind `indent` blanks. False, with nothing written: no memory. */
bool table_print(const struct table *table, size_t indent, bool colour, FILE *out);
void table_free(struct table *table);

/* What starts and ends a style on a terminal; empty without colour. */
const char *table_style_begin(enum table_style style, bool colour);
const char *table_style_end(enum table_style style, bool colour);

/* A copy, for the caller to free, with \xHH for what is not printable ASCII. NULL: no memory. */
char *table_escape(const char *text);
/* The same of the text that vprintf would print. */
char *table_escape_format(const char *format, va_list arguments)
	__attribute__((format(printf, 1, 0)));

#endif
