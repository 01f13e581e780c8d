/* SPDX-License-Identifier: BSD-2-Clause */
#include "read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maillog/file.h"
#include "maillog/line.h"
#include "maillog/timestamp.h"

/* A line that is so far ahead of all before it is believed if most of the next ones bear it out. */
#define LEAP_MS (INT64_C(86400) * 1000)
#define AHEAD_MAX 64
#define PROGRESS_LINES 16384
#define PROGRESS_EVERY_MS 100
#define PROGRESS_WIDTH 40
/* What stands beside the bar. */
#define PROGRESS_TEXT 24
#define PROGRESS_BARE 9

struct stamped {
	const char *text;
	size_t length, stamp_length;
	int64_t wall_ms;
	uint64_t number;
};

/* A line that has been read ahead of its time. */
struct kept {
	struct stamped line;
	char *text;
	size_t size;
};

/* A file that is being read. */
struct source {
	struct source *next;
	struct replay_file *from;
	struct maillog_file *file;
	const char *path;
	struct maillog_timestamps stamps;
	uint64_t number;
	int64_t last_ms;
	struct stamped line; /* the next one to take */
	struct kept ahead[AHEAD_MAX]; /* what follows it, as far as that has been read: a ring */
	size_t ahead_first, ahead_count;
};

struct reader {
	struct replay_drive *drive;
	struct replay_lines *lines;
	struct source *sources; /* that are being read */
	/* of all files, in bytes */
	int64_t total, done_before;
	bool shows_progress;
	int64_t shown_ms;
	char *error; /* of the one that could not be read; of error_size */
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

static bool can_be_read_twice(const char *path)
{
	struct stat status;

	return strcmp(path, "-") != 0 &&
	       (stat(path, &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

/* Lines of a file come in order but for those that are read ahead. */
static void note_unreadable(struct replay_lines *lines, const char *path, uint64_t number)
{
	bool is_first = lines->unreadable++ == 0 ||
			(lines->first_path == path && number < lines->first_number);
	int length;

	if (!is_first)
		return;
	lines->first_path = path;
	lines->first_number = number;
	free(lines->first_unreadable);
	length = asprintf(&lines->first_unreadable, "%s:%llu",
			  strcmp(path, "-") == 0 ? "standard input" : path,
			  (unsigned long long)number);
	if (length < 0)
		lines->first_unreadable = NULL;
}

/* The next line that has a stamp. */
static bool read_stamped(struct source *source, struct replay_lines *lines, struct stamped *line)
{
	while (maillog_file_line(source->file, &line->text, &line->length)) {
		source->number++;
		lines->read++;
		line->number = source->number;
		if (line->length == 0)
			lines->other++;
		else if (maillog_timestamp_read(&source->stamps, line->text, line->length,
						&line->wall_ms, &line->stamp_length))
			return true;
		else
			note_unreadable(lines, source->path, source->number);
	}
	return false;
}

static struct kept *kept_at(struct source *source, size_t number)
{
	return &source->ahead[(source->ahead_first + number) % AHEAD_MAX];
}

/* False if there is no memory. */
static bool keep(struct source *source, const struct stamped *line)
{
	struct kept *kept = kept_at(source, source->ahead_count);

	if (kept->size < line->length + 1) {
		char *text = realloc(kept->text, line->length + 1);

		if (text == NULL)
			return false;
		kept->text = text;
		kept->size = line->length + 1;
	}
	memcpy(kept->text, line->text, line->length);
	kept->text[line->length] = '\0';
	kept->line = *line;
	kept->line.text = kept->text;
	source->ahead_count++;
	return true;
}

static void read_ahead(struct source *source, struct replay_lines *lines)
{
	struct stamped line;

	while (source->ahead_count < AHEAD_MAX && read_stamped(source, lines, &line))
		if (!keep(source, &line))
			return;
}

/* Whether most of the lines after the first that is kept go on where it is. */
static bool is_borne_out(struct source *source)
{
	int64_t least_ms = kept_at(source, 0)->line.wall_ms - LEAP_MS;
	size_t behind = 0, others = source->ahead_count - 1;

	for (size_t i = 1; i <= others; i++)
		behind += kept_at(source, i)->line.wall_ms < least_ms;
	return others == 0 || behind < others - behind;
}

static bool is_leap(const struct source *source, const struct stamped *line)
{
	return line->wall_ms > source->last_ms + LEAP_MS;
}

/* The next line, of those kept or of the file, is a credible one: it is the one to take. */
static bool show(struct source *source, struct replay_lines *lines, const struct stamped *line)
{
	source->line = *line;
	if (line->wall_ms < source->last_ms - LEAP_MS)
		lines->misdated++;
	if (line->wall_ms > source->last_ms)
		source->last_ms = line->wall_ms;
	return true;
}

static struct stamped *first_kept(struct source *source)
{
	struct stamped *line = &kept_at(source, 0)->line;

	source->ahead_first++;
	source->ahead_count--;
	return line;
}

/*
 * Goes on to the next line with a credible stamp; false at the end. Some garbled stamps, or those of a clock
 * that was wrong for a moment, must not move the clock to the end of time.
 */
static bool advance(struct source *source, struct replay_lines *lines)
{
	struct stamped line;

	for (;;) {
		if (source->ahead_count == 0) {
			if (!read_stamped(source, lines, &line))
				return false;
			if (!is_leap(source, &line) || !keep(source, &line))
				return show(source, lines, &line);
		}
		if (!is_leap(source, &kept_at(source, 0)->line))
			return show(source, lines, first_kept(source));
		read_ahead(source, lines);
		if (is_borne_out(source))
			return show(source, lines, first_kept(source));
		note_unreadable(lines, source->path, first_kept(source)->number);
		lines->misdated++;
	}
}

static struct source *source_open(struct replay_file *from, char *error, size_t size)
{
	struct source *source = calloc(1, sizeof(*source));

	if (source == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	source->from = from;
	source->path = from->path;
	source->file = maillog_file_open(from->path, error, size);
	if (source->file == NULL) {
		free(source);
		return NULL;
	}
	maillog_timestamp_begin(&source->stamps, maillog_file_changed_s(source->file),
				from->first_year);
	return source;
}

static void source_close(struct source *source)
{
	maillog_file_close(source->file);
	for (size_t i = 0; i < AHEAD_MAX; i++)
		free(source->ahead[i].text);
	free(source);
}

/* A file that is damaged, or of a kind that we don't know, from its very begin; says so in error. */
static bool is_illegible(const struct source *source, char *error, size_t size)
{
	if (maillog_file_error(source->file) == NULL || source->number > 0)
		return false;
	snprintf(error, size, "%s", maillog_file_error(source->file));
	return true;
}

/* Where stamps have no year, all of them are needed to tell the first one's. */
static void find_first_year(struct replay_file *from)
{
	char ignored[1];
	struct maillog_file *file = maillog_file_open(from->path, ignored, sizeof(ignored));
	struct maillog_timestamps stamps;
	const char *line;
	size_t length, stamp_length;
	int64_t wall_ms;

	if (file == NULL)
		return;
	maillog_timestamp_survey(&stamps, maillog_file_changed_s(file));
	while (maillog_file_line(file, &line, &length))
		if (maillog_timestamp_read(&stamps, line, length, &wall_ms, &stamp_length) &&
		    stamps.years.first == 0)
			break;
	from->first_year = maillog_timestamp_first_year(&stamps);
	maillog_file_close(file);
}

bool replay_read_order(struct replay_file *files, size_t count, char *error, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		struct replay_lines ignored = {0};
		struct source *source;
		bool is_bad;

		files[i].first_ms = INT64_MIN;
		if (!can_be_read_twice(files[i].path))
			continue;
		find_first_year(&files[i]);
		source = source_open(&files[i], error, size);
		if (source == NULL)
			return false;
		files[i].first_ms = advance(source, &ignored) ? source->line.wall_ms : INT64_MAX;
		free(ignored.first_unreadable);
		is_bad = is_illegible(source, error, size);
		source_close(source);
		if (is_bad)
			return false;
	}
	qsort(files, count, sizeof(*files), compare_files);
	return true;
}

/* Of the bar: a narrow terminal would break the line, and then each new one would be below the last. */
static int bar_width(void)
{
	struct winsize size = {0};

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
	    size.ws_col >= PROGRESS_WIDTH + PROGRESS_TEXT)
		return PROGRESS_WIDTH;
	return size.ws_col > PROGRESS_TEXT ? size.ws_col - PROGRESS_TEXT : 0;
}

static void show_progress(struct reader *reader)
{
	int64_t now_ms = clock_now_ms(), all_done = reader->done_before, done, total;
	int width;
	char bar[PROGRESS_WIDTH + 1];
	double part;

	if (!reader->shows_progress || now_ms - reader->shown_ms < PROGRESS_EVERY_MS)
		return;
	reader->shown_ms = now_ms;
	for (const struct source *source = reader->sources; source != NULL; source = source->next) {
		maillog_file_progress(source->file, &done, &total);
		all_done += done;
	}
	if (reader->total <= 0) {
		fprintf(stderr, "\r%.0f MiB ", (double)all_done / (1 << 20));
		return;
	}
	part = all_done < reader->total ? (double)all_done / (double)reader->total : 1;
	width = bar_width();
	if (width == 0) {
		fprintf(stderr, "\r%3.0f %%", 100 * part);
		return;
	}
	for (int i = 0; i < width; i++)
		bar[i] = i < (int)(part * width) ? '#' : '.';
	bar[width] = '\0';
	fprintf(stderr, "\r[%s] %3.0f %% of %.0f MiB ", bar, 100 * part,
		(double)reader->total / (1 << 20));
}

static void wipe_progress(const struct reader *reader)
{
	if (reader->shows_progress && reader->shown_ms > 0)
		fprintf(stderr, "\r%*s\r",
			bar_width() > 0 ? PROGRESS_TEXT + bar_width() - 1 : PROGRESS_BARE, "");
}

static void note_damage(const struct reader *reader, const struct source *source)
{
	wipe_progress(reader);
	fprintf(stderr, "tarpitctl: %s\n", maillog_file_error(source->file));
	snprintf(source->from->damage, sizeof(source->from->damage), "%s",
		 maillog_file_reason(source->file));
}

/* Goes on to the source's next line, or takes it from the list, at *link, if there is none. */
static bool advance_or_close(struct reader *reader, struct source **link)
{
	struct source *source = *link;
	int64_t done, total;

	if (advance(source, reader->lines))
		return true;
	if (is_illegible(source, reader->error, reader->error_size))
		reader->has_failed = true;
	else if (maillog_file_error(source->file) != NULL)
		note_damage(reader, source);
	if (source->stamps.years.is_lost) {
		wipe_progress(reader);
		fprintf(stderr, "tarpitctl: %s: the year of some lines can't be told\n",
			strcmp(source->path, "-") == 0 ? "standard input" : source->path);
	}
	maillog_file_progress(source->file, &done, &total);
	reader->done_before += done;
	*link = source->next;
	source_close(source);
	return false;
}

static void take_line(struct reader *reader, const struct source *source)
{
	const struct stamped *line = &source->line;
	struct replay_lines *lines = reader->lines;
	struct maillog_line parsed;

	maillog_line_parse(line->text, line->length, line->stamp_length, &parsed);
	if (parsed.kind == MAILLOG_UNREADABLE)
		note_unreadable(lines, source->path, line->number);
	else if (parsed.kind == MAILLOG_OTHER)
		lines->other++;
	else if (parsed.kind == MAILLOG_SUBMISSION)
		lines->submission++;
	replay_drive_take(reader->drive, &parsed, line->wall_ms);
	if (lines->read % PROGRESS_LINES == 0)
		show_progress(reader);
}

/* Where the source whose next line is oldest hangs; *until_ms is set to the next line of the others. */
static struct source **oldest(struct reader *reader, int64_t *until_ms)
{
	struct source **least = &reader->sources;

	*until_ms = INT64_MAX;
	for (struct source **link = &(*least)->next; *link != NULL; link = &(*link)->next) {
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
	struct source *source = source_open(file, reader->error, reader->error_size);
	struct source **link = &reader->sources;

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
		struct source **source = &reader->sources;
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
		.total = total_size(files, count),
		.shows_progress = isatty(STDERR_FILENO) == 1,
		.error = error,
		.error_size = size,
	};
	bool is_done = merge(&reader, files, count);

	while (reader.sources != NULL) {
		struct source *source = reader.sources;

		reader.sources = source->next;
		source_close(source);
	}
	wipe_progress(&reader);
	return is_done;
}
