/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store that all MX hosts share: memcached, with the memory store behind it. A call waits
 * memcached_timeout at most, whatever the servers do: processes tarpit-store talk to them, and
 * sessions wait for those. A server that fails is left alone by all sessions at once, and tried
 * again by a thread, its keeper, which also tells it what was counted meanwhile.
 */
#ifndef TARPIT_MEMCACHED_STORE_H
#define TARPIT_MEMCACHED_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "store/store.h"

/* What one memcached server takes: processes, and descriptors of this process. */
#define MEMCACHED_STORE_PROCESSES 9
#define MEMCACHED_STORE_DESCRIPTORS (MEMCACHED_STORE_PROCESSES + 2)

/*
 * NULL with the reason in error. Starts threads and processes: call it after the last fork and
 * change of user, with signals blocked. wakeup is called by a session that has to wait long; see
 * filter_nudge. program is the path of tarpit-store; NULL: beside this process's own, or where it
 * was installed.
 */
struct store *memcached_store_new(const struct config *config, const char *program,
				  void (*wakeup)(void), char *error, size_t size);
/* Whether a process is one of its tarpit-stores. Thread-safe. */
bool memcached_store_has_process(struct store *store, pid_t pid);

/* "libmemcached 1.1.4" */
const char *memcached_store_library_version(void);

#endif
