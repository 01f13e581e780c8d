/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads one KEY=VALUE of the command line, without libconfuse. */
#include <stdlib.h>
#include <string.h>

#include "file.h"

#define BLANKS " \t\r\n"

char *config_trim(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]) != NULL)
		length--;
	text[length] = '\0';
	return text;
}

/*
 * Takes the quotes off the text that begins at *next, in place, and moves *next past it. The text
 * ends at end (a comma, or 0 for none) outside of quotes, or where the whole does.
 */
static char *take_value(char **next, char end)
{
	char *in = *next + strspn(*next, BLANKS), *out = in, *value = in, *solid = in;
	char quote = '\0';

	for (; *in != '\0' && (quote != '\0' || *in != end); in++) {
		if (quote == '\0' && (*in == '"' || *in == '\'') && out == value) {
			quote = *in;
			continue;
		}
		if (quote != '\0' && *in == quote) {
			quote = '\0';
			solid = out;
			continue;
		}
		if (quote == '"' && *in == '\\' && in[1] != '\0')
			in++;
		*out++ = *in;
		if (quote != '\0' || strchr(BLANKS, *in) == NULL)
			solid = out;
	}
	*next = *in == '\0' ? NULL : in + 1;
	*solid = '\0';
	return value;
}

/* Takes the braces off a list. */
static char *strip_braces(char *text)
{
	size_t length = strlen(text);

	if (length >= 2 && text[0] == '{' && text[length - 1] == '}') {
		text[length - 1] = '\0';
		text++;
	}
	return config_trim(text);
}

/* Cuts the text into values. */
static void take_values(char *text, const struct config_key *key, const char *file, int line,
			struct loader *loader)
{
	bool is_list = config_key_is_list(key);
	char *next = is_list ? strip_braces(text) : text;

	if (is_list && *next == '\0')
		return;
	while (next != NULL)
		config_load_value(loader, key, take_value(&next, is_list ? ',' : '\0'), file, line);
}

void config_command_line_parse(const char *text, const char *file, int line, struct loader *loader,
			       struct faults *faults)
{
	char *copy = strdup(text), *equals = copy != NULL ? strchr(copy, '=') : NULL, *name;
	const struct config_key *key;
	bool is_append;

	if (equals == NULL) {
		if (copy == NULL)
			faults_add(faults, "%s:%d: config: out of memory (more memory)", file,
				   line);
		else
			faults_add(faults, "%s:%d: %.64s: no value (KEY=VALUE)", file, line, text);
		free(copy);
		return;
	}
	is_append = equals > copy && equals[-1] == '+';
	equals[is_append ? -1 : 0] = '\0';
	name = config_trim(copy);
	key = config_key_find(name, strlen(name));
	if (key == NULL)
		faults_add(faults, "%s:%d: %.64s: unknown key (see tarpit-milter.conf(5))", file,
			   line, name);
	else if (config_load_assign(loader, key, is_append, file, line))
		take_values(config_trim(equals + 1), key, file, line, loader);
	free(copy);
}
