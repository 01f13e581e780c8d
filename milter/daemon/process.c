/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User, limits, detaching, pid file and service manager: what the daemon asks of the system for its
 * process.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* Threads that are not sessions, and tasks that others start after the limits have been read. */
#define THREAD_SLACK 64
#define PID_TEXT_MAX 32
#define DESCRIPTORS_MIN 128
/* libmilter polls all sessions for each command: more sessions would make all commands slow. */
#define DESCRIPTORS_MAX 65536

int process_find_group(const char *name, gid_t *gid, char *error, size_t size)
{
	char buffer[16384];
	struct group group, *found = NULL;
	int result = getgrnam_r(name, &group, buffer, sizeof(buffer), &found);

	if (found != NULL) {
		*gid = group.gr_gid;
		return EX_OK;
	}
	snprintf(error, size, "socket_group %s: %s", name,
		 result != 0 ? strerror(result) : "no such group");
	return result != 0 ? EX_OSERR : EX_NOUSER;
}

int process_find_user(const char *name, struct process_user *user, char *error, size_t size)
{
	struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	if (entry == NULL) {
		snprintf(error, size, "user %s: %s", name,
			 errno != 0 && errno != ENOENT ? strerror(errno) : "no such user");
		return EX_NOUSER;
	}
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->name = strdup(name);
	if (user->name == NULL) {
		snprintf(error, size, "out of memory");
		return EX_OSERR;
	}
	return EX_OK;
}

int process_become(const struct process_user *user, char *error, size_t size)
{
	/*
	 * No program that this process runs may get a capability. Only a process that has none may
	 * not drop them.
	 */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (initgroups(user->name, user->gid) != 0 || setgid(user->gid) != 0 ||
	    setuid(user->uid) != 0) {
		snprintf(error, size, "can't become user %s: %s", user->name, strerror(errno));
		return EX_OSERR;
	}
	/* The kernel drops all capabilities as the last user id of the three leaves 0. */
	if (setuid(0) == 0 || seteuid(0) == 0) {
		snprintf(error, size, "could become root again");
		return EX_OSERR;
	}
	return EX_OK;
}

int process_forgo_privileges(char *error, size_t size)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		snprintf(error, size, "can't give up new privileges: %s", strerror(errno));
		return EX_OSERR;
	}
	return EX_OK;
}

/* The number in a file, or UINT64_MAX if it can't be read or says "max". */
static uint64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long value;
	int found;

	if (file == NULL)
		return UINT64_MAX;
	found = fscanf(file, "%llu", &value);
	fclose(file);
	return found == 1 ? value : UINT64_MAX;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * The tasks that a control group and those above it still allow. Shortens the group's path. The
 * root is read, too: in a container the root may be a group with a limit, and the only one that can
 * be seen.
 */
static uint64_t group_tasks_left(const char *mount, const char *controller, char *group)
{
	char path[PATH_MAX + 64];
	uint64_t left = UINT64_MAX;
	char *slash;

	do {
		uint64_t most, current;

		snprintf(path, sizeof(path), "%s%s%s/pids.max", mount, controller, group);
		most = read_number(path);
		snprintf(path, sizeof(path), "%s%s%s/pids.current", mount, controller, group);
		current = read_number(path);
		if (most != UINT64_MAX)
			left = smaller(left, current < most ? most - current : 0);
		slash = strrchr(group, '/');
		if (slash != NULL)
			*slash = '\0';
	} while (slash != NULL);
	return left;
}

uint64_t process_tasks_left(const char *groups, const char *mount)
{
	char line[PATH_MAX];
	uint64_t left = UINT64_MAX;
	FILE *file = fopen(groups, "re");

	if (file == NULL)
		return left;
	/* ID:CONTROLLERS:PATH, and of version 2 0::PATH */
	while (fgets(line, sizeof(line), file) != NULL) {
		char *controllers = line + strcspn(line, ":");

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) == 0)
			left = smaller(left, group_tasks_left(mount, "", line + 3));
		else if (strncmp(controllers, ":pids:/", 7) == 0)
			left = smaller(left, group_tasks_left(mount, "/pids", controllers + 6));
	}
	fclose(file);
	return left;
}

/* The threads that this process may have at once. */
static uint64_t thread_limit(void)
{
	struct rlimit limit;
	/* A thread's stack takes two mappings. */
	uint64_t threads = read_number("/proc/sys/vm/max_map_count") / 2;

	threads = smaller(threads, read_number("/proc/sys/kernel/threads-max"));
	threads = smaller(threads, read_number("/proc/sys/kernel/pid_max"));
	threads = smaller(threads, process_tasks_left("/proc/self/cgroup", "/sys/fs/cgroup"));
	if (geteuid() != 0 && getrlimit(RLIMIT_NPROC, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY)
		threads = smaller(threads, limit.rlim_cur);
	return threads;
}

unsigned process_limit_descriptors(unsigned children)
{
	uint64_t threads = thread_limit(), reserved = THREAD_SLACK + children;
	uint64_t wanted = threads > reserved ? threads - reserved : 0;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return DESCRIPTORS_MIN;
	wanted = smaller(wanted, DESCRIPTORS_MAX);
	if (wanted < DESCRIPTORS_MIN)
		wanted = DESCRIPTORS_MIN;
	if (limit.rlim_max != RLIM_INFINITY)
		wanted = smaller(wanted, limit.rlim_max);
	limit.rlim_cur = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0)
		wanted = smaller(wanted, limit.rlim_cur);
	return (unsigned)wanted;
}

/* The parent: ends as the child reports, or as it ends without a report. */
static void await_child(pid_t child, int report)
{
	int status;
	char byte;
	ssize_t got;

	do
		got = read(report, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		_exit(EX_OK);
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(EX_SOFTWARE);
}

int process_detach(int *ready, char *error, size_t size)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		snprintf(error, size, "pipe: %s", strerror(errno));
		return EX_OSERR;
	}
	child = fork();
	if (child < 0) {
		snprintf(error, size, "fork: %s", strerror(errno));
		close(ends[0]);
		close(ends[1]);
		return EX_OSERR;
	}
	if (child > 0) {
		close(ends[1]);
		await_child(child, ends[0]);
	}
	close(ends[0]);
	setsid();
	*ready = ends[1];
	return EX_OK;
}

bool process_has_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void process_ready(int ready)
{
	int null;

	process_notify("READY=1");
	if (ready < 0)
		return;
	/* Until here messages went to the terminal that the daemon was started from. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			(void)dup2(null, fd);
		close(null);
	}
	(void)!write(ready, "", 1);
	close(ready);
}

void process_notify(const char *state)
{
#ifdef HAVE_SYSTEMD
	(void)sd_notify(0, state);
#else
	(void)state;
#endif
}

/* A number and blanks, or nothing. */
static bool is_pid_file(int fd)
{
	char text[PID_TEXT_MAX + 1];
	ssize_t length = pread(fd, text, sizeof(text), 0);

	if (length < 0 || length > PID_TEXT_MAX)
		return false;
	text[length] = '\0';
	return strspn(text, "0123456789 \t\r\n") == (size_t)length;
}

/*
 * A user who can open the pid file can lock it, and keep the daemon from starting: only its owner
 * may. That is not the user that the daemon becomes, who could have root's scripts kill another
 * process.
 */
int process_pid_file(const char *path, char *error, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const char *reason = NULL;
	struct stat status;

	if (fd < 0) {
		snprintf(error, size, "pid_file %s: %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &status) != 0)
		reason = strerror(errno);
	else if (!S_ISREG(status.st_mode) || status.st_nlink > 1)
		reason = "not a file of its own";
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		reason = errno == EWOULDBLOCK ? "held by a daemon that runs" : strerror(errno);
	else if (!is_pid_file(fd))
		reason = "exists and is no pid file";
	else if (((status.st_mode & 077) != 0 && fchmod(fd, 0600) != 0) || ftruncate(fd, 0) != 0 ||
		 dprintf(fd, "%ld\n", (long)getpid()) < 0)
		reason = strerror(errno);
	if (reason == NULL)
		return fd;
	snprintf(error, size, "pid_file %s: %s", path, reason);
	close(fd);
	return -1;
}

void process_pid_file_remove(int fd, const char *path)
{
	if (unlink(path) != 0)
		(void)!ftruncate(fd, 0);
}
