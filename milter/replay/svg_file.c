/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens the picture's file in place, so that links, owner and mode of an older picture stay. */
#include "svg_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define ALL_MAY 0666

static int refuse(const struct replay_svg_file *file, const char *reason, char *error, size_t size)
{
	snprintf(error, size, "%s: %s", file->path, reason);
	return EX_CANTCREAT;
}

/* A terminal or a pipe has nothing to lose. */
static bool may_be_overwritten(int fd, const struct stat *status)
{
	char begin[sizeof("<?xml")] = "";

	if (!S_ISREG(status->st_mode) || status->st_size == 0)
		return true;
	return pread(fd, begin, sizeof(begin) - 1, 0) > 0 &&
	       (strcmp(begin, "<?xml") == 0 || strncmp(begin, "<svg", strlen("<svg")) == 0);
}

static bool is_log(const struct stat *picture, const char *path)
{
	struct stat log;
	int found = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &log) : stat(path, &log);

	return found == 0 && S_ISREG(log.st_mode) && log.st_dev == picture->st_dev &&
	       log.st_ino == picture->st_ino;
}

static int check(const struct replay_svg_file *file, const struct replay_file *logs, size_t count,
		 char *error, size_t size)
{
	struct stat status;

	if (fstat(file->fd, &status) != 0)
		return refuse(file, strerror(errno), error, size);
	for (size_t i = 0; i < count; i++)
		if (is_log(&status, logs[i].path)) {
			refuse(file, "the picture can't be one of the logs", error, size);
			return EX_USAGE;
		}
	if (!may_be_overwritten(file->fd, &status))
		return refuse(file, "it exists and is no picture: will not overwrite it", error,
			      size);
	return EX_OK;
}

void replay_svg_file_cancel(const struct replay_svg_file *file)
{
	close(file->fd);
	if (file->is_new)
		unlink(file->path);
}

int replay_svg_file_open(struct replay_svg_file *file, const char *path,
			 const struct replay_file *logs, size_t count, char *error, size_t size)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY;
	int code;

	*file = (struct replay_svg_file){.path = path, .fd = open(path, flags)};
	if (file->fd < 0 && errno == ENOENT) {
		file->fd = open(path, flags | O_CREAT | O_EXCL, ALL_MAY);
		file->is_new = file->fd >= 0;
	}
	if (file->fd < 0)
		return refuse(file, strerror(errno), error, size);
	code = check(file, logs, count, error, size);
	if (code != EX_OK)
		replay_svg_file_cancel(file);
	return code;
}

/* The picture as text, to be freed; NULL if out of memory. */
static char *draw(const struct replay_report *report, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);
	bool is_drawn = out != NULL && replay_svg_draw(report, out);

	if (out != NULL && fclose(out) == 0 && is_drawn)
		return text;
	free(text);
	return NULL;
}

/* Returns 0 or an errno. Where there is no room for all of it, an older picture stays. */
static int overwrite(int fd, const char *text, size_t length)
{
	int error = posix_fallocate(fd, 0, (off_t)length);

	if (error == ENOSPC || error == EFBIG)
		return error;
	for (size_t done = 0; done < length;) {
		ssize_t written = write(fd, text + done, length - done);

		if (written < 0 && errno != EINTR)
			return errno;
		done += written > 0 ? (size_t)written : 0;
	}
	/* A pipe can't be cut (EINVAL), and need not be. */
	return ftruncate(fd, (off_t)length) == 0 || errno == EINVAL ? 0 : errno;
}

int replay_svg_file_draw(const struct replay_svg_file *file, const struct replay_report *report,
			 char *error, size_t size)
{
	size_t length = 0;
	char *text = draw(report, &length);
	int reason = text != NULL ? overwrite(file->fd, text, length) : ENOMEM;

	free(text);
	if (reason != 0) {
		replay_svg_file_cancel(file);
		return refuse(file, strerror(reason), error, size);
	}
	return close(file->fd) == 0 ? EX_OK : refuse(file, strerror(errno), error, size);
}
