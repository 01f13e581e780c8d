/* SPDX-License-Identifier: BSD-2-Clause */
/* Orders log files by their first lines, and takes the oldest line of all that are open. */
#include "read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "maillog/line.h"
#include "progress.h"
#include "report.h"
#include "source.h"
#include "unwrap.h"

/* Lines from one look at the clock to the next. */
#define PROGRESS_LINES 16384
#define ERROR_TEXT_MAX 1024

struct reader {
	struct replay_drive *drive;
	struct replay_lines *lines;
	struct replay_source *sources; /* that are open */
	struct replay_progress progress;
	int64_t closed_bytes; /* of files that have been read */
	char *error; /* of a file that could not be read; of error_size */
	size_t error_size;
	bool has_failed;
};

static int compare_files(const void *a, const void *b)
{
	const struct replay_file *one = a, *other = b;

	if (one->first_ms != other->first_ms)
		return one->first_ms < other->first_ms ? -1 : 1;
	return strcmp(one->path, other->path);
}

/* A pipe can not. What is not there is found out when it is opened. */
static bool can_be_read_twice(const char *path)
{
	struct stat status;

	return strcmp(path, "-") != 0 &&
	       (stat(path, &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

/* JSON that is read has stamps with a year only. */
static bool is_json(const char *line, size_t length)
{
	char unwrapped[MAILLOG_LINE_MAX];
	const char *text = line;

	replay_unwrap(&text, &length, unwrapped, sizeof(unwrapped));
	return text == unwrapped;
}

/* Where stamps have no year, the whole file is needed to tell that of the first stamp. */
static void find_first_year(struct replay_file *from)
{
	char ignored[1];
	struct maillog_file *file = maillog_file_open(from->path, ignored, sizeof(ignored));
	struct maillog_timestamps stamps;
	const char *line;
	size_t length, stamp_length;
	int64_t wall_ms;
	bool is_begin = true;

	if (file == NULL)
		return;
	maillog_timestamp_survey(&stamps, maillog_file_changed_s(file));
	while (maillog_file_line(file, &line, &length)) {
		if (is_begin && is_json(line, length))
			break;
		is_begin = is_begin && length == 0;
		if (maillog_timestamp_read(&stamps, line, length, &wall_ms, &stamp_length) &&
		    stamps.years.first == 0)
			break;
	}
	from->first_year = maillog_timestamp_first_year(&stamps);
	maillog_file_close(file);
}

bool replay_read_order(struct replay_file *files, size_t count, char *error, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		struct replay_lines ignored = {0};
		struct replay_source *source;
		bool is_bad;

		files[i].first_ms = INT64_MIN;
		if (!can_be_read_twice(files[i].path))
			continue;
		find_first_year(&files[i]);
		source = replay_source_open(&files[i], error, size);
		if (source == NULL)
			return false;
		files[i].first_ms =
			replay_source_next(source, &ignored) ? source->line.wall_ms : INT64_MAX;
		free(ignored.first_unreadable);
		is_bad = replay_source_is_illegible(source, error, size);
		replay_source_close(source);
		if (is_bad)
			return false;
	}
	qsort(files, count, sizeof(*files), compare_files);
	return true;
}

static void show_progress(struct reader *reader)
{
	int64_t all_done = reader->closed_bytes, done, total;

	for (const struct replay_source *source = reader->sources; source != NULL;
	     source = source->next) {
		maillog_file_progress(source->file, &done, &total);
		all_done += done;
	}
	replay_progress_show(&reader->progress, all_done);
}

static void warn_of(const struct reader *reader, const struct replay_source *source)
{
	const char *reason = maillog_file_reason(source->file);
	char plain[ERROR_TEXT_MAX];

	if (reason == NULL && !source->stamps.years.is_lost)
		return;
	replay_progress_wipe(&reader->progress);
	if (reason != NULL) {
		fprintf(stderr, "tarpitctl: %s\n",
			replay_text_plain(maillog_file_error(source->file), plain, sizeof(plain)));
		snprintf(source->from->damage, sizeof(source->from->damage), "%s", reason);
	}
	if (source->stamps.years.is_lost)
		fprintf(stderr, "tarpitctl: %s: the year of some lines can't be told\n",
			replay_text_plain(replay_source_name(source->from->path), plain,
					  sizeof(plain)));
}

/* Goes on to the source's next line, or takes the source from the list, at *link, at its end. */
static bool advance_or_close(struct reader *reader, struct replay_source **link)
{
	struct replay_source *source = *link;
	int64_t done, total;

	if (replay_source_next(source, reader->lines))
		return true;
	if (replay_source_is_illegible(source, reader->error, reader->error_size))
		reader->has_failed = true;
	else
		warn_of(reader, source);
	maillog_file_progress(source->file, &done, &total);
	reader->closed_bytes += done;
	*link = source->next;
	replay_source_close(source);
	return false;
}

static bool is_refusal(const struct maillog_line *line)
{
	return line->kind == MAILLOG_REJECTED || line->kind == MAILLOG_HIDDEN;
}

static bool is_of_service(const struct maillog_line *line)
{
	return line->mta == MAILLOG_POSTFIX &&
	       (line->kind == MAILLOG_CONNECT || line->kind == MAILLOG_DISCONNECT ||
		line->kind == MAILLOG_REJECTED || line->kind == MAILLOG_CLIENT ||
		line->kind == MAILLOG_LOST);
}

static void parse(const struct reader *reader, const struct replay_stamped *line,
		  struct maillog_line *parsed)
{
	maillog_line_parse_service(line->text, line->length, line->stamp_length,
				   reader->lines->service, parsed);
}

static void drive_refusals(struct reader *reader, const struct maillog_line *refusal,
			   unsigned times, int64_t wall_ms)
{
	for (unsigned i = 0; i < times; i++)
		replay_drive_take(reader->drive, refusal, wall_ms);
}

/* "last message repeated 5 times": the refusal before this line. */
static void repeat_refused(struct reader *reader, const struct replay_source *source,
			   unsigned times)
{
	struct maillog_line refusal;

	if (source->refused.line.length == 0)
		return;
	parse(reader, &source->refused.line, &refusal);
	drive_refusals(reader, &refusal, times, source->line.wall_ms);
}

static void take_line(struct reader *reader, struct replay_source *source)
{
	const struct replay_stamped *line = &source->line;
	struct replay_lines *lines = reader->lines;
	struct maillog_line parsed;

	parse(reader, line, &parsed);
	lines->of_mta += parsed.is_of_mta && parsed.kind != MAILLOG_UNREADABLE;
	lines->of_service += is_of_service(&parsed);
	if (parsed.kind == MAILLOG_UNREADABLE)
		replay_source_unreadable(source, lines, line);
	else if (parsed.kind == MAILLOG_OTHER)
		lines->other++;
	else if (parsed.kind == MAILLOG_SUBMISSION)
		lines->submission++;
	if (is_refusal(&parsed)) {
		drive_refusals(reader, &parsed, parsed.times, line->wall_ms);
		replay_source_keep_refused(source);
	} else {
		replay_drive_take(reader->drive, &parsed, line->wall_ms);
		if (parsed.is_repetition)
			repeat_refused(reader, source, parsed.times);
		else
			source->refused.line.length = 0;
	}
	if (lines->read % PROGRESS_LINES == 0)
		show_progress(reader);
}

/* The link to the source with the oldest line; *until_ms is the oldest line of the others. */
static struct replay_source **oldest(struct reader *reader, int64_t *until_ms)
{
	struct replay_source **least = &reader->sources;

	*until_ms = INT64_MAX;
	for (struct replay_source **link = &(*least)->next; *link != NULL; link = &(*link)->next) {
		if ((*link)->line.wall_ms < (*least)->line.wall_ms) {
			*until_ms = (*least)->line.wall_ms;
			least = link;
		} else if ((*link)->line.wall_ms < *until_ms) {
			*until_ms = (*link)->line.wall_ms;
		}
	}
	return least;
}

static bool open_next(struct reader *reader, struct replay_file *file)
{
	struct replay_source *source = replay_source_open(file, reader->error, reader->error_size);
	struct replay_source **link = &reader->sources;

	if (source == NULL)
		return false;
	while (*link != NULL)
		link = &(*link)->next;
	*link = source;
	advance_or_close(reader, link);
	return true;
}

/* A file is opened when its time has come, so that a year of rotated ones is not open at once. */
static bool merge(struct reader *reader, struct replay_file *files, size_t count)
{
	size_t opened = 0;

	while (!reader->has_failed && (opened < count || reader->sources != NULL)) {
		struct replay_source **source = &reader->sources;
		int64_t until_ms = INT64_MIN;

		if (reader->sources != NULL)
			source = oldest(reader, &until_ms);
		if (opened < count &&
		    (*source == NULL || files[opened].first_ms <= (*source)->line.wall_ms)) {
			if (!open_next(reader, &files[opened++]))
				return false;
			continue;
		}
		if (opened < count && files[opened].first_ms < until_ms)
			until_ms = files[opened].first_ms;
		do
			take_line(reader, *source);
		while (advance_or_close(reader, source) && (*source)->line.wall_ms <= until_ms);
	}
	return !reader->has_failed;
}

static int64_t total_size(const struct replay_file *files, size_t count)
{
	struct stat status;
	int64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		if (!can_be_read_twice(files[i].path) || stat(files[i].path, &status) != 0)
			return 0;
		total += status.st_size;
	}
	return total;
}

bool replay_read_all(struct replay_drive *drive, struct replay_file *files, size_t count,
		     struct replay_lines *lines, char *error, size_t size)
{
	struct reader reader = {
		.drive = drive,
		.lines = lines,
		.error = error,
		.error_size = size,
	};
	bool is_done;

	replay_progress_begin(&reader.progress, total_size(files, count));
	is_done = merge(&reader, files, count);

	while (reader.sources != NULL) {
		struct replay_source *source = reader.sources;

		reader.sources = source->next;
		replay_source_close(source);
	}
	replay_progress_wipe(&reader.progress);
	return is_done;
}
