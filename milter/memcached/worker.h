/* SPDX-License-Identifier: BSD-2-Clause */
/* A process tarpit-store, which asks one memcached server: starts it, talks to it, ends it. */
#ifndef TARPIT_MEMCACHED_WORKER_H
#define TARPIT_MEMCACHED_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "errand.h"
#include "message.h"

/* Whose a worker is; changes under the server's mutex. */
enum worker_state {
	/* the keeper's: no process yet, or one that has yet to show that the server answers */
	WORKER_NEW,
	WORKER_IDLE,	/* any session's that asks */
	WORKER_BUSY,	/* the session's that has taken it */
	WORKER_LATE,	/* the keeper's: a session has gone on without the outcome of its errand */
	WORKER_LOST,	/* the keeper's, to be killed */
};

struct worker {
	enum worker_state state;
	_Atomic pid_t pid;	/* 0: no process */
	int fd;			/* our end of its socket pair */
	char address[MESSAGE_HOST_MAX];	/* of the server that it asks */
	/* While it is late. */
	struct errand errand;
	unsigned failures;	/* of the server, when it was asked */
	int64_t kill_at_ms;	/* monotonic */
};

/* Starts the program, which must be the path of a tarpit-store. False with the reason in error. */
bool worker_start(struct worker *worker, const char *program, const struct message_setup *setup,
		  char *error, size_t size);
/* Kills the process, if there is one, and waits for its end. */
void worker_end(struct worker *worker);

/* Neither waits. False if the worker is of no more use: outcome says what it may have done. */
bool worker_send(const struct worker *worker, const struct message_request *request,
		 struct message_outcome *outcome);
/* To be called once its socket is readable, or has hung up. */
bool worker_receive(const struct worker *worker, const struct message_request *request,
		    struct message_outcome *outcome);

#endif
