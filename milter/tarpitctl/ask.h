/* SPDX-License-Identifier: BSD-2-Clause */
/* tarpitctl's connection to the daemon's control socket: requests and answers in JSON. */
#ifndef TARPIT_TARPITCTL_ASK_H
#define TARPIT_TARPITCTL_ASK_H

#include <jansson.h>
#include <stddef.h>

/* The default of control_socket. */
#define ASK_SOCKET "/run/tarpit-milter/control.sock"
#define ASK_TIMEOUT_S 10

/*
 * A descriptor for ask_daemon, for the caller to close; -1 with the reason in error, and errno, if
 * nobody listens there, or the user may not connect. Blocks for ASK_TIMEOUT_S at most.
 */
int ask_connect(const char *path, char *error, size_t size);
/*
 * Sends one request; the answer, an object, is the caller's to decref. NULL with the reason in
 * error if the daemon has hung up, has not answered in full within ASK_TIMEOUT_S, or answers what
 * is no JSON object. The connection is of no more use then.
 */
json_t *ask_daemon(int connection, const json_t *request, char *error, size_t size);

#endif
