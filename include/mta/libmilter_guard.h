/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads kept in reserve: libmilter loses for ever the session for which it can't start one. */
#ifndef TARPIT_MTA_LIBMILTER_GUARD_H
#define TARPIT_MTA_LIBMILTER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * From here on a thread that can't be started by anyone in this process is replaced by a spare one, as soon as
 * there is one; up to parts_max may wait for that. Once, before libmilter runs. 0, or an errno.
 */
int libmilter_guard_start(size_t parts_max);

/* Whether threads have run out: then none may be held that others need. Thread-safe. */
bool libmilter_guard_lacks_threads(void);

#endif
