/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of cells in aligned columns, for a terminal that nothing in them can control. */
#ifndef TARPIT_TARPITCTL_TABLE_H
#define TARPIT_TARPITCTL_TABLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum ctl_style { CTL_PLAIN, CTL_STRONG, CTL_ALARM };

struct ctl_column {
	const char *title;	/* NULL in the first column: there is no header line */
	bool right;		/* aligned to the right, as numbers are */
};

struct ctl_cell {
	char *text;
	enum ctl_style style;
};

struct ctl_table {
	const struct ctl_column *columns;
	size_t columns_count;
	struct ctl_cell *cells;		/* row after row */
	size_t cells_count, cells_size;
	bool failed;			/* out of memory */
};

/* Fills the next cell of the table. A table begins as its columns and zeros. */
void ctl_table_add(struct ctl_table *table, enum ctl_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes all rows, with that many blanks before each. False if memory ran out on the way. */
bool ctl_table_print(const struct ctl_table *table, size_t indent, bool colour, FILE *out);
void ctl_table_free(struct ctl_table *table);

/* What starts and ends a style on a terminal; empty without colour. */
const char *ctl_style_begin(enum ctl_style style, bool colour);
const char *ctl_style_end(enum ctl_style style, bool colour);

/* A copy in which all that is not printable ASCII is \xHH; the caller frees it. NULL: out of memory. */
char *ctl_escape(const char *text);
/* The same of what vprintf would print. */
char *ctl_escape_format(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

#endif
