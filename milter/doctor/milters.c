/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes smtpd_milters apart and compares each milter's address with the key socket. */
#include "milters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/facts.h"
#include "postfix_settings.h"

#define BETWEEN " \t\r\n,"

/* The length of what is in braces from text on, with them; all of it if they are not closed. */
static size_t braced(const char *text)
{
	size_t length = 0;
	int depth = 0;

	do {
		depth += text[length] == '{' ? 1 : text[length] == '}' ? -1 : 0;
		length++;
	} while (depth > 0 && text[length] != '\0');
	return length;
}

/* Copies a word, or what is in braces without them. Returns how much of text it took. */
static size_t take_word(const char *text, char word[MILTER_WORD_MAX])
{
	bool is_braced = *text == '{';
	size_t length = is_braced ? braced(text) : strcspn(text, BETWEEN);
	const char *from = text + is_braced;
	size_t inner = length - is_braced;

	if (is_braced && inner > 0 && text[length - 1] == '}')
		inner--;
	snprintf(word, MILTER_WORD_MAX, "%.*s", (int)inner, from);
	return length;
}

static void take_option(struct milter *milter, char *option)
{
	static const char blanks[] = " \t";
	char *equals = strchr(option, '='), *name = option + strspn(option, blanks), *value;
	char *to = NULL;

	if (equals == NULL)
		return;
	value = equals + 1 + strspn(equals + 1, blanks);
	name[strcspn(name, " \t=")] = '\0';
	value[strcspn(value, blanks)] = '\0';
	if (strcmp(name, "default_action") == 0)
		to = milter->default_action;
	else if (strcmp(name, "connect_timeout") == 0)
		to = milter->connect_timeout;
	else if (strcmp(name, "command_timeout") == 0)
		to = milter->command_timeout;
	if (to != NULL)
		snprintf(to, MILTER_WORD_MAX, "%s", value);
}

bool milter_next(const char **list, struct milter *milter)
{
	const char *text = *list + strspn(*list, BETWEEN);
	char inner[MILTER_WORD_MAX], option[MILTER_WORD_MAX];
	const char *rest;

	if (*text == '\0')
		return false;
	memset(milter, 0, sizeof(*milter));
	if (*text != '{') {
		*list = text + take_word(text, milter->address);
		return true;
	}
	*list = text + take_word(text, inner);
	rest = inner + strspn(inner, BETWEEN);
	rest += take_word(rest, milter->address);
	while (*(rest += strspn(rest, BETWEEN)) != '\0') {
		rest += take_word(rest, option);
		take_option(milter, option);
	}
	return true;
}

/* Without an entry, Postfix's default: a chroot before compatibility level 1. */
bool milter_is_chrooted(const struct doctor_facts *facts, const struct postfix_service *service)
{
	if (strcmp(service->chroot, "-") != 0)
		return strcmp(service->chroot, "y") == 0;
	return strtol(postfix_setting(facts->postfix, "compatibility_level"), NULL, 10) < 1;
}

static enum milter_kind kind_of_path(const struct doctor_facts *facts,
				     const struct postfix_service *service, const char *path,
				     const char *ours)
{
	char below[DOCTOR_PATH_MAX + MILTER_WORD_MAX];
	bool is_below = *path != '/' || milter_is_chrooted(facts, service);

	snprintf(below, sizeof(below), "%s/%s", postfix_setting(facts->postfix, "queue_directory"),
		 path + strspn(path, "/"));
	if (facts->is_same_path(is_below ? below : path, ours))
		return MILTER_OURS;
	return *path == '/' && facts->is_same_path(path, ours) ? MILTER_UNSEEN : MILTER_OTHER;
}

enum milter_kind milter_kind(const struct doctor_facts *facts,
			     const struct postfix_service *service, const struct milter *milter)
{
	const char *ours = strchr(facts->config->socket, ':'), *port;
	size_t digits;

	if (ours == NULL)
		return MILTER_OTHER;
	ours++;
	if (strncmp(milter->address, "unix:", 5) == 0)
		return *ours == '/' ? kind_of_path(facts, service, milter->address + 5, ours)
				    : MILTER_OTHER;
	if (strncmp(milter->address, "inet:", 5) != 0 || *ours == '/')
		return MILTER_OTHER;
	/* By port alone: a host has many names. */
	port = strrchr(milter->address, ':') + 1;
	digits = strspn(ours, "0123456789");
	return digits > 0 && strncmp(port, ours, digits) == 0 && port[digits] == '\0'
		       ? MILTER_OURS
		       : MILTER_OTHER;
}

enum milter_kind milter_find(const struct doctor_facts *facts,
			     const struct postfix_service *service, struct milter *milter)
{
	const char *list = postfix_service_setting(facts->postfix, service, "smtpd_milters");
	enum milter_kind kind = MILTER_OTHER;

	while (kind == MILTER_OTHER && milter_next(&list, milter))
		kind = milter_kind(facts, service, milter);
	return kind;
}

bool milter_time(const char *text, int64_t *seconds)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9 || (text[digits] != '\0' && text[digits + 1] != '\0'))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != text[digits])
			continue;
		*seconds = strtol(text, NULL, 10) * units[i].seconds;
		return true;
	}
	return false;
}
