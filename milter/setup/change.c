/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of a Postfix, and the commands that make and undo each. */
#include "change.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/program.h"
#include "say.h"

#define TIMEOUT_MS 30000

const char *const change_kind_names[CHANGE_KINDS] = {
	[CHANGE_FOLDER] = "folder",
	[CHANGE_MEMBER] = "member",
	[CHANGE_MAIN] = "main.cf",
	[CHANGE_SERVICE] = "master.cf",
};

static struct change copy_of(const struct change *change)
{
	struct change copy = *change;

	copy.name = say_format("%s", change->name);
	copy.before = change->before != NULL ? say_format("%s", change->before) : NULL;
	copy.after = say_format("%s", change->after);
	return copy;
}

static void clear(struct change *change)
{
	free(change->name);
	free(change->before);
	free(change->after);
}

static struct change *find(const struct changes *changes, enum change_kind kind, const char *name)
{
	for (size_t i = 0; i < changes->count; i++)
		if (changes->rows[i].kind == kind && strcmp(changes->rows[i].name, name) == 0)
			return &changes->rows[i];
	return NULL;
}

const struct change *changes_find(const struct changes *changes, enum change_kind kind,
				  const char *name)
{
	return find(changes, kind, name);
}

void changes_put(struct changes *changes, const struct change *change)
{
	struct change *there = find(changes, change->kind, change->name);

	if (there != NULL) {
		clear(there);
	} else {
		changes->rows =
			reallocarray(changes->rows, changes->count + 1, sizeof(*changes->rows));
		if (changes->rows == NULL)
			abort();
		there = &changes->rows[changes->count++];
	}
	*there = copy_of(change);
}

void changes_add(struct changes *changes, enum change_kind kind, const char *name,
		 const char *before, const char *after, const char *why)
{
	struct change change = {.kind = kind, .why = why};

	change.name = say_format("%s", name);
	change.before = before != NULL ? say_format("%s", before) : NULL;
	change.after = say_format("%s", after);
	changes_put(changes, &change);
	clear(&change);
}

void changes_free(struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		clear(&changes->rows[i]);
	free(changes->rows);
	*changes = (struct changes){0};
}

/* USER:GROUP of a folder. */
static char *folder_owner(const char *path)
{
	struct stat status;
	const struct passwd *user;
	const struct group *group;

	if (lstat(path, &status) != 0)
		return NULL;
	user = getpwuid(status.st_uid);
	group = getgrgid(status.st_gid);
	return say_format("%s:%s", user != NULL ? user->pw_name : "?",
			  group != NULL ? group->gr_name : "?");
}

static char *membership(const char *user, const char *name)
{
	const struct group *group = getgrnam(name);

	for (size_t i = 0; group != NULL && group->gr_mem[i] != NULL; i++)
		if (strcmp(group->gr_mem[i], user) == 0)
			return say_format("%s", name);
	return NULL;
}

bool change_look(const struct change *change, struct postconf *postconf, char **value)
{
	*value = NULL;
	switch (change->kind) {
	case CHANGE_FOLDER:
		*value = folder_owner(change->name);
		return true;
	case CHANGE_MEMBER:
		*value = membership(change->name, change->after);
		return true;
	case CHANGE_MAIN:
		return postconf_own(postconf, change->name, value);
	case CHANGE_SERVICE:
		return postconf_of_service(postconf, change->name, value);
	case CHANGE_KINDS:
		break;
	}
	return false;
}

/* Begins with postconf, and where its files are. Returns how many words these are. */
static size_t begin_postconf(struct command *command, const struct postconf *postconf)
{
	size_t count = 0;

	command->argv[count++] = "postconf";
	if (postconf->directory != NULL) {
		command->argv[count++] = "-c";
		command->argv[count++] = postconf->directory;
	}
	return count;
}

static void set_words(struct command *command, const char *const *words, size_t count)
{
	memcpy(command->argv, words, count * sizeof(*words));
}

static void set_main(struct command *command, const struct postconf *postconf, const char *name,
		     const char *value)
{
	size_t count = begin_postconf(command, postconf);

	command->owned[0] = say_format("%s = %s", name, value);
	command->argv[count++] = "-e";
	command->argv[count] = command->owned[0];
}

static void make_folder(struct command *command, const struct change *change)
{
	size_t user = strcspn(change->after, ":");
	const char *group = change->after + user + (change->after[user] == ':');

	command->owned[0] = say_format("%.*s", (int)user, change->after);
	set_words(command,
		  (const char *const[]){"install", "-d", "-o", command->owned[0], "-g", group, "-m",
					"0750", change->name},
		  9);
}

struct command change_command(const struct change *change, const struct postconf *postconf)
{
	struct command command = {0};
	size_t count;

	switch (change->kind) {
	case CHANGE_FOLDER:
		make_folder(&command, change);
		break;
	case CHANGE_MEMBER:
		set_words(&command,
			  (const char *const[]){"usermod", "--append", "--groups", change->after,
						change->name},
			  5);
		break;
	case CHANGE_MAIN:
		set_main(&command, postconf, change->name, change->after);
		break;
	case CHANGE_SERVICE:
		count = begin_postconf(&command, postconf);
		command.owned[0] = say_format("%s=%s", change->name, change->after);
		command.argv[count++] = "-P";
		command.argv[count] = command.owned[0];
		break;
	case CHANGE_KINDS:
		break;
	}
	return command;
}

struct command change_undo_command(const struct change *change, const struct postconf *postconf)
{
	struct command command = {0};
	size_t count;

	switch (change->kind) {
	case CHANGE_FOLDER:
		set_words(&command, (const char *const[]){"rmdir", change->name}, 2);
		break;
	case CHANGE_MEMBER:
		set_words(&command,
			  (const char *const[]){"gpasswd", "--delete", change->name, change->after},
			  4);
		break;
	case CHANGE_MAIN:
		if (change->before != NULL) {
			set_main(&command, postconf, change->name, change->before);
			break;
		}
		/* fall through */
	case CHANGE_SERVICE:
		count = begin_postconf(&command, postconf);
		command.argv[count++] = change->kind == CHANGE_MAIN ? "-X" : "-PX";
		command.argv[count] = change->name;
		break;
	case CHANGE_KINDS:
		break;
	}
	return command;
}

bool command_run(const struct command *command, struct postconf *postconf)
{
	struct program_result result;
	bool is_done;

	program_run(command->argv, TIMEOUT_MS, &result);
	is_done = result.status == 0;
	if (!is_done) {
		result.error[strcspn(result.error, "\n")] = '\0';
		/* What a program says begins with its name. */
		if (result.status != -1 && *result.error != '\0')
			snprintf(postconf->error, sizeof(postconf->error), "%s", result.error);
		else
			snprintf(postconf->error, sizeof(postconf->error), "%s: %s",
				 command->argv[0], *result.error != '\0' ? result.error : "failed");
	}
	program_result_free(&result);
	return is_done;
}

void command_free(struct command *command)
{
	for (size_t i = 0; i < 2; i++)
		free(command->owned[i]);
}
