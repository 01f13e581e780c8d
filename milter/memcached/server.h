/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One memcached server as sessions see it: workers that ask it, and a circuit breaker. A server
 * that fails is left alone by all sessions at once, until its keeper (keeper.h) finds that it
 * answers again.
 */
#ifndef TARPIT_MEMCACHED_SERVER_H
#define TARPIT_MEMCACHED_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"
#include "worker.h"

struct config;
struct ring;
struct server_waiter;

/* Requests of sessions under way to one server; more wait for a worker. */
#define SERVER_WORKERS 8

/* What a reload may change. */
struct server_settings {
	int32_t timeout_ms;
	int64_t retry_ms;
	uint32_t window_s;
	struct client_widths widths;
	char key_prefix[COUNTERS_KEY_PREFIX_MAX + 1];
};

/* What all servers of one store share; outlives them. */
struct server_common {
	char *program;		/* path of tarpit-store */
	char *user;		/* of SASL; NULL: none */
	struct secret *password;
	struct store *memory;	/* what the servers are owed is there */
	struct ring *ring;	/* which server has what */
	void (*wakeup)(void);	/* called by a session that has to wait long; may be NULL */
};

struct server {
	const struct server_common *common;
	char *name;		/* as configured */
	unsigned number;	/* as memory knows it for an owner of debts */
	struct endpoint endpoint;
	int down_fd;		/* an eventfd, readable while the server is down */
	int keeper_fd;		/* an eventfd: there is work for the keeper */
	pthread_t keeper;
	bool has_keeper;

	struct server_identity identity;	/* the keeper's: as the server was found last */

	pthread_mutex_t mutex;	/* over all below */
	struct server_settings settings;
	bool is_up, is_probed, is_stopping;
	bool is_late;		/* at the start, nobody has waited until it was probed */
	unsigned failures;	/* what was asked before the last one tells of that one */
	uint64_t serial;
	int64_t retry_at_ms;	/* when the keeper looks after it next */
	pthread_cond_t probed;
	struct server_waiter *waiters;	/* sessions, first come first served */
	struct worker workers[SERVER_WORKERS];
	struct worker probe;	/* the keeper's own */
};

/*
 * Starts its keeper; signals should be blocked. name is an entry of memcached_servers; common is
 * borrowed. NULL with the reason in error.
 */
struct server *server_start(const char *name, unsigned number, const struct server_common *common,
			    const struct config *config, char *error, size_t size);
/* Ends the keeper and all workers. No session may be asking. */
void server_stop(struct server *server);

/*
 * Asks, and takes note of the outcome (errand_finish). Waits for memcached_timeout at most, for an
 * administrator's errand some times as long; not at all while the server is down. True if it
 * answered. Otherwise what counts is owed or settled, or will be, by the keeper, once the outcome
 * is there; outcome tells then how far it came, or may have come. Thread-safe.
 */
bool server_ask(struct server *server, struct errand *errand, struct message_outcome *outcome);

/* Thread-safe, all of these. */
bool server_is_up(struct server *server);
void server_configure(struct server *server, const struct config *config);
/* Waits until it has been tried for the first time, at most so long. */
void server_await_probe(struct server *server, int64_t timeout_ms);
/* Whether a process is a worker of this server. */
bool server_has_process(struct server *server, pid_t pid);

/* For the keeper, with the mutex held. */
void server_log_state(const struct server *server, const char *reason, bool is_restarted);
void server_set_up(struct server *server);
/* All who wait go on without it now. Does nothing if it is down. */
void server_set_down(struct server *server, const char *reason);
/* The worker is ready for any session. */
void server_give(struct server *server, struct worker *worker);

#endif
