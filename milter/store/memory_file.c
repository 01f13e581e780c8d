/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file is a header, records (record.h), and BLAKE2b of all that. Header: magic, version, length
 * of the windows, key_prefix, of which the recipients' hashes are made, filled up with zeros.
 */
#include "store/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "config/config.h"
#include "memory_save.h"

#define MAGIC "tarpit-milter memory\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)
#define VERSION 1
#define KEY_PREFIX_SIZE COUNTERS_KEY_PREFIX_MAX
/* What is left to sessions between two steps, where there is time. */
#define PAUSE_NS 100000
/* Records that are read before the task is asked again whether to go on. */
#define RECORDS_PER_QUESTION 1024

struct header {
	uint8_t magic[MAGIC_SIZE], version, window_s[4], key_prefix[KEY_PREFIX_SIZE];
};

static struct header header_of(const struct config *config)
{
	struct header header = {.version = VERSION};

	memcpy(header.magic, MAGIC, MAGIC_SIZE);
	for (unsigned i = 0; i < 4; i++)
		header.window_s[i] = (uint8_t)(config->window_s >> (24 - 8 * i));
	memcpy(header.key_prefix, config->key_prefix, strnlen(config->key_prefix, KEY_PREFIX_SIZE));
	return header;
}

/* --- writing --- */

struct writer {
	int fd;
	struct hash_sum sum;
	struct save save;
};

static bool write_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		bytes += written;
		length -= (size_t)written;
	}
	return true;
}

static bool append(struct writer *writer, const void *bytes, size_t length)
{
	hash_sum_add(&writer->sum, bytes, length);
	return write_all(writer->fd, bytes, length);
}

static bool append_end(struct writer *writer)
{
	const uint8_t end = RECORD_END;
	uint8_t checksum[HASH_SUM_SIZE];

	if (!append(writer, &end, sizeof(end)))
		return false;
	hash_sum_end(&writer->sum, checksum);
	return write_all(writer->fd, checksum, sizeof(checksum));
}

/*
 * All records. A last file need not have all recipients: without them some may count once more,
 * but nobody is forgiven.
 */
static enum memory_file_result append_records(struct writer *writer,
					      const struct memory_file_task *task)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const struct window window = window_at(task->wall_ms, task->config->window_s);
	struct memory *memory = memory_of(task->memory);

	memory_save_begin(memory, &window, &writer->save);
	while (memory_save_step(memory, &writer->save)) {
		if (!append(writer, writer->save.bytes, writer->save.length))
			return MEMORY_FILE_FAILED;
		if (!task->may_go_on(task->arg))
			return task->is_last && writer->save.kind >= RECORD_COUNTED
				       ? MEMORY_FILE_WRITTEN
				       : MEMORY_FILE_GIVEN_UP;
		if (!task->is_last)
			nanosleep(&pause, NULL);
	}
	return MEMORY_FILE_WRITTEN;
}

/* The whole content of the file; errno says why it failed. */
static enum memory_file_result write_content(struct writer *writer,
					     const struct memory_file_task *task)
{
	const struct header header = header_of(task->config);
	enum memory_file_result result;

	hash_sum_begin(&writer->sum);
	if (!append(writer, &header, sizeof(header)))
		return MEMORY_FILE_FAILED;
	result = append_records(writer, task);
	if (result != MEMORY_FILE_WRITTEN)
		return result;
	if (!append_end(writer) || (!task->is_last && fsync(writer->fd) != 0))
		return MEMORY_FILE_FAILED;
	return MEMORY_FILE_WRITTEN;
}

static enum memory_file_result fail(char *error, size_t size)
{
	error_set(error, size, strerror(errno));
	return MEMORY_FILE_FAILED;
}

enum memory_file_result memory_file_write(const struct memory_file_task *task, char *error,
					  size_t size)
{
	const char *path = task->config->memory_file;
	char fresh[PATH_MAX];
	struct writer *writer;
	enum memory_file_result result;

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh)) {
		errno = ENAMETOOLONG;
		return fail(error, size);
	}
	writer = aligned_alloc(_Alignof(struct writer), sizeof(*writer));
	if (writer == NULL)
		return fail(error, size);
	/* One that was left behind by a kill, or is somebody's link. */
	unlink(fresh);
	writer->fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (writer->fd < 0) {
		free(writer);
		return fail(error, size);
	}
	result = write_content(writer, task);
	if (result == MEMORY_FILE_WRITTEN && rename(fresh, path) != 0)
		result = MEMORY_FILE_FAILED;
	if (result == MEMORY_FILE_FAILED)
		fail(error, size);
	close(writer->fd);
	if (result != MEMORY_FILE_WRITTEN)
		unlink(fresh);
	free(writer);
	return result;
}

/* --- reading --- */

struct reader {
	FILE *file;
	struct hash_sum sum;
	const char *fault; /* NULL: none so far */
};

/* False with the fault noted. */
static bool broken(struct reader *reader, const char *fault)
{
	reader->fault = fault;
	return false;
}

static bool take_raw(struct reader *reader, void *bytes, size_t length)
{
	if (fread(bytes, 1, length, reader->file) == length)
		return true;
	return broken(reader, ferror(reader->file) ? strerror(errno) : "cut off");
}

static bool take(struct reader *reader, void *bytes, size_t length)
{
	if (!take_raw(reader, bytes, length))
		return false;
	hash_sum_add(&reader->sum, bytes, length);
	return true;
}

static bool take_header(struct reader *reader, const struct config *config, struct restore *restore)
{
	const struct header own = header_of(config);
	struct header header;

	if (!take(reader, header.magic, MAGIC_SIZE))
		return false;
	if (memcmp(header.magic, own.magic, MAGIC_SIZE) != 0)
		return broken(reader, "not written by tarpit-milter");
	if (!take(reader, &header.version, 1))
		return false;
	if (header.version > VERSION)
		return broken(reader, "written by a newer tarpit-milter");
	if (header.version != VERSION)
		return broken(reader, "damaged");
	if (!take(reader, header.window_s, sizeof(header.window_s)) ||
	    !take(reader, header.key_prefix, sizeof(header.key_prefix)))
		return false;
	restore->has_counts = memcmp(header.window_s, own.window_s, sizeof(header.window_s)) == 0;
	restore->has_hashes =
		memcmp(header.key_prefix, own.key_prefix, sizeof(header.key_prefix)) == 0;
	return true;
}

/* The next record's kind, and unless that is RECORD_END the record. */
static bool take_record(struct reader *reader, struct record *record)
{
	uint8_t bytes[RECORD_MAX];
	size_t length;

	if (!take(reader, bytes, 1))
		return false;
	record->kind = RECORD_END;
	if (bytes[0] == RECORD_END)
		return true;
	if (!take(reader, bytes + 1, RECORD_HEAD - 1))
		return false;
	length = record_length(bytes);
	if (length == 0)
		return broken(reader, "damaged");
	if (!take(reader, bytes + RECORD_HEAD, length - RECORD_HEAD))
		return false;
	return record_decode(bytes, record) || broken(reader, "damaged");
}

static bool check_sum(struct reader *reader)
{
	uint8_t own[HASH_SUM_SIZE], checksum[HASH_SUM_SIZE];

	hash_sum_end(&reader->sum, own);
	if (!take_raw(reader, checksum, sizeof(checksum)))
		return false;
	if (memcmp(own, checksum, sizeof(own)) != 0 || getc(reader->file) != EOF)
		return broken(reader, "damaged");
	return true;
}

static bool take_content(struct reader *reader, const struct memory_file_task *task,
			 struct restore *restore, size_t *clients)
{
	struct record record;

	if (!take_header(reader, task->config, restore))
		return false;
	for (unsigned count = 1; take_record(reader, &record); count++) {
		if (record.kind == RECORD_END)
			return check_sum(reader);
		*clients += memory_restore(memory_of(task->memory), restore, &record);
		if (count % RECORDS_PER_QUESTION == 0 && !task->may_go_on(task->arg))
			return broken(reader, "too much to be read in time");
	}
	return false;
}

bool memory_file_load(const struct memory_file_task *task, FILE *file, size_t *clients, char *error,
		      size_t size)
{
	struct memory *memory = memory_of(task->memory);
	struct reader reader = {.file = file};
	const struct store_query now = {.window = window_at(task->wall_ms, task->config->window_s)};
	struct restore restore = {.window = now.window, .widths = &task->config->widths};
	bool is_sound;

	*clients = 0;
	hash_sum_begin(&reader.sum);
	pthread_mutex_lock(&memory->mutex);
	memory_note_time(memory, &now);
	is_sound = take_content(&reader, task, &restore, clients);
	if (!is_sound)
		memory_clear(memory);
	memory_unlock(memory);
	if (is_sound)
		return true;
	*clients = 0;
	return error_set(error, size, reader.fault);
}

/* Whether nobody else can have written it. NULL, or what is wrong. */
static const char *distrust(int fd)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return strerror(errno);
	if (!S_ISREG(info.st_mode))
		return "not a regular file";
	if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "others may write to it";
	if (info.st_uid != 0 && info.st_uid != geteuid())
		return "it belongs to another user";
	return NULL;
}

bool memory_file_read(const struct memory_file_task *task, size_t *clients, char *error,
		      size_t size)
{
	/* A pipe at the path must not make the daemon wait. */
	int fd = open(task->config->memory_file,
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	const char *fault;
	FILE *file = NULL;
	bool is_sound;

	*clients = 0;
	if (fd < 0)
		return errno == ENOENT || error_set(error, size, strerror(errno));
	fault = distrust(fd);
	if (fault == NULL && (file = fdopen(fd, "re")) == NULL)
		fault = strerror(errno);
	if (fault != NULL) {
		close(fd);
		return error_set(error, size, fault);
	}
	is_sound = memory_file_load(task, file, clients, error, size);
	fclose(file);
	return is_sound;
}
