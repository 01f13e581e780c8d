/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/memory.h"

#include <stdlib.h>
#include <time.h>

#include "config/config.h"
#include "entries.h"

/* Clients that memory_each shows between two moments without the lock. */
#define WALK_STEP 64
/* Entries that a reload drops at once, some 0.2 ms, and what it leaves to sessions between. */
#define DROP_STEP 1024
#define DROP_PAUSE_NS 100000

void memory_add_own(struct memory *memory, bool is_network, const struct prefix *prefix,
		    const struct entry *entry, struct tally *tally, struct store_view *view)
{
	struct tally own = {0}, owed;

	history_show(&memory->history, is_network, prefix, view->window, &own);
	tally_add(tally, &own);
	if (!is_network)
		view->kept = own;
	if (entry == NULL)
		return;
	owed = entry->owed;
	tally_roll(&owed, entry->window, entry_settle_window(entry, view->window));
	tally_add(tally, &owed);
	if (is_network)
		return;
	view->announced = entry->announced;
	view->has_trap = entry->trap_window > 0 && entry->trap_window >= view->window - 1;
}

static void show_one(struct memory *memory, bool is_network, const struct prefix *prefix,
		     struct tally *tally, struct store_view *view)
{
	const struct entry *entry = entry_find(memory, is_network, prefix);

	if (entry != NULL) {
		*tally = entry->known;
		tally_roll(tally, entry->window, entry_settle_window(entry, view->window));
	}
	memory_add_own(memory, is_network, prefix, entry, tally, view);
	if (entry != NULL && !is_network) {
		view->by_hand = entry->by_hand_until_s > memory->now_s;
		view->by_hand_until_s = view->by_hand ? entry->by_hand_until_s : 0;
	}
}

void memory_show(struct memory *memory, const struct store_query *query, struct store_view *view)
{
	*view = (struct store_view){.window = query->window.index};
	show_one(memory, false, &query->client.key, &view->client, view);
	if (client_has_network(&query->client))
		show_one(memory, true, &query->client.network, &view->network, view);
}

static void memory_lookup(struct store *store, const struct store_query *query,
			  struct store_view *view)
{
	struct memory *memory = memory_of(store);

	pthread_mutex_lock(&memory->mutex);
	memory_note_time(memory, query);
	memory_show(memory, query, view);
	pthread_mutex_unlock(&memory->mutex);
}

static void count_one(struct memory *memory, bool is_network, const struct prefix *prefix,
		      int64_t window, enum side side, uint64_t amount)
{
	struct entry *entry = entry_find_or_add(memory, is_network, prefix, window);

	if (entry == NULL)
		return;
	entry_roll(memory, entry, window);
	tally_count(&entry->known, side, amount);
	if (side != SIDE_BAD)
		return;
	history_take(&memory->history, is_network, prefix, entry->window, &entry->known);
	entry_touch(memory, entry);
}

void memory_count(struct memory *memory, const struct store_query *query, enum side side,
		  uint64_t amount)
{
	int64_t window = query->window.index;

	count_one(memory, false, &query->client.key, window, side, amount);
	if (client_has_network(&query->client))
		count_one(memory, true, &query->client.network, window, side, amount);
}

/* True if the recipient had not been seen in this window. */
static bool is_first(struct memory *memory, const struct store_query *query,
		     const struct store_event *event)
{
	return !event->distinct ||
	       seen_note(&memory->seen, memory->max_clients * SEEN_PER_CLIENT, &query->client.key,
			 query->window.index, event->recipient, 1) == 0;
}

static bool memory_record(struct store *store, const struct store_query *query,
			  const struct store_event *event, struct store_view *view)
{
	struct memory *memory = memory_of(store);
	bool is_new;

	pthread_mutex_lock(&memory->mutex);
	memory_note_time(memory, query);
	is_new = is_first(memory, query, event);
	if (is_new)
		memory_count(memory, query, event->side, event->amount);
	memory_note_place(memory, query, event);
	memory_show(memory, query, view);
	memory_unlock(memory);
	return is_new;
}

static bool memory_announce(struct store *store, const struct prefix *client,
			    enum announcement announcement)
{
	struct memory *memory = memory_of(store);
	struct entry *entry;
	bool is_news = false;

	pthread_mutex_lock(&memory->mutex);
	entry = announcement != ANNOUNCED_NOTHING ? entry_find_or_add(memory, false, client, 0)
						  : entry_find(memory, false, client);
	if (entry != NULL) {
		is_news = entry->announced != announcement;
		entry->announced = announcement;
	}
	memory_unlock(memory);
	return is_news;
}

static bool memory_flag(struct store *store, const struct store_query *query, int64_t until_s)
{
	struct memory *memory = memory_of(store);
	struct entry *entry;

	pthread_mutex_lock(&memory->mutex);
	memory_note_time(memory, query);
	entry = entry_find_or_add(memory, false, &query->client.key, query->window.index);
	if (entry != NULL) {
		entry->by_hand_until_s = until_s;
		entry_touch(memory, entry);
	}
	memory_unlock(memory);
	return entry != NULL;
}

static bool memory_forgive(struct store *store, const struct store_query *query)
{
	struct memory *memory = memory_of(store);
	struct entry *entry, *network = NULL;
	struct tally forgotten = {0};

	pthread_mutex_lock(&memory->mutex);
	entry = entry_find(memory, false, &query->client.key);
	if (client_has_network(&query->client))
		network = entry_find(memory, true, &query->client.network);
	if (entry != NULL && network != NULL) {
		entry_roll(memory, entry, network->window);
		entry_roll(memory, network, entry->window);
		tally_subtract(&network->known, &entry->known);
		tally_subtract(&network->owed, &entry->owed);
	}
	if (entry != NULL)
		entry_drop(memory, &memory->clients, entry);
	history_take(&memory->history, false, &query->client.key, query->window.index, &forgotten);
	history_subtract(&memory->history, true, &query->client.network, query->window.index,
			 &forgotten);
	pthread_mutex_unlock(&memory->mutex);
	return true;
}

/* A client as it is shown: by its key, for nobody has kept its address. */
static void identify(const struct prefix *key, const struct client_widths *widths,
		     struct client *client)
{
	struct prefix address = *key;

	address.bits = key->family == 4 ? 32 : 128;
	client_identify_plain(&address, widths, client);
	client->key = *key;
}

struct row {
	struct client client;
	struct store_view view;
};

/* The next clients of this walk. Returns how many. */
static size_t step(struct memory *memory, const struct client_widths *widths,
		   const struct window *window, struct row *rows)
{
	struct store_query query = {.window = *window};
	size_t count = 0;

	pthread_mutex_lock(&memory->mutex);
	memory_note_time(memory, &query);
	while (memory->cursor != NULL && count < WALK_STEP) {
		struct entry *entry = memory->cursor;

		memory->cursor = entry->hh.next;
		/* One that has offended meanwhile comes again. */
		if (entry->walk == memory->walk)
			continue;
		entry->walk = memory->walk;
		identify(&entry->prefix, widths, &query.client);
		rows[count].client = query.client;
		memory_show(memory, &query, &rows[count++].view);
	}
	pthread_mutex_unlock(&memory->mutex);
	return count;
}

static void memory_each(struct store *store, const struct client_widths *widths,
			const struct window *window, store_visit *visit, void *arg)
{
	struct memory *memory = memory_of(store);
	struct row rows[WALK_STEP];
	size_t count, left;

	pthread_mutex_lock(&memory->walk_mutex);
	pthread_mutex_lock(&memory->mutex);
	memory->walk++;
	memory->cursor = memory->clients;
	/* Newcomers are shown too, but could go on for ever. */
	left = memory->max_clients;
	pthread_mutex_unlock(&memory->mutex);
	for (; left > 0 && (count = step(memory, widths, window, rows)) > 0;
	     left -= count < left ? count : left)
		for (size_t i = 0; i < count; i++)
			visit(&rows[i].client, &rows[i].view, arg);
	pthread_mutex_unlock(&memory->walk_mutex);
}

static void memory_servers(struct store *store, store_server_visit *visit, void *arg)
{
	(void)store;
	(void)visit;
	(void)arg;
}

/* Of what is too many since a reload; whether there was any. */
static bool drop_some(struct memory *memory, struct entry **table)
{
	unsigned count = 0;

	for (; count < DROP_STEP && HASH_COUNT(*table) > memory->max_clients; count++)
		entry_drop(memory, table, *table);
	return count > 0;
}

static void memory_configure(struct store *store, const struct config *config)
{
	struct memory *memory = memory_of(store);
	const struct timespec pause = {.tv_nsec = DROP_PAUSE_NS};

	pthread_mutex_lock(&memory->mutex);
	memory->max_clients = config->memory_clients;
	/* Sessions go between. */
	while (drop_some(memory, &memory->clients) || drop_some(memory, &memory->networks)) {
		pthread_mutex_unlock(&memory->mutex);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&memory->mutex);
	}
	pthread_mutex_unlock(&memory->mutex);
}

static const char *memory_state(struct store *store)
{
	(void)store;
	return "up";
}

void memory_clear(struct memory *memory)
{
	while (memory->clients != NULL)
		entry_drop(memory, &memory->clients, memory->clients);
	while (memory->networks != NULL)
		entry_drop(memory, &memory->networks, memory->networks);
	seen_clear(&memory->seen);
	history_clear(&memory->history);
}

static void memory_destroy(struct store *store)
{
	struct memory *memory = memory_of(store);

	memory_clear(memory);
	pthread_mutex_destroy(&memory->mutex);
	pthread_mutex_destroy(&memory->walk_mutex);
	free(memory);
}

static const struct store_ops memory_ops = {
	.lookup = memory_lookup,
	.record = memory_record,
	.credit_left = memory_credit_left,
	.credit = memory_credit,
	.announce = memory_announce,
	.flag = memory_flag,
	.forgive = memory_forgive,
	.each = memory_each,
	.servers = memory_servers,
	.configure = memory_configure,
	.state = memory_state,
	.destroy = memory_destroy,
};

struct store *memory_store_new(size_t max_clients)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	if (memory == NULL)
		return NULL;
	memory->store.ops = &memory_ops;
	memory->max_clients = max_clients;
	pthread_mutex_init(&memory->mutex, NULL);
	pthread_mutex_init(&memory->walk_mutex, NULL);
	return &memory->store;
}
