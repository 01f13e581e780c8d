/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the control socket: a request in JSON, and the answer in JSON. */
#ifndef TARPIT_CONTROL_COMMAND_H
#define TARPIT_CONTROL_COMMAND_H

#include <stddef.h>
#include <sys/types.h>

#include "control/control.h"

/*
 * Answers one request of a user who may ask. May wait as long as a look-up in the store does. Returns the
 * answer as text, which the caller frees; NULL if out of memory. For one thread at a time.
 */
char *command_answer(const struct control_host *host, uid_t uid, const char *request, size_t length);
/* An answer that says no. */
char *command_refusal(int status, const char *reason);
/* "jansson 2.14" */
const char *command_library_version(void);

#endif
