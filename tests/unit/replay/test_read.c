/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of lines in, in whatever order; garbled stamps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "replay/read.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FILES 3
#define PATH_BYTES 64
#define ERROR_BYTES 256

static struct replay_drive *drive;
static char directory[PATH_BYTES], paths[FILES][PATH_BYTES];
static struct replay_lines lines;

static void start_over(void)
{
	static const char *const sets[] = {"user=root"};
	struct faults faults = {0};

	free(lines.first_unreadable);
	lines = (struct replay_lines){0};
	drive = replay_drive_new();
	assert_non_null(drive);
	assert_true(replay_drive_add(drive, "one", config_load(NULL, false, sets, 1, &faults)));
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void read_text(const char *text)
{
	struct replay_file file = {.path = paths[0]};
	char error[ERROR_BYTES];

	start_over();
	write_file(paths[0], text);
	assert_true(replay_read_all(drive, &file, 1, &lines, error, sizeof(error)));
	replay_drive_finish(drive);
}

#define LINE " mx postfix/smtpd[1]: connect from a[192.0.2.1]\n"
#define RUBBISH "rubbish\n"

static const struct {
	const char *what, *text;
	uint64_t read, other, unreadable, misdated;
	int64_t first_s, last_s;
	unsigned first_unreadable;
} rows[] = {
	{"nothing", "", 0, 0, 0, 0, 0, 0, 0},
	{"one line", "2026-01-01T00:00:00Z" LINE, 1, 0, 0, 0, 1767225600, 1767225600, 0},
	{"rubbish", RUBBISH "\n2026-01-01T00:00:00Z" LINE RUBBISH, 4, 1, 2, 0, 1767225600,
	 1767225600, 1},
	{"a day and more without a line",
	 "2026-01-01T00:00:00Z" LINE "2026-01-03T00:00:00Z" LINE "2026-01-06T00:00:00Z" LINE, 3, 0,
	 0, 0, 1767225600, 1767657600, 0},
	{"a stamp that is ahead of all others",
	 "2026-01-01T00:00:00Z" LINE "2099-01-01T00:00:00Z" LINE "2026-01-01T00:00:09Z" LINE, 3, 0,
	 1, 1, 1767225600, 1767225609, 2},
	{"at the begin too", "2099-01-01T00:00:00Z" LINE "2026-01-01T00:00:09Z" LINE, 2, 0, 1, 1,
	 1767225609, 1767225609, 1},
	{"back by an hour", "2026-01-01T01:00:00Z" LINE "2026-01-01T00:00:09Z" LINE, 2, 0, 0, 0,
	 1767229200, 1767229200, 0},
	{"two of them, and rubbish after",
	 "2026-01-01T00:00:00Z" LINE "2099-01-01T00:00:00Z" LINE "2099-01-01T00:00:00Z" LINE
	 "2026-01-01T00:00:09Z" LINE RUBBISH "2026-01-01T00:00:10Z" LINE,
	 6, 0, 3, 2, 1767225600, 1767225610, 2},
	{"the last one may be right", "2026-01-01T00:00:00Z" LINE "2026-02-01T00:00:00Z" LINE, 2, 0,
	 0, 0, 1767225600, 1769904000, 0},
	{"back by a month",
	 "2026-02-01T00:00:00Z" LINE "2026-01-01T00:00:09Z" LINE "2026-02-01T00:00:01Z" LINE
	 "2026-02-01T00:00:02Z" LINE,
	 4, 0, 0, 1, 1769904000, 1769904002, 0},
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char place[2 * PATH_BYTES];

		read_text(rows[i].text);
		if (lines.read != rows[i].read || lines.other != rows[i].other ||
		    lines.unreadable != rows[i].unreadable || lines.misdated != rows[i].misdated ||
		    drive->first_ms != 1000 * rows[i].first_s ||
		    drive->last_ms != 1000 * rows[i].last_s)
			fail_msg("%s: %d read, %d other, %d unreadable, %d misdated, from %lld to "
				 "%lld",
				 rows[i].what, (int)lines.read, (int)lines.other,
				 (int)lines.unreadable, (int)lines.misdated,
				 (long long)drive->first_ms, (long long)drive->last_ms);
		snprintf(place, sizeof(place), "%s:%u", paths[0], rows[i].first_unreadable);
		if (lines.unreadable > 0)
			assert_string_equal(lines.first_unreadable, place);
		else
			assert_null(lines.first_unreadable);
		replay_drive_free(drive);
	}
}

static void test_order(void **state)
{
	struct replay_file files[] = {
		{.path = paths[0]}, {.path = paths[1]}, {.path = "-"}, {.path = paths[2]}};
	char error[ERROR_BYTES];

	(void)state;
	write_file(paths[0], "2026-03-01T00:00:00Z" LINE);
	write_file(paths[1], RUBBISH "2026-01-01T00:00:00Z" LINE);
	write_file(paths[2], "2026-02-01T00:00:00Z" LINE);
	assert_true(replay_read_order(files, COUNT(files), error, sizeof(error)));
	assert_string_equal(files[0].path, "-");
	assert_string_equal(files[1].path, paths[1]);
	assert_string_equal(files[2].path, paths[2]);
	assert_string_equal(files[3].path, paths[0]);
}

static void test_no_such_file(void **state)
{
	struct replay_file files[] = {{.path = paths[0]}, {.path = "/nonexistent/mail.log"}};
	char error[ERROR_BYTES];

	(void)state;
	write_file(paths[0], "");
	assert_false(replay_read_order(files, COUNT(files), error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/mail.log"));
}

#define REFUSAL(second, machine, n)                                                                \
	"2026-01-01T00:00:0" second "Z " machine                                                   \
	" postfix/smtpd[1]: NOQUEUE: reject: RCPT from a[192.0.2.1]: 550 5.1.1 <" n                \
	"@b>: no; from=<x@y> to=<" n "@b> proto=ESMTP helo=<h>\n"

/* Two machines, and one of them in two parts: the fifth of all refusals flags. */
static void test_logs_side_by_side(void **state)
{
	struct replay_file files[FILES];
	char error[ERROR_BYTES];
	struct replay_result *result;

	(void)state;
	for (size_t i = 0; i < FILES; i++)
		files[i] = (struct replay_file){.path = paths[i]};
	write_file(paths[0], REFUSAL("7", "mx1", "7") REFUSAL("9", "mx1", "9"));
	write_file(paths[1], REFUSAL("2", "mx2", "2") RUBBISH REFUSAL("4", "mx2", "4")
				     REFUSAL("8", "mx2", "8"));
	write_file(paths[2], REFUSAL("1", "mx1", "1") REFUSAL("5", "mx1", "5"));
	start_over();
	assert_true(replay_read_order(files, FILES, error, sizeof(error)));
	assert_true(replay_read_all(drive, files, FILES, &lines, error, sizeof(error)));
	replay_drive_finish(drive);
	result = &drive->scenarios[0]->result;
	assert_int_equal(result->rejected, 7);
	assert_int_equal(result->flags_total, 1);
	assert_int_equal(result->flags[0].wall_ms, INT64_C(1767225607000));
	assert_int_equal(lines.unreadable, 1);
	replay_drive_free(drive);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test_replay_read.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	for (size_t i = 0; i < FILES; i++)
		snprintf(paths[i], sizeof(paths[i]), "%.40s/%zu", directory, i);
	return hash_init();
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++)
		unlink(paths[i]);
	free(lines.first_unreadable);
	lines.first_unreadable = NULL;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_no_such_file),
		cmocka_unit_test(test_logs_side_by_side),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
