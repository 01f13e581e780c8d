/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "maillog/file.h"
#include "maillog/line.h"
#include "maillog/timestamp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MANY_LINES 50000

static char directory[] = "/tmp/test_maillog_file.XXXXXX";
static char path[64];

static int make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void write_bytes(const char *bytes, size_t length)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

/* mode "wb" begins the file, "ab" adds a member to it. */
static void write_gzip(const char *mode, const char *bytes, size_t length)
{
	gzFile gz = gzopen(path, mode);

	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, bytes, (unsigned)length), length);
	assert_int_equal(gzclose(gz), Z_OK);
}

static struct maillog_file *open_log(void)
{
	char error[256] = "";
	struct maillog_file *file = maillog_file_open(path, error, sizeof(error));

	if (file == NULL)
		fail_msg("%s", error);
	return file;
}

static void expect_line(struct maillog_file *file, const char *text, size_t length)
{
	const char *line;
	size_t found;

	assert_true(maillog_file_line(file, &line, &found));
	assert_int_equal(found, length);
	assert_memory_equal(line, text, length);
	assert_int_equal(line[length], '\0');
}

static void expect_end(struct maillog_file *file, const char *error)
{
	const char *line;
	size_t length;

	for (int i = 0; i < 2; i++)
		assert_false(maillog_file_line(file, &line, &length));
	if (error == NULL) {
		assert_null(maillog_file_error(file));
	} else {
		assert_non_null(maillog_file_error(file));
		assert_non_null(strstr(maillog_file_error(file), path));
		assert_non_null(strstr(maillog_file_error(file), error));
	}
	maillog_file_close(file);
}

static void lines_are_given_without_their_ends(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *lines[4];
	} rows[] = {
		{"", 0, {NULL}},
		{"\n", 1, {""}},
		{"a", 1, {"a"}},
		{"a\n", 2, {"a"}},
		{"a\n\nbc\n", 6, {"a", "", "bc"}},
		{"a\r\nb\r\n", 6, {"a", "b"}},
		{"a\rb\n\r\n\r", 7, {"a\rb", "", ""}},
		{"first\nlast without end", 22, {"first", "last without end"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (int compressed = 0; compressed < 2; compressed++) {
			struct maillog_file *file;

			if (compressed)
				write_gzip("wb", rows[i].bytes, rows[i].length);
			else
				write_bytes(rows[i].bytes, rows[i].length);
			file = open_log();
			for (size_t j = 0; j < COUNT(rows[i].lines) && rows[i].lines[j] != NULL;
			     j++)
				expect_line(file, rows[i].lines[j], strlen(rows[i].lines[j]));
			expect_end(file, NULL);
		}
	}
}

static void nuls_are_kept(void **state)
{
	struct maillog_file *file;

	(void)state;
	write_bytes("a\0b\n\0\nc\0", 8);
	file = open_log();
	expect_line(file, "a\0b", 3);
	expect_line(file, "\0", 1);
	expect_line(file, "c\0", 2);
	expect_end(file, NULL);
}

/* Lengths about the limit, and about the sizes that are read at a time. */
static void long_lines_are_cut(void **state)
{
	static const size_t lengths[] = {MAILLOG_LINE_MAX - 1,
					 MAILLOG_LINE_MAX,
					 MAILLOG_LINE_MAX + 1,
					 65535,
					 65536,
					 131072,
					 131073,
					 1000000};

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		size_t length = lengths[i];
		size_t kept = length < MAILLOG_LINE_MAX ? length : MAILLOG_LINE_MAX;
		char *bytes = malloc(2 * length + 9);
		struct maillog_file *file;

		assert_non_null(bytes);
		memset(bytes, 'x', 2 * length + 9);
		memcpy(bytes, "one\n", 4);
		bytes[4 + length] = '\n';
		memcpy(bytes + 5 + length, "two\n", 4);
		write_bytes(bytes, 2 * length + 9);
		file = open_log();
		expect_line(file, "one", 3);
		expect_line(file, bytes + 4, kept);
		expect_line(file, "two", 3);
		expect_line(file, bytes + 4, kept);
		expect_end(file, NULL);
		free(bytes);
	}
}

static void write_many(FILE *file)
{
	for (int i = 0; i < MANY_LINES; i++)
		fprintf(file, "line %d%.*s\n", i, i % 80,
			"--------------------------------------------------------------------------"
			"------");
}

static void expect_many(struct maillog_file *file)
{
	for (int i = 0; i < MANY_LINES; i++) {
		const char *line;
		size_t length;
		char text[16];
		int head = snprintf(text, sizeof(text), "line %d", i);

		assert_true(maillog_file_line(file, &line, &length));
		assert_int_equal(length, head + i % 80);
		assert_memory_equal(line, text, (size_t)head);
	}
	expect_end(file, NULL);
}

static void lines_across_pieces_are_whole(void **state)
{
	FILE *file = fopen(path, "wb");

	(void)state;
	assert_non_null(file);
	write_many(file);
	fclose(file);
	expect_many(open_log());
}

static void members_of_gzip_follow_each_other(void **state)
{
	struct maillog_file *file;

	(void)state;
	write_gzip("wb", "one\ntw", 6);
	write_gzip("ab", "o\nthree\n", 8);
	file = open_log();
	expect_line(file, "one", 3);
	expect_line(file, "two", 3);
	expect_line(file, "three", 5);
	expect_end(file, NULL);
}

/* A gzip file of many lines; its size. */
static off_t write_big_gzip(void)
{
	struct stat status;
	gzFile gz = gzopen(path, "wb1");

	assert_non_null(gz);
	for (int i = 0; i < MANY_LINES; i++)
		assert_true(gzprintf(gz, "line %d %d\n", i, i * 7919 % 10007) > 0);
	assert_int_equal(gzclose(gz), Z_OK);
	assert_int_equal(stat(path, &status), 0);
	return status.st_size;
}

static int count_lines(struct maillog_file *file)
{
	const char *line;
	size_t length;
	int lines = 0;

	while (maillog_file_line(file, &line, &length))
		lines++;
	return lines;
}

static void cut_gzip_gives_what_it_has(void **state)
{
	off_t size = write_big_gzip();
	struct maillog_file *file;
	int lines;

	(void)state;
	assert_int_equal(truncate(path, size / 2), 0);
	file = open_log();
	lines = count_lines(file);
	assert_in_range(lines, MANY_LINES / 4, MANY_LINES * 3 / 4);
	expect_end(file, "ends too early");
}

static void damaged_gzip_is_told(void **state)
{
	off_t size = write_big_gzip();
	int fd = open(path, O_WRONLY);
	struct maillog_file *file;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, size / 2), 8);
	close(fd);
	file = open_log();
	assert_in_range(count_lines(file), 1, MANY_LINES);
	expect_end(file, "damaged");
}

static void what_can_not_be_read_is_told(void **state)
{
	static const struct {
		const char *bytes, *error;
	} rows[] = {
		{"\xfd"
		 "7zXZ",
		 "xzcat"},
		{"BZh91AY&SY", "bzcat"},
		{"\x28\xb5\x2f\xfd xx", "zstdcat"},
		{"LPKSHHRHxxxx\n", "journalctl"},
	};
	char error[256];

	(void)state;
	assert_null(maillog_file_open("/nonexistent/log", error, sizeof(error)));
	assert_string_equal(error, "/nonexistent/log: No such file or directory");
	assert_null(maillog_file_open("/tmp", error, sizeof(error)));
	assert_string_equal(error, "/tmp: Is a directory");
	for (size_t i = 0; i < COUNT(rows); i++) {
		write_bytes(rows[i].bytes, strlen(rows[i].bytes));
		expect_end(open_log(), rows[i].error);
	}
}

static void progress_is_of_the_compressed_file(void **state)
{
	off_t size = write_big_gzip();
	struct maillog_file *file = open_log();
	int64_t done, total, before = -1;
	const char *line;
	size_t length;

	(void)state;
	while (maillog_file_line(file, &line, &length)) {
		maillog_file_progress(file, &done, &total);
		assert_int_equal(total, size);
		assert_in_range(done, before < 0 ? 0 : before, size);
		before = done;
	}
	assert_int_equal(before, size);
	maillog_file_close(file);
}

static void the_files_time_is_known(void **state)
{
	struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1234567890}};
	struct maillog_file *file;

	(void)state;
	write_bytes("x\n", 2);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	file = open_log();
	assert_int_equal(maillog_file_changed_s(file), 1234567890);
	maillog_file_close(file);
}

static struct maillog_file *open_input(int fd)
{
	char error[256] = "";
	int before = dup(STDIN_FILENO);
	struct maillog_file *file;

	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	file = maillog_file_open("-", error, sizeof(error));
	if (before >= 0) {
		dup2(before, STDIN_FILENO);
		close(before);
	}
	if (file == NULL)
		fail_msg("%s", error);
	return file;
}

static void standard_input_is_read(void **state)
{
	int ends[2];
	struct maillog_file *file;
	int64_t done, total;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "one\ntwo", 7), 7);
	close(ends[1]);
	file = open_input(ends[0]);
	close(ends[0]);
	assert_in_range(maillog_file_changed_s(file), time(NULL) - 60, time(NULL) + 60);
	expect_line(file, "one", 3);
	maillog_file_progress(file, &done, &total);
	assert_int_equal(done, 7);
	assert_int_equal(total, 0);
	expect_line(file, "two", 3);
	expect_end(file, NULL);
}

/* Logs that the MTAs of tests/support wrote in the same sessions: tests/logs/README. */
static void logs_of_real_mtas_are_read(void **state)
{
	static const struct {
		const char *name;
		int kinds[MAILLOG_REMOVED + 1];
	} rows[] = {
		{"postfix-3.7.log", {12, 0, 0, 9, 9, 2, 20, 0, 6, 4, 9, 4}},
		{"postfix-3.10.log", {14, 0, 0, 9, 9, 2, 20, 0, 6, 4, 9, 4}},
		{"sendmail-8.17.log", {8, 0, 0, 0, 4, 0, 19, 6, 0, 10, 5, 0}},
		{"sendmail-8.18.log", {47, 0, 0, 10, 4, 0, 19, 6, 0, 10, 7, 0}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int kinds[MAILLOG_REMOVED + 1] = {0};
		struct maillog_timestamps stamps;
		struct maillog_file *file;
		const char *line;
		size_t length;
		char name[4096], error[256];

		snprintf(name, sizeof(name), "%s/%s", TEST_LOGS, rows[i].name);
		file = maillog_file_open(name, error, sizeof(error));
		if (file == NULL)
			fail_msg("%s", error);
		maillog_timestamp_begin(&stamps, maillog_file_changed_s(file), 0);
		while (maillog_file_line(file, &line, &length)) {
			struct maillog_line parsed;
			int64_t wall_ms;
			size_t stamp_length;

			assert_true(maillog_timestamp_read(&stamps, line, length, &wall_ms,
							   &stamp_length));
			maillog_line_parse(line, length, stamp_length, &parsed);
			kinds[parsed.kind]++;
		}
		for (size_t j = 0; j < COUNT(kinds); j++)
			if (kinds[j] != rows[i].kinds[j])
				fail_msg("%s: %d lines of kind %zu", name, kinds[j], j);
		maillog_file_close(file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_given_without_their_ends),
		cmocka_unit_test(nuls_are_kept),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(lines_across_pieces_are_whole),
		cmocka_unit_test(members_of_gzip_follow_each_other),
		cmocka_unit_test(cut_gzip_gives_what_it_has),
		cmocka_unit_test(damaged_gzip_is_told),
		cmocka_unit_test(what_can_not_be_read_is_told),
		cmocka_unit_test(progress_is_of_the_compressed_file),
		cmocka_unit_test(the_files_time_is_known),
		cmocka_unit_test(standard_input_is_read),
		cmocka_unit_test(logs_of_real_mtas_are_read),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
