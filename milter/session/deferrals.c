/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps clients that were answered 421 in a hash table, in the order of their last one. */
#include "session/deferrals.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/table.h"

/* A client's 421s get one log line in this time. */
#define LINE_EVERY_MS 60000
/* Sessions that are let in after so long a time, and as long. */
#define LET_IN 2
/*
 * So many times that time without a 421 and the client has gone away. RFC 5321 (4.5.4.1) has
 * senders wait for half an hour and more before they try again: with 1, those would never be let
 * in.
 */
#define AWAY 8
/* Clients that a flush tells of between two moments without the lock. */
#define FLUSH_STEP 64

/* since_ms of a client that has been served since. */
#define NOT_SHUT_OUT INT64_MAX

struct deferred {
	struct deferral last; /* its count is what is untold */
	int64_t told_ms, since_ms, last_ms;
	unsigned places; /* sessions that may still come in, until */
	int64_t places_end_ms;
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

/*
 * False if 421s of the client that would be forgotten have not been told of: the log's counts are
 * to add up.
 */
static bool make_room(struct deferrals *deferrals)
{
	if (HASH_COUNT(deferrals->clients) < deferrals->max)
		return true;
	if (deferrals->clients == NULL || deferrals->clients->last.decision.count > 0)
		return false;
	drop(deferrals, deferrals->clients);
	return true;
}

/* The client's entry, as the last that would be forgotten; NULL without memory or room. */
static struct deferred *renew(struct deferrals *deferrals, const struct prefix *client,
			      int64_t now_ms)
{
	struct deferred *deferred = find(deferrals, client);

	if (deferred != NULL) {
		HASH_DEL(deferrals->clients, deferred);
	} else {
		deferred = make_room(deferrals) ? calloc(1, sizeof(*deferred)) : NULL;
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

/*
 * After a change of the mode: no line tells both of 421s that were sent and of those that would
 * have been.
 */
static bool is_of_other_mode(const struct deferred *deferred, const struct deferral *deferral)
{
	return deferred->last.decision.count > 0 &&
	       deferred->last.decision.action != deferral->decision.action;
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
	}
	if (deferred != NULL && !is_of_other_mode(deferred, deferral)) {
		add_untold(deferrals, deferred, deferral);
		count = now_ms - deferred->told_ms >= LINE_EVERY_MS
				? take_untold(deferrals, deferred, now_ms)
				: 0;
	}
	pthread_mutex_unlock(&deferrals->mutex);
	return count;
}

static bool let_in(struct deferred *deferred, int64_t now_ms, int64_t longest_ms)
{
	if (now_ms - deferred->last_ms >= AWAY * longest_ms)
		deferred->since_ms = NOT_SHUT_OUT;
	if (deferred->since_ms != NOT_SHUT_OUT && now_ms - deferred->since_ms >= longest_ms) {
		deferred->since_ms = NOT_SHUT_OUT;
		deferred->places = LET_IN;
		deferred->places_end_ms = now_ms + longest_ms;
	}
	if (deferred->places == 0 || now_ms >= deferred->places_end_ms)
		return false;
	deferred->places--;
	return true;
}

bool deferrals_let_in(struct deferrals *deferrals, const struct prefix *client, int64_t now_ms,
		      int64_t longest_ms)
{
	struct deferred *deferred;
	bool is_let_in;

	pthread_mutex_lock(&deferrals->mutex);
	deferred = find(deferrals, client);
	is_let_in = deferred != NULL && let_in(deferred, now_ms, longest_ms);
	pthread_mutex_unlock(&deferrals->mutex);
	return is_let_in;
}

void deferrals_end(struct deferrals *deferrals, const struct prefix *client)
{
	struct deferred *deferred;

	pthread_mutex_lock(&deferrals->mutex);
	deferred = find(deferrals, client);
	if (deferred != NULL)
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
