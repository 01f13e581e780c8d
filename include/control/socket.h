/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: a thread that answers tarpitctl, and never holds up a session. */
#ifndef TARPIT_CONTROL_SOCKET_H
#define TARPIT_CONTROL_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct faults;
struct tarpit;

/* What the daemon lends to the thread. All that is pointed to must live until the process ends. */
struct control_host {
	struct tarpit *tarpit;
	int64_t started_ms;	/* when the daemon started; monotonic */
	void *arg;		/* for the functions below, which the thread calls */
	/*
	 * Reads the configuration again, as HUP does. False if the old one stays, for the faults,
	 * or, if there are none, for lack of memory. needs_restart gets the changed keys that wait
	 * for a restart, separated by blanks.
	 */
	bool (*reload)(void *arg, struct faults *faults, char *needs_restart, size_t size);
	/* Whether a process may not ask, whatever its user; NULL: none. */
	bool (*is_refused)(void *arg, pid_t pid);
};

/*
 * Binds and listens, before the process becomes another user. Returns a descriptor, or -1 with the
 * reason in error. A socket on which nobody listens any more is replaced, any other is an error.
 */
int control_socket_open(const char *path, char *error, size_t size);
/* Starts the thread, which takes the descriptor; signals should be blocked. 0, or an errno. */
int control_socket_start(const struct control_host *host, int descriptor);

#endif
