/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of a Postfix: what was there, what is set, and the commands for both. */
#ifndef TARPIT_SETUP_CHANGE_H
#define TARPIT_SETUP_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/postconf.h"

enum change_kind {
	CHANGE_FOLDER, /* name: its path; after: USER:GROUP */
	CHANGE_MEMBER, /* name: a user; after: the group */
	CHANGE_MAIN, /* name: a parameter of main.cf; after: its value */
	CHANGE_SERVICE, /* name: SERVICE/TYPE/PARAMETER of master.cf; after: its value */
	CHANGE_KINDS
};

struct change {
	enum change_kind kind;
	char *name, *after;
	char *before; /* NULL: it was not there, or not set in that file */
	const char *why; /* NULL once it has been read from a file */
};

struct changes {
	struct change *rows;
	size_t count;
};

/* In a state file. */
extern const char *const change_kind_names[CHANGE_KINDS];

/* Copies name, before (which may be NULL) and after. Ends the program without memory. */
void changes_add(struct changes *changes, enum change_kind kind, const char *name,
		 const char *before, const char *after, const char *why);
/* The same, or replaces the one of this kind and name. */
void changes_put(struct changes *changes, const struct change *change);
const struct change *changes_find(const struct changes *changes, enum change_kind kind,
				  const char *name);
void changes_free(struct changes *changes);

/* What is there now, to be freed; NULL for what is not. False: postconf->error says why. */
bool change_look(const struct change *change, struct postconf *postconf, char **value);

/* A command of a few words, some of which it owns. */
struct command {
	const char *argv[10];
	char *owned[2];
};
struct command change_command(const struct change *change, const struct postconf *postconf);
struct command change_undo_command(const struct change *change, const struct postconf *postconf);
/* False if it failed: postconf->error has what it said. */
bool command_run(const struct command *command, struct postconf *postconf);
void command_free(struct command *command);

#endif
