/* SPDX-License-Identifier: BSD-2-Clause */
/* tarpitctl: asks the daemon over its control socket, and shows the answer. */
#ifndef TARPIT_TARPITCTL_ASK_H
#define TARPIT_TARPITCTL_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Where the daemon listens if nobody says otherwise: the preset of control_socket. */
#define CTL_SOCKET "/run/tarpit-milter/control.sock"
#define CTL_TIMEOUT_S 10

/* A connection to the daemon. */
struct ctl_link;

/* NULL with the reason in error: nobody is there, or does not let us in. Waits CTL_TIMEOUT_S at most. */
struct ctl_link *ctl_connect(const char *path, char *error, size_t size);
void ctl_close(struct ctl_link *link);	/* NULL is allowed */
/*
 * Puts one request; the answer is the caller's to decref. NULL with the reason in error: the daemon has
 * gone, has not answered in full within CTL_TIMEOUT_S, or says what is no JSON object. The link is of no
 * more use then.
 */
json_t *ctl_ask(struct ctl_link *link, const json_t *request, char *error, size_t size);

/*
 * Shows the answer to a command to a person. False, with nothing written, if it is not what the daemon of
 * this version says. Nothing in it can control the terminal.
 */
bool ctl_show(const char *command, const json_t *answer, bool colour, FILE *out);

/* The live screen; returns when the user quits. A sysexits code, with the reason in error. */
int ctl_top(const char *socket_path, char *error, size_t size);

#endif
