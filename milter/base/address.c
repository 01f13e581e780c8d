/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads envelope addresses in the spellings that Postfix and Sendmail take. */
#include "base/address.h"

#include <stddef.h>
#include <string.h>

#define HOST_MAX 255 /* RFC 1035 2.3.4 */
#define LABEL_MAX 63

struct scan {
	const char *in;
	char *text; /* of ADDRESS_TEXT_MAX */
	size_t length;
	bool is_cut;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void put(struct scan *s, char c)
{
	if (s->length < ADDRESS_TEXT_MAX - 1)
		s->text[s->length++] = lower(c);
	else
		s->is_cut = true;
}

static bool is_host_char(char c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' ||
	       c == '_' || (unsigned char)c >= 0x80;
}

/*
 * RFC 5322's atext and RFC 6531's, but not ! and %: user%host@here and host!user@here are what
 * Postfix and Sendmail take for user@host.
 */
static bool is_local_char(char c)
{
	return is_host_char(c) || (c != '\0' && strchr("#$&'*+/=?^`{|}~", c) != NULL);
}

/* What follows the comment that begins at in, or NULL if the comment never ends. */
static const char *end_of_comment(const char *in)
{
	unsigned depth = 0;

	for (; *in != '\0'; in++) {
		if (*in == '(')
			depth++;
		else if (*in == ')' && --depth == 0)
			return in + 1;
		else if (*in == '\\' && *++in == '\0')
			return NULL;
	}
	return NULL;
}

/* Skips blanks and comments, but not a comment that never ends. */
static void skip_blanks(struct scan *s)
{
	for (;;) {
		const char *end = *s->in == '(' ? end_of_comment(s->in) : NULL;

		if (end != NULL)
			s->in = end;
		else if (*s->in == ' ' || *s->in == '\t')
			s->in++;
		else
			return;
	}
}

static bool take(struct scan *s, char c)
{
	skip_blanks(s);
	if (*s->in != c)
		return false;
	s->in++;
	return true;
}

static bool read_quoted(struct scan *s)
{
	for (s->in++; *s->in != '"'; s->in++) {
		if (*s->in == '\\')
			s->in++;
		if (*s->in != '.' && !is_local_char(*s->in))
			return false;
		put(s, *s->in);
	}
	s->in++;
	return true;
}

/* A comment or a blank ends a word, and only a dot may follow: "a b" is not "ab". */
static bool read_local(struct scan *s)
{
	bool may_begin = true;

	for (;;) {
		skip_blanks(s);
		if (*s->in == '.') {
			put(s, *s->in++);
			may_begin = true;
		} else if (may_begin && *s->in == '"') {
			if (!read_quoted(s))
				return false;
			may_begin = false;
		} else if (may_begin && is_local_char(*s->in)) {
			while (is_local_char(*s->in))
				put(s, *s->in++);
			may_begin = false;
		} else {
			return s->length > 0;
		}
	}
}

static bool read_literal(struct scan *s)
{
	put(s, *s->in++);
	while (is_host_char(*s->in) || *s->in == '.' || *s->in == ':')
		put(s, *s->in++);
	if (*s->in != ']')
		return false;
	put(s, *s->in++);
	return true;
}

/* Reads labels with dots between them; a dot at the end is left out. */
static bool read_host(struct scan *s)
{
	size_t begin = s->length, label;

	do {
		skip_blanks(s);
		for (label = 0; is_host_char(*s->in); label++)
			put(s, *s->in++);
		if (label == 0 || label > LABEL_MAX)
			break;
		put(s, '.');
	} while (take(s, '.'));
	s->length -= s->length > begin;
	return label <= LABEL_MAX && s->length > begin && s->length - begin <= HOST_MAX;
}

static bool read_domain(struct scan *s)
{
	skip_blanks(s);
	return *s->in == '[' ? read_literal(s) : read_host(s);
}

/* RFC 5321 4.1.2: <@host,@host:user@host>. A route of any length must not push the address out. */
static bool skip_route(struct scan *s)
{
	if (!take(s, '@'))
		return true;
	for (;;) {
		if (!read_domain(s))
			return false;
		s->length = 0;
		if (take(s, ':'))
			return true;
		if (!take(s, ',') || !take(s, '@'))
			return false;
	}
}

static bool read_plain(struct scan *s)
{
	bool has_bracket = take(s, '<');

	if (!skip_route(s) || !read_local(s))
		return false;
	if (take(s, '@')) {
		put(s, '@');
		if (!read_domain(s))
			return false;
	}
	if (has_bracket && !take(s, '>'))
		return false;
	skip_blanks(s);
	return *s->in == '\0' && !s->is_cut;
}

static void copy_argument(const char *argument, struct address *address)
{
	size_t length = strlen(argument);

	if (length > 1 && argument[0] == '<' && argument[length - 1] == '>') {
		argument++;
		length -= 2;
	}
	address->is_whole = length < ADDRESS_TEXT_MAX;
	if (!address->is_whole)
		length = ADDRESS_TEXT_MAX - 1;
	for (size_t i = 0; i < length; i++)
		address->text[i] = lower(argument[i]);
	address->text[length] = '\0';
}

void address_parse(const char *argument, struct address *address)
{
	struct scan s = {.in = argument, .text = address->text};

	address->is_plain = read_plain(&s);
	if (address->is_plain) {
		address->text[s.length] = '\0';
		address->is_whole = true;
	} else {
		copy_argument(argument, address);
	}
}

/* An IPv6 address has many spellings, and by Unicode's case folding U+017F is an "s". */
static bool has_spellings(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '[' || (unsigned char)*text >= 0x80)
			return true;
	return false;
}

bool address_mailbox(const struct address *address, const char *delimiters, struct address *mailbox)
{
	const char *domain;
	size_t local, kept;

	if (!address->is_plain || has_spellings(address->text))
		return false;
	*mailbox = *address;
	local = strcspn(address->text, "@");
	domain = address->text + local;
	kept = local > 0 ? 1 + strcspn(address->text + 1, delimiters) : 0;
	if (kept < local)
		memmove(mailbox->text + kept, domain, strlen(domain) + 1);
	return true;
}

const char *address_domain(const struct address *address)
{
	const char *at = strrchr(address->text, '@');

	return at != NULL ? at + 1 : "";
}
