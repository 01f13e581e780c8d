/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done to a configuration file's text before libconfuse sees it. */
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)

char *config_slurp(const char *path, size_t *length)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0, got;
	int reason = 0;

	if (file == NULL)
		return NULL;
	*length = 0;
	do {
		char *more = realloc(text, room + BUFSIZ + 1);

		if (more == NULL || room > FILE_MAX) {
			reason = more == NULL ? ENOMEM : EFBIG;
			text = more != NULL ? more : text;
			break;
		}
		text = more;
		room += BUFSIZ;
		got = fread(text + *length, 1, room - *length, file);
		*length += got;
	} while (got > 0);
	if (reason == 0 && ferror(file))
		reason = errno;
	fclose(file);
	if (reason != 0) {
		free(text);
		errno = reason;
		return NULL;
	}
	text[*length] = '\0';
	return text;
}

/* Blanks from text to end, except for line ends. */
static void blank(char *text, const char *end)
{
	for (; text < end; text++)
		if (*text != '\n')
			*text = ' ';
}

/* The closing quote of a text that opens at text, or NULL. */
static char *skip_quoted(char *text, const char *end)
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
	return text < end ? text : NULL;
}

/* What libconfuse's lexer takes into a text without quotes. */
static bool in_bare_text(char c)
{
	return strchr(" #\"'\t\n\r={}()+,*", c) == NULL;
}

static int line_of(const char *text, const char *place)
{
	int line = 1;

	for (; text < place; text++)
		line += *text == '\n';
	return line;
}

/*
 * Steps over what begins at p, and blanks it if it is a comment. bare: p follows a character of a text
 * without quotes, where // and ${ mean nothing. NULL if it never ends; reason says what.
 */
static char *step(char *p, char *end, bool bare, const char **reason)
{
	char *last = p;

	if (*p == '#' || (!bare && p[0] == '/' && p[1] == '/')) {
		last = memchr(p, '\n', (size_t)(end - p));
		last = last != NULL ? last : end;
		blank(p, last);
		return last;
	}
	if (!bare && p[0] == '/' && p[1] == '*') {
		last = p + 2 <= end ? strstr(p + 2, "*/") : NULL;
		*reason = "the comment that begins here never ends";
		if (last != NULL)
			blank(p, last + 2);
		return last != NULL ? last + 2 : NULL;
	}
	if (*p == '"' || *p == '\'') {
		last = skip_quoted(p, end);
		*reason = "the quoted text that begins here never ends";
		return last != NULL ? last + 1 : NULL;
	}
	if (!bare && p[0] == '$' && p[1] == '{') {
		last = memchr(p, '}', (size_t)(end - p));
		return last != NULL ? last + 1 : p + 1;
	}
	return p + 1;
}

bool config_scrub(char *text, size_t length, int *line, const char **reason)
{
	char *end = text + length, *p = text;
	const char *nul = memchr(text, '\0', length);
	bool bare = false;

	if (nul != NULL) {
		*line = line_of(text, nul);
		*reason = "a NUL byte";
		return false;
	}
	while (p < end) {
		char first = *p, *next = step(p, end, bare, reason);

		if (next == NULL) {
			*line = line_of(text, p);
			return false;
		}
		bare = next == p + 1 && in_bare_text(first);
		p = next;
	}
	return true;
}
