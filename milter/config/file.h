/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration's syntax is read by, and what load.c takes from it. Private to config. */
#ifndef TARPIT_CONFIG_FILE_H
#define TARPIT_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "table.h"

struct loader;

/*
 * load.c: a key is assigned to at file:line, with += if is_append; its values follow. False if the
 * key is no list, so that nothing can be added to it: a fault, and there must be no values. Texts
 * are copied.
 */
bool config_load_assign(struct loader *loader, const struct config_key *key, bool is_append,
			const char *file, int line);
/*
 * load.c: the next value of a key. One that is added to the default of a key that is no list is
 * left out.
 */
void config_load_value(struct loader *loader, const struct config_key *key, const char *text,
		       const char *file, int line);
/* load.c: nothing has been assigned to the key yet. */
bool config_load_is_default(const struct loader *loader, const struct config_key *key);

/*
 * file.c: reads a file and those that it includes. Faults in the syntax and unknown keys go to
 * faults. False if it could not be opened (errno tells); nothing is added to faults then.
 */
bool config_file_parse(const char *path, struct loader *loader, struct faults *faults);
/*
 * command_line.c: the same for one KEY=VALUE (or KEY+=VALUE), whose place is file:line. A scalar is
 * taken as it stands; a list is {a, b} or a,b, its items quoted or not.
 */
void config_command_line_parse(const char *text, const char *file, int line, struct loader *loader,
			       struct faults *faults);

/*
 * command_line.c: text without the blanks and line ends at both of its ends, which are cut off in
 * place.
 */
char *config_trim(char *text);

/*
 * file.c: a whole file, NUL-terminated; the caller frees it. NULL with errno set: EFBIG if it is
 * past 1 MB.
 */
char *config_file_read(const char *path, size_t *length);
/*
 * file.c: the path of what a file names: a relative one is beside that file. The caller frees it;
 * NULL: no memory.
 */
char *config_file_beside(const char *file, const char *name);

/*
 * blank.c: turns comments into blanks, for libconfuse 3.3 counts a line twice that ends in one, and
 * allows none in a list. False with the line and the reason if a comment or text is never closed or
 * a NUL is in it.
 */
bool config_blank(char *text, size_t length, int *line, const char **reason);

#endif
