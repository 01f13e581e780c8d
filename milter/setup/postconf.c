/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs postconf(1) and takes its output apart. */
#include "postconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"
#include "say.h"

#define TIMEOUT_MS 30000

static char *fail(struct postconf *postconf, const char *reason)
{
	/* It mostly begins with its own name. */
	snprintf(postconf->error, sizeof(postconf->error), "%s%.400s",
		 strncmp(reason, "postconf: ", 10) == 0 ? "" : "postconf: ", reason);
	postconf->error[strcspn(postconf->error, "\n")] = '\0';
	return NULL;
}

/* postconf takes the last of two lines, and would change both. */
static bool is_set_twice(const char *warnings, const char *name)
{
	char *warning = say_format("overriding earlier entry: %s=", name);
	bool found = strstr(warnings, warning) != NULL;

	free(warning);
	return found;
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
		fail(postconf, *result.error != '\0' ? result.error : "failed");
	} else if (name != NULL && is_set_twice(result.error, name)) {
		fail(postconf, "main.cf sets it twice");
	} else {
		output = say_format("%s", result.output);
		length = strlen(output);
		if (length > 0 && output[length - 1] == '\n')
			output[length - 1] = '\0';
	}
	program_result_free(&result);
	return output;
}

char *postconf_value_in(const char *lines, const char *name)
{
	size_t length = strlen(name);

	while (*lines != '\0') {
		size_t line = strcspn(lines, "\n");

		if (strncmp(lines, name, length) == 0 && strncmp(lines + length, " =", 2) == 0) {
			const char *value = lines + length + 2;

			value += *value == ' ';
			return say_format("%.*s", (int)(lines + line - value), value);
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
	char *pattern = say_format("*/*/%s", strrchr(name, '/') + 1);
	char *lines = postconf_ask(postconf, "-P", pattern);

	*value = lines != NULL ? postconf_value_in(lines, name) : NULL;
	free(pattern);
	free(lines);
	return lines != NULL;
}
