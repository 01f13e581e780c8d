/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads main.cf and master.cf for the process limit of the services that ask this daemon. */
#include "postfix_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text_file.h"

/*
 * Larger files are not read, longer lines are cut, and parameters nested more deeply are given up.
 */
#define FILE_MAX (128 * 1024)
#define VALUE_MAX 4096
#define EXPANSIONS_MAX 20
#define SERVICES_MAX 200

#define BLANKS " \t\r\v\f"
#define DEFAULT_PROCESS_LIMIT 100
#define DEFAULT_QUEUE_DIRECTORY "/var/spool/postfix"

/* The columns of master.cf. */
enum { SERVICE, TYPE, PRIVATE, UNPRIVILEGED, CHROOT, WAKEUP, MAXPROC, COMMAND, COLUMNS };

/*
 * Takes the next logical line: one that begins with a blank continues the one before; comments and
 * empty lines don't count, in the midst of one either.
 */
static bool next_line(const char **text, char line[VALUE_MAX])
{
	size_t length = 0;
	bool has_begun = false;

	line[0] = '\0';
	while (**text != '\0') {
		size_t end = strcspn(*text, "\n"), blanks = strspn(*text, BLANKS);

		if (blanks < end && (*text)[blanks] != '#') {
			size_t part = end < VALUE_MAX - 1 - length ? end : VALUE_MAX - 1 - length;

			if (has_begun && blanks == 0)
				return true;
			memcpy(line + length, *text, part);
			length += part;
			line[length] = '\0';
			has_begun = true;
		}
		*text += end + ((*text)[end] == '\n');
	}
	return has_begun;
}

/* Cuts "name = value" in two; false if it is none. */
static bool split(char *assignment, char **name, char **value)
{
	char *equals = strchr(assignment, '='), *end;

	if (equals == NULL)
		return false;
	*name = assignment + strspn(assignment, BLANKS);
	for (end = equals; end > *name && strchr(BLANKS, end[-1]) != NULL; end--)
		;
	*end = '\0';
	*value = equals + 1 + strspn(equals + 1, BLANKS);
	for (end = *value + strlen(*value); end > *value && strchr(BLANKS, end[-1]) != NULL; end--)
		;
	*end = '\0';
	return true;
}

/* The last value that main.cf has for a name. */
static bool find(const char *main_cf, const char *name, char value[VALUE_MAX])
{
	char line[VALUE_MAX], *name_here, *value_here;
	bool found = false;

	while (next_line(&main_cf, line)) {
		if (!split(line, &name_here, &value_here) || strcmp(name_here, name) != 0)
			continue;
		memmove(value, value_here, strlen(value_here) + 1);
		found = true;
	}
	return found;
}

/* Replaces the parameters in a value; false for what is more than their names. */
static bool expand(const char *main_cf, char value[VALUE_MAX])
{
	char found[VALUE_MAX], rest[VALUE_MAX], name[128];

	for (unsigned count = 0; count < EXPANSIONS_MAX; count++) {
		char *dollar = strchr(value, '$'), *begin;
		size_t length, room;
		char closing;

		if (dollar == NULL)
			return true;
		begin = dollar + 1;
		closing = *begin == '{' ? '}' : *begin == '(' ? ')' : '\0';
		begin += closing != '\0';
		length = strspn(begin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_");
		if (length == 0 || length >= sizeof(name) ||
		    (closing != '\0' && begin[length] != closing))
			return false;
		memcpy(name, begin, length);
		name[length] = '\0';
		begin += length + (closing != '\0');
		if (!find(main_cf, name, found))
			return false;
		memcpy(rest, begin, strlen(begin) + 1);
		room = VALUE_MAX - (size_t)(dollar - value);
		if (strlen(found) + strlen(rest) >= room)
			return false;
		memcpy(dollar, found, strlen(found) + 1);
		memcpy(dollar + strlen(found), rest, strlen(rest) + 1);
	}
	return false;
}

/* A whole number, and nothing else. */
static bool number(const char *text, unsigned *value)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9 || text[digits] != '\0')
		return false;
	*value = (unsigned)strtoul(text, NULL, 10);
	return true;
}

/* What applies to all services. */
struct postfix_files {
	const char *main_cf;
	const char *socket; /* as the key socket has it */
	char queue[VALUE_MAX];
	unsigned default_processes; /* 0: no limit, or not known */
};

static void read_main_cf(const char *main_cf, const char *socket, struct postfix_files *files)
{
	char value[VALUE_MAX];

	files->main_cf = main_cf;
	files->socket = socket;
	files->default_processes = DEFAULT_PROCESS_LIMIT;
	if (find(main_cf, "default_process_limit", value) &&
	    !(expand(main_cf, value) && number(value, &files->default_processes)))
		files->default_processes = 0;
	if (!find(main_cf, "queue_directory", files->queue) || !expand(main_cf, files->queue))
		snprintf(files->queue, sizeof(files->queue), "%s", DEFAULT_QUEUE_DIRECTORY);
}

/*
 * Postfix takes a relative path, and any path of a chrooted service, as below its queue directory.
 */
static bool is_path(const struct postfix_files *files, const char *path, const char *ours)
{
	size_t length = strlen(files->queue);

	if (strcmp(path, ours) == 0)
		return true;
	return strncmp(ours, files->queue, length) == 0 && ours[length] == '/' &&
	       strcmp(ours + length + 1, path + strspn(path, "/")) == 0;
}

/*
 * Whether Postfix's unix:PATH or inet:HOST:PORT is the daemon's unix:PATH or inet:PORT@HOST: by
 * path or by port.
 */
static bool is_ours(const struct postfix_files *files, const char *milter)
{
	const char *ours = strchr(files->socket, ':'), *port;
	size_t digits;

	if (ours == NULL)
		return false;
	ours++;
	if (strncmp(milter, "unix:", 5) == 0)
		return *ours == '/' && is_path(files, milter + 5, ours);
	if (strncmp(milter, "inet:", 5) != 0 || strncmp(files->socket, "inet", 4) != 0)
		return false;
	port = strrchr(milter, ':') + 1;
	digits = strspn(ours, "0123456789");
	return digits > 0 && strncmp(port, ours, digits) == 0 && port[digits] == '\0';
}

/* Whether a list of milters has the daemon's socket, in braces with options or not. */
static bool has_ours(const struct postfix_files *files, char *list)
{
	char *rest = NULL;

	for (char *word = strtok_r(list, BLANKS ",{}", &rest); word != NULL;
	     word = strtok_r(NULL, BLANKS ",{}", &rest))
		if (is_ours(files, word))
			return true;
	return false;
}

/* The next word of a line, cut off from the rest; what is in braces is one word. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, BLANKS);
	char *end = word;
	int depth = 0;

	if (*word == '\0')
		return NULL;
	for (; *end != '\0' && (depth > 0 || strchr(BLANKS, *end) == NULL); end++)
		depth += *end == '{' ? 1 : *end == '}' ? -1 : 0;
	*rest = end + (*end != '\0');
	*end = '\0';
	if (*word == '{' && end[-1] == '}' && end - word >= 2) {
		end[-1] = '\0';
		word++;
	}
	return word;
}

/* The milters of a service: main.cf's, unless an option of its command says otherwise. */
static bool find_milters(const char *main_cf, char *options, char milters[VALUE_MAX])
{
	char *word, *name, *value;
	bool found = find(main_cf, "smtpd_milters", milters);

	while ((word = next_word(&options)) != NULL) {
		if (strncmp(word, "-o", 2) != 0)
			continue;
		word = word[2] != '\0' ? word + 2 : next_word(&options);
		if (word == NULL || !split(word, &name, &value) ||
		    strcmp(name, "smtpd_milters") != 0)
			continue;
		memmove(milters, value, strlen(value) + 1);
		found = true;
	}
	return found && expand(main_cf, milters);
}

/*
 * Whether this line of master.cf is of a service that asks the daemon and has a process limit;
 * fills limit.
 */
static bool read_service(const struct postfix_files *files, char *line, struct postfix_limit *limit)
{
	char *columns[COLUMNS], milters[VALUE_MAX], *rest = line;

	for (size_t i = 0; i < COLUMNS; i++) {
		columns[i] = next_word(&rest);
		if (columns[i] == NULL)
			return false;
	}
	/* smtpd behind postscreen is a service of type "pass". */
	if (strcmp(columns[COMMAND], "smtpd") != 0 ||
	    (strcmp(columns[TYPE], "inet") != 0 && strcmp(columns[TYPE], "pass") != 0))
		return false;
	if (!find_milters(files->main_cf, rest, milters) || !has_ours(files, milters))
		return false;
	snprintf(limit->service, sizeof(limit->service), "%s", columns[SERVICE]);
	limit->processes = files->default_processes;
	return (strcmp(columns[MAXPROC], "-") == 0 ||
		number(columns[MAXPROC], &limit->processes)) &&
	       limit->processes > 0;
}

bool postfix_limit_parse(const char *main_cf, const char *master_cf, const char *socket,
			 struct postfix_limit *limit)
{
	struct postfix_limit service;
	struct postfix_files files;
	char line[VALUE_MAX];
	bool found = false;

	read_main_cf(main_cf, socket, &files);
	for (unsigned n = 0; n < SERVICES_MAX && next_line(&master_cf, line); n++) {
		if (!read_service(&files, line, &service) ||
		    (found && service.processes >= limit->processes))
			continue;
		*limit = service;
		found = true;
	}
	return found;
}

/* NULL if it can't be read, as a text. */
static char *read_text(const char *directory, const char *name)
{
	char path[VALUE_MAX], error[VALUE_MAX];
	struct stat status;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
		return NULL;
	return text_file_read(path, FILE_MAX, 0, &status, error, sizeof(error));
}

bool postfix_limit_read(const char *directory, const char *socket, struct postfix_limit *limit)
{
	char *main_cf = read_text(directory, "main.cf");
	char *master_cf = read_text(directory, "master.cf");
	bool found = main_cf != NULL && master_cf != NULL &&
		     postfix_limit_parse(main_cf, master_cf, socket, limit);

	free(main_cf);
	free(master_cf);
	return found;
}
