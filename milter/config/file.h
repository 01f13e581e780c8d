/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads libconfuse's syntax and hands over keys and values as text, with their places. */
#ifndef TARPIT_CONFIG_FILE_H
#define TARPIT_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/* A key that may be set. */
struct config_key {
	const char *name;
	bool is_list;
};

/* A setting as found. The texts live as long as the call that hands it over. */
struct config_setting {
	size_t key;		/* index into the keys */
	const char *file;	/* where its (first) value stands */
	int line;
	const char *const *values;	/* one for a scalar, any number for a list */
	const int *lines;		/* of each value */
	const char *const *files;	/* of each value */
	size_t count;
	bool append;		/* += */
	unsigned order;		/* from 1, in the order of what was read */
};
typedef void config_setting_fn(const struct config_setting *setting, void *arg);

/*
 * Each key that was set is handed over with its last value, after all values that others have replaced.
 * Syntax errors and unknown keys go to faults. False if it could not be opened (errno tells); nothing is
 * added to faults then.
 */
bool config_file_read(const char *path, const struct config_key *keys, size_t count,
		      config_setting_fn *setting, void *arg, struct faults *faults);
/*
 * The same for one KEY=VALUE (or KEY+=VALUE) of the command line, whose place is file:line. A scalar is
 * taken as it stands; a list is {a, b} or a,b, its items quoted or not. Without libconfuse.
 */
void config_text_read(const char *text, const char *file, int line, const struct config_key *keys,
		      size_t count, config_setting_fn *setting, void *arg, struct faults *faults);
/* The path of what a file names: a relative one is beside that file. The caller frees it; NULL: no memory. */
char *config_path_beside(const char *file, const char *name);

/* A whole file, NUL-terminated; the caller frees it. NULL with errno set: EFBIG if it is past 1 MB. */
char *config_slurp(const char *path, size_t *length);
/*
 * Blanks out all comments, for libconfuse 3.3 counts a line twice that ends in one, and allows none in
 * a list. False with the line and the reason if a comment or text is never closed or a NUL is in it.
 */
bool config_scrub(char *text, size_t length, int *line, const char **reason);

#endif
