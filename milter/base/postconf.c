/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs postconf(1) and takes its output apart. */
#include "base/postconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"

#define TIMEOUT_MS 30000

static void fail(struct postconf *postconf, const char *reason)
{
	snprintf(postconf->error, sizeof(postconf->error), "postconf: %.400s", reason);
}

/* Warnings come first, the last line is why it gave up; it mostly begins with its own name. */
static const char *last_line(char *text)
{
	const char *line;

	for (size_t length = strlen(text); length > 0 && text[length - 1] == '\n'; length--)
		text[length - 1] = '\0';
	line = strrchr(text, '\n');
	line = line != NULL ? line + 1 : text;
	return strncmp(line, "postconf: ", 10) == 0 ? line + 10 : line;
}

/* postconf takes the last of two lines, and would change both. */
static bool is_set_twice(const char *warnings, const char *name)
{
	char warning[512];

	snprintf(warning, sizeof(warning), "overriding earlier entry: %s=", name);
	return strstr(warnings, warning) != NULL;
}

char *postconf_ask(struct postconf *postconf, const char *option, const char *name)
{
	const char *argv[6] = {"postconf"};
	struct program_result result;
	char *output = NULL;
	size_t count = 1, length;

	if (postconf->directory != NULL) {
		argv[count++] = "-c";
		argv[count++] = postconf->directory;
	}
	argv[count++] = option;
	argv[count] = name;
	program_run(argv, TIMEOUT_MS, &result);
	postconf->is_missing = result.status == -1;
	if (result.status != 0) {
		fail(postconf, *result.error != '\0' ? last_line(result.error) : "failed");
	} else if (name != NULL && is_set_twice(result.error, name)) {
		fail(postconf, "main.cf sets it twice");
	} else {
		output = result.output;
		result.output = NULL;
		length = strlen(output);
		if (length > 0 && output[length - 1] == '\n')
			output[length - 1] = '\0';
	}
	program_result_free(&result);
	return output;
}

/* Without memory a value that is set must not look like one that is not. */
static char *copy(const char *text, size_t length)
{
	char *copied = strndup(text, length);

	if (copied == NULL)
		abort();
	return copied;
}

char *postconf_value_in(const char *lines, const char *name)
{
	size_t length = strlen(name);

	while (*lines != '\0') {
		size_t line = strcspn(lines, "\n");

		if (strncmp(lines, name, length) == 0 && strncmp(lines + length, " =", 2) == 0) {
			const char *value = lines + length + 2;

			value += *value == ' ';
			return copy(value, (size_t)(lines + line - value));
		}
		lines += line + (lines[line] == '\n');
	}
	return NULL;
}

bool postconf_own(struct postconf *postconf, const char *name, char **value)
{
	char *lines = postconf_ask(postconf, "-n", name);

	*value = lines != NULL ? postconf_value_in(lines, name) : NULL;
	free(lines);
	return lines != NULL;
}

bool postconf_of_service(struct postconf *postconf, const char *name, char **value)
{
	/* Asked for one that is not there, postconf would warn. */
	char pattern[256], *lines;

	snprintf(pattern, sizeof(pattern), "*/*/%s", strrchr(name, '/') + 1);
	lines = postconf_ask(postconf, "-P", pattern);

	*value = lines != NULL ? postconf_value_in(lines, name) : NULL;
	free(lines);
	return lines != NULL;
}
