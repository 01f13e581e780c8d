/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What keeps libmilter from harm: threads in reserve, for it loses for ever the session for which it
 * can't start one; a look at each packet before it, for one kind would end the daemon; and no signal,
 * for each would end libmilter.
 */
#ifndef TARPIT_MTA_LIBMILTER_GUARD_H
#define TARPIT_MTA_LIBMILTER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether libmilter calls libmilter_guard.c's functions: not in a program that is linked fully
 * static.
 */
bool libmilter_guard_is_linked(void);

/*
 * From here on, a thread that nobody in this process can start is replaced by a spare thread, as
 * soon as there is one; up to waiting_max functions may wait for that. Once, before libmilter runs.
 * 0, or an errno.
 */
int libmilter_guard_start(size_t waiting_max);

/* Whether threads have run out: then no session may hold one that others need. Thread-safe. */
bool libmilter_guard_lacks_threads(void);

#endif
