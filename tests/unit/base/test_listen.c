/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/listen.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void texts_are_checked(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{"unix:/run/x.sock", true},     {"local:/run/x.sock", true},
		{"inet:8899@127.0.0.1", true},  {"inet:8899@localhost", true},
		{"inet6:8899@::1", true},       {"inet6:8899@[::1]", true},
		{"inet:8899@[127.0.0.1]", true}, {"unix:run/x.sock", false},
		{"unix:", false},               {"/run/x.sock", false},
		{"", false},                    {"inet:8899", false},
		{"inet:8899@", false},          {"inet:0@127.0.0.1", false},
		{"inet:65536@127.0.0.1", false}, {"inet:99999999@127.0.0.1", false},
		{"inet:smtp@127.0.0.1", false}, {"inet:8899x@127.0.0.1", false},
		{"inet:8899@::1", false},       {"inet6:8899@127.0.0.1", false},
		{"inet:8899@127.0.0.256", false}, {"inet:8899@a b", false},
		{"tcp:8899@127.0.0.1", false},
	};
	char error[200], too_long[300] = "unix:/";

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (listen_check(rows[i].text, error, sizeof(error)) != rows[i].valid)
			fail_msg("'%s'", rows[i].text);
	memset(too_long + 6, 'x', 150);
	assert_false(listen_check(too_long, error, sizeof(error)));
}

static void addresses_are_resolved(void **state)
{
	struct listen_address address;
	char error[200];

	(void)state;
	assert_true(listen_parse("inet:8899@127.0.0.1", &address, error, sizeof(error)));
	assert_int_equal(address.storage.ss_family, AF_INET);
	assert_int_equal(ntohs(((struct sockaddr_in *)&address.storage)->sin_port), 8899);
	assert_null(listen_path(&address));
	assert_true(listen_parse("unix:/a/b", &address, error, sizeof(error)));
	assert_string_equal(listen_path(&address), "/a/b");
	assert_false(listen_parse("inet:1@", &address, error, sizeof(error)));
}

static int make_listener(const struct listen_address *address)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address->storage, address->length), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static void a_stale_socket_makes_way_and_a_living_one_does_not(void **state)
{
	char directory[] = "/tmp/test_listen.XXXXXX", path[64], text[80], error[300];
	struct listen_address address;
	FILE *file;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/sock", directory);
	snprintf(text, sizeof(text), "unix:%s", path);
	assert_true(listen_parse(text, &address, error, sizeof(error)));
	assert_int_equal(listen_clear(&address, error, sizeof(error)), 0);
	fd = make_listener(&address);
	assert_int_equal(listen_clear(&address, error, sizeof(error)), EX_UNAVAILABLE);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	assert_int_equal(listen_clear(&address, error, sizeof(error)), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(listen_clear(&address, error, sizeof(error)), EX_CANTCREAT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(listen_clear(&address, error, sizeof(error)), EX_CANTCREAT);
}

static void a_port_that_is_taken_is_told(void **state)
{
	struct listen_address address;
	char error[200];
	socklen_t length = sizeof(address.storage);
	int fd;

	(void)state;
	assert_true(listen_parse("inet:1@127.0.0.1", &address, error, sizeof(error)));
	((struct sockaddr_in *)&address.storage)->sin_port = 0;
	fd = make_listener(&address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address.storage, &length), 0);
	assert_int_equal(listen_clear(&address, error, sizeof(error)), EX_UNAVAILABLE);
	close(fd);
	assert_int_equal(listen_clear(&address, error, sizeof(error)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_checked),
		cmocka_unit_test(addresses_are_resolved),
		cmocka_unit_test(a_stale_socket_makes_way_and_a_living_one_does_not),
		cmocka_unit_test(a_port_that_is_taken_is_told),
	};

	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
