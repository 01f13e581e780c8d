/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks what a worker sends, which a hostile server may have made up, and stands in for what it
 * never sent. Pure.
 */
#ifndef TARPIT_MEMCACHED_OUTCOME_H
#define TARPIT_MEMCACHED_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include "message.h"

/*
 * Whether a message of that length, of which outcome holds the beginning, is an outcome of the
 * request: its size and serial, and every enumeration and number in it.
 */
bool outcome_is_valid(const struct message_outcome *outcome, size_t length,
		      const struct message_request *request);
/* Of a request that no worker was sent: nothing was done. */
void outcome_not_asked(struct message_outcome *outcome, const char *reason);
/* Of a request that a worker died with, or answered with nonsense: all of it may have been done. */
void outcome_lost(struct message_outcome *outcome, const char *reason);

#endif
