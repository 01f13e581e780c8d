/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the control socket: a request in JSON, and the answer in JSON. */
#ifndef TARPIT_CONTROL_COMMAND_H
#define TARPIT_CONTROL_COMMAND_H

#include <stddef.h>
#include <sys/types.h>

#include "control/socket.h"

/* What "status" of an answer may be, if there is one: the exit status that tarpitctl ends with. */
enum command_status {
	COMMAND_REFUSED = 1,
	COMMAND_USAGE = 64,	/* as in sysexits.h, like the next */
	COMMAND_CONFIG = 78,
};

/*
 * Answers one request of a user who may ask; uid is for the log. Blocks as long as a call to the
 * store does. The answer is text that the caller frees; NULL if out of memory. Calls must not
 * overlap.
 */
char *command_answer(const struct control_host *host, uid_t uid, const char *request,
		     size_t length);
/* A refusal, for the caller to free; NULL if out of memory. reason is ASCII. Thread-safe. */
char *command_refusal(enum command_status status, const char *reason);
/* "jansson 2.14" */
const char *command_library_version(void);

#endif
