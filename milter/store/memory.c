/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "seen.h"
#include "config/config.h"
#include "base/table.h"

/* Recipients remembered for each client that may be kept, on average. */
#define SEEN_PER_CLIENT 4
/* Clients flagged by hand that one newcomer may not push out. */
#define SPARED 8
/* Clients that memory_each shows between two moments without the lock. */
#define WALK_STEP 64
/* Entries that a reload drops at once, some 0.2 ms, and what it leaves to sessions between. */
#define DROP_STEP 1024
#define DROP_PAUSE_NS 100000

/* A client or a network. */
struct entry {
	struct prefix prefix;
	bool is_network, announced, is_owing;
	unsigned owner;
	int64_t by_hand_until_s; /* 0: not flagged by hand */
	uint64_t walk; /* the last that has shown it */
	int64_t window;
	struct tally known; /* ours alone, or what the shared store said */
	struct tally owed; /* what it has yet to be told */
	UT_hash_handle hh; /* in the order of the last offence */
	struct entry *prev, *next; /* in debts[owner] while is_owing */
};

struct memory {
	struct store store;
	pthread_mutex_t mutex;
	size_t max_clients;
	struct entry *clients, *networks;
	struct seen seen;
	struct entry *debts[MEMORY_OWNERS];
	/* Of the last question: a clock may be set back. */
	int64_t now_s, window;
	bool has_forgotten; /* for want of memory; to be told without the lock */
	/* of memory_each */
	pthread_mutex_t walk_mutex;
	uint64_t walk;
	struct entry *cursor; /* the next to be shown */
};

static struct log_limit forgotten_limit;

static struct memory *memory_of(struct store *store)
{
	return (struct memory *)store;
}

/* After whatever may have added an entry. */
static void unlock(struct memory *memory)
{
	bool has_forgotten = memory->has_forgotten;

	memory->has_forgotten = false;
	pthread_mutex_unlock(&memory->mutex);
	if (has_forgotten && log_allowed(&forgotten_limit))
		log_message(LOG_WARNING, "limits", "out of memory: offences are forgotten");
}

static void owe_nothing(struct memory *memory, struct entry *entry)
{
	if (!entry->is_owing)
		return;
	DL_DELETE(memory->debts[entry->owner], entry);
	entry->is_owing = false;
	entry->owed = (struct tally){0};
}

/* The entry is about to leave its place. */
static void step_over(struct memory *memory, const struct entry *entry)
{
	if (memory->cursor == entry)
		memory->cursor = entry->hh.next;
}

static void drop(struct memory *memory, struct entry **table, struct entry *entry)
{
	owe_nothing(memory, entry);
	step_over(memory, entry);
	HASH_DEL(*table, entry);
	free(entry);
}

static struct entry **table_of(struct memory *memory, bool is_network)
{
	return is_network ? &memory->networks : &memory->clients;
}

static struct entry *find(struct memory *memory, bool is_network, const struct prefix *prefix)
{
	struct entry *entry;

	HASH_FIND(hh, *table_of(memory, is_network), prefix, sizeof(*prefix), entry);
	return entry;
}

/* Makes it the last that would be forgotten. */
static void touch(struct memory *memory, struct entry *entry)
{
	struct entry **table = table_of(memory, entry->is_network);

	if (entry->hh.next == NULL)
		return;
	step_over(memory, entry);
	HASH_DEL(*table, entry);
	HASH_ADD(hh, *table, prefix, sizeof(entry->prefix), entry);
	if (entry->hh.tbl == NULL) {
		owe_nothing(memory, entry);
		free(entry);
	}
}

/* Makes room for one more. What an administrator has flagged stays, but not at any price. */
static void evict(struct memory *memory, bool is_network)
{
	struct entry **table = table_of(memory, is_network);

	for (int spared = 0; spared < SPARED && (*table)->by_hand_until_s > memory->now_s; spared++)
		touch(memory, *table);
	drop(memory, table, *table);
}

static struct entry *find_or_add(struct memory *memory, bool is_network,
				 const struct prefix *prefix, int64_t window)
{
	struct entry **table = table_of(memory, is_network);
	struct entry *entry = find(memory, is_network, prefix);

	if (entry != NULL)
		return entry;
	if (HASH_COUNT(*table) >= memory->max_clients)
		evict(memory, is_network);
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL) {
		memory->has_forgotten = true;
		return NULL;
	}
	entry->prefix = *prefix;
	entry->is_network = is_network;
	entry->window = window;
	HASH_ADD(hh, *table, prefix, sizeof(entry->prefix), entry);
	if (entry->hh.tbl == NULL) {
		memory->has_forgotten = true;
		free(entry);
		return NULL;
	}
	return entry;
}

/*
 * The window that a caller means. One that read the clock just before a window began, or whose clock
 * was set back by a little, means the newer one that others have begun already.
 */
static int64_t settle_window(const struct entry *entry, int64_t window)
{
	return entry->window == window + 1 ? entry->window : window;
}

static void roll(struct memory *memory, struct entry *entry, int64_t window)
{
	window = settle_window(entry, window);
	tally_roll(&entry->known, entry->window, window);
	tally_roll(&entry->owed, entry->window, window);
	entry->window = window;
	if (tally_is_zero(&entry->owed))
		owe_nothing(memory, entry);
}

static bool see(struct memory *memory, const struct prefix *client, int64_t window,
		uint64_t recipient)
{
	return seen_note(&memory->seen, memory->max_clients * SEEN_PER_CLIENT, client, window,
			 recipient);
}

static void show_one(struct memory *memory, bool is_network, const struct prefix *prefix,
		     int64_t window, struct tally *tally, struct store_view *view)
{
	struct entry *entry = find(memory, is_network, prefix);

	*tally = (struct tally){0};
	if (entry == NULL)
		return;
	*tally = entry->known;
	tally_add(tally, &entry->owed);
	tally_roll(tally, entry->window, settle_window(entry, window));
	if (!is_network) {
		view->announced = entry->announced;
		view->by_hand = entry->by_hand_until_s > memory->now_s;
		view->by_hand_until_s = view->by_hand ? entry->by_hand_until_s : 0;
	}
}

static void note_time(struct memory *memory, const struct store_query *query)
{
	memory->now_s = window_now_s(&query->window);
	memory->window = query->window.index;
}

static void show(struct memory *memory, const struct store_query *query, struct store_view *view)
{
	*view = (struct store_view){.window = query->window.index};
	show_one(memory, false, &query->client.key, view->window, &view->client, view);
	if (client_has_network(&query->client))
		show_one(memory, true, &query->client.network, view->window, &view->network, view);
}

static void memory_lookup(struct store *store, const struct store_query *query,
			  struct store_view *view)
{
	struct memory *memory = memory_of(store);

	pthread_mutex_lock(&memory->mutex);
	note_time(memory, query);
	show(memory, query, view);
	pthread_mutex_unlock(&memory->mutex);
}

static void count_one(struct memory *memory, bool is_network, const struct prefix *prefix,
		      const struct store_query *query, const struct store_event *event)
{
	struct entry *entry = find_or_add(memory, is_network, prefix, query->window.index);

	if (entry == NULL)
		return;
	roll(memory, entry, query->window.index);
	tally_count(&entry->known, event->side, event->amount);
	if (event->side == SIDE_BAD)
		touch(memory, entry);
}

static void count(struct memory *memory, const struct store_query *query,
		  const struct store_event *event)
{
	count_one(memory, false, &query->client.key, query, event);
	if (client_has_network(&query->client))
		count_one(memory, true, &query->client.network, query, event);
}

static bool memory_record(struct store *store, const struct store_query *query,
			  const struct store_event *event, struct store_view *view)
{
	struct memory *memory = memory_of(store);
	bool is_new;

	pthread_mutex_lock(&memory->mutex);
	note_time(memory, query);
	is_new = !event->distinct ||
		 see(memory, &query->client.key, query->window.index, event->recipient);
	if (is_new)
		count(memory, query, event);
	show(memory, query, view);
	unlock(memory);
	return is_new;
}

static bool memory_announce(struct store *store, const struct prefix *client, bool flagged)
{
	struct memory *memory = memory_of(store);
	struct entry *entry;
	bool is_news = false;

	pthread_mutex_lock(&memory->mutex);
	entry = flagged ? find_or_add(memory, false, client, 0) : find(memory, false, client);
	if (entry != NULL) {
		is_news = entry->announced != flagged;
		entry->announced = flagged;
	}
	unlock(memory);
	return is_news;
}

static bool memory_flag(struct store *store, const struct store_query *query, int64_t until_s)
{
	struct memory *memory = memory_of(store);
	struct entry *entry;

	pthread_mutex_lock(&memory->mutex);
	note_time(memory, query);
	entry = find_or_add(memory, false, &query->client.key, query->window.index);
	if (entry != NULL) {
		entry->by_hand_until_s = until_s;
		touch(memory, entry);
	}
	unlock(memory);
	return entry != NULL;
}

static bool memory_forgive(struct store *store, const struct store_query *query)
{
	struct memory *memory = memory_of(store);
	struct entry *entry, *network = NULL;

	pthread_mutex_lock(&memory->mutex);
	entry = find(memory, false, &query->client.key);
	if (client_has_network(&query->client))
		network = find(memory, true, &query->client.network);
	if (entry != NULL && network != NULL) {
		roll(memory, entry, network->window);
		roll(memory, network, entry->window);
		tally_subtract(&network->known, &entry->known);
		tally_subtract(&network->owed, &entry->owed);
	}
	if (entry != NULL)
		drop(memory, &memory->clients, entry);
	pthread_mutex_unlock(&memory->mutex);
	return true;
}

/* A client as it is shown: by its key, for nobody has kept its address. */
static void identify(const struct prefix *key, const struct client_widths *widths,
		     struct client *client)
{
	struct prefix address = *key;

	address.bits = key->family == 4 ? 32 : 128;
	client_identify(&address, widths, client);
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
	note_time(memory, &query);
	while (memory->cursor != NULL && count < WALK_STEP) {
		struct entry *entry = memory->cursor;

		memory->cursor = entry->hh.next;
		/* One that has offended meanwhile comes again. */
		if (entry->walk == memory->walk)
			continue;
		entry->walk = memory->walk;
		identify(&entry->prefix, widths, &query.client);
		rows[count].client = query.client;
		show(memory, &query, &rows[count++].view);
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
		drop(memory, table, *table);
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

static void memory_destroy(struct store *store)
{
	struct memory *memory = memory_of(store);

	while (memory->clients != NULL)
		drop(memory, &memory->clients, memory->clients);
	while (memory->networks != NULL)
		drop(memory, &memory->networks, memory->networks);
	seen_clear(&memory->seen);
	pthread_mutex_destroy(&memory->mutex);
	pthread_mutex_destroy(&memory->walk_mutex);
	free(memory);
}

static const struct store_ops memory_ops = {
	.lookup = memory_lookup,
	.record = memory_record,
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

bool memory_see(struct store *store, const struct prefix *client, int64_t window,
		uint64_t recipient)
{
	struct memory *memory = memory_of(store);
	bool is_new;

	pthread_mutex_lock(&memory->mutex);
	is_new = see(memory, client, window, recipient);
	pthread_mutex_unlock(&memory->mutex);
	return is_new;
}

static struct entry *learn_one(struct memory *memory, bool is_network, const struct prefix *prefix,
			       const struct tally *tally, int64_t window, bool is_worth)
{
	struct entry *entry = is_worth ? find_or_add(memory, is_network, prefix, window)
				       : find(memory, is_network, prefix);

	if (entry != NULL) {
		roll(memory, entry, window);
		entry->known = *tally;
		tally_roll(&entry->known, window, entry->window);
	}
	return entry;
}

void memory_learn(struct store *store, const struct store_query *query,
		  const struct store_view *view)
{
	struct memory *memory = memory_of(store);
	int64_t until_s = view->by_hand ? view->by_hand_until_s : 0;
	struct entry *entry;

	pthread_mutex_lock(&memory->mutex);
	note_time(memory, query);
	/* Without an end it lasts until the shared store is asked again, or for a window. */
	if (view->by_hand && until_s == 0)
		until_s = memory->now_s + query->window.length_s;
	entry = learn_one(memory, false, &query->client.key, &view->client, view->window,
			  view->by_hand || !tally_is_zero(&view->client));
	if (entry != NULL)
		entry->by_hand_until_s = until_s;
	if (client_has_network(&query->client))
		learn_one(memory, true, &query->client.network, &view->network, view->window,
			  !tally_is_zero(&view->network));
	unlock(memory);
}

static void amend_one(struct memory *memory, bool is_network, const struct prefix *prefix,
		      int64_t window, struct tally *tally, struct store_view *view)
{
	struct entry *entry = find(memory, is_network, prefix);
	struct tally owed;

	if (entry == NULL)
		return;
	if (!is_network)
		view->announced = entry->announced;
	owed = entry->owed;
	tally_roll(&owed, entry->window, settle_window(entry, window));
	tally_add(tally, &owed);
}

void memory_amend(struct store *store, const struct store_query *query, struct store_view *view)
{
	struct memory *memory = memory_of(store);

	pthread_mutex_lock(&memory->mutex);
	amend_one(memory, false, &query->client.key, view->window, &view->client, view);
	if (client_has_network(&query->client))
		amend_one(memory, true, &query->client.network, view->window, &view->network, view);
	pthread_mutex_unlock(&memory->mutex);
}

bool memory_take_debt(struct store *store, unsigned owner, struct memory_debt *debt)
{
	struct memory *memory = memory_of(store);
	struct entry *entry;

	pthread_mutex_lock(&memory->mutex);
	entry = memory->debts[owner];
	if (entry != NULL) {
		*debt = (struct memory_debt){
			.prefix = entry->prefix,
			.is_network = entry->is_network,
			.window = entry->window,
			.owed = entry->owed,
		};
		owe_nothing(memory, entry);
	}
	pthread_mutex_unlock(&memory->mutex);
	return entry != NULL;
}

/* What this entry owes, which is asked for in order to add to it. */
static struct tally *begin_owing(struct memory *memory, struct entry *entry, unsigned owner)
{
	if (!entry->is_owing) {
		entry->is_owing = true;
		entry->owner = owner;
		DL_APPEND(memory->debts[owner], entry);
	}
	return &entry->owed;
}

static void put_debt(struct memory *memory, const struct memory_debt *debt, bool is_owed,
		     unsigned owner)
{
	struct entry *entry;
	struct tally tally = debt->owed;

	pthread_mutex_lock(&memory->mutex);
	entry = find_or_add(memory, debt->is_network, &debt->prefix, debt->window);
	if (entry != NULL) {
		/* An entry of the future is of a clock, or a length of windows, that was set back. */
		if (debt->window > entry->window || entry->window > memory->window + 1)
			roll(memory, entry, debt->window);
		tally_roll(&tally, debt->window, entry->window);
		tally_add(is_owed ? begin_owing(memory, entry, owner) : &entry->known, &tally);
		if (debt->owed.bad_now > 0)
			touch(memory, entry);
	}
	unlock(memory);
}

void memory_settle_debt(struct store *store, const struct memory_debt *debt)
{
	put_debt(memory_of(store), debt, false, 0);
}

void memory_return_debt(struct store *store, unsigned owner, const struct memory_debt *debt)
{
	put_debt(memory_of(store), debt, true, owner);
}
