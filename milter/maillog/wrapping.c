/* SPDX-License-Identifier: BSD-2-Clause */
/* Knows the prefixes of Docker, Podman and Kubernetes. */
#include "wrapping.h"

/* Colour, name, colour; then the stream. */
#define PREFIXES_MAX 4
#define NAME_MAX_BYTES 256

/* "\033[36m" */
static bool skip_colour(struct span *text)
{
	size_t i = 2;

	if (text->length < 3 || text->text[0] != '\033' || text->text[1] != '[')
		return false;
	while (i < text->length && i < 16 &&
	       ((text->text[i] >= '0' && text->text[i] <= '9') || text->text[i] == ';'))
		i++;
	if (i == text->length || text->text[i] != 'm')
		return false;
	*text = span_from(*text, i + 1);
	return true;
}

/* "mail-1  | ", and "mail.1.x7f@node    | " of a service. */
static bool skip_name(struct span *text)
{
	size_t limit = text->length < NAME_MAX_BYTES ? text->length : NAME_MAX_BYTES;
	const char *blank = limit > 0 ? memchr(text->text, ' ', limit) : NULL;
	size_t i;

	if (blank == NULL || blank == text->text)
		return false;
	i = (size_t)(blank - text->text);
	while (i < limit && text->text[i] == ' ')
		i++;
	if (text->length - i < 2 || text->text[i] != '|' || text->text[i + 1] != ' ')
		return false;
	*text = span_from(*text, i + 2);
	return true;
}

/* "[pod/mail-0/postfix] "; "[   12.345678] " is a stamp of the kernel's clock. */
static bool skip_pod(struct span *text)
{
	struct span rest = *text, name;

	if (!span_skip(&rest, "[") || !span_cut(&rest, "] ", &name) || name.length == 0 ||
	    name.length > NAME_MAX_BYTES || memchr(name.text, ' ', name.length) != NULL ||
	    memchr(name.text, '/', name.length) == NULL)
		return false;
	*text = rest;
	return true;
}

/* "stdout F ": F is a full line, P a part of one. */
static bool skip_stream(struct span *text)
{
	struct span rest = *text;

	if (!span_skip(&rest, "stdout ") && !span_skip(&rest, "stderr "))
		return false;
	if (!span_skip(&rest, "F ") && !span_skip(&rest, "P "))
		return false;
	*text = rest;
	return true;
}

void maillog_wrapping_skip(struct span *text)
{
	for (int i = 0; i < PREFIXES_MAX; i++)
		if (!skip_colour(text) && !skip_stream(text) && !skip_pod(text) && !skip_name(text))
			return;
}
