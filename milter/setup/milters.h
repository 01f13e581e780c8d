/* SPDX-License-Identifier: BSD-2-Clause */
/* Postfix's lists of milters, as smtpd_milters has them. Pure. */
#ifndef TARPIT_SETUP_MILTERS_H
#define TARPIT_SETUP_MILTERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Turns our key `socket` into Postfix's way to write it, to be freed; a path below the queue's
 * directory becomes relative to that. NULL with the reason in error: a chrooted smtpd does not see
 * the path, or Postfix could not read it.
 */
char *milters_address(const char *socket, const char *queue_directory, bool is_chrooted,
		      char *error, size_t size);
/* The path of a unix socket; NULL for another kind. */
const char *milters_path(const char *socket);
/* What is behind the directory and a slash in path; NULL if path is not below it. */
const char *milters_below(const char *path, const char *directory);
/* `{ ADDRESS, default_action=accept, ... }`, to be freed. */
char *milters_entry(const char *address, long timeout_s);
/* The list with the entry behind those that are there, to be freed. list may be NULL. */
char *milters_append(const char *list, const char *entry);
/* Whether a milter with this address is in the list, in which no $name is left. */
bool milters_have(const char *list, const char *address);
/*
 * Whether the milter at our key `socket` is, in one of the ways in which it can be written: for a
 * chrooted smtpd an absolute path begins at the queue. localhost is 127.0.0.1.
 */
bool milters_have_socket(const char *list, const char *socket, const char *queue_directory);
/* Whether the text names this parameter: $NAME, ${NAME...} or $(NAME...). */
bool milters_refer_to(const char *text, const char *name);
/*
 * The same list with commas for blanks, to be freed, for `postconf -P` takes no blank. NULL if
 * blanks may mean more there than a separator does.
 */
char *milters_without_blanks(const char *list);

#endif
