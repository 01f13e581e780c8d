/* SPDX-License-Identifier: BSD-2-Clause */
#include "memcached/link.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"
#include "protocol.h"
#include "wire.h"

/* Counters of two windows and sides, for a client and its network, and the flag. */
#define FETCH_KEYS PROTOCOL_KEYS_MAX
#define COUNTER_TEXT_MAX 24
/* 2001-09-09. Flags of before are other numbers. */
#define FIRST_MOMENT_S 1000000000
/* Longer lives memcached takes for moments. */
#define TTL_MAX_S (30 * 24 * 3600)
/* Connecting, logging in, and what is to be asked. */
#define FIRST_TRIPS 3

struct link {
	struct link_server server;
	const struct link_login *login;
	const struct protocol *protocol;
	int64_t timeout_ms;
	_Atomic int64_t *overdue_at_ms;
	struct wire wire;
};

static struct log_limit bad_value_limit;

bool link_server_parse(const char *text, struct link_server *server)
{
	const char *colon = strrchr(text, ':');
	size_t length;
	unsigned long port;
	char *end;

	*server = (struct link_server){0};
	if (strncmp(text, "unix:", 5) == 0)
		text += 5;
	if (*text == '/') {
		server->is_path = true;
		server->host = strdup(text);
		return server->host != NULL;
	}
	if (colon == NULL || colon == text)
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > UINT16_MAX || colon[1] < '0' || colon[1] > '9')
		return false;
	length = (size_t)(colon - text);
	if (text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	server->port = (uint16_t)port;
	server->host = strndup(text, length);
	return server->host != NULL;
}

void link_server_free(struct link_server *server)
{
	free(server->host);
	server->host = NULL;
}

struct link *link_new(const struct link_server *server, const struct link_login *login,
		      int64_t timeout_ms, _Atomic int64_t *overdue_at_ms)
{
	struct link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	wire_init(&link->wire);
	link->timeout_ms = timeout_ms;
	link->login = login;
	link->protocol = login->user != NULL ? &protocol_binary : &protocol_text;
	link->overdue_at_ms = overdue_at_ms;
	link->server = *server;
	link->server.host = strdup(server->host);
	if (link->server.host == NULL) {
		free(link);
		return NULL;
	}
	return link;
}

void link_free(struct link *link)
{
	if (link == NULL)
		return;
	wire_close(&link->wire);
	link_server_free(&link->server);
	free(link);
}

int64_t link_timeout_ms(const struct link *link)
{
	return link->timeout_ms;
}

const char *link_error(const struct link *link)
{
	return link->wire.error;
}

void link_peer(const struct link *link, char *text)
{
	if (link->server.is_path || !wire_peer(&link->wire, text, LINK_PEER_MAX))
		text[0] = '\0';
}

static void set_overdue(struct link *link, int trips)
{
	int64_t now = clock_system.mono_ms(&clock_system);

	atomic_store(link->overdue_at_ms, trips > 0 ? now + trips * link->timeout_ms : 0);
}

static bool connect_link(struct link *link)
{
	struct wire *wire = &link->wire;

	if (!wire_open(wire, link->server.host, link->server.port, link->server.is_path,
		       link->timeout_ms))
		return false;
	wire_begin(wire, link->timeout_ms);
	if (link->protocol->log_in == NULL ||
	    link->protocol->log_in(wire, link->login->user, link->login->password) == REPLY_DONE)
		return true;
	wire_close(wire);
	return false;
}

/*
 * Begins a round trip, on a connection that is good: one that has ended since, or on which something comes
 * that nobody has asked for, makes way. False if there is none.
 */
static bool begin_trip(struct link *link)
{
	struct wire *wire = &link->wire;

	if (wire->fd >= 0 && !wire_is_quiet(wire))
		wire_close(wire);
	set_overdue(link, wire->fd >= 0 ? 1 : FIRST_TRIPS);
	if (wire->fd < 0 && !connect_link(link)) {
		set_overdue(link, 0);
		return false;
	}
	wire_begin(wire, link->timeout_ms);
	return true;
}

/*
 * Ends it. A connection whose state nobody knows goes, so that no late answer can be taken for the answer to
 * the next question. One that has more in it than the answer is such a one.
 */
static enum link_result end_trip(struct link *link, enum reply reply)
{
	struct wire *wire = &link->wire;

	set_overdue(link, 0);
	if (reply == REPLY_REFUSED)
		return LINK_REFUSED;
	if (reply != REPLY_FAILED && wire->taken == wire->have)
		return LINK_OK;
	if (reply != REPLY_FAILED)
		wire_fail(wire, "more than an answer");
	wire_close(wire);
	return wire->was_sent ? LINK_FAILED : LINK_UNREACHED;
}

enum verb { ADD, SET, INCREMENT, DECREMENT, REMOVE };

/* One question about one key. */
struct step {
	enum verb verb;
	const struct protocol_key *key;
	const char *value;
	int64_t ttl_s;
	uint64_t amount;
	uint64_t sum; /* what INCREMENT has made of it */
	enum reply reply; /* if the result is LINK_OK */
};

static enum reply ask(struct link *link, struct step *step)
{
	const struct protocol *protocol = link->protocol;
	struct wire *wire = &link->wire;

	switch (step->verb) {
	case ADD:
		return protocol->add(wire, step->key, step->value, step->ttl_s);
	case SET:
		return protocol->set(wire, step->key, step->value, step->ttl_s);
	case INCREMENT:
		return protocol->increment(wire, step->key, step->amount, &step->sum);
	case DECREMENT:
		return protocol->decrement(wire, step->key, step->amount);
	case REMOVE:
		break;
	}
	return protocol->remove(wire, step->key);
}

/* One round trip. */
static enum link_result take_step(struct link *link, struct step *step)
{
	if (!begin_trip(link))
		return LINK_UNREACHED;
	step->reply = ask(link, step);
	return end_trip(link, step->reply);
}

/* The keys of one look-up, and where their values go. */
struct fetch {
	size_t count;
	struct protocol_key keys[FETCH_KEYS];
	char texts[FETCH_KEYS][COUNTERS_KEY_MAX];
	uint64_t *values[FETCH_KEYS];
	uint64_t flag;
};

static void want(struct fetch *fetch, size_t length, uint64_t *value)
{
	size_t n = fetch->count++;

	fetch->keys[n] = (struct protocol_key){fetch->texts[n], length};
	fetch->values[n] = value;
}

static void want_tally(struct fetch *fetch, const struct store_query *query,
		       const struct prefix *prefix, struct tally *tally)
{
	const struct {
		int64_t window;
		enum side side;
		uint64_t *value;
	} wanted[] = {
		{query->window.index, SIDE_BAD, &tally->bad_now},
		{query->window.index - 1, SIDE_BAD, &tally->bad_previous},
		{query->window.index, SIDE_GOOD, &tally->good_now},
		{query->window.index - 1, SIDE_GOOD, &tally->good_previous},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		want(fetch,
		     counters_key(fetch->texts[fetch->count], query->key_prefix, prefix,
					wanted[i].window, wanted[i].side),
		     wanted[i].value);
}

static void take_value(size_t index, const char *value, size_t length, void *arg)
{
	struct fetch *fetch = arg;

	if (!counters_parse(value, length, fetch->values[index]) &&
	    log_allowed(&bad_value_limit))
		log_message(LOG_WARNING, "store", "value of %s is no number of ours: ignored",
			    fetch->texts[index]);
}

/* A number too small for a moment of this century is no end: the flag lasts as long as the key. */
static void take_flag(struct store_view *view, uint64_t until_s, int64_t now_s)
{
	bool has_end = until_s >= FIRST_MOMENT_S;

	view->by_hand = until_s != 0 && (!has_end || (int64_t)until_s > now_s);
	view->by_hand_until_s = view->by_hand && has_end ? (int64_t)until_s : 0;
}

enum link_result link_probe(struct link *link, const char *key_prefix)
{
	uint64_t ignored;
	struct fetch fetch = {0};
	enum link_result result;

	want(&fetch, (size_t)snprintf(fetch.texts[0], COUNTERS_KEY_MAX, "%s:1:probe", key_prefix),
	     &ignored);
	if (!begin_trip(link))
		return LINK_UNREACHED;
	result = end_trip(link,
			  link->protocol->fetch(&link->wire, fetch.keys, 1, take_value, &fetch));
	return result;
}

enum link_result link_fetch(struct link *link, const struct store_query *query,
			    struct store_view *view)
{
	struct fetch fetch = {0};
	enum link_result result;

	*view = (struct store_view){.window = query->window.index};
	want_tally(&fetch, query, &query->client.key, &view->client);
	if (client_has_network(&query->client))
		want_tally(&fetch, query, &query->client.network, &view->network);
	want(&fetch,
	     counters_flag_key(fetch.texts[fetch.count], query->key_prefix, &query->client.key),
	     &fetch.flag);
	if (!begin_trip(link))
		return LINK_UNREACHED;
	result = end_trip(link, link->protocol->fetch(&link->wire, fetch.keys, fetch.count,
						      take_value, &fetch));
	take_flag(view, fetch.flag, window_now_s(&query->window));
	return result;
}

enum link_result link_see(struct link *link, const struct store_query *query, uint64_t recipient,
			  bool *is_new)
{
	char text[COUNTERS_KEY_MAX];
	const struct protocol_key key = {text, counters_seen_key(text, query->key_prefix,
							       &query->client.key,
							       query->window.index, recipient)};
	struct step add = {.verb = ADD,
			   .key = &key,
			   .value = "1",
			   .ttl_s = (int64_t)query->window.length_s * 2};
	enum link_result result = take_step(link, &add);

	*is_new = result != LINK_OK || add.reply != REPLY_PRESENT;
	return result;
}

/* What stands there is no count: it makes way. */
static enum link_result replace(struct link *link, struct step *step)
{
	if (log_allowed(&bad_value_limit))
		log_message(LOG_WARNING, "store", "value of %s is no number of ours: replaced",
			    step->key->text);
	step->verb = SET;
	return take_step(link, step);
}

enum link_result link_count(struct link *link, const char *key_prefix, const struct prefix *client,
			    int64_t window, enum side side, uint64_t amount, uint32_t window_s)
{
	char text[COUNTERS_KEY_MAX], value[COUNTER_TEXT_MAX];
	const struct protocol_key key = {
		text, counters_key(text, key_prefix, client, window, side)};
	struct step step = {
		.verb = INCREMENT,
		.key = &key,
		.value = value,
		.ttl_s = (int64_t)window_s * 2, /* below the 30 days that would make it a date */
		.amount = amount < COUNTERS_MAX ? amount : COUNTERS_MAX,
	};
	enum link_result result;

	snprintf(value, sizeof(value), "%" PRIu64, step.amount);
	/* incr does not make a counter, add makes it once: of hosts that race, none loses. */
	result = take_step(link, &step);
	if (result == LINK_OK && step.reply == REPLY_ABSENT) {
		step.verb = ADD;
		result = take_step(link, &step);
		step.verb = INCREMENT;
		if (result == LINK_OK && step.reply == REPLY_PRESENT)
			result = take_step(link, &step);
		if (result == LINK_OK && step.reply == REPLY_ABSENT)
			return wire_fail(&link->wire, "it forgets at once"), LINK_REFUSED;
	}
	if (result == LINK_OK && (step.reply == REPLY_NO_NUMBER || step.sum > COUNTERS_MAX))
		result = replace(link, &step);
	return result;
}

enum link_result link_flag(struct link *link, const struct store_query *query, int64_t until_s)
{
	char text[COUNTERS_KEY_MAX], value[COUNTER_TEXT_MAX];
	const struct protocol_key key = {
		text, counters_flag_key(text, query->key_prefix, &query->client.key)};
	int64_t ttl_s = until_s - window_now_s(&query->window);
	struct step set = {.verb = SET,
			   .key = &key,
			   .value = value,
			   .ttl_s = ttl_s <= TTL_MAX_S ? ttl_s : until_s};

	snprintf(value, sizeof(value), "%" PRId64, until_s);
	return take_step(link, &set);
}

static enum link_result remove_key(struct link *link, const char *text, size_t length)
{
	const struct protocol_key key = {text, length};
	struct step step = {.verb = REMOVE, .key = &key};

	return take_step(link, &step);
}

/* Takes one counter of a client away, and from its network's. */
static enum link_result take_back(struct link *link, const struct store_query *query,
				  int64_t window, enum side side, uint64_t amount)
{
	char text[COUNTERS_KEY_MAX];
	size_t length =
		counters_key(text, query->key_prefix, &query->client.key, window, side);
	enum link_result result = remove_key(link, text, length);
	struct protocol_key key = {text, 0};
	struct step step = {.verb = DECREMENT, .key = &key, .amount = amount};

	if (result != LINK_OK || amount == 0 || !client_has_network(&query->client))
		return result;
	key.length =
		counters_key(text, query->key_prefix, &query->client.network, window, side);
	/* Stops at 0. What stands there and is no number stays: whoever counts replaces it. */
	return take_step(link, &step);
}

enum link_result link_forgive(struct link *link, const struct store_query *query)
{
	char text[COUNTERS_KEY_MAX];
	int64_t now = query->window.index;
	struct store_view view;
	enum link_result result = link_fetch(link, query, &view);

	if (result == LINK_OK)
		result = remove_key(link, text,
				    counters_flag_key(text, query->key_prefix, &query->client.key));
	if (result == LINK_OK)
		result = take_back(link, query, now, SIDE_BAD, view.client.bad_now);
	if (result == LINK_OK)
		result = take_back(link, query, now - 1, SIDE_BAD, view.client.bad_previous);
	if (result == LINK_OK)
		result = take_back(link, query, now, SIDE_GOOD, view.client.good_now);
	if (result == LINK_OK)
		result = take_back(link, query, now - 1, SIDE_GOOD, view.client.good_previous);
	return result;
}
