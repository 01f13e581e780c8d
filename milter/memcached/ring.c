/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks libmemcached which server has what. Only its hashing is used here: answers are tarpit-
 * store's to read.
 */
#include "ring.h"

#include <libmemcached/memcached.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "memcached/memcached_store.h"

struct ring {
	pthread_mutex_t mutex;
	memcached_st *handle;
};

static bool add_server(memcached_st *handle, const struct endpoint *server)
{
	memcached_return_t rc = server->port == 0
					? memcached_server_add_unix_socket(handle, server->host)
					: memcached_server_add(handle, server->host, server->port);

	return memcached_success(rc);
}

static bool ring_add(struct ring *ring, const char *text)
{
	struct endpoint server;
	bool ok = endpoint_parse(text, &server) && add_server(ring->handle, &server);

	endpoint_free(&server);
	return ok;
}

struct ring *ring_new(const struct string_list *servers)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	bool ok;

	if (ring == NULL)
		return NULL;
	pthread_mutex_init(&ring->mutex, NULL);
	ring->handle = memcached_create(NULL);
	ok = ring->handle != NULL &&
	     memcached_success(memcached_behavior_set(ring->handle, MEMCACHED_BEHAVIOR_KETAMA, 1));
	for (size_t i = 0; ok && i < servers->count; i++)
		ok = ring_add(ring, servers->items[i]);
	if (ok)
		return ring;
	ring_free(ring);
	return NULL;
}

void ring_free(struct ring *ring)
{
	if (ring == NULL)
		return;
	if (ring->handle != NULL)
		memcached_free(ring->handle);
	pthread_mutex_destroy(&ring->mutex);
	free(ring);
}

unsigned ring_find(struct ring *ring, const struct prefix *network)
{
	char text[PREFIX_TEXT_MAX];
	unsigned server;

	prefix_format(network, text);
	pthread_mutex_lock(&ring->mutex);
	server = memcached_generate_hash(ring->handle, text, strlen(text));
	pthread_mutex_unlock(&ring->mutex);
	return server;
}

const char *memcached_store_library_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmemcached %s", memcached_lib_version());
	return text;
}
