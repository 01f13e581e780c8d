/* SPDX-License-Identifier: BSD-2-Clause */
/* The store of several memcached servers, with the memory store behind them. */
#include "memcached/memcached_store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/config.h"
#include "errand.h"
#include "ring.h"
#include "server.h"
#include "site_errand.h"
#include "store/memory.h"

_Static_assert(MEMCACHED_STORE_PROCESSES == SERVER_WORKERS + 1, "and the keeper's own");
_Static_assert(MEMCACHED_SERVERS_MAX <= MEMORY_OWNERS, "each may be owed something");

#define PROGRAM "/tarpit-store"
/* Start-up gives each server this long to show that it is there. */
#define FIRST_PROBE_MS 250

struct memcached_store {
	struct store store;
	struct server_common common;
	struct server **servers;
	size_t count;
};

static struct memcached_store *self_of(struct store *store)
{
	return (struct memcached_store *)store;
}

static struct server *server_of(struct memcached_store *self, const struct store_query *query)
{
	return self->servers[ring_find(self->common.ring, &query->client.network)];
}

/* Asks the client's server; without an answer view shows what this host knows. */
static void ask(struct memcached_store *self, struct errand *errand,
		struct message_outcome *outcome, struct store_view *view)
{
	const struct store_query *query = &errand->query;

	if (server_ask(server_of(self, query), errand, outcome)) {
		errand_view(errand, outcome, view);
		memory_amend(self->common.memory, query, view);
	} else {
		store_lookup(self->common.memory, query, view);
		view->is_local = true;
	}
}

static void memcached_lookup(struct store *store, const struct store_query *query,
			     struct store_view *view)
{
	struct message_outcome outcome;
	struct errand errand;

	errand_look_up(&errand, query);
	ask(self_of(store), &errand, &outcome, view);
}

static bool memcached_record(struct store *store, const struct store_query *query,
			     const struct store_event *event, struct store_view *view)
{
	struct memcached_store *self = self_of(store);
	struct message_outcome outcome;
	struct errand errand;

	if (event->side == SIDE_BAD)
		memory_note_rejection(self->common.memory, query, event);
	/* What this host has counted itself need not be asked for. */
	if (event->distinct && !memory_see(self->common.memory, &query->client.key,
					   query->window.index, event->recipient)) {
		memcached_lookup(store, query, view);
		return false;
	}
	errand_record(&errand, query, event, self->common.memory);
	ask(self, &errand, &outcome, view);
	return outcome.seen_before == 0;
}

static unsigned memcached_credit_left(struct store *store, const struct store_query *query,
				      const struct store_recipient *recipient)
{
	return store_credit_left(self_of(store)->common.memory, query, recipient);
}

/* Some of the recipients of a message, which earn credit that the server is to be told. */
static void credit_some(struct memcached_store *self, const struct store_query *query,
			const struct store_recipient *recipients, size_t count,
			struct store_view *view)
{
	struct message_outcome outcome;
	struct errand errand;

	errand_credit(&errand, query, recipients, count);
	ask(self, &errand, &outcome, view);
}

static bool memcached_credit(struct store *store, const struct store_query *query,
			     struct store_recipient *recipients, size_t count,
			     struct store_view *view)
{
	struct memcached_store *self = self_of(store);
	size_t left = memory_earn(self->common.memory, query, recipients, count);

	for (size_t i = 0; i < left; i += MESSAGE_SEEN_MAX)
		credit_some(self, query, recipients + i,
			    left - i < MESSAGE_SEEN_MAX ? left - i : MESSAGE_SEEN_MAX, view);
	return left > 0;
}

static bool memcached_announce(struct store *store, const struct prefix *client,
			       enum announcement announcement)
{
	return store_announce(self_of(store)->common.memory, client, announcement);
}

/* Whether the server was told. */
static bool tell(struct memcached_store *self, struct errand *errand)
{
	struct message_outcome outcome;

	return server_ask(server_of(self, &errand->query), errand, &outcome) &&
	       outcome.was_refused == 0;
}

static bool memcached_flag(struct store *store, const struct store_query *query, int64_t until_s)
{
	struct memcached_store *self = self_of(store);
	struct errand errand;
	bool is_told;

	errand_flag(&errand, query, until_s);
	is_told = tell(self, &errand);
	return store_flag(self->common.memory, query, until_s) && is_told;
}

static bool memcached_forgive(struct store *store, const struct store_query *query)
{
	struct memcached_store *self = self_of(store);
	struct errand errand;
	bool is_told;

	errand_forgive(&errand, query);
	is_told = tell(self, &errand);
	return store_forgive(self->common.memory, query) && is_told;
}

static void memcached_each(struct store *store, const struct client_widths *widths,
			   const struct window *window, store_visit *visit, void *arg)
{
	store_each(self_of(store)->common.memory, widths, window, visit, arg);
}

static void memcached_servers(struct store *store, store_server_visit *visit, void *arg)
{
	struct memcached_store *self = self_of(store);

	for (size_t i = 0; i < self->count; i++)
		visit(self->servers[i]->name, server_is_up(self->servers[i]), arg);
}

/* All hosts keep the site at the server that has the network of all addresses. */
static bool memcached_share_site(struct store *store, struct store_site *site)
{
	static const struct prefix everywhere = {.family = 4};
	struct memcached_store *self = self_of(store);
	struct server *server = self->servers[ring_find(self->common.ring, &everywhere)];
	struct message_outcome outcome;
	struct errand errand;
	bool is_answered;

	site_errand_begin(&errand, site);
	is_answered = server_ask(server, &errand, &outcome);
	site_errand_end(&errand, &outcome, site);
	return is_answered;
}

static void memcached_configure(struct store *store, const struct config *config)
{
	struct memcached_store *self = self_of(store);

	for (size_t i = 0; i < self->count; i++)
		server_configure(self->servers[i], config);
	store_configure(self->common.memory, config);
}

static const char *memcached_state(struct store *store)
{
	struct memcached_store *self = self_of(store);
	size_t up = 0;

	for (size_t i = 0; i < self->count; i++)
		up += server_is_up(self->servers[i]);
	return up == self->count ? "up" : up == 0 ? "down" : "degraded";
}

static void memcached_destroy(struct store *store)
{
	struct memcached_store *self = self_of(store);

	while (self->count > 0)
		server_stop(self->servers[--self->count]);
	free(self->servers);
	ring_free(self->common.ring);
	secret_free(self->common.password);
	free(self->common.user);
	free(self->common.program);
	if (self->common.memory != NULL)
		store_destroy(self->common.memory);
	free(self);
}

static const struct store_ops memcached_ops = {
	.lookup = memcached_lookup,
	.record = memcached_record,
	.credit_left = memcached_credit_left,
	.credit = memcached_credit,
	.announce = memcached_announce,
	.flag = memcached_flag,
	.forgive = memcached_forgive,
	.each = memcached_each,
	.servers = memcached_servers,
	.share_site = memcached_share_site,
	.configure = memcached_configure,
	.state = memcached_state,
	.destroy = memcached_destroy,
};

static bool is_program(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* The path of tarpit-store, to be freed; NULL with the reason in error. */
static char *find_program(char *error, size_t size)
{
	char beside[PATH_MAX + sizeof(PROGRAM)] = "";
	ssize_t length = readlink("/proc/self/exe", beside, PATH_MAX - 1);

	if (length > 0) {
		while (length > 0 && beside[length] != '/')
			length--;
		snprintf(beside + length, sizeof(beside) - (size_t)length, "%s", PROGRAM);
	}
	if (is_program(beside))
		return strdup(beside);
	if (is_program(LIBEXECDIR PROGRAM))
		return strdup(LIBEXECDIR PROGRAM);
	snprintf(error, size, "store = memcached needs tarpit-store: neither %s nor %s can be run",
		 beside, LIBEXECDIR PROGRAM);
	return NULL;
}

/* What the servers ask for. The user that the daemon runs as must be able to read the file. */
static bool read_login(struct server_common *common, const struct config *config, char *error,
		       size_t size)
{
	char reason[128];

	if (config->memcached_user == NULL || *config->memcached_user == '\0')
		return true;
	common->user = strdup(config->memcached_user);
	if (common->user == NULL)
		return false;
	common->password = secret_read(config->memcached_password_file, reason, sizeof(reason));
	if (common->password == NULL)
		snprintf(error, size, "memcached_password_file %s: %s",
			 config->memcached_password_file, reason);
	return common->password != NULL;
}

static bool start_servers(struct memcached_store *self, const struct config *config, char *error,
			  size_t size)
{
	const struct string_list *names = &config->memcached_servers;

	self->servers = calloc(names->count, sizeof(struct server *));
	self->common.ring = ring_new(names);
	self->common.memory = memory_store_new(config->memory_clients);
	if (self->servers == NULL || self->common.ring == NULL || self->common.memory == NULL)
		return false;
	for (; self->count < names->count; self->count++) {
		self->servers[self->count] =
			server_start(names->items[self->count], (unsigned)self->count,
				     &self->common, config, error, size);
		if (self->servers[self->count] == NULL)
			return false;
	}
	return true;
}

struct store *memcached_store_new(const struct config *config, const char *program,
				  void (*wakeup)(void), char *error, size_t size)
{
	struct memcached_store *self = calloc(1, sizeof(*self));

	snprintf(error, size, "out of memory");
	if (self == NULL)
		return NULL;
	self->store.ops = &memcached_ops;
	self->common.wakeup = wakeup;
	self->common.program = program != NULL ? strdup(program) : find_program(error, size);
	if (self->common.program == NULL || !read_login(&self->common, config, error, size) ||
	    !start_servers(self, config, error, size)) {
		memcached_destroy(&self->store);
		return NULL;
	}
	for (size_t i = 0; i < self->count; i++)
		server_await_probe(self->servers[i], FIRST_PROBE_MS);
	return &self->store;
}

bool memcached_store_has_process(struct store *store, pid_t pid)
{
	struct memcached_store *self = self_of(store);

	for (size_t i = 0; i < self->count; i++)
		if (server_has_process(self->servers[i], pid))
			return true;
	return false;
}
