/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store that all MX hosts share: memcached, with the memory store behind it. A call waits
 * memcached_timeout at most, whatever the servers do, for only this module's own threads talk to them.
 * A server that fails is left alone by all sessions at once, and tried again by a thread of its own,
 * which also tells it what was counted meanwhile.
 */
#ifndef TARPIT_MEMCACHED_SHARED_H
#define TARPIT_MEMCACHED_SHARED_H

#include <stddef.h>

#include "store/store.h"

/*
 * NULL with the reason in error. Starts threads: call it after the last fork and change of user, with
 * signals blocked. wakeup is called by a session that has to wait long; see filter_nudge.
 */
struct store *shared_store_new(const struct config *config, void (*wakeup)(void), char *error,
			       size_t size);

#endif
