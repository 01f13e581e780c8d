/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a session or the keeper wants of a server: the request for a worker, and what its outcome
 * means.
 */
#ifndef TARPIT_MEMCACHED_ERRAND_H
#define TARPIT_MEMCACHED_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "store/debts.h"
#include "store/memory.h"
#include "store/store.h"

struct errand {
	/* its key_prefix is the caller's, and not looked at again */
	struct store_query query;
	/*
	 * What counts of the request are: the first few of each recipient, the others of the
	 * client's history.
	 */
	struct debts debts;
	size_t debts_each;
	bool is_of_client;		/* keys are those of query's client */
	struct message_request request;	/* all but its serial and timeout */
};

/* A look-up that only asks whether the server answers. */
void errand_probe(struct errand *errand, const char *key_prefix);
void errand_look_up(struct errand *errand, const struct store_query *query);
/*
 * Counts an event, and looks up then. An offence takes the history that memory has of the client
 * along.
 */
void errand_record(struct errand *errand, const struct store_query *query,
		   const struct store_event *event, struct store *memory);
/* The same for recipients that earn credit, MESSAGE_SEEN_MAX at most. */
void errand_credit(struct errand *errand, const struct store_query *query,
		   const struct store_recipient *recipients, size_t count);
/* Asks which process the server is. */
void errand_identify(struct errand *errand);
/* A server's process: its number, and when it was started, within a second or two (monotonic). */
struct server_identity {
	uint64_t pid;		/* 0: not known */
	int64_t earliest_ms, latest_ms;
};
/* False if the server does not say. */
bool errand_identity(const struct message_outcome *outcome, int64_t asked_ms, int64_t answered_ms,
		     struct server_identity *identity);
/*
 * Tells a server that has been started anew what it had counted of a client or network: of all
 * hosts, only the first does.
 */
void errand_restate(struct errand *errand, const struct memory_debt *known, const char *key_prefix,
		    uint32_t window_s);
/* Counts what is owed. */
void errand_pay(struct errand *errand, const struct debts *debts, const char *key_prefix,
		uint32_t window_s);
/* By an administrator: until_s is seconds since the epoch. */
void errand_flag(struct errand *errand, const struct store_query *query, int64_t until_s);
void errand_forgive(struct errand *errand, const struct store_query *query);

/*
 * Takes note of an outcome, once for each errand: in memory, where owner is the server's number, in
 * the statistics, and in the log under the server's name. Thread-safe.
 */
void errand_finish(const struct errand *errand, const struct message_outcome *outcome,
		   struct store *memory, unsigned owner, const char *server);
/* What a look-up or a record found. */
void errand_view(const struct errand *errand, const struct message_outcome *outcome,
		 struct store_view *view);

#endif
