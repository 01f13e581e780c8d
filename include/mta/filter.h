/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns libmilter's callbacks into a session's events. Only filter.c includes libmilter's header.
 */
#ifndef TARPIT_MTA_FILTER_H
#define TARPIT_MTA_FILTER_H

#include <stdbool.h>
#include <stddef.h>

struct tarpit;

/* Registers the callbacks, once a process. tarpit must outlive them. 0 or -1. */
int filter_register(struct tarpit *tarpit, const char *socket);
/* Binds and listens. 0 or -1. */
int filter_open(void);
/*
 * Calls smfi_main, and returns when that does: if libmilter can't serve. For a thread with all signals
 * blocked that the program reads itself.
 */
void filter_run(void);

/*
 * Connects to the daemon's own socket and hangs up: libmilter's worker pool then looks for sessions
 * that would otherwise wait behind a stalled worker. Never blocks. Thread-safe.
 */
void filter_nudge(void);
/* How many callbacks run now. Thread-safe. */
unsigned filter_callbacks(void);
/* "libmilter 1.0.1" */
const char *filter_version(void);

#endif
