/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For LD_PRELOAD: journald ends where nothing is mounted on /sys/fs/cgroup, as in a chroot, although it reads
 * /proc/PID/cgroup only. So something is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

int statfs64(const char *path, struct statfs64 *found)
{
	if (strncmp(path, "/sys/fs/cgroup", strlen("/sys/fs/cgroup")) != 0)
		return ((int (*)(const char *, struct statfs64 *))dlsym(RTLD_NEXT, "statfs64"))(path, found);
	memset(found, 0, sizeof *found);
	found->f_type = CGROUP2_SUPER_MAGIC;
	return 0;
}
