/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns the comments of a configuration file into blanks, before libconfuse sees them. */
#include <string.h>

#include "file.h"

/* Blanks from text to end, except for line ends. */
static void blank(char *text, const char *end)
{
	for (; text < end; text++)
		if (*text != '\n')
			*text = ' ';
}

/* What follows the quoted text that begins at text, or NULL. */
static char *end_of_quoted(char *text, const char *end)
{
	char quote = *text++;

	while (text < end && *text != quote) {
		char *brace = NULL;

		if (quote == '"' && text[0] == '$' && text[1] == '{')
			brace = memchr(text, '}', (size_t)(end - text));
		if (brace != NULL)
			text = brace + 1;
		else
			text += *text == '\\' && text + 1 < end ? 2 : 1;
	}
	return text < end ? text + 1 : NULL;
}

/* What libconfuse's lexer takes into a text without quotes, where // and ${ then mean nothing. */
static bool is_bare(char c)
{
	return strchr(" #\"'\t\n\r={}()+,*", c) == NULL;
}

static bool is_comment(const char *p)
{
	return *p == '#' || (p[0] == '/' && (p[1] == '/' || p[1] == '*'));
}

/* What follows a comment; NULL if it never ends. */
static char *end_of_comment(char *p, char *end)
{
	char *last;

	if (p[0] == '/' && p[1] == '*') {
		last = strstr(p + 2, "*/");
		return last != NULL ? last + 2 : NULL;
	}
	last = memchr(p, '\n', (size_t)(end - p));
	return last != NULL ? last : end;
}

/*
 * What follows the comment or token that begins at p; NULL if it never ends, and reason says what.
 */
static char *end_of_token(char *p, char *end, const char **reason)
{
	char *last;

	if (is_comment(p)) {
		*reason = "the comment that begins here never ends";
		return end_of_comment(p, end);
	}
	if (*p == '"' || *p == '\'') {
		*reason = "the quoted text that begins here never ends";
		return end_of_quoted(p, end);
	}
	last = p[0] == '$' && p[1] == '{' ? memchr(p, '}', (size_t)(end - p)) : NULL;
	if (last != NULL)
		return last + 1;
	for (last = p + 1; is_bare(*p) && last < end && is_bare(*last); last++)
		;
	return last;
}

static int line_of(const char *text, const char *place)
{
	int line = 1;

	for (; text < place; text++)
		line += *text == '\n';
	return line;
}

bool config_blank(char *text, size_t length, int *line, const char **reason)
{
	char *end = text + length, *p = text, *next = memchr(text, '\0', length);

	if (next != NULL) {
		*line = line_of(text, next);
		*reason = "a NUL byte";
		return false;
	}
	for (; p < end; p = next) {
		next = end_of_token(p, end, reason);
		if (next == NULL) {
			*line = line_of(text, p);
			return false;
		}
		if (is_comment(p))
			blank(p, next);
	}
	return true;
}
