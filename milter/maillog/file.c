/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads lines through zlib, which reads plain files too, and knows other formats by their begin. */
#include "maillog/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_SIZE (128 * 1024)
/* zlib gives nothing of a piece that is damaged, so a small piece loses few lines. */
#define PIECE_SIZE (64 * 1024)
#define ERROR_MAX 512

struct maillog_file {
	gzFile gz;
	char *path;
	char *buffer; /* BUFFER_SIZE and a NUL */
	size_t begin, end; /* of what has been read but not been given out, in buffer */
	int64_t total, changed_s;
	int64_t read; /* bytes after decompression */
	bool at_end, started, failed;
	bool passing; /* what follows is the rest of a line that was cut */
	char error[ERROR_MAX];
};

/* Formats that logs are kept in and zlib can not read, by how they begin. */
static const struct {
	const char *magic;
	size_t length;
	const char *hint;
} foreign[] = {
	{"\xfd"
	 "7zXZ",
	 5, "compressed by xz: give it as `xzcat FILE | tarpitctl replay -`"},
	{"BZh", 3, "compressed by bzip2: give it as `bzcat FILE | tarpitctl replay -`"},
	{"\x28\xb5\x2f\xfd", 4,
	 "compressed by zstd: give it as `zstdcat FILE | tarpitctl replay -`"},
	{"LPKSHHRH", 8,
	 "a journal: give it as `journalctl -o short-iso --file FILE | tarpitctl replay -`"},
};

static int open_descriptor(const char *path, struct stat *status, char *error, size_t size)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
					: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || fstat(fd, status) < 0) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
	} else if (S_ISDIR(status->st_mode)) {
		snprintf(error, size, "%s: %s", path, strerror(EISDIR));
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct maillog_file *allocate(const char *path)
{
	struct maillog_file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return NULL;
	file->path = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
	file->buffer = malloc(BUFFER_SIZE + 1);
	if (file->path == NULL || file->buffer == NULL) {
		maillog_file_close(file);
		return NULL;
	}
	return file;
}

struct maillog_file *maillog_file_open(const char *path, char *error, size_t size)
{
	struct stat status;
	struct maillog_file *file;
	int fd = open_descriptor(path, &status, error, size);

	if (fd < 0)
		return NULL;
	file = allocate(path);
	if (file != NULL)
		file->gz = gzdopen(fd, "rb");
	if (file == NULL || file->gz == NULL) {
		snprintf(error, size, "%s: %s", path, strerror(ENOMEM));
		close(fd);
		maillog_file_close(file);
		return NULL;
	}
	gzbuffer(file->gz, PIECE_SIZE);
	file->total = S_ISREG(status.st_mode) ? status.st_size : 0;
	file->changed_s = S_ISREG(status.st_mode) ? status.st_mtime : time(NULL);
	return file;
}

static void fail(struct maillog_file *file, const char *reason)
{
	snprintf(file->error, sizeof(file->error), "%s: %s", file->path, reason);
	file->failed = true;
	file->at_end = true;
}

static void look_for_foreign(struct maillog_file *file)
{
	size_t length = file->end - file->begin;

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (length >= foreign[i].length &&
		    memcmp(file->buffer + file->begin, foreign[i].magic, foreign[i].length) == 0) {
			fail(file, foreign[i].hint);
			file->begin = file->end;
			return;
		}
	}
}

static const char *reason(const struct maillog_file *file, int code)
{
	int ignored;

	switch (code) {
	case Z_ERRNO:
		return strerror(errno);
	case Z_BUF_ERROR:
		return "the compressed data ends too early";
	case Z_DATA_ERROR:
		return "the compressed data is damaged";
	default:
		return gzerror(file->gz, &ignored);
	}
}

/* Moves what is there to the front, and reads behind it; sets at_end at the end. */
static void fill(struct maillog_file *file)
{
	int got, code;

	memmove(file->buffer, file->buffer + file->begin, file->end - file->begin);
	file->end -= file->begin;
	file->begin = 0;
	errno = 0;
	got = gzread(file->gz, file->buffer + file->end, PIECE_SIZE);
	if (got > 0) {
		file->end += (size_t)got;
		file->read += got;
	}
	if (!file->started) {
		file->started = true;
		look_for_foreign(file);
	}
	if (got <= 0 && !file->failed) {
		file->at_end = true;
		gzerror(file->gz, &code);
		if (code != Z_OK && code != Z_STREAM_END)
			fail(file, reason(file, code));
	}
}

static void give(struct maillog_file *file, size_t length, const char **line, size_t *given)
{
	char *text = file->buffer + file->begin;

	if (length > 0 && text[length - 1] == '\r')
		length--;
	if (length > MAILLOG_LINE_MAX)
		length = MAILLOG_LINE_MAX;
	text[length] = '\0';
	*line = text;
	*given = length;
}

/* Passes over the rest of a line that was cut. */
static void pass_rest(struct maillog_file *file)
{
	while (file->passing) {
		char *text = file->buffer + file->begin;
		char *found = memchr(text, '\n', file->end - file->begin);

		if (found != NULL || file->at_end)
			file->passing = false;
		file->begin = found != NULL ? (size_t)(found - file->buffer) + 1 : file->end;
		if (file->passing)
			fill(file);
	}
}

bool maillog_file_line(struct maillog_file *file, const char **line, size_t *length)
{
	pass_rest(file);
	for (;;) {
		size_t available = file->end - file->begin;
		char *found = memchr(file->buffer + file->begin, '\n', available);

		if (found != NULL) {
			available = (size_t)(found - file->buffer) - file->begin;
			give(file, available, line, length);
			file->begin += available + 1;
			return true;
		}
		if (available > MAILLOG_LINE_MAX || (file->at_end && available > 0)) {
			give(file, available, line, length);
			file->begin = file->end;
			file->passing = !file->at_end;
			return true;
		}
		if (file->at_end)
			return false;
		fill(file);
	}
}

const char *maillog_file_error(const struct maillog_file *file)
{
	return file->failed ? file->error : NULL;
}

const char *maillog_file_reason(const struct maillog_file *file)
{
	size_t length = strlen(file->path) + strlen(": ");

	if (!file->failed)
		return NULL;
	return length < strlen(file->error) ? file->error + length : file->error;
}

void maillog_file_progress(const struct maillog_file *file, int64_t *done, int64_t *total)
{
	int64_t offset = gzoffset(file->gz);

	*done = offset >= 0 ? offset : file->read;
	*total = file->total;
}

int64_t maillog_file_changed_s(const struct maillog_file *file)
{
	return file->changed_s;
}

void maillog_file_close(struct maillog_file *file)
{
	if (file == NULL)
		return;
	if (file->gz != NULL)
		gzclose_r(file->gz);
	free(file->buffer);
	free(file->path);
	free(file);
}
