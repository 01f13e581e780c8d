/* SPDX-License-Identifier: BSD-2-Clause */
#include "memcached/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errand.h"
#include "memcached/link.h"
#include "store/memory.h"
#include "base/secret.h"
#include "config/config.h"
#include "upstream.h"

_Static_assert(MEMCACHED_SERVERS_MAX <= MEMORY_OWNERS, "each may be owed something");

/* Start-up gives each server this long to show that it is there. */
#define FIRST_PROBE_MS 250

struct shared {
	struct store store;
	struct store *memory;
	struct link_ring *ring;
	char **names;
	struct upstream **upstreams;
	size_t count;
	char *user;
	struct secret *password;
};

static struct shared *shared_of(struct store *store)
{
	return (struct shared *)store;
}

static struct upstream *upstream_of(struct shared *shared, const struct store_query *query)
{
	return shared->upstreams[link_ring_find(shared->ring, &query->client.network)];
}

static void shared_lookup(struct store *store, const struct store_query *query,
			  struct store_view *view)
{
	struct shared *shared = shared_of(store);
	struct errand errand = {.kind = ERRAND_LOOK_UP, .query = *query};

	if (upstream_ask(upstream_of(shared, query), &errand) == UPSTREAM_ANSWERED) {
		*view = errand.view;
		memory_amend(shared->memory, query, view);
	} else {
		store_lookup(shared->memory, query, view);
		view->is_local = true;
	}
}

static bool shared_record(struct store *store, const struct store_query *query,
			  const struct store_event *event, struct store_view *view)
{
	struct shared *shared = shared_of(store);
	struct upstream *upstream = upstream_of(shared, query);
	struct errand errand = {
		.kind = ERRAND_RECORD, .query = *query, .event = *event, .counted = true};
	enum upstream_answer answer;

	/* What this host has counted itself need not be asked for. */
	if (event->distinct && !memory_see(shared->memory, &query->client.key, query->window.index,
					   event->recipient)) {
		shared_lookup(store, query, view);
		return false;
	}
	answer = upstream_ask(upstream, &errand);
	if (answer == UPSTREAM_ANSWERED) {
		*view = errand.view;
		memory_amend(shared->memory, query, view);
		return errand.counted;
	}
	if (answer == UPSTREAM_NOT_ASKED)
		memory_owe(shared->memory, query, event, upstream_number(upstream));
	store_lookup(shared->memory, query, view);
	return errand.counted;
}

static bool shared_announce(struct store *store, const struct prefix *client, bool flagged)
{
	struct store *memory = shared_of(store)->memory;

	return store_announce(memory, client, flagged);
}

static bool shared_flag(struct store *store, const struct store_query *query, int64_t until_s)
{
	struct shared *shared = shared_of(store);
	struct errand errand = {.kind = ERRAND_FLAG, .query = *query, .until_s = until_s};
	bool is_told = upstream_ask(upstream_of(shared, query), &errand) == UPSTREAM_ANSWERED &&
		       errand.obeyed;

	return store_flag(shared->memory, query, until_s) && is_told;
}

static bool shared_forgive(struct store *store, const struct store_query *query)
{
	struct shared *shared = shared_of(store);
	struct errand errand = {.kind = ERRAND_FORGIVE, .query = *query};
	bool is_told = upstream_ask(upstream_of(shared, query), &errand) == UPSTREAM_ANSWERED &&
		       errand.obeyed;

	return store_forgive(shared->memory, query) && is_told;
}

static void shared_each(struct store *store, const struct client_widths *widths,
			const struct window *window, store_visit *visit, void *arg)
{
	struct store *memory = shared_of(store)->memory;

	store_each(memory, widths, window, visit, arg);
}

static void shared_servers(struct store *store, store_server_visit *visit, void *arg)
{
	struct shared *shared = shared_of(store);

	for (size_t i = 0; i < shared->count; i++)
		visit(shared->names[i], upstream_is_up(shared->upstreams[i]), arg);
}

static void shared_configure(struct store *store, const struct config *config)
{
	struct shared *shared = shared_of(store);

	for (size_t i = 0; i < shared->count; i++)
		upstream_configure(shared->upstreams[i], config);
	store_configure(shared->memory, config);
}

static const char *shared_state(struct store *store)
{
	struct shared *shared = shared_of(store);
	size_t up = 0;

	for (size_t i = 0; i < shared->count; i++)
		up += upstream_is_up(shared->upstreams[i]);
	return up == shared->count ? "up" : up == 0 ? "down" : "degraded";
}

static void shared_destroy(struct store *store)
{
	struct shared *shared = shared_of(store);

	while (shared->count > 0) {
		shared->count--;
		upstream_stop(shared->upstreams[shared->count]);
		free(shared->names[shared->count]);
	}
	free(shared->upstreams);
	free(shared->names);
	link_ring_free(shared->ring);
	secret_free(shared->password);
	free(shared->user);
	if (shared->memory != NULL)
		store_destroy(shared->memory);
	free(shared);
}

static const struct store_ops shared_ops = {
	.lookup = shared_lookup,
	.record = shared_record,
	.announce = shared_announce,
	.flag = shared_flag,
	.forgive = shared_forgive,
	.each = shared_each,
	.servers = shared_servers,
	.configure = shared_configure,
	.state = shared_state,
	.destroy = shared_destroy,
};

/* What the servers ask for. The user that the daemon runs as must be able to read the file. */
static bool read_login(struct shared *shared, const struct config *config, char *error, size_t size)
{
	char reason[128];

	if (config->memcached_user == NULL || *config->memcached_user == '\0')
		return true;
	shared->user = strdup(config->memcached_user);
	if (shared->user == NULL)
		return false;
	shared->password = secret_read(config->memcached_password_file, reason, sizeof(reason));
	if (shared->password == NULL)
		snprintf(error, size, "memcached_password_file %s: %s",
			 config->memcached_password_file, reason);
	return shared->password != NULL;
}

static bool start_upstreams(struct shared *shared, const struct config *config,
			    void (*wakeup)(void), char *error, size_t size)
{
	const struct string_list *servers = &config->memcached_servers;
	const struct link_login login = {shared->user, shared->password};

	shared->names = calloc(servers->count, sizeof(shared->names[0]));
	shared->upstreams = calloc(servers->count, sizeof(struct upstream *));
	shared->ring = link_ring_new(servers);
	shared->memory = memory_store_new(config->memory_clients);
	if (shared->names == NULL || shared->upstreams == NULL || shared->ring == NULL ||
	    shared->memory == NULL) {
		snprintf(error, size, "out of memory");
		return false;
	}
	for (size_t i = 0; i < servers->count; i++) {
		char *name = strdup(servers->items[i]);
		struct upstream *upstream = NULL;

		if (name != NULL)
			upstream = upstream_start(name, (unsigned)i, &login, shared->memory, config,
						  wakeup, error, size);
		if (upstream == NULL) {
			free(name);
			return false;
		}
		shared->names[i] = name;
		shared->upstreams[i] = upstream;
		shared->count++;
	}
	return true;
}

struct store *shared_store_new(const struct config *config, void (*wakeup)(void), char *error,
			       size_t size)
{
	struct shared *shared = calloc(1, sizeof(*shared));

	snprintf(error, size, "out of memory");
	if (shared == NULL)
		return NULL;
	shared->store.ops = &shared_ops;
	if (!read_login(shared, config, error, size) ||
	    !start_upstreams(shared, config, wakeup, error, size)) {
		shared_destroy(&shared->store);
		return NULL;
	}
	for (size_t i = 0; i < shared->count; i++)
		upstream_await_probe(shared->upstreams[i], FIRST_PROBE_MS);
	return &shared->store;
}
