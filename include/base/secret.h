/* SPDX-License-Identifier: BSD-2-Clause */
/* A password, read from a file that others can't read. */
#ifndef TARPIT_BASE_SECRET_H
#define TARPIT_BASE_SECRET_H

#include <stddef.h>

#define SECRET_MAX 255

/* A password, kept out of swap and core files where the system allows it. */
struct secret {
	size_t length;
	char bytes[SECRET_MAX];
};

/*
 * Reads the one line of a file. NULL with the reason in error: the file can't be read, is no
 * regular file, gives any permission to others than its owner and group, lets its group write, or
 * belongs to a third user.
 */
struct secret *secret_read(const char *path, char *error, size_t size);
/* Wipes and frees the password. NULL is allowed. */
void secret_free(struct secret *secret);

#endif
