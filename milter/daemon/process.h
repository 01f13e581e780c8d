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
 * Opens what is closed of stdin, stdout and stderr on /dev/null: else a socket or the pid file would take
 * its place. For the beginning of main. False if there is no descriptor to be had.
 */
bool process_has_streams(void);

/* 0, or a sysexits code with the reason in error. */
int process_find_user(const char *name, struct process_user *user, char *error, size_t size);
/* Becomes that user, who is not root, with its groups, for good, with no capability left. */
int process_become(const struct process_user *user, char *error, size_t size);
/* No program that we might be made to run gives us any privilege. */
int process_forgo_privileges(char *error, size_t size);

/*
 * Sets the soft limit of descriptors below what the limits of threads and tasks allow, so that descriptors run
 * out first; children is how many processes the daemon will start. Returns the soft limit.
 */
unsigned process_limit_descriptors(unsigned children);
/*
 * The tasks that the control groups named in a file like /proc/self/cgroup still allow, where mount is
 * /sys/fs/cgroup: of version 2, and of version 1's pids, if that is mounted below. UINT64_MAX: any number.
 */
uint64_t process_tasks_left(const char *groups, const char *mount);

/* In the child: 0, with the pipe in *ready on which process_ready reports. In the parent it does not return. */
int process_detach(int *ready, char *error, size_t size);
/* Tells the parent that waits, and the service manager, that we serve. */
void process_ready(int ready);
void process_notify(const char *state);	/* sd_notify's text; nothing without libsystemd */

/*
 * Locks and writes the pid file. Returns its descriptor, or -1 with the reason in error. A file with anything
 * else in it than a number stays as it is.
 */
int process_pid_file(const char *path, char *error, size_t size);
/* Who may not, as another user, empties it: it names nobody then. */
void process_pid_file_remove(int fd, const char *path);

#endif
