/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps clients that were answered 421 in a hash table, in the order of their last one. */
#include "session/deferrals.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/table.h"

/* A client's 421s get one log line in this time. */
#define LINE_EVERY_MS 60000
/* Sessions that are let in at once. */
#define LET_IN 2
/* Clients that a flush tells of between two moments without the lock. */
#define FLUSH_STEP 64

/* since_ms of a client that has been served since. */
#define NOT_SHUT_OUT INT64_MAX

struct deferred {
	struct deferral last; /* its count is what is untold */
	int64_t told_ms, since_ms, last_ms;
	unsigned let_in;
	UT_hash_handle hh; /* in the order of the last 421 */
};

struct deferrals {
	pthread_mutex_t mutex;
	size_t max;
	struct deferred *clients;
	size_t untold; /* clients with 421s that no line has told of */
};

struct deferrals *deferrals_new(size_t max)
{
	struct deferrals *deferrals = calloc(1, sizeof(*deferrals));

	if (deferrals == NULL)
		return NULL;
	deferrals->max = max;
	pthread_mutex_init(&deferrals->mutex, NULL);
	return deferrals;
}

static void drop(struct deferrals *deferrals, struct deferred *deferred)
{
	deferrals->untold -= deferred->last.decision.count > 0;
	HASH_DEL(deferrals->clients, deferred);
	free(deferred);
}

void deferrals_free(struct deferrals *deferrals)
{
	if (deferrals == NULL)
		return;
	while (deferrals->clients != NULL)
		drop(deferrals, deferrals->clients);
	pthread_mutex_destroy(&deferrals->mutex);
	free(deferrals);
}

static struct deferred *find(const struct deferrals *deferrals, const struct prefix *client)
{
	struct deferred *deferred;

	HASH_FIND(hh, deferrals->clients, client, sizeof(*client), deferred);
	return deferred;
}

/* The client's entry, as the last that would be forgotten; NULL without memory. */
static struct deferred *renew(struct deferrals *deferrals, const struct prefix *client,
			      int64_t now_ms)
{
	struct deferred *deferred = find(deferrals, client);

	if (deferred != NULL) {
		HASH_DEL(deferrals->clients, deferred);
	} else {
		if (HASH_COUNT(deferrals->clients) >= deferrals->max)
			drop(deferrals, deferrals->clients);
		deferred = calloc(1, sizeof(*deferred));
		if (deferred == NULL)
			return NULL;
		deferred->last.client = *client;
		deferred->told_ms = now_ms - LINE_EVERY_MS;
		deferred->since_ms = NOT_SHUT_OUT;
	}
	HASH_ADD(hh, deferrals->clients, last.client, sizeof(deferred->last.client), deferred);
	if (deferred->hh.tbl != NULL)
		return deferred;
	deferrals->untold -= deferred->last.decision.count > 0;
	free(deferred);
	return NULL;
}

/* What a line that is written now tells of. */
static unsigned take_untold(struct deferrals *deferrals, struct deferred *deferred, int64_t now_ms)
{
	unsigned count = deferred->last.decision.count;

	deferrals->untold -= count > 0;
	deferred->last.decision.count = 0;
	deferred->told_ms = now_ms;
	return count;
}

static void add_untold(struct deferrals *deferrals, struct deferred *deferred,
		       const struct deferral *deferral)
{
	unsigned count = deferred->last.decision.count;

	deferrals->untold += count == 0;
	deferred->last = *deferral;
	deferred->last.decision.count = count + 1;
}

unsigned deferrals_note(struct deferrals *deferrals, const struct deferral *deferral,
			int64_t now_ms)
{
	struct deferred *deferred;
	unsigned count = 1;

	pthread_mutex_lock(&deferrals->mutex);
	deferred = renew(deferrals, &deferral->client, now_ms);
	if (deferred != NULL) {
		deferred->last_ms = now_ms;
		if (deferred->since_ms == NOT_SHUT_OUT)
			deferred->since_ms = now_ms;
		add_untold(deferrals, deferred, deferral);
		count = now_ms - deferred->told_ms >= LINE_EVERY_MS
				? take_untold(deferrals, deferred, now_ms)
				: 0;
	}
	pthread_mutex_unlock(&deferrals->mutex);
	return count;
}

bool deferrals_let_in(struct deferrals *deferrals, const struct prefix *client, int64_t now_ms,
		      int64_t longest_ms)
{
	struct deferred *deferred;
	bool is_let_in = false;

	pthread_mutex_lock(&deferrals->mutex);
	deferred = find(deferrals, client);
	if (deferred != NULL && now_ms - deferred->last_ms >= longest_ms) {
		deferred->since_ms = NOT_SHUT_OUT;
		deferred->let_in = 0;
	} else if (deferred != NULL && deferred->since_ms != NOT_SHUT_OUT &&
		   now_ms - deferred->since_ms >= longest_ms) {
		is_let_in = true;
		if (++deferred->let_in == LET_IN) {
			deferred->since_ms = NOT_SHUT_OUT;
			deferred->let_in = 0;
		}
	}
	pthread_mutex_unlock(&deferrals->mutex);
	return is_let_in;
}

void deferrals_end(struct deferrals *deferrals, const struct prefix *client)
{
	struct deferred *deferred;

	pthread_mutex_lock(&deferrals->mutex);
	deferred = find(deferrals, client);
	/* While the first of two waits the other one may still come in. */
	if (deferred != NULL && deferred->let_in == 0)
		deferred->since_ms = NOT_SHUT_OUT;
	pthread_mutex_unlock(&deferrals->mutex);
}

/* Takes some that are to be told of; returns how many. */
static size_t take_some(struct deferrals *deferrals, int64_t now_ms, bool is_end,
			struct deferral *some)
{
	struct deferred *deferred, *next;
	size_t count = 0;

	pthread_mutex_lock(&deferrals->mutex);
	HASH_ITER(hh, deferrals->clients, deferred, next)
	{
		if (deferrals->untold == 0 || count == FLUSH_STEP)
			break;
		if (deferred->last.decision.count == 0 ||
		    (!is_end && now_ms - deferred->told_ms < LINE_EVERY_MS))
			continue;
		some[count++] = deferred->last;
		take_untold(deferrals, deferred, now_ms);
	}
	pthread_mutex_unlock(&deferrals->mutex);
	return count;
}

void deferrals_flush(struct deferrals *deferrals, int64_t now_ms, bool is_end,
		     deferrals_teller *tell, void *arg)
{
	struct deferral some[FLUSH_STEP];
	size_t count;

	do {
		count = take_some(deferrals, now_ms, is_end, some);
		for (size_t i = 0; i < count; i++)
			tell(&some[i], arg);
	} while (count == FLUSH_STEP);
}
