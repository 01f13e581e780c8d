/* SPDX-License-Identifier: BSD-2-Clause */
/* Edits .mc files as lines of text. */
#include "mc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

static bool begins(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line != '\0' ? line + 1 : line;
}

/* The line that is this mark; *count is how many there are. */
static const char *find_mark(const char *text, const char *mark, int *count)
{
	const char *found = NULL;

	*count = 0;
	for (const char *line = text; *line != '\0'; line = next_line(line))
		if (begins(line, mark)) {
			found = line;
			++*count;
		}
	return found;
}

char *mc_remove(const char *text, const char **reason)
{
	int begin_count, end_count;
	const char *begin = find_mark(text, MC_BEGIN, &begin_count);
	const char *end = find_mark(text, MC_END, &end_count);

	if (begin_count == 0 && end_count == 0)
		return say_format("%s", text);
	if (begin_count != 1 || end_count != 1 || end < begin) {
		*reason = "the marks of its lines for tarpit-milter are not as setup has put them";
		return NULL;
	}
	return say_format("%.*s%s", (int)(begin - text), text, end + strlen(MC_END));
}

/* Whether the line has the word, up to its end. */
static bool has(const char *line, const char *word)
{
	const char *found = strstr(line, word);

	return found != NULL && found < line + strcspn(line, "\n");
}

/* Where our lines go. NULL with a reason. */
static const char *find_place(const char *text, const char *socket, const char **reason)
{
	const char *place = NULL;
	bool is_diverted = false;

	for (const char *line = text; *line != '\0'; line = next_line(line)) {
		const char *word = line + strspn(line, " \t");

		/* What m4 throws away. */
		if (begins(word, "divert("))
			is_diverted = begins(word, "divert(-1");
		if (is_diverted || begins(word, "dnl"))
			continue;
		if (has(line, "MAIL_FILTER(`tarpit") || has(line, socket)) {
			*reason = "it has a filter for this milter already";
			return NULL;
		}
		if (place != NULL &&
		    (has(line, "MAIL_FILTER(") || has(line, "confINPUT_MAIL_FILTERS"))) {
			*reason = "it has filters behind a MAILER line";
			return NULL;
		}
		if (place == NULL &&
		    (begins(word, "MAILER(") || begins(word, "MAILER_DEFINITIONS")))
			place = line;
	}
	if (place == NULL)
		*reason = "it has no MAILER line";
	return place;
}

char *mc_add(const char *text, const char *lines, const char *socket, const char **reason)
{
	const char *place = find_place(text, socket, reason);

	if (place == NULL)
		return NULL;
	return say_format("%.*s" MC_BEGIN "%s" MC_END "%s", (int)(place - text), text, lines,
			  place);
}
