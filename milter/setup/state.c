/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and writes the file of what setup has changed. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text_file.h"
#include "say.h"

#define FILE_MAX ((size_t)1 << 20)
#define FILE_MODE 0600
#define FOLDER_MODE 0755
#define FORMAT 1

static bool fail(const struct state *state, const char *reason, char *error, size_t size)
{
	snprintf(error, size, "%s: %s", state->path, reason);
	return false;
}

/* folder/setup-postfix-etc-postfix.state for /etc/postfix. */
static char *path_of(const char *folder, const char *postfix)
{
	char *path = say_format("%s/setup-postfix%s.state", folder, postfix);

	for (char *p = path + strlen(folder) + 1; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
	return path;
}

static bool take_change(struct changes *changes, const json_t *row)
{
	const char *kind = json_string_value(json_object_get(row, "kind"));
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *after = json_string_value(json_object_get(row, "after"));
	const json_t *before = json_object_get(row, "before");

	if (kind == NULL || name == NULL || after == NULL ||
	    (!json_is_string(before) && !json_is_null(before)))
		return false;
	for (int i = 0; i < CHANGE_KINDS; i++) {
		if (strcmp(kind, change_kind_names[i]) != 0)
			continue;
		if (i == CHANGE_SERVICE && strchr(name, '/') == NULL)
			return false;
		changes_add(changes, (enum change_kind)i, name, json_string_value(before), after,
			    NULL);
		return true;
	}
	return false;
}

static bool take(struct state *state, const json_t *document)
{
	const json_t *rows = json_object_get(document, "changes");
	const char *entry = json_string_value(json_object_get(document, "entry"));
	const char *postfix = json_string_value(json_object_get(document, "postfix"));

	/* /etc/a-b and /etc/a/b have one name. */
	if (json_integer_value(json_object_get(document, "format")) != FORMAT || entry == NULL ||
	    postfix == NULL || strcmp(postfix, state->postfix) != 0 || !json_is_array(rows))
		return false;
	state->entry = say_format("%s", entry);
	copies_from_json(&state->copies, json_object_get(document, "files"));
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (!take_change(&state->changes, json_array_get(rows, i)))
			return false;
	return true;
}

bool state_read(struct state *state, const char *folder, const char *postfix, char *error,
		size_t size)
{
	struct stat status;
	json_t *document;
	char *text;
	bool is_taken;

	*state = (struct state){.path = path_of(folder, postfix),
				.postfix = say_format("%s", postfix)};
	text = text_file_read(state->path, FILE_MAX, O_NOFOLLOW, &status, error, size);
	if (text == NULL)
		return errno == ENOENT;
	state->exists = true;
	if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		free(text);
		return fail(state, "others may write to it: it is not believed", error, size);
	}
	document = json_loads(text, 0, NULL);
	free(text);
	is_taken = take(state, document);
	json_decref(document);
	return is_taken || fail(state, "it is no record of a setup of this Postfix", error, size);
}

static json_t *document_of(const struct state *state)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < state->changes.count; i++) {
		const struct change *change = &state->changes.rows[i];

		/* A text that is not UTF-8 makes no string, and so no document. */
		if (json_array_append_new(rows, json_pack("{s:s, s:s, s:s?, s:s}", "kind",
							  change_kind_names[change->kind], "name",
							  change->name, "before", change->before,
							  "after", change->after)) != 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return json_pack("{s:i, s:s, s:s, s:o, s:o}", "format", FORMAT, "postfix", state->postfix,
			 "entry", state->entry, "changes", rows, "files",
			 copies_to_json(&state->copies));
}

bool state_write(struct state *state, char *error, size_t size)
{
	json_t *document = document_of(state);
	char *text = json_dumps(document, JSON_INDENT(2)), *copy;
	bool is_written;

	json_decref(document);
	if (text == NULL)
		return fail(state, "can't be written: a value is not UTF-8", error, size);
	copy = say_format("%s", state->path);
	if (mkdir(dirname(copy), FOLDER_MODE) != 0 && errno != EEXIST)
		is_written = fail(state, strerror(errno), error, size);
	else
		is_written = text_file_replace(state->path, text, FILE_MODE, error, size);
	free(copy);
	free(text);
	state->exists |= is_written;
	return is_written;
}

bool state_remove(struct state *state, char *error, size_t size)
{
	return !state->exists || unlink(state->path) == 0 ||
	       fail(state, strerror(errno), error, size);
}

void state_free(struct state *state)
{
	free(state->path);
	free(state->postfix);
	free(state->entry);
	changes_free(&state->changes);
	copies_free(&state->copies);
	*state = (struct state){0};
}
