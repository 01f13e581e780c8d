/* SPDX-License-Identifier: BSD-2-Clause */
/* One KEY=VALUE of the command line. */
#include "file.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n"

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
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
 * Takes the quotes off the text that begins at *next, in place, and moves *next past it. The text ends
 * at end (a comma, or 0 for none) outside of quotes, or where the whole does.
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
	return trim(text);
}

static size_t key_index(const struct config_key *keys, size_t count, const char *name)
{
	size_t i = 0;

	while (i < count && strcmp(keys[i].name, name) != 0)
		i++;
	return i;
}

/* Cuts the text into values; false if out of memory. */
static bool hand_over(struct config_setting *found, char *text, bool is_list,
		      config_setting_fn *setting, void *arg)
{
	size_t room = strlen(text) + 1;
	const char **values = calloc(room, sizeof(*values)), **files = calloc(room, sizeof(*files));
	int *lines = calloc(room, sizeof(*lines));
	bool enough = values != NULL && files != NULL && lines != NULL;
	char *next = is_list ? strip_braces(text) : text;

	if (is_list && *next == '\0')
		next = NULL;
	while (enough && next != NULL) {
		lines[found->count] = found->line;
		files[found->count] = found->file;
		values[found->count++] = take_value(&next, is_list ? ',' : '\0');
	}
	if (enough) {
		found->values = values;
		found->lines = lines;
		found->files = files;
		setting(found, arg);
	}
	free(values);
	free(files);
	free(lines);
	return enough;
}

void config_text_read(const char *text, const char *file, int line, const struct config_key *keys,
		      size_t count, config_setting_fn *setting, void *arg, struct faults *faults)
{
	struct config_setting found = {.file = file, .line = line, .order = 1};
	char *copy = strdup(text), *equals = copy != NULL ? strchr(copy, '=') : NULL;
	char *name;

	if (copy == NULL) {
		faults_add(faults, "%s:%d: config: out of memory (more memory)", file, line);
		return;
	}
	if (equals == NULL) {
		faults_add(faults, "%s:%d: %.64s: no value (KEY=VALUE)", file, line, text);
		free(copy);
		return;
	}
	*equals = '\0';
	if (equals > copy && equals[-1] == '+') {
		found.append = true;
		equals[-1] = '\0';
	}
	name = trim(copy);
	found.key = key_index(keys, count, name);
	if (found.key == count)
		faults_add(faults, "%s:%d: %.64s: unknown key (see tarpit-milter.conf(5))", file,
			   line, name);
	else if (!hand_over(&found, trim(equals + 1), keys[found.key].is_list, setting, arg))
		faults_add(faults, "%s:%d: config: out of memory (more memory)", file, line);
	free(copy);
}
