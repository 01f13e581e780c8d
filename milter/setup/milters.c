/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and writes Postfix's lists of milters. */
#include "milters.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/printable.h"
#include "say.h"

/* What separates the words of a list, and what would end a word, or begin a parameter's name. */
#define BLANKS " \t\r\n"
#define SEPARATORS "," BLANKS
#define UNSAFE SEPARATORS "{}$#\"'\\"

const char *milters_path(const char *socket)
{
	bool is_unix = strncmp(socket, "unix:", 5) == 0 || strncmp(socket, "local:", 6) == 0;

	return is_unix ? strchr(socket, ':') + 1 : NULL;
}

const char *milters_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	while (length > 0 && directory[length - 1] == '/')
		length--;
	if (strncmp(path, directory, length) != 0 || path[length] != '/')
		return NULL;
	path += length;
	path += strspn(path, "/");
	return *path != '\0' ? path : NULL;
}

/* PORT@HOST as Postfix has it. */
static char *inet_address(const char *port_at_host)
{
	const char *at = strchr(port_at_host, '@'), *host = at != NULL ? at + 1 : "127.0.0.1";
	int digits = (int)(at != NULL ? at - port_at_host : (long)strlen(port_at_host));

	/* Nobody can connect to "any address". */
	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	else if (strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0)
		host = "::1";
	if (strchr(host, ':') != NULL && *host != '[')
		return say_format("inet:[%s]:%.*s", host, digits, port_at_host);
	return say_format("inet:%s:%.*s", host, digits, port_at_host);
}

static bool is_printable(const char *text)
{
	while (printable_is(*text))
		text++;
	return *text == '\0';
}

char *milters_address(const char *socket, const char *queue_directory, bool is_chrooted,
		      char *error, size_t size)
{
	const char *path = milters_path(socket), *below;

	if (!is_printable(socket) || socket[strcspn(socket, UNSAFE)] != '\0') {
		error_set(error, size, "Postfix can't read a socket that is written so");
		return NULL;
	}
	if (path == NULL)
		return inet_address(strchr(socket, ':') + 1);
	below = milters_below(path, queue_directory);
	if (below != NULL)
		return say_format("unix:%s", below);
	if (!is_chrooted)
		return say_format("unix:%s", path);
	snprintf(error, size,
		 "Postfix's smtpd is chrooted and does not see it: it sees only what is below %s",
		 queue_directory);
	return NULL;
}

char *milters_entry(const char *address, long timeout_s)
{
	return say_format(
		"{ %s, default_action=accept, connect_timeout=%lds, command_timeout=%lds }",
		address, timeout_s, timeout_s);
}

char *milters_append(const char *list, const char *entry)
{
	size_t length = list != NULL ? strlen(list) : 0;

	while (length > 0 && strchr(SEPARATORS, list[length - 1]) != NULL)
		length--;
	if (length == 0)
		return say_format("%s", entry);
	return say_format("%.*s, %s", (int)length, list, entry);
}

bool milters_have(const char *list, const char *address)
{
	size_t length = strlen(address);

	for (const char *p = strstr(list, address); p != NULL; p = strstr(p + 1, address)) {
		bool begins = p == list || strchr(SEPARATORS "{", p[-1]) != NULL;

		if (begins && (p[length] == '\0' || strchr(SEPARATORS "}", p[length]) != NULL))
			return true;
	}
	return false;
}

static bool have(const char *list, char *address)
{
	bool found = milters_have(list, address);

	free(address);
	return found;
}

bool milters_have_socket(const char *list, const char *socket, const char *queue_directory)
{
	const char *path = milters_path(socket), *below, *port;

	if (path != NULL) {
		below = milters_below(path, queue_directory);
		return have(list, say_format("unix:%s", path)) ||
		       (below != NULL && (have(list, say_format("unix:%s", below)) ||
					  have(list, say_format("unix:/%s", below))));
	}
	port = strchr(socket, ':') + 1;
	return have(list, inet_address(port)) ||
	       have(list, say_format("inet:localhost:%.*s", (int)strcspn(port, "@"), port));
}

bool milters_refer_to(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *p = strchr(text, '$'); p != NULL; p = strchr(p + 1, '$')) {
		const char *word = p + 1;

		word += *word == '{' || *word == '(';
		word += strspn(word, SEPARATORS);
		if (strncmp(word, name, length) == 0 && word[length] != '_' &&
		    !isalnum((unsigned char)word[length]))
			return true;
	}
	return false;
}

/* The last character of ${...} or $(...); NULL if it has blanks, or no end. */
static const char *end_of_name(const char *dollar)
{
	int depth = 0;

	for (const char *p = dollar + 1; *p != '\0' && strchr(BLANKS, *p) == NULL; p++) {
		depth += (*p == '{' || *p == '(') - (*p == '}' || *p == ')');
		if (depth == 0)
			return p;
	}
	return NULL;
}

/* False if the blanks may be more than separators. to has room for the list. */
static bool replace_blanks(const char *list, char *to)
{
	const char *begin = to;
	int depth = 0;

	for (const char *p = list; *p != '\0'; p++) {
		const char *end = p;

		if (*p == '$' && (p[1] == '{' || p[1] == '('))
			end = end_of_name(p);
		else
			depth += (*p == '{') - (*p == '}');
		if (end == NULL || depth > 1)
			return false;
		if (strchr(SEPARATORS, *p) != NULL) {
			if (to > begin && to[-1] != ',' && to[-1] != '{')
				*to++ = ',';
			continue;
		}
		if (*p == '}' && to > begin && to[-1] == ',')
			to--;
		memcpy(to, p, (size_t)(end - p) + 1);
		to += end - p + 1;
		p = end;
	}
	to -= to > begin && to[-1] == ',';
	*to = '\0';
	return true;
}

char *milters_without_blanks(const char *list)
{
	char *text = say_format("%s", list);

	if (list[strcspn(list, BLANKS)] == '\0' || replace_blanks(list, text))
		return text;
	free(text);
	return NULL;
}
