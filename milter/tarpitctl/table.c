/* SPDX-License-Identifier: BSD-2-Clause */
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2
#define ESCAPED_MAX 4 /* \xHH */

char *ctl_escape(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	char *escaped = malloc(strlen(text) * ESCAPED_MAX + 1), *end = escaped;

	if (escaped == NULL)
		return NULL;
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte >= ' ' && byte <= '~') {
			*end++ = *text;
		} else {
			*end++ = '\\';
			*end++ = 'x';
			*end++ = digits[byte >> 4];
			*end++ = digits[byte & 15];
		}
	}
	*end = '\0';
	return escaped;
}

static struct ctl_cell *next_cell(struct ctl_table *table)
{
	struct ctl_cell *cells;
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

char *ctl_escape_format(const char *format, va_list arguments)
{
	char *text, *escaped;

	if (vasprintf(&text, format, arguments) < 0)
		return NULL;
	escaped = ctl_escape(text);
	free(text);
	return escaped;
}

void ctl_table_add(struct ctl_table *table, enum ctl_style style, const char *format, ...)
{
	struct ctl_cell *cell = next_cell(table);
	char *escaped;
	va_list arguments;

	va_start(arguments, format);
	escaped = ctl_escape_format(format, arguments);
	va_end(arguments);
	if (cell == NULL || escaped == NULL) {
		table->failed = true;
		free(escaped);
		return;
	}
	*cell = (struct ctl_cell){escaped, style};
	table->cells_count++;
}

static size_t width_of(const struct ctl_table *table, size_t column)
{
	bool has_header = table->columns[0].title != NULL;
	size_t width = has_header ? strlen(table->columns[column].title) : 0;

	for (size_t i = column; i < table->cells_count; i += table->columns_count)
		if (strlen(table->cells[i].text) > width)
			width = strlen(table->cells[i].text);
	return width;
}

const char *ctl_style_begin(enum ctl_style style, bool colour)
{
	static const char *const sequences[] = {
		[CTL_PLAIN] = "", [CTL_STRONG] = "\033[1m", [CTL_ALARM] = "\033[1;31m"};

	return colour ? sequences[style] : "";
}

const char *ctl_style_end(enum ctl_style style, bool colour)
{
	return colour && style != CTL_PLAIN ? "\033[0m" : "";
}

/* One cell; no blanks follow the last one of a row. */
static void print_cell(const struct ctl_table *table, size_t column, size_t width, const char *text,
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

bool ctl_table_print(const struct ctl_table *table, size_t indent, bool colour, FILE *out)
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
			   ctl_style_begin(CTL_STRONG, colour), ctl_style_end(CTL_STRONG, colour),
			   out);
		fputs(column + 1 == count ? "\n" : "", out);
	}
	for (size_t i = 0; i < table->cells_count; i++) {
		const struct ctl_cell *cell = &table->cells[i];

		fprintf(out, "%*s", i % count == 0 ? (int)indent : 0, "");
		print_cell(table, i % count, widths[i % count], cell->text,
			   ctl_style_begin(cell->style, colour), ctl_style_end(cell->style, colour),
			   out);
		fputs((i + 1) % count == 0 ? "\n" : "", out);
	}
	free(widths);
	return true;
}

void ctl_table_free(struct ctl_table *table)
{
	for (size_t i = 0; i < table->cells_count; i++)
		free(table->cells[i].text);
	free(table->cells);
}
