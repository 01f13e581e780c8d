/* SPDX-License-Identifier: BSD-2-Clause */
#include "svg_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define ALL_MAY 0666

/* What is there. */
struct canvas {
	char *path; /* without symbolic links */
	bool is_there, is_special; /* a terminal or a pipe has nothing to lose */
	struct stat status;
};

static int refuse(const char *path, const char *reason, char *error, size_t size)
{
	snprintf(error, size, "%s: %s", path, reason);
	return EX_CANTCREAT;
}

static bool is_picture(int fd)
{
	static const char *const begins[] = {"<?xml", "<svg"};
	char begin[8] = "";
	ssize_t got = pread(fd, begin, sizeof(begin) - 1, 0);

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(begin, begins[i], strlen(begins[i])) == 0)
			return true;
	return got == 0;
}

/* Opened for writing too, as if it were to be overwritten in place. */
static int check_old_picture(const char *path, char *error, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	bool is_one = fd >= 0 && is_picture(fd);

	if (fd < 0)
		return refuse(path, strerror(errno), error, size);
	close(fd);
	return is_one ? EX_OK
		      : refuse(path, "it exists and is no picture: will not overwrite it", error,
			       size);
}

static void canvas_free(struct canvas *canvas)
{
	free(canvas->path);
}

static int look_at(struct canvas *canvas, const char *path, char *error, size_t size)
{
	struct stat link;

	*canvas = (struct canvas){0};
	canvas->is_there = stat(path, &canvas->status) == 0;
	/* A link to nowhere would be replaced by the picture. */
	if (!canvas->is_there && (errno != ENOENT || lstat(path, &link) == 0))
		return refuse(path, strerror(errno), error, size);
	if (canvas->is_there && S_ISDIR(canvas->status.st_mode))
		return refuse(path, strerror(EISDIR), error, size);
	canvas->is_special = canvas->is_there && !S_ISREG(canvas->status.st_mode);
	canvas->path =
		canvas->is_there && !canvas->is_special ? realpath(path, NULL) : strdup(path);
	if (canvas->path == NULL)
		return refuse(path, strerror(errno), error, size);
	if (canvas->is_special && access(path, W_OK) != 0)
		return refuse(path, strerror(errno), error, size);
	return canvas->is_there && !canvas->is_special ? check_old_picture(path, error, size)
						       : EX_OK;
}

static bool is_log(const struct stat *picture, const char *file)
{
	struct stat status;
	int found = strcmp(file, "-") == 0 ? fstat(STDIN_FILENO, &status) : stat(file, &status);

	return found == 0 && S_ISREG(status.st_mode) && status.st_dev == picture->st_dev &&
	       status.st_ino == picture->st_ino;
}

/* A file beside the picture's; *name is its. NULL, with errno, if it can't be made. */
static FILE *open_beside(const struct canvas *canvas, char **name)
{
	FILE *out = NULL;
	int fd = -1;

	if (asprintf(name, "%s.XXXXXX", canvas->path) < 0) {
		*name = NULL;
		errno = ENOMEM;
		return NULL;
	}
	fd = mkostemp(*name, O_CLOEXEC);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (out != NULL)
		return out;
	if (fd >= 0) {
		close(fd);
		unlink(*name);
	}
	free(*name);
	*name = NULL;
	return NULL;
}

int canvas_check(const char *path, const struct replay_file *files, size_t count, char *error,
		 size_t size)
{
	struct canvas canvas;
	char *name;
	FILE *out;
	int status;

	for (size_t i = 0; i < count; i++)
		if (stat(path, &canvas.status) == 0 && is_log(&canvas.status, files[i].path)) {
			snprintf(error, size, "%s: the picture can't be one of the logs", path);
			return EX_USAGE;
		}
	status = look_at(&canvas, path, error, size);
	if (status == EX_OK && !canvas.is_special) {
		out = open_beside(&canvas, &name);
		if (out == NULL) {
			status = refuse(path, strerror(errno), error, size);
		} else {
			fclose(out);
			unlink(name);
			free(name);
		}
	}
	canvas_free(&canvas);
	return status;
}

static bool draw(const struct replay_report *report, FILE *out)
{
	bool is_drawn = replay_svg_draw(report, out);

	return fclose(out) == 0 && is_drawn;
}

/* Owner and mode as they were, or as of any new file. */
static bool pass_for(const struct canvas *canvas, int fd)
{
	mode_t mode;

	if (canvas->is_there) {
		/* Only root may give it away. */
		if (fchown(fd, canvas->status.st_uid, canvas->status.st_gid) != 0)
			errno = 0;
		return fchmod(fd, canvas->status.st_mode & ALL_MAY) == 0;
	}
	mode = umask(0);
	umask(mode);
	return fchmod(fd, ALL_MAY & ~mode) == 0;
}

static bool draw_beside(const struct canvas *canvas, const struct replay_report *report)
{
	char *name;
	FILE *out = open_beside(canvas, &name);
	bool is_drawn;
	int reason;

	if (out == NULL)
		return false;
	is_drawn = pass_for(canvas, fileno(out));
	is_drawn = draw(report, out) && is_drawn && rename(name, canvas->path) == 0;
	reason = errno;
	if (!is_drawn)
		unlink(name);
	free(name);
	errno = reason;
	return is_drawn;
}

int canvas_draw(const char *path, const struct replay_report *report, char *error, size_t size)
{
	struct canvas canvas;
	int status = look_at(&canvas, path, error, size);
	FILE *out;

	if (status == EX_OK && canvas.is_special) {
		out = fopen(path, "we");
		if (out == NULL || !draw(report, out))
			status = refuse(path, strerror(errno), error, size);
	} else if (status == EX_OK && !draw_beside(&canvas, report)) {
		status = refuse(path, strerror(errno), error, size);
	}
	canvas_free(&canvas);
	return status;
}
