/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a log's lines: ahead where a time stamp leaps, to see whether the next ones bear it out. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unwrap.h"

/* A line so far ahead of all before is believed if most of the next ones bear it out. */
#define LEAP_MS (INT64_C(86400) * 1000)

struct replay_source *replay_source_open(struct replay_file *from, char *error, size_t size)
{
	struct replay_source *source = calloc(1, sizeof(*source));

	if (source == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	source->from = from;
	source->file = maillog_file_open(from->path, error, size);
	if (source->file == NULL) {
		free(source);
		return NULL;
	}
	maillog_timestamp_begin(&source->stamps, maillog_file_changed_s(source->file),
				from->first_year);
	return source;
}

void replay_source_close(struct replay_source *source)
{
	maillog_file_close(source->file);
	for (size_t i = 0; i < REPLAY_AHEAD_MAX; i++)
		free(source->ahead[i].text);
	free(source->refused.text);
	free(source);
}

const char *replay_source_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

static void take_sample(const struct replay_source *source, struct replay_lines *lines,
			const struct replay_stamped *line, enum replay_sample kind)
{
	size_t length = line->length;

	if (kind <= lines->sample_kind)
		return;
	lines->sample_kind = kind;
	lines->sample_path = source->from->path;
	lines->sample_number = line->number;
	if (length >= sizeof(lines->sample))
		length = sizeof(lines->sample) - 1;
	for (size_t i = 0; i < length; i++)
		lines->sample[i] = line->text[i] != '\0' ? line->text[i] : ' ';
	lines->sample[length] = '\0';
}

/* Lines of a file come in order but for those that are read ahead. */
void replay_source_unreadable(const struct replay_source *source, struct replay_lines *lines,
			      const struct replay_stamped *line)
{
	const char *path = source->from->path;
	bool is_first = lines->unreadable++ == 0 ||
			(lines->first_path == path && line->number < lines->first_number);

	take_sample(source, lines, line, REPLAY_SAMPLE_UNREADABLE);
	if (!is_first)
		return;
	lines->first_path = path;
	lines->first_number = line->number;
	free(lines->first_unreadable);
	if (asprintf(&lines->first_unreadable, "%s:%llu", replay_source_name(path),
		     (unsigned long long)line->number) < 0)
		lines->first_unreadable = NULL;
}

/* "-- Boot 4f1c... --", "-- Journal begins at ... --" */
static bool is_blank(const struct replay_stamped *line)
{
	return line->length == 0 || (line->length > 3 && memcmp(line->text, "-- ", 3) == 0);
}

static enum replay_sample sample_kind(const struct replay_stamped *line, bool has_stamp)
{
	if (has_stamp)
		return REPLAY_SAMPLE_ANY;
	return maillog_timestamp_is_foreign(line->text, line->length) ? REPLAY_SAMPLE_FOREIGN
								      : REPLAY_SAMPLE_UNSTAMPED;
}

/* The next line that has a stamp, of whatever time. */
static bool read_stamped(struct replay_source *source, struct replay_lines *lines,
			 struct replay_stamped *line)
{
	while (maillog_file_line(source->file, &line->text, &line->length)) {
		struct replay_stamped raw = {
			.text = line->text, .length = line->length, .number = ++source->number};
		bool has_stamp;

		lines->read++;
		line->number = raw.number;
		if (is_blank(line)) {
			lines->other++;
			lines->blank++;
			continue;
		}
		replay_unwrap(&line->text, &line->length, source->unwrapped,
			      sizeof(source->unwrapped));
		has_stamp = maillog_timestamp_read(&source->stamps, line->text, line->length,
						   &line->wall_ms, &line->stamp_length);
		take_sample(source, lines, &raw, sample_kind(&raw, has_stamp));
		source->from->filled++;
		source->from->stamped += has_stamp;
		if (has_stamp)
			return true;
		replay_source_unreadable(source, lines, &raw);
	}
	return false;
}

static struct replay_kept *kept_at(struct replay_source *source, size_t place)
{
	return &source->ahead[(source->ahead_first + place) % REPLAY_AHEAD_MAX];
}

/* False if out of memory. */
static bool copy(struct replay_kept *kept, const struct replay_stamped *line)
{
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
	return true;
}

static bool keep(struct replay_source *source, const struct replay_stamped *line)
{
	if (!copy(kept_at(source, source->ahead_count), line))
		return false;
	source->ahead_count++;
	return true;
}

void replay_source_keep_refused(struct replay_source *source)
{
	if (!copy(&source->refused, &source->line))
		source->refused.line.length = 0;
}

static struct replay_stamped *first_kept(struct replay_source *source)
{
	struct replay_stamped *line = &kept_at(source, 0)->line;

	source->ahead_first++;
	source->ahead_count--;
	return line;
}

static void read_ahead(struct replay_source *source, struct replay_lines *lines)
{
	struct replay_stamped line;

	while (source->ahead_count < REPLAY_AHEAD_MAX && read_stamped(source, lines, &line))
		if (!keep(source, &line))
			return;
}

/* Whether most of the lines after the first that is kept are not a leap behind that one. */
static bool is_borne_out(struct replay_source *source)
{
	int64_t least_ms = kept_at(source, 0)->line.wall_ms - LEAP_MS;
	size_t behind = 0, others = source->ahead_count - 1;

	for (size_t i = 1; i <= others; i++)
		behind += kept_at(source, i)->line.wall_ms < least_ms;
	return others == 0 || behind < others - behind;
}

static bool is_leap(const struct replay_source *source, const struct replay_stamped *line)
{
	return line->wall_ms > source->last_ms + LEAP_MS;
}

/* The line can be believed, and becomes the present one. */
static bool take(struct replay_source *source, struct replay_lines *lines,
		 const struct replay_stamped *line)
{
	source->line = *line;
	if (line->wall_ms < source->last_ms - LEAP_MS)
		lines->misdated++;
	if (line->wall_ms > source->last_ms)
		source->last_ms = line->wall_ms;
	return true;
}

bool replay_source_next(struct replay_source *source, struct replay_lines *lines)
{
	struct replay_stamped line;

	for (;;) {
		if (source->ahead_count == 0) {
			if (!read_stamped(source, lines, &line))
				return false;
			if (!is_leap(source, &line) || !keep(source, &line))
				return take(source, lines, &line);
		}
		if (!is_leap(source, &kept_at(source, 0)->line))
			return take(source, lines, first_kept(source));
		read_ahead(source, lines);
		if (is_borne_out(source))
			return take(source, lines, first_kept(source));
		replay_source_unreadable(source, lines, first_kept(source));
		lines->misdated++;
	}
}

bool replay_source_is_illegible(const struct replay_source *source, char *error, size_t size)
{
	if (maillog_file_error(source->file) == NULL || source->number > 0)
		return false;
	snprintf(error, size, "%s", maillog_file_error(source->file));
	return true;
}
