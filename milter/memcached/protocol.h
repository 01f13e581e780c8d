/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memcached's two protocols, as far as link.c needs them: one round trip each. What a server answers is
 * hostile: an answer that is not one to the question is a failure.
 */
#ifndef TARPIT_MEMCACHED_PROTOCOL_H
#define TARPIT_MEMCACHED_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct secret;

enum reply {
	REPLY_DONE,
	REPLY_ABSENT,	/* there is no such key */
	REPLY_PRESENT,	/* there is one, so that it was not added */
	REPLY_NO_NUMBER,	/* what stands there can't be counted up */
	REPLY_REFUSED,	/* the server lives but won't: out of memory, say. The reason is in wire->error */
	REPLY_FAILED,	/* no answer, or one that makes no sense; the reason is in wire->error */
};

/* Longer values are none of ours: they are taken for empty ones. */
#define PROTOCOL_VALUE_MAX 64
#define PROTOCOL_KEYS_MAX 9

struct protocol_key {
	const char *text;
	size_t length;
};

typedef void protocol_take(size_t index, const char *value, size_t length, void *arg);

struct protocol {
	/* After connecting. NULL: nothing is to be said. */
	enum reply (*log_in)(struct wire *wire, const char *user, const struct secret *password);
	/* Hands over each value that is there, in the order of the keys, of which there are PROTOCOL_KEYS_MAX at most. */
	enum reply (*fetch)(struct wire *wire, const struct protocol_key *keys, size_t count,
			    protocol_take *take, void *arg);
	enum reply (*add)(struct wire *wire, const struct protocol_key *key, const char *value,
			  int64_t ttl_s);
	enum reply (*set)(struct wire *wire, const struct protocol_key *key, const char *value,
			  int64_t ttl_s);
	/* Does not make a counter. */
	enum reply (*increment)(struct wire *wire, const struct protocol_key *key, uint64_t step,
				uint64_t *sum);
	/* Stops at 0. */
	enum reply (*decrement)(struct wire *wire, const struct protocol_key *key, uint64_t step);
	enum reply (*remove)(struct wire *wire, const struct protocol_key *key);
};

/* The one for a server without passwords. */
extern const struct protocol protocol_text;
/* The one in which memcached knows SASL. */
extern const struct protocol protocol_binary;

#endif
