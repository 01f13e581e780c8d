/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that are JSON: of `journalctl -o json`, and of Docker's files. For one thread. */
#ifndef TARPIT_REPLAY_UNWRAP_H
#define TARPIT_REPLAY_UNWRAP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes a line as syslog writes it of one that is JSON, into buffer of size bytes, and has *text
 * and *length tell it. All else, JSON of another form included, is left as it is.
 */
void replay_unwrap(const char **text, size_t *length, char *buffer, size_t size);

#endif
