/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarpit-store's connection to its memcached server: libmemcached's calls, one round trip each.
 * What the server answers is hostile, and libmemcached believes it: a call may crash, or last for
 * ever.
 */
#ifndef TARPIT_MEMCACHED_CONNECTION_H
#define TARPIT_MEMCACHED_CONNECTION_H

#include <stdbool.h>

#include "message.h"

struct memcached_st;

enum connection_result {
	CONNECTION_DONE,
	CONNECTION_ABSENT,	/* there is no such key */
	CONNECTION_PRESENT,	/* the key is there, so that it was not added */
	CONNECTION_NO_NUMBER,	/* what stands there can't be counted up */
	CONNECTION_REFUSED,	/* the server lives but won't: out of memory, say */
	CONNECTION_FAILED,	/* no answer, or one that makes no sense */
};

struct connection {
	const struct message_setup *setup;
	int fd;			/* the descriptor that libmemcached's socket gets */
	struct memcached_st *handle;	/* NULL: none; made at the next call */
	int32_t timeout_ms;
	bool has_answered;	/* the server, since connection_begin and on this handle */
	/*
	 * Of the request being run: result, calls, failures, was_refused and reason are noted in
	 * it.
	 */
	struct message_outcome *outcome;
};

/*
 * Begins a request. Drops a connection that the server has closed meanwhile, or on which the server
 * sent what nobody asked for: the next call connects again.
 */
void connection_begin(struct connection *connection, int32_t timeout_ms,
		      struct message_outcome *outcome);

/*
 * Each of these returns DONE, REFUSED, FAILED, or the result that its comment names; any other
 * answer of the server is FAILED. Waits timeout_ms for each piece of the answer.
 */
/* Values of keys that the server does not have stay as they are; empty keys are left out. At most
 * MESSAGE_KEYS_MAX keys. The first look-up on a new connection takes two round trips. */
enum connection_result connection_fetch(struct connection *connection,
					const char (*keys)[COUNTERS_KEY_MAX], size_t count,
					struct message_value_of *values);
/* For how many seconds the server has run, and its process number: absent if it does not say. */
enum connection_result connection_identify(struct connection *connection,
					   struct message_value_of *uptime,
					   struct message_value_of *pid);
enum connection_result connection_set(struct connection *connection, const char *key,
				      uint64_t number, int64_t ttl_s);
/* PRESENT */
enum connection_result connection_add(struct connection *connection, const char *key,
				      uint64_t number, int64_t ttl_s);
/* ABSENT, NO_NUMBER (after a look at the value: a second round trip). Makes no counter. */
enum connection_result connection_increment(struct connection *connection, const char *key,
					    uint64_t amount, uint64_t *sum);
/* ABSENT; stops at 0. */
enum connection_result connection_decrement(struct connection *connection, const char *key,
					    uint64_t amount, uint64_t *left);
/* ABSENT */
enum connection_result connection_delete(struct connection *connection, const char *key);
/* Notes that the server would not do what was asked, and why; returns CONNECTION_REFUSED. */
enum connection_result connection_refuse(struct connection *connection, const char *reason);

#endif
