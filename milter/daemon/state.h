/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the daemon share; private to this room. */
#ifndef TARPIT_DAEMON_STATE_H
#define TARPIT_DAEMON_STATE_H

#include <pthread.h>

#include "base/listen.h"
#include "base/log.h"
#include "daemon.h"
#include "postfix_limit.h"
#include "process.h"
#include "session/session.h"

/* Descriptors that are no sessions: log, sockets, a nudge for each stall that begins. */
#define DESCRIPTORS_RESERVED 64

/* What persistence.c keeps; the mutex guards the flags and end_by_ms. */
struct persistence {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool runs; /* the thread; set before any other is started */
	bool is_due; /* a write is asked for */
	bool is_ending, is_last, has_ended; /* the last one is asked for, goes on, is over */
	int64_t end_by_ms; /* of that, on the monotonic clock */
	size_t remembered; /* clients that were read */
	struct log_limit limit;
};

struct daemon {
	const struct daemon_options *options;
	/* A reference to the current configuration; reload_mutex guards it once threads run. */
	struct config *config;
	pthread_mutex_t reload_mutex;
	struct tarpit tarpit;
	struct persistence persistence;
	struct process_user user;
	bool changes_user;
	struct listen_address address;
	unsigned sessions_max;
	int64_t started_ms;
	int pid_file; /* -1: none */
	int ready; /* see process_ready */
	int signals; /* a signalfd */
	bool has_socket; /* libmilter's socket is bound */
	int control; /* the control socket, -1: none */
	pthread_t thread; /* the caller of smfi_main */
	_Atomic bool has_ended; /* smfi_main has returned */
};

/* Says why the daemon won't start to the log, and to the terminal that started it. Returns code. */
int daemon_fail(const struct daemon *d, int code, const char *reason);
/* Has messages go where options and configuration want them. */
void daemon_open_log(const struct daemon *d);

/*
 * Makes the pid file, and binds libmilter's socket and the control socket: EX_OK or another
 * sysexits code. Mail is served without a control socket if need be.
 */
int sockets_open(struct daemon *d);
/* Removes the pid file and the sockets that this daemon has made; config holds their paths. */
void sockets_remove(const struct daemon *d, const struct config *config);

/*
 * Starts the thread that does once a second what no session has time for. False if it can't be
 * started.
 */
bool upkeep_start(struct daemon *d);
/*
 * Has the log told of 421s that no line has told of: for a minute, or at the end at all. Thread-
 * safe.
 */
void upkeep_tell_deferred(const struct daemon *d, bool is_end);

/* Makes the folder of memory_file for the user that the daemon becomes, unless it is there. */
void persistence_make_folder(const struct daemon *d);
/* Reads memory_file; what is wrong with it is logged. Before any thread. */
void persistence_read(struct daemon *d);
/* Starts the thread that writes it. False if it can't be started. */
bool persistence_start(struct daemon *d);
/* Has it written soon. Thread-safe. */
void persistence_write_soon(struct daemon *d);
/* Has it written for the last time, by that moment of the monotonic clock or not at all. */
void persistence_end(struct daemon *d, int64_t by_ms);

/* Sets the limit of descriptors, and how many sessions may be open below it. */
void limits_apply(struct daemon *d);
/*
 * How many stalls there may be: fewer than max_stalls where descriptors or threads are short, which
 * is logged.
 */
unsigned limits_stalls(const struct daemon *d);
/* What Postfix allows; false if no file that can be read says that Postfix asks this daemon. */
bool limits_read_postfix(const struct daemon *d, struct postfix_limit *limit);
/* Warns if stalls may hold too many of Postfix's processes. */
void limits_compare(const struct daemon *d, const struct postfix_limit *limit);

/*
 * Reads the configuration again, for a HUP or for the control socket's thread: see struct
 * control_host. argument is the struct daemon. Thread-safe.
 */
bool reload(void *argument, struct faults *faults, char *needs_restart, size_t size);

#endif
