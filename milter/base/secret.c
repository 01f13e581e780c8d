/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads passwords and wipes them. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static bool is_private(int fd, char *error, size_t size)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return error_set(error, size, strerror(errno));
	if (!S_ISREG(info.st_mode))
		return error_set(error, size, "not a regular file");
	if ((info.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		return error_set(error, size, "others may read it, or its group may write to it");
	if (info.st_uid != 0 && info.st_uid != geteuid() && geteuid() != 0)
		return error_set(error, size, "it belongs to another user");
	return true;
}

/* Takes the one line, without its end. */
static bool take_line(struct secret *secret, const char *text, size_t length, char *error,
		      size_t size)
{
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (length > 0 && text[length - 1] == '\r')
		length--;
	if (length == 0)
		return error_set(error, size, "no password in it");
	if (length > SECRET_MAX)
		return error_set(error, size, "longer than 255 bytes");
	if (memchr(text, '\n', length) != NULL || memchr(text, '\0', length) != NULL)
		return error_set(error, size, "more than one line");
	memcpy(secret->bytes, text, length);
	secret->length = length;
	return true;
}

static bool read_all(int fd, struct secret *secret, char *error, size_t size)
{
	char text[SECRET_MAX + 3]; /* with an end of line, and one byte too many */
	size_t length = 0;
	ssize_t got;
	bool ok;

	while (length < sizeof(text) && (got = read(fd, text + length, sizeof(text) - length)) > 0)
		length += (size_t)got;
	ok = take_line(secret, text, length, error, size);
	sodium_memzero(text, sizeof(text));
	return ok;
}

struct secret *secret_read(const char *path, char *error, size_t size)
{
	struct secret *secret = NULL;
	/* A pipe at the path must not make the daemon wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok;

	if (fd < 0) {
		error_set(error, size, strerror(errno));
		return NULL;
	}
	ok = is_private(fd, error, size);
	if (ok && (sodium_init() < 0 || (secret = sodium_malloc(sizeof(*secret))) == NULL))
		ok = error_set(error, size, "out of memory");
	if (ok && !read_all(fd, secret, error, size)) {
		secret_free(secret);
		secret = NULL;
	}
	close(fd);
	return ok ? secret : NULL;
}

void secret_free(struct secret *secret)
{
	sodium_free(secret);
}
