/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon does to its own process: user, limits, detaching, pid file, service manager. */
#ifndef TARPIT_DAEMON_PROCESS_H
#define TARPIT_DAEMON_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_user {
	uid_t uid;
	gid_t gid;
	char *name;	/* freed by nobody: lives as long as the process */
};

/*
 * For the beginning of main: opens those of stdin, stdout and stderr that are closed on /dev/null,
 * so that no socket or pid file gets their numbers. False without a descriptor.
 */
bool process_has_streams(void);

/* These give 0, or a sysexits code with the reason in error. */
int process_find_group(const char *name, gid_t *gid, char *error, size_t size);
int process_find_user(const char *name, struct process_user *user, char *error, size_t size);
/* Becomes that user, who is not root, with its groups, for good, with no capability left. */
int process_become(const struct process_user *user, char *error, size_t size);
/* From here on no program that this process runs can give it a privilege. */
int process_forgo_privileges(char *error, size_t size);

/*
 * Sets the soft limit of descriptors below what the limits of threads and tasks allow, so that
 * descriptors run out first; children is how many processes the daemon will start. Returns the soft
 * limit.
 */
unsigned process_limit_descriptors(unsigned children);
/*
 * The tasks that control groups still allow: groups is /proc/self/cgroup, mount is /sys/fs/cgroup,
 * with version 2's hierarchy or version 1's pids below. UINT64_MAX: any number.
 */
uint64_t process_tasks_left(const char *groups, const char *mount);

/*
 * Forks. In the child returns 0, with the pipe for process_ready in *ready, or a sysexits code with
 * the reason in error; in the parent it does not return.
 */
int process_detach(int *ready, char *error, size_t size);
/*
 * Tells the service manager, and the parent that waits unless ready is -1, that the daemon serves.
 */
void process_ready(int ready);
void process_notify(const char *state);	/* sd_notify's text; nothing without libsystemd */

/*
 * Locks and writes the pid file. Returns its descriptor, or -1 with the reason in error. A file
 * that holds anything but a number is left as it is.
 */
int process_pid_file(const char *path, char *error, size_t size);
/* Empties the pid file where the user that the daemon has become may not remove it. */
void process_pid_file_remove(int fd, const char *path);

#endif
