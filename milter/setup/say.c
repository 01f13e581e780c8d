/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints commands, remarks and faults, and keeps control characters from the terminal. */
#include "say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			   "_@%+=:,./-";

__attribute__((format(printf, 1, 0))) static char *format_list(const char *format, va_list list)
{
	char *text;

	/* Without memory for a line nothing can be told. */
	if (vasprintf(&text, format, list) < 0)
		abort();
	return text;
}

char *say_format(const char *format, ...)
{
	va_list list;
	char *text;

	va_start(list, format);
	text = format_list(format, list);
	va_end(list);
	return text;
}

/* A copy, to be freed, in which what is not printable ASCII is \xHH, and so are these others. */
static char *escape(const char *text, const char *others)
{
	size_t size = strlen(text) * PRINTABLE_ESCAPE + 1;
	char *escaped = malloc(size);

	if (escaped == NULL)
		abort();
	printable_escape(text, others, PRINTABLE_LOWER_HEX, escaped, size);
	return escaped;
}

void say(const char *format, ...)
{
	char *text, *escaped, *rest;
	va_list list;

	va_start(list, format);
	text = format_list(format, list);
	va_end(list);
	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		escaped = escape(line, "");
		printf("# %s\n", escaped);
		free(escaped);
	}
	free(text);
}

__attribute__((format(printf, 1, 0))) static void complain(const char *format, va_list list)
{
	char *text = format_list(format, list), *escaped = escape(text, "");

	/* The remarks that led to it come first, where both go to one place. */
	fflush(stdout);
	fprintf(stderr, "tarpitctl: %s\n", escaped);
	free(escaped);
	free(text);
}

int say_fault(int status, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(format, list);
	va_end(list);
	return status;
}

bool say_refusal(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(format, list);
	va_end(list);
	return false;
}

static bool is_printable(const char *word)
{
	for (; *word != '\0'; word++)
		if (!printable_is(*word))
			return false;
	return true;
}

char *say_quote(const char *word)
{
	size_t size;
	char *quoted = NULL, *escaped;
	FILE *out;

	if (*word != '\0' && word[strspn(word, safe)] == '\0')
		return say_format("%s", word);
	if (!is_printable(word)) {
		escaped = escape(word, "'\\");
		quoted = say_format("$'%s'", escaped);
		free(escaped);
		return quoted;
	}
	out = open_memstream(&quoted, &size);
	if (out == NULL)
		abort();
	fputc('\'', out);
	for (; *word != '\0'; word++)
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	fputc('\'', out);
	if (fclose(out) != 0)
		abort();
	return quoted;
}

void say_command(const char *const *argv)
{
	for (size_t i = 0; argv[i] != NULL; i++) {
		char *quoted = say_quote(argv[i]);

		printf("%s%s", i > 0 ? " " : "", quoted);
		free(quoted);
	}
	putchar('\n');
}
