/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: a thread that answers tarpitctl. It never holds up a session. */
#ifndef TARPIT_CONTROL_H
#define TARPIT_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct faults;
struct tarpit;

/* What the daemon lends. It must outlive the thread, which ends with the process. */
struct control_host {
	struct tarpit *tarpit;
	int64_t started_ms;	/* monotonic */
	void *arg;
	/*
	 * Reads the configuration again, as HUP does. False if it stays as it was: faults, or none if
	 * memory ran out. needs_restart gets the keys that need one, separated by blanks.
	 */
	bool (*reload)(void *arg, struct faults *faults, char *needs_restart, size_t size);
	/* Whether a process may not ask, whatever its user; NULL: none. */
	bool (*is_refused)(void *arg, pid_t pid);
};

/*
 * Binds and listens, before the process becomes another user. Returns a descriptor, or -1 with the reason
 * in error. A stale socket makes way, a living one does not.
 */
int control_open(const char *path, char *error, size_t size);
/* Starts the thread; signals should be blocked. Takes the descriptor. 0, or an errno. */
int control_start(const struct control_host *host, int descriptor);

#endif
