/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One memcached server as sessions see it: a queue of questions, the threads that put them, and a
 * circuit breaker. A server that fails is left alone by all sessions at once; a thread of its own,
 * the keeper, tries it again and tells it what was counted meanwhile.
 */
#ifndef TARPIT_MEMCACHED_UPSTREAM_H
#define TARPIT_MEMCACHED_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct errand;
struct link_login;
struct upstream;

enum upstream_answer {
	UPSTREAM_ANSWERED,	/* the errand holds it */
	UPSTREAM_NOT_ASKED,	/* nobody has taken the question up: the caller counts the event */
	UPSTREAM_LATE,		/* it will be counted, or has been, or is owed: the caller must not */
};

/*
 * Starts threads; signals should be blocked. What login points to must outlive it. memory is what the keeper finds debts in, under number as
 * the owner. wakeup is called by who has to wait long. NULL with the reason in error.
 */
struct upstream *upstream_start(const char *name, unsigned number, const struct link_login *login,
				struct store *memory, const struct config *config,
				void (*wakeup)(void), char *error, size_t size);
/* Ends its threads: waits for calls under way. */
void upstream_stop(struct upstream *upstream);

/*
 * Has an errand run, and fills in its answer. Waits for memcached_timeout at most, for an administrator's
 * errand some times as long; not at all while the server is down. Thread-safe. counted is true unless the
 * server said otherwise.
 */
enum upstream_answer upstream_ask(struct upstream *upstream, struct errand *errand);

/* Thread-safe, all of these. */
bool upstream_is_up(struct upstream *upstream);
void upstream_configure(struct upstream *upstream, const struct config *config);
/* Waits until it has been tried for the first time, at most so long. */
void upstream_await_probe(struct upstream *upstream, int64_t timeout_ms);
unsigned upstream_number(const struct upstream *upstream);

#endif
