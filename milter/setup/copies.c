/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps and puts back main.cf and master.cf as a whole. */
#include "copies.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text_file.h"
#include "say.h"

#define ERROR_MAX 512
#define FILE_MAX ((size_t)256 << 10)
#define MODE_MAX 07777

static const char *const names[COPIES] = {[COPY_MAIN] = "main.cf", [COPY_MASTER] = "master.cf"};

/* The text, to be freed, or NULL; path holds PATH_MAX. */
static char *read_copy(const char *directory, int which, char *path, struct stat *status)
{
	char *named = say_format("%s/%s", directory, names[which]), error[ERROR_MAX], *text = NULL;

	if (realpath(named, path) != NULL)
		text = text_file_read(path, FILE_MAX, 0, status, error, sizeof(error));
	free(named);
	return text;
}

static void forget(struct copies *copies, int which)
{
	free(copies->before[which]);
	free(copies->after[which]);
	copies->before[which] = copies->after[which] = NULL;
}

void copies_begin(struct copies *copies, const char *directory, bool is_first)
{
	char path[PATH_MAX];
	struct stat status;

	for (int i = 0; i < COPIES; i++) {
		char *now = read_copy(directory, i, path, &status);

		if (is_first) {
			copies->before[i] = now;
			continue;
		}
		/* What was changed by hand since the first setup is not to be lost. */
		if (now == NULL || copies->after[i] == NULL || strcmp(now, copies->after[i]) != 0)
			forget(copies, i);
		free(copies->after[i]);
		copies->after[i] = NULL;
		free(now);
	}
}

void copies_finish(struct copies *copies, const char *directory)
{
	char path[PATH_MAX];
	struct stat status;

	for (int i = 0; i < COPIES; i++)
		if (copies->before[i] != NULL)
			copies->after[i] = read_copy(directory, i, path, &status);
}

void copies_restore(const struct copies *copies, const char *directory, bool dry_run,
		    bool restored[COPIES])
{
	char path[PATH_MAX], error[ERROR_MAX];
	struct stat status;

	for (int i = 0; i < COPIES; i++) {
		char *now = NULL;

		restored[i] = false;
		if (copies->before[i] != NULL && copies->after[i] != NULL)
			now = read_copy(directory, i, path, &status);
		if (now != NULL && strcmp(now, copies->after[i]) == 0)
			restored[i] = dry_run ||
				      text_file_replace(path, copies->before[i],
						   status.st_mode & MODE_MAX, error, sizeof(error));
		if (restored[i])
			say("%s: the file from before is put back", path);
		free(now);
	}
}

void copies_free(struct copies *copies)
{
	for (int i = 0; i < COPIES; i++)
		forget(copies, i);
}

json_t *copies_to_json(const struct copies *copies)
{
	json_t *document = json_object();

	for (int i = 0; i < COPIES; i++)
		if (copies->before[i] != NULL && copies->after[i] != NULL)
			json_object_set_new(document, names[i],
					    json_pack("{s:s, s:s}", "before", copies->before[i],
						      "after", copies->after[i]));
	return document;
}

void copies_from_json(struct copies *copies, const json_t *document)
{
	for (int i = 0; i < COPIES; i++) {
		const json_t *file = json_object_get(document, names[i]);
		const char *before = json_string_value(json_object_get(file, "before"));
		const char *after = json_string_value(json_object_get(file, "after"));

		if (before == NULL || after == NULL)
			continue;
		copies->before[i] = say_format("%s", before);
		copies->after[i] = say_format("%s", after);
	}
}
