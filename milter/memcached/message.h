/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon and tarpit-store say to each other over a SOCK_SEQPACKET pair: messages of fixed
 * size. The daemon sends one message_setup, then any number of message_requests, one at a time;
 * tarpit-store answers each request with one message_outcome. Both programs are of one build, so
 * structs travel as they are. A memcached server may have taken tarpit-store over: to the daemon an
 * outcome is hostile input.
 */
#ifndef TARPIT_MEMCACHED_MESSAGE_H
#define TARPIT_MEMCACHED_MESSAGE_H

#include <stdint.h>

#include "base/counters.h"
#include "base/secret.h"

/* The descriptor on which tarpit-store finds its end of the pair. */
#define MESSAGE_DESCRIPTOR 3
/*
 * Keys of a client: counters of two windows and three sides, the same of its network, and the flag.
 */
#define MESSAGE_COUNTERS 6
#define MESSAGE_FLAG_KEY (2 * MESSAGE_COUNTERS)
#define MESSAGE_KEYS_MAX (MESSAGE_FLAG_KEY + 1)
/* Counters that one errand may add to. */
#define MESSAGE_COUNTS_MAX 12
/* Recipients that one errand may note. */
#define MESSAGE_SEEN_MAX 16
/* A numeric address, or the path of a unix socket (sun_path). */
#define MESSAGE_HOST_MAX 108
#define MESSAGE_REASON_MAX 96
#define MESSAGE_VERSION_MAX 32
/*
 * tarpit-store ends an errand, and itself, after so many timeouts; the daemon kills it then at the
 * latest.
 */
#define MESSAGE_TIMEOUTS_MAX 12

/*
 * Where the server is and who the daemon is there. The daemon wipes it once it is sent; tarpit-
 * store keeps it, to log in anew on every connection.
 */
struct message_setup {
	/* PACKAGE_VERSION: other builds have other messages */
	char version[MESSAGE_VERSION_MAX];
	char host[MESSAGE_HOST_MAX];
	uint16_t port;				/* 0: host is a path */
	char user[SECRET_MAX + 1];		/* of SASL; empty: none */
	struct secret password;
};

enum message_kind {
	MESSAGE_LOOK_UP,	/* fetches keys */
	/*
	 * Adds the keys of seen, then counts, once for each key of seen that was not there (once if
	 * there is no seen), and fetches keys.
	 */
	MESSAGE_RECORD,
	MESSAGE_SET,		/* sets keys[0] to number, as decimal digits */
	MESSAGE_FORGIVE,	/* keys as message_outcome.values has them: see there */
	/*
	 * values[0] becomes for how many seconds the server has run, values[1] its process number
	 */
	MESSAGE_IDENTITY,
	MESSAGE_KINDS
};

struct message_count {
	char key[COUNTERS_KEY_MAX];
	uint64_t amount;	/* 1 to COUNTERS_MAX */
};

struct message_request {
	uint64_t serial;	/* comes back in the outcome */
	uint32_t kind;		/* enum message_kind */
	int32_t timeout_ms;	/* of each wait for the server */
	/* of what is added or set; beyond 30 days since the epoch, as memcached has it */
	int64_t ttl_s;
	uint64_t number;	/* of MESSAGE_SET */
	uint32_t seen_count, keys_count, counts_count;
	/* keys of recipients, where they are distinct */
	char seen[MESSAGE_SEEN_MAX][COUNTERS_KEY_MAX];
	char keys[MESSAGE_KEYS_MAX][COUNTERS_KEY_MAX];
	struct message_count counts[MESSAGE_COUNTS_MAX];
};

enum message_result {
	MESSAGE_ANSWERED,	/* the server lives: values are there */
	/* it does not, or makes no sense: reason says why, and the rest how far it came */
	MESSAGE_FAILED,
	MESSAGE_RESULTS
};

enum message_step {
	MESSAGE_NOT_DONE,	/* certainly: the daemon owes it */
	MESSAGE_DONE,
	MESSAGE_MAYBE_DONE,	/* asked for, and no answer: never to be repeated */
	MESSAGE_STEPS
};

enum message_value {
	MESSAGE_ABSENT,
	MESSAGE_NUMBER,		/* of decimal digits, COUNTERS_MAX at most */
	MESSAGE_NO_NUMBER,	/* something else stands there: counts as absent */
	MESSAGE_VALUES
};

/* What a key has. */
struct message_value_of {
	uint32_t state;	/* enum message_value */
	uint64_t number;
};

/*
 * The outcome of a request. values are those of keys once all is done. For MESSAGE_FORGIVE keys are
 * the client's six counters, its network's six in the same order (empty: it has none), and the
 * flag: what the client has is deleted, and what it had is taken from the network's counter.
 */
struct message_outcome {
	uint64_t serial;
	uint32_t result;	/* enum message_result */
	/* 1: the server lives but would not do a step (out of memory): see reason; else 0 */
	uint32_t was_refused;
	uint32_t seen_before;	/* keys of seen that were there: nothing is owed for them */
	/* round trips, and those of them that failed; a few dozen at most */
	uint32_t calls, failures;
	uint32_t counts[MESSAGE_COUNTS_MAX];	/* enum message_step */
	/* bit i: counts[i] found something that was no count, and replaced it */
	uint32_t replaced;
	struct message_value_of values[MESSAGE_KEYS_MAX];	/* all absent if it failed */
	char reason[MESSAGE_REASON_MAX];	/* printable or not; ends in a NUL */
};

#endif
