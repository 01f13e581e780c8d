/* SPDX-License-Identifier: BSD-2-Clause */
/* Translates libmilter's callbacks into session events; the only module that knows libmilter. */
#ifndef TARPIT_MTA_FILTER_H
#define TARPIT_MTA_FILTER_H

#include <stdbool.h>
#include <stddef.h>

struct tarpit;

/* Registers the callbacks. tarpit must outlive them. libmilter keeps one filter a process. 0 or -1. */
int filter_register(struct tarpit *tarpit, const char *socket);
/* Binds and listens. 0 or -1. */
int filter_open(void);
/* Serves as long as the process lives; in a thread with all signals blocked. Returns -1 if it can't. */
int filter_run(void);

/*
 * Connects to the own socket and hangs up: libmilter's worker pool then looks for work that it would
 * otherwise leave waiting behind a stalled worker. Never blocks. Thread-safe.
 */
void filter_nudge(void);
/* Callbacks running now. */
unsigned filter_callbacks(void);
/* "libmilter 1.0.1" */
const char *filter_version(void);

#endif
