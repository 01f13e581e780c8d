/* SPDX-License-Identifier: BSD-2-Clause */
/* Lays a table out, and keeps control characters from the terminal. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

#define GAP 2

char *table_escape(const char *text)
{
	size_t size = strlen(text) * PRINTABLE_ESCAPE + 1;
	char *escaped = malloc(size);

	if (escaped != NULL)
		printable_escape(text, "", PRINTABLE_LOWER_HEX, escaped, size);
	return escaped;
}

static struct table_cell *next_cell(struct table *table)
{
	struct table_cell *cells;
	size_t size = table->cells_size > 0 ? 2 * table->cells_size : 64;

	if (table->cells_count == table->cells_size) {
		cells = reallocarray(table->cells, size, sizeof(*cells));
		if (cells == NULL)
			return NULL;
		table->cells = cells;
		table->cells_size = size;
	}
	return &table->cells[table->cells_count];
}

char *table_escape_format(const char *format, va_list arguments)
{
	char *text, *escaped;

	if (vasprintf(&text, format, arguments) < 0)
		return NULL;
	escaped = table_escape(text);
	free(text);
	return escaped;
}

void table_add_arguments(struct table *table, enum table_style style, const char *format,
			 va_list arguments)
{
	struct table_cell *cell = next_cell(table);
	char *escaped = table_escape_format(format, arguments);

	if (cell == NULL || escaped == NULL) {
		table->failed = true;
		free(escaped);
		return;
	}
	*cell = (struct table_cell){escaped, style};
	table->cells_count++;
}

void table_add(struct table *table, enum table_style style, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	table_add_arguments(table, style, format, arguments);
	va_end(arguments);
}

static size_t width_of(const struct table *table, size_t column)
{
	bool has_header = table->columns[0].title != NULL;
	size_t width = has_header ? strlen(table->columns[column].title) : 0;

	for (size_t i = column; i < table->cells_count; i += table->columns_count)
		if (strlen(table->cells[i].text) > width)
			width = strlen(table->cells[i].text);
	return width;
}

const char *table_style_begin(enum table_style style, bool colour)
{
	static const char *const sequences[] = {
		[TABLE_PLAIN] = "", [TABLE_STRONG] = "\033[1m", [TABLE_ALARM] = "\033[1;31m"};

	return colour ? sequences[style] : "";
}

const char *table_style_end(enum table_style style, bool colour)
{
	return colour && style != TABLE_PLAIN ? "\033[0m" : "";
}

/* One cell; no blanks follow the last cell of a row. */
static void print_cell(const struct table *table, size_t column, size_t width, const char *text,
		       const char *begin, const char *end, FILE *out)
{
	bool is_last = column + 1 == table->columns_count;
	int padding = (int)(width - strlen(text));

	if (table->columns[column].right)
		fprintf(out, "%*s%s%s%s", padding, "", begin, text, end);
	else
		fprintf(out, "%s%s%s%*s", begin, text, end, is_last ? 0 : padding, "");
	fprintf(out, "%*s", is_last ? 0 : GAP, "");
}

bool table_print(const struct table *table, size_t indent, bool colour, FILE *out)
{
	size_t count = table->columns_count;
	size_t *widths = calloc(count, sizeof(*widths));

	if (table->failed || widths == NULL) {
		free(widths);
		return false;
	}
	for (size_t column = 0; column < count; column++)
		widths[column] = width_of(table, column);
	for (size_t column = 0; column < count && table->columns[0].title != NULL; column++) {
		fprintf(out, "%*s", column == 0 ? (int)indent : 0, "");
		print_cell(table, column, widths[column], table->columns[column].title,
			   table_style_begin(TABLE_STRONG, colour),
			   table_style_end(TABLE_STRONG, colour), out);
		fputs(column + 1 == count ? "\n" : "", out);
	}
	for (size_t i = 0; i < table->cells_count; i++) {
		const struct table_cell *cell = &table->cells[i];

		fprintf(out, "%*s", i % count == 0 ? (int)indent : 0, "");
		print_cell(table, i % count, widths[i % count], cell->text,
			   table_style_begin(cell->style, colour),
			   table_style_end(cell->style, colour), out);
		fputs((i + 1) % count == 0 ? "\n" : "", out);
	}
	free(widths);
	return true;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->cells_count; i++)
		free(table->cells[i].text);
	free(table->cells);
}
