/* SPDX-License-Identifier: BSD-2-Clause */
/* Only libmemcached's hashing is used: what servers answer, it is too trusting with. */
#include <libmemcached/memcached.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memcached/link.h"

struct link_ring {
	pthread_mutex_t mutex;
	memcached_st *handle;
};

static bool add_server(memcached_st *handle, const struct link_server *server)
{
	memcached_return_t rc = server->is_path
					? memcached_server_add_unix_socket(handle, server->host)
					: memcached_server_add(handle, server->host, server->port);

	return memcached_success(rc);
}

static bool ring_add(struct link_ring *ring, const char *text)
{
	struct link_server server;
	bool ok = link_server_parse(text, &server) && add_server(ring->handle, &server);

	link_server_free(&server);
	return ok;
}

struct link_ring *link_ring_new(const struct string_list *servers)
{
	struct link_ring *ring = calloc(1, sizeof(*ring));
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
	link_ring_free(ring);
	return NULL;
}

void link_ring_free(struct link_ring *ring)
{
	if (ring == NULL)
		return;
	if (ring->handle != NULL)
		memcached_free(ring->handle);
	pthread_mutex_destroy(&ring->mutex);
	free(ring);
}

unsigned link_ring_find(struct link_ring *ring, const struct prefix *network)
{
	char text[PREFIX_TEXT_MAX];
	unsigned server;

	prefix_format(network, text);
	pthread_mutex_lock(&ring->mutex);
	server = memcached_generate_hash(ring->handle, text, strlen(text));
	pthread_mutex_unlock(&ring->mutex);
	return server;
}

const char *link_library_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmemcached %s", memcached_lib_version());
	return text;
}
