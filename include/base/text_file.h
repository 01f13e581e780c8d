/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads small files, and replaces them whole or not at all. */
#ifndef TARPIT_BASE_TEXT_FILE_H
#define TARPIT_BASE_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * The text of a regular file without a NUL, to be freed. flags: for open(2), beside what it takes
 * anyway. NULL with errno and the reason in error.
 */
char *text_file_read(const char *path, size_t most, int flags, struct stat *status, char *error,
		size_t size);
/*
 * Puts a file with this text in its place, on disk when it returns. An old one's owner stays its
 * owner; mode is the new one's. False with the reason in error, and all as it was.
 */
bool text_file_replace(const char *path, const char *text, mode_t mode, char *error, size_t size);

#endif
