/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a file into memory, and writes one beside it that takes its place. */
#include "base/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Keeps errno. */
static void tell(const char *path, const char *reason, char *error, size_t size)
{
	int number = errno;

	snprintf(error, size, "%s: %s", path, reason);
	errno = number;
}

/* All of it, to be freed; NULL with errno. */
static char *read_all(int fd, size_t length)
{
	char *text = malloc(length + 1);
	size_t done = 0;
	ssize_t part = 1;

	while (text != NULL && done < length && part > 0) {
		part = read(fd, text + done, length - done);
		if (part > 0)
			done += (size_t)part;
		else if (part < 0 && errno == EINTR)
			part = 1;
	}
	if (text == NULL || part < 0) {
		free(text);
		return NULL;
	}
	text[done] = '\0';
	if (strlen(text) != done) {
		free(text);
		errno = EILSEQ;
		return NULL;
	}
	return text;
}

char *text_file_read(const char *path, size_t most, int flags, struct stat *status, char *error,
		     size_t size)
{
	/* O_NONBLOCK: does not wait for a pipe's writer. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);
	char *text = NULL;

	if (fd < 0) {
		tell(path, strerror(errno), error, size);
		return NULL;
	}
	if (fstat(fd, status) == 0) {
		errno = S_ISREG(status->st_mode) ? EFBIG : EINVAL;
		if (S_ISREG(status->st_mode) && (size_t)status->st_size <= most)
			text = read_all(fd, (size_t)status->st_size);
	}
	if (text == NULL)
		tell(path,
		     errno == EINVAL   ? "not a regular file"
		     : errno == EILSEQ ? "not a text"
				       : strerror(errno),
		     error, size);
	close(fd);
	return text;
}

static bool write_all(int fd, const char *text)
{
	size_t length = strlen(text), done = 0;

	while (done < length) {
		ssize_t part = write(fd, text + done, length - done);

		if (part < 0 && errno != EINTR)
			return false;
		done += part > 0 ? (size_t)part : 0;
	}
	return true;
}

bool text_file_replace(const char *path, const char *text, mode_t mode, char *error, size_t size)
{
	char *fresh = NULL;
	int fd = -1;
	struct stat old;
	bool is_done;

	if (asprintf(&fresh, "%s.XXXXXX", path) < 0)
		fresh = NULL;
	else
		fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0) {
		tell(path, strerror(errno), error, size);
		free(fresh);
		return false;
	}
	is_done = (stat(path, &old) != 0 || fchown(fd, old.st_uid, old.st_gid) == 0) &&
		  fchmod(fd, mode) == 0 && write_all(fd, text) && fsync(fd) == 0;
	is_done = is_done && rename(fresh, path) == 0;
	if (!is_done) {
		tell(path, strerror(errno), error, size);
		unlink(fresh);
	}
	close(fd);
	free(fresh);
	return is_done;
}
