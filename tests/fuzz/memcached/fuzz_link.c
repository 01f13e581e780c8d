/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.c above protocols of our own, in which a memcached server, or whoever sits there, answers whatever it
 * likes, hangs up, or talks out of turn. What it says byte by byte is fuzz_protocol's.
 */
#include <stdatomic.h>
#include <string.h>

#include "fuzz.h"
#include "memcached/link.h"
#include "memcached/protocol.h"
#include "memcached/wire.h"

/* link_forgive: what is there, the flag, and four counters of the client and its network. */
#define TRIPS_MAX 10

static struct input input;
static unsigned trips;
static bool may_ask; /* nothing has come that was not asked for */
static bool has_babbled; /* behind an answer came more */

/* --- the connection ----------------------------------------------------------------------------- */

void wire_init(struct wire *wire)
{
	*wire = (struct wire){.fd = -1};
}

bool wire_open(struct wire *wire, const char *host, uint16_t port, bool is_path, int64_t timeout_ms)
{
	CHECK(wire->fd < 0 && strcmp(host, "/m") == 0 && port == 0 && is_path && timeout_ms == 10);
	if (take_byte(&input) % 8 == 1)
		return wire_fail(wire, "nobody is there");
	wire->fd = 1000;
	may_ask = true;
	return true;
}

void wire_close(struct wire *wire)
{
	wire->fd = -1;
	wire->taken = wire->have = 0;
}

/* Of a path nobody asks. */
bool wire_peer(const struct wire *wire, char *text, size_t size)
{
	(void)wire;
	(void)text;
	(void)size;
	return false;
}

bool wire_is_quiet(struct wire *wire)
{
	CHECK(wire->fd >= 0);
	may_ask = wire->taken == wire->have && take_byte(&input) % 8 != 1;
	return may_ask;
}

void wire_begin(struct wire *wire, int64_t timeout_ms)
{
	CHECK(timeout_ms == 10);
	wire->was_sent = false;
}

bool wire_fail(struct wire *wire, const char *reason)
{
	snprintf(wire->error, sizeof(wire->error), "%s", reason);
	return false;
}

/* --- the protocols ------------------------------------------------------------------------------ */

static void check_key(const struct protocol_key *key)
{
	CHECK(key->length > 0 && key->length < COUNTERS_KEY_MAX);
	CHECK(strlen(key->text) == key->length && is_printable(key->text));
	CHECK(strchr(key->text, ' ') == NULL);
}

/* The reply, what has left us by then, and whether more has come than the reply. */
static enum reply reply_to(struct wire *wire, const struct protocol_key *key)
{
	unsigned byte = take_byte(&input);
	enum reply reply = (enum reply)(byte % 8 <= REPLY_FAILED ? byte % 8 : REPLY_DONE);

	CHECK(wire->fd >= 0 && may_ask && ++trips <= TRIPS_MAX);
	may_ask = false;
	if (key != NULL)
		check_key(key);
	wire->was_sent = reply != REPLY_FAILED || (byte & 0x40) != 0;
	wire->have = (byte & 0x80) != 0;
	has_babbled = has_babbled || (reply != REPLY_REFUSED && wire->have > 0);
	if (reply >= REPLY_REFUSED)
		wire_fail(wire, "it says no");
	return reply;
}

static enum reply log_in(struct wire *wire, const char *user, const struct secret *password)
{
	CHECK(strcmp(user, "user") == 0 && password == NULL);
	wire->was_sent = true;
	if (take_byte(&input) % 8 != 1)
		return REPLY_DONE;
	wire_fail(wire, "it says no");
	return REPLY_FAILED;
}

static enum reply fetch(struct wire *wire, const struct protocol_key *keys, size_t count,
			protocol_take *take, void *arg)
{
	unsigned there = (unsigned)take_number(&input, 2);

	CHECK(count > 0 && count <= PROTOCOL_KEYS_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t length = (there >> i & 1) != 0 ? take_byte(&input) % 24 : 0;

		check_key(&keys[i]);
		length = length < input.length ? length : input.length;
		if ((there >> i & 1) != 0)
			take(i, (const char *)input.bytes, length, arg);
		input.bytes += length;
		input.length -= length;
	}
	return reply_to(wire, NULL);
}

static enum reply store(struct wire *wire, const struct protocol_key *key, const char *value,
			int64_t ttl_s)
{
	CHECK(strlen(value) < PROTOCOL_VALUE_MAX && is_printable(value) && ttl_s > 0);
	return reply_to(wire, key);
}

static enum reply increment(struct wire *wire, const struct protocol_key *key, uint64_t step,
			    uint64_t *sum)
{
	CHECK(step <= COUNTERS_MAX);
	*sum = take_number(&input, 8);
	return reply_to(wire, key);
}

static enum reply decrement(struct wire *wire, const struct protocol_key *key, uint64_t step)
{
	CHECK(step <= COUNTERS_MAX);
	return reply_to(wire, key);
}

const struct protocol protocol_text = {NULL, fetch, store, store, increment, decrement, reply_to};
const struct protocol protocol_binary = {log_in,    fetch,     store,	store,
					 increment, decrement, reply_to};

/* --- what is asked ------------------------------------------------------------------------------ */

static void check_tally(const struct tally *tally)
{
	CHECK(tally->bad_now <= COUNTERS_MAX && tally->bad_previous <= COUNTERS_MAX);
	CHECK(tally->good_now <= COUNTERS_MAX && tally->good_previous <= COUNTERS_MAX);
}

static enum link_result look_up(struct link *link, const struct store_query *query)
{
	struct store_view view;
	enum link_result result = link_fetch(link, query, &view);

	CHECK(view.window == query->window.index && !view.announced);
	check_tally(&view.client);
	check_tally(&view.network);
	CHECK(client_has_network(&query->client) || tally_is_zero(&view.network));
	CHECK(view.by_hand_until_s == 0 ||
	      (view.by_hand && view.by_hand_until_s > window_now_s(&query->window)));
	return result;
}

static enum link_result ask(struct link *link, const struct store_query *query, unsigned what)
{
	int64_t until_s = window_now_s(&query->window) + 1 + (int64_t)take_byte(&input) * 86400;
	bool is_new;

	switch (what) {
	case 0:
		return link_probe(link, query->key_prefix);
	case 1:
		return link_see(link, query, take_number(&input, 8), &is_new);
	case 2:
		return link_count(link, query->key_prefix, &query->client.key, query->window.index,
				  SIDE_BAD, take_number(&input, 8), query->window.length_s);
	case 3:
		return link_flag(link, query, until_s);
	case 4:
		return link_forgive(link, query);
	default:
		return look_up(link, query);
	}
}

static struct store_query query_of(unsigned how)
{
	static const char *const addresses[] = {"192.0.2.1", "2001:db8::1"};
	bool has_network = (how & 2) == 0;
	struct client_widths widths = {.ipv4_prefix = 32,
				       .ipv4_network = has_network ? 24 : 32,
				       .ipv6_prefix = 64,
				       .ipv6_network = has_network ? 48 : 64};
	struct store_query query = {.window = window_at(INT64_C(1795219200000), 14400),
				    .key_prefix = "tarpit"};
	struct prefix address;

	CHECK(prefix_parse(addresses[how & 1], &address));
	client_identify(&address, &widths, &query.client);
	return query;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link_server server = {.host = (char[]){"/m"}, .is_path = true};
	struct link_login login = {0};
	struct store_query query;
	_Atomic int64_t overdue_at_ms = 0;
	struct link *link;
	unsigned how;

	fuzz_begin();
	input = (struct input){data, size};
	how = take_byte(&input);
	query = query_of(how);
	login.user = (how & 4) != 0 ? "user" : NULL;
	link = link_new(&server, &login, 10, &overdue_at_ms);
	CHECK(link != NULL);
	while (input.length > 0) {
		enum link_result result;

		trips = 0;
		has_babbled = false;
		result = ask(link, &query, take_byte(&input) % 8);
		CHECK(result != LINK_OK || !has_babbled);
		CHECK(result == LINK_OK || strlen(link_error(link)) > 0);
		CHECK(atomic_load(&overdue_at_ms) == 0);
	}
	link_free(link);
	return 0;
}
