/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "daemon/postfix_limit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OURS "unix:/run/tarpit/milter.sock"
#define SERVED "smtpd_milters = " OURS "\n"
#define SMTP "smtp inet n - y - - smtpd\n"

static void assert_limit(const char *main_cf, const char *master_cf, const char *socket, int processes,
			 const char *service)
{
	struct postfix_limit limit = {.service = "", .processes = 0};
	bool found = postfix_limit_parse(main_cf, master_cf, socket, &limit);

	if (found != (processes > 0) || (found && (limit.processes != (unsigned)processes ||
						   strcmp(limit.service, service) != 0)))
		fail_msg("'%s' '%s': %d, %u %s", main_cf, master_cf, found, limit.processes,
			 limit.service);
}

/* 0: nothing is found. */
static void main_cf_says_the_default_limit(void **state)
{
	static const struct {
		const char *main_cf;
		int processes;
	} rows[] = {
		{SERVED, 100},
		{SERVED "default_process_limit = 20\n", 20},
		{SERVED "default_process_limit=20", 20},
		{SERVED "default_process_limit =\n   20  \n", 20},
		{SERVED "default_process_limit =\n# no\n\n \t\n\t# no\n   20\nx = y", 20},
		{SERVED "#default_process_limit = 20\n", 100},
		{SERVED "default_process_limit = 10\ndefault_process_limit = 20\n", 20},
		{SERVED "default_process_limits = 10\nx = default_process_limit = 9\n", 100},
		{SERVED "few = 20\ndefault_process_limit = $few\n", 20},
		{SERVED "few = 20\ndefault_process_limit = ${few}\n", 20},
		{SERVED "few = $(less)0\nless = 2\ndefault_process_limit = ${few}\n", 20},
		{SERVED "default_process_limit = 0\n", 0},
		{SERVED "default_process_limit =\n", 0},
		{SERVED "default_process_limit = many\n", 0},
		{SERVED "default_process_limit = -20\n", 0},
		{SERVED "default_process_limit = 20 000\n", 0},
		{SERVED "default_process_limit = 99999999999999999999\n", 0},
		{SERVED "default_process_limit = $none\n", 0},
		{SERVED "default_process_limit = $\n", 0},
		{SERVED "default_process_limit = ${stress?{1}:{20}}\n", 0},
		{SERVED "default_process_limit = $default_process_limit\n", 0},
		{SERVED "a = $b$b\nb = $a$a\ndefault_process_limit = $a\n", 0},
		{SERVED "default_process_limit = 20\r\n", 20},
		{"", 0},
		{"default_process_limit = 20\n", 0},
		{"smtpd_milters =\ndefault_process_limit = 20\n", 0},
		{"smtpd_milters = $none\n", 0},
		{"smtpd_milters = unix:/run/tarpit/other.sock\n", 0},
		{"non_smtpd_milters = " OURS "\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_limit(rows[i].main_cf, SMTP, OURS, rows[i].processes, "smtp");
}

static void master_cf_says_which_services_and_their_limits(void **state)
{
	static const struct {
		const char *main_cf, *master_cf;
		int processes;
		const char *service;
	} rows[] = {
		{SERVED, "smtp inet n - y - 20 smtpd\n", 20, "smtp"},
		{SERVED, "smtp\tinet\tn\t-\ty\t-\t20\tsmtpd", 20, "smtp"},
		{SERVED, "smtp inet n - y - 0 smtpd\n", 0, ""},
		{SERVED, "smtp inet n - y - 20", 0, ""},
		{SERVED, "smtp inet n - y - 2x smtpd\n", 0, ""},
		{SERVED, "#smtp inet n - y - 20 smtpd\n" SMTP, 100, "smtp"},
		{SERVED, "smtp unix - - y - 20 smtp\n", 0, ""},
		{SERVED, "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - 30 smtpd\n", 30, "smtpd"},
		{SERVED, SMTP "587 inet n - y - 10 smtpd\n465 inet n - y - 12 smtpd\n", 10, "587"},
		{SERVED, SMTP "587 inet n - y - 10 smtpd -o smtpd_milters=\n", 100, "smtp"},
		{SERVED, SMTP "587 inet n - y - 10 smtpd\n  -o x=y\n  -o smtpd_milters=\n", 100, "smtp"},
		{SERVED, SMTP "587 inet n - y - 10 smtpd\n -osmtpd_milters=\n", 100, "smtp"},
		{SERVED, SMTP "587 inet n - y - 10 smtpd -o { smtpd_milters = }\n", 100, "smtp"},
		{SERVED, SMTP "587 inet n - y - 10 smtpd -v -o\n", 10, "587"},
		{SERVED, SMTP "587 inet n - y - 10 smtpd -o }{ -o {{ -o =\n", 10, "587"},
		{"", "smtp inet n - y - 10 smtpd -o smtpd_milters=" OURS "\n", 10, "smtp"},
		{"", "smtp inet n - y - 10 smtpd\n  -o { smtpd_milters = inet:a:1, { " OURS
		     ", default_action=accept } }\n",
		 10, "smtp"},
		{"mine = " OURS, "smtp inet n - y - 10 smtpd -o smtpd_milters=$mine\n", 10, "smtp"},
		{SERVED, "", 0, ""},
		{SERVED, "\n\n#\n  \n", 0, ""},
		{SERVED, " smtp inet n - y - 20 smtpd\n", 20, "smtp"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_limit(rows[i].main_cf, rows[i].master_cf, OURS, rows[i].processes,
			     rows[i].service);
}

static void our_socket_is_known_by_path_or_port(void **state)
{
	static const struct {
		const char *milters, *socket;
		bool ours;
	} rows[] = {
		{"unix:tarpit/m", "unix:/var/spool/postfix/tarpit/m", true},
		{"unix:/tarpit/m", "unix:/var/spool/postfix/tarpit/m", true},
		{"unix:/tarpit/m", "local:/tarpit/m", true},
		{"unix:m", "unix:/var/spool/postfix/tarpit/m", false},
		{"unix:tarpit/m", "unix:/var/spool/postfixtarpit/m", false},
		{"unix:", "unix:/var/spool/postfix/tarpit/m", false},
		{"{unix:/a/b,default_action=accept},{unix:/c/d}", "unix:/c/d", true},
		{"{ unix:/a/b, default_action=accept }\n  unix:/c/d", "unix:/a/b", true},
		{"inet:127.0.0.1:8895", "inet:8895@127.0.0.1", true},
		{"inet:[::1]:8895", "inet6:8895@::1", true},
		{"inet:localhost:8895", "inet:889@127.0.0.1", false},
		{"inet:localhost:889", "inet:8895@127.0.0.1", false},
		{"inet:8895:1", "inet:8895@127.0.0.1", false},
		{"inet:", "inet:8895@127.0.0.1", false},
		{"inet:localhost:smtp", "inet:8895@127.0.0.1", false},
		{"unix:8895", "inet:8895@127.0.0.1", false},
		{"inet:/a/b", "unix:/a/b", false},
		{"unix:/a/b", "nothing", false},
		{"unix:/a/b", "unix:a/b", false},
		{",,,{{{}}} } {", "unix:/a/b", false},
	};
	char main_cf[300];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(main_cf, sizeof(main_cf), "smtpd_milters = %s\n", rows[i].milters);
		assert_limit(main_cf, SMTP, rows[i].socket, rows[i].ours ? 100 : 0, "smtp");
	}
	assert_limit("smtpd_milters = unix:m\nqueue_directory = /q\n", SMTP, "unix:/q/m", 100, "smtp");
	assert_limit("smtpd_milters = unix:m\nqueue_directory = /q\n", SMTP,
		     "unix:/var/spool/postfix/m", 0, "");
}

/* A text of that many of this piece, with one end. */
static char *repeat(const char *piece, size_t count, const char *end)
{
	char *text = malloc(strlen(piece) * count + strlen(end) + 1), *to = text;

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		to = stpcpy(to, piece);
	strcpy(to, end);
	return text;
}

/* None may crash, hang, or be read beyond its end: sanitizers and valgrind look on. */
static void hostile_texts_do_no_harm(void **state)
{
	static const struct {
		const char *piece;
		size_t count;
		const char *end;
	} rows[] = {
		{"x", 100000, ""},
		{"=", 100000, "\n"},
		{" ", 100000, "x"},
		{"smtpd_milters = ", 9000, OURS},
		{"smtpd_milters = $smtpd_milters\n", 4000, ""},
		{" $smtpd_milters", 9000, ""},
		{"smtpd_milters = ${a}${a}${a}${a}\na = $b$b$b$b\nb = $a$a$a$a\n", 1000, ""},
		{"{", 100000, ""},
		{"smtp inet n - y - 10 smtpd -o { smtpd_milters = $a$a$a }\n", 2000, ""},
		{"smtp inet n - y - 10 smtpd -o smtpd_milters=unix:a,unix:a,unix:a\n", 2000, ""},
		{"-o\n ", 30000, ""},
		{"\xff\x01\x7f\r\v\f=\n", 10000, ""},
		{"unix:,", 20000, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *text = repeat(rows[i].piece, rows[i].count, rows[i].end);
		struct postfix_limit limit;

		(void)postfix_limit_parse(text, SMTP, OURS, &limit);
		(void)postfix_limit_parse(SERVED, text, OURS, &limit);
		(void)postfix_limit_parse(text, text, OURS, &limit);
		(void)postfix_limit_parse(text, text, text, &limit);
		free(text);
	}
	assert_limit("smtpd_milters = " OURS "\na = 1\n", "a_name_that_is_longer_than_there_is_room_for_in_"
		     "what_is_told_of_it inet n - - - 7 smtpd", OURS, 7,
		     "a_name_that_is_longer_than_there_is_room_for_in_what_is_told_of");
}

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void files_are_read_or_left_alone(void **state)
{
	char directory[] = "/tmp/test_postfix.XXXXXX", path[128], *huge;
	struct postfix_limit limit;

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_false(postfix_limit_read(directory, OURS, &limit));
	write_file(directory, "main.cf", SERVED "default_process_limit = 20\n");
	assert_false(postfix_limit_read(directory, OURS, &limit));
	write_file(directory, "master.cf", SMTP);
	assert_true(postfix_limit_read(directory, OURS, &limit));
	assert_int_equal(limit.processes, 20);
	write_file(directory, "main.cf", "");
	assert_false(postfix_limit_read(directory, OURS, &limit));

	huge = repeat("# much ado about nothing\n", 10000, SERVED);
	write_file(directory, "main.cf", huge);
	free(huge);
	assert_false(postfix_limit_read(directory, OURS, &limit));

	/* Nobody will ever write into that. */
	snprintf(path, sizeof(path), "%s/main.cf", directory);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(postfix_limit_read(directory, OURS, &limit));
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(postfix_limit_read(directory, OURS, &limit));
	rmdir(path);
	snprintf(path, sizeof(path), "%s/master.cf", directory);
	unlink(path);
	rmdir(directory);
	assert_false(postfix_limit_read(directory, OURS, &limit));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_cf_says_the_default_limit),
		cmocka_unit_test(master_cf_says_which_services_and_their_limits),
		cmocka_unit_test(our_socket_is_known_by_path_or_port),
		cmocka_unit_test(hostile_texts_do_no_harm),
		cmocka_unit_test(files_are_read_or_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
