/* SPDX-License-Identifier: BSD-2-Clause */
/* Talks to memcached servers: what is asked of them, and which one is asked. No policy, no retry. */
#ifndef TARPIT_MEMCACHED_LINK_H
#define TARPIT_MEMCACHED_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "config/config.h"
#include "store/store.h"

struct secret;

/* "host:port", "[v6]:port", "/path" or "unix:/path", taken apart. */
struct link_server {
	char *host;	/* or path */
	uint16_t port;
	bool is_path;
};
/* False if text is none of these, or there is no memory. */
bool link_server_parse(const char *text, struct link_server *server);
void link_server_free(struct link_server *server);

/* Which server has what: a consistent hash (ketama, libmemcached's), alike on all hosts with the same list. */
struct link_ring;
struct link_ring *link_ring_new(const struct string_list *servers); /* NULL: no memory, or a bad one */
void link_ring_free(struct link_ring *ring);
/* All keys of one wide network are on one server. Thread-safe. */
unsigned link_ring_find(struct link_ring *ring, const struct prefix *network);

enum link_result {
	LINK_OK,
	LINK_REFUSED,	/* the server lives but won't: out of memory, say */
	LINK_UNREACHED,	/* there is no server there: it was told nothing */
	LINK_FAILED,	/* no answer, or one that makes no sense: it may have done what it was told, or not */
};
static inline bool link_is_broken(enum link_result result)
{
	return result == LINK_UNREACHED || result == LINK_FAILED;
}

/* What servers with SASL ask for. user NULL: nothing is said of it. */
struct link_login {
	const char *user;
	const struct secret *password;
};

/*
 * A connection to one server, for one thread at a time; connects when first used, and again when the server
 * has hung up meanwhile. login is borrowed. While a round trip is under way, overdue_at_ms (borrowed too) is
 * the monotonic moment at which it has taken longer than it may; otherwise it is 0. Any thread may read it.
 */
struct link;
struct link *link_new(const struct link_server *server, const struct link_login *login,
		      int64_t timeout_ms, _Atomic int64_t *overdue_at_ms); /* NULL: no memory */
void link_free(struct link *link);
int64_t link_timeout_ms(const struct link *link);
/*
 * The address that it is connected to, as a number; empty if there is none, as with a path. A link made with
 * that as its host asks no name server.
 */
#define LINK_PEER_MAX 64
void link_peer(const struct link *link, char *text);
/* Why the last call was not OK; what a server said may be part of it. */
const char *link_error(const struct link *link);

/*
 * Each of these is one round trip, or as many as its comment says, of timeout_ms at most each, whatever the
 * server does; connecting and logging in take as long each (name look-ups excepted: those are the resolver's).
 */
enum link_result link_probe(struct link *link, const char *key_prefix);
/* What the server has of a client and its network. */
enum link_result link_fetch(struct link *link, const struct store_query *query,
			    struct store_view *view);
/* Notes a recipient; is_new tells whether it had not been there. */
enum link_result link_see(struct link *link, const struct store_query *query, uint64_t recipient,
			  bool *is_new);
/* Adds to a counter without losing any other host's: one to three round trips. */
enum link_result link_count(struct link *link, const char *key_prefix, const struct prefix *client,
			    int64_t window, enum side side, uint64_t amount, uint32_t window_s);

/* Flags a client by hand until that moment: one round trip. */
enum link_result link_flag(struct link *link, const struct store_query *query, int64_t until_s);
/*
 * Forgets a client, and takes what it had added from its network: one round trip, and one for each key. What
 * is counted between the first and the last of them may stay.
 */
enum link_result link_forgive(struct link *link, const struct store_query *query);

/* "libmemcached 1.1.4" */
const char *link_library_version(void);

#endif
