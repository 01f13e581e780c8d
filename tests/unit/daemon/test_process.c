/* SPDX-License-Identifier: BSD-2-Clause */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/process.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIMITS_MAX 3

static char directory[] = "/tmp/test_process.XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	for (char *slash = path + sizeof(directory); (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
	(void)info;
	(void)type;
	(void)place;
	return remove(path);
}

static void groups_of_both_versions_limit_tasks(void **state)
{
	static const struct {
		const char *groups;
		struct {
			const char *group, *most, *current;
		} limits[LIMITS_MAX];
		uint64_t left;
	} rows[] = {
		{"", {{"/a", "10\n", "3\n"}}, UINT64_MAX},
		{"0::/a\n", {{"/a", "10\n", "3\n"}}, 7},
		{"0::/a/b\n", {{"/a", "10\n", "3\n"}, {"/a/b", "max\n", "2\n"}}, 7},
		{"0::/a/b\n", {{"/a", "max\n", "3\n"}, {"/a/b", "4\n", "2\n"}}, 2},
		{"0::/a\n", {{"/a", "10\n", "11\n"}}, 0},
		{"0::/a\n", {{"/b", "10\n", "3\n"}}, UINT64_MAX},
		{"0::/\n", {{"/", "10\n", "3\n"}}, 7},
		{"0::/a\n", {{"/", "10\n", "3\n"}}, 7},
		{"0::/a\n", {{"/pids/a", "10\n", "3\n"}}, UINT64_MAX},
		{"8:pids:/a\n", {{"/pids/a", "10\n", "3\n"}}, 7},
		{"8:pids:/a/b\n", {{"/pids/a", "10\n", "4\n"}, {"/pids/a/b", "10\n", "3\n"}}, 6},
		/* a container that is shown the path of its host */
		{"8:pids:/docker/1\n", {{"/pids", "10\n", "3\n"}}, 7},
		{"9:name=systemd:/s\n8:pids:/a\n7:cpu,cpuacct:/c\n0::/b\n",
		 {{"/pids/a", "10\n", "3\n"}, {"/b", "10\n", "9\n"}, {"/pids/s", "1\n", "1\n"}}, 1},
		{"9:name=systemd:/s\n8:pids:/a\n0::/b\n",
		 {{"/pids/a", "10\n", "3\n"}, {"/b", "99\n", "9\n"}}, 7},
		{"1:name=x:/:pids:/a\n8:pids\n:\n\n0::\n", {{"/pids/a", "10\n", "3\n"}}, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char groups[100], name[100];

		memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
		assert_non_null(mkdtemp(directory));
		snprintf(groups, sizeof(groups), "%s/groups", directory);
		write_file("groups", rows[i].groups);
		for (size_t j = 0; j < LIMITS_MAX && rows[i].limits[j].group != NULL; j++) {
			snprintf(name, sizeof(name), "%s/pids.max", rows[i].limits[j].group + 1);
			write_file(name, rows[i].limits[j].most);
			snprintf(name, sizeof(name), "%s/pids.current", rows[i].limits[j].group + 1);
			write_file(name, rows[i].limits[j].current);
		}
		if (process_tasks_left(groups, directory) != rows[i].left)
			fail_msg("row %zu: %s", i, rows[i].groups);
		assert_int_equal(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	}
	assert_true(process_tasks_left("/nonexistent/x", directory) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_of_both_versions_limit_tasks),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
