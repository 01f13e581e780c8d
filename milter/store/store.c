/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/store.h"

#include <stdio.h>

#include "store/memory.h"
#include "config/config.h"
#include "memcached/shared.h"

struct store *store_open(const struct config *config, void (*wakeup)(void), char *error,
			 size_t size)
{
	struct store *store;

	if (config->use_memcached)
		return shared_store_new(config, wakeup, error, size);
	store = memory_store_new(config->memory_clients);
	if (store == NULL)
		snprintf(error, size, "out of memory");
	return store;
}
