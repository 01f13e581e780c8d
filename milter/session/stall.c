/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holds a session's thread for a while, and keeps a list of all that are held, so that they can be
 * woken.
 */
#include "session/stall.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/table.h"

/*
 * Stalls that a network may have however small the budget is: a client may crawl with two sessions.
 */
#define NETWORK_LEAST 2

/* A network that has stalls in progress, or places kept for some. */
struct network_stalls {
	struct prefix prefix;
	unsigned count;
	UT_hash_handle hh;
};

struct stalls {
	const struct clock *clock;
	void (*wakeup)(void);
	pthread_mutex_t mutex;
	_Atomic unsigned budget, active; /* active is the length of list */
	unsigned reserved, refusals;
	bool stopped;
	struct stall *list; /* oldest first */
	struct network_stalls *networks;
};

struct stalls *stalls_new(const struct clock *clock, unsigned budget, void (*wakeup)(void))
{
	struct stalls *stalls = calloc(1, sizeof(*stalls));

	if (stalls == NULL)
		return NULL;
	stalls->clock = clock;
	stalls->budget = budget;
	stalls->wakeup = wakeup;
	pthread_mutex_init(&stalls->mutex, NULL);
	return stalls;
}

void stalls_free(struct stalls *stalls)
{
	if (stalls == NULL)
		return;
	pthread_mutex_destroy(&stalls->mutex);
	free(stalls);
}

/* Stalls that may be in progress at once before one with this share begins. */
static unsigned room_for(unsigned budget, enum stall_share share)
{
	switch (share) {
	case STALL_REFUSAL:
	case STALL_FIRST_HALF:
		return (budget + 1) / 2;
	case STALL_ORDINARY:
		return budget - budget / 8;
	case STALL_RESERVE:
	case STALL_DISPLACING:
		break;
	}
	return budget;
}

/*
 * A network's stalls, to which one is added; NULL if it has a quarter of the budget already, or
 * without memory.
 */
static struct network_stalls *join_network(struct stalls *stalls, const struct prefix *prefix,
					   unsigned budget)
{
	unsigned most = budget / 4 > NETWORK_LEAST ? budget / 4 : NETWORK_LEAST;
	struct network_stalls *network;

	HASH_FIND(hh, stalls->networks, prefix, sizeof(*prefix), network);
	if (network != NULL) {
		if (network->count >= most)
			return NULL;
		network->count++;
		return network;
	}
	network = calloc(1, sizeof(*network));
	if (network == NULL)
		return NULL;
	network->prefix = *prefix;
	network->count = 1;
	HASH_ADD(hh, stalls->networks, prefix, sizeof(network->prefix), network);
	if (network->hh.tbl != NULL)
		return network;
	free(network);
	return NULL;
}

static void leave_network(struct stalls *stalls, struct network_stalls *network)
{
	if (--network->count > 0)
		return;
	HASH_DEL(stalls->networks, network);
	free(network);
}

static void wake(struct stall *stall, enum stall_end end)
{
	if (stall->woken)
		return;
	stall->woken = true;
	stall->end = end;
	pthread_cond_signal(&stall->wake);
}

static void leave_place(struct stalls *stalls, struct stall *stall)
{
	if (!stall->is_listed)
		return;
	stall->is_listed = false;
	DL_DELETE(stalls->list, stall);
	if (stall->group != NULL)
		leave_network(stalls, stall->group);
	stall->group = NULL;
	stalls->active--;
	stalls->refusals -= stall->is_refusal;
}

/* Ends the newest stall of another client, which is not ending already. False if there is none. */
static bool displace(struct stalls *stalls, const struct prefix *client)
{
	struct stall *stall = stalls->list != NULL ? stalls->list->prev : NULL;

	while (stall != NULL && (stall->woken || prefix_equal(&stall->client, client)))
		stall = stall != stalls->list ? stall->prev : NULL;
	if (stall != NULL)
		wake(stall, STALL_DISPLACED);
	return stall != NULL;
}

/* Sends the 421 that has waited longest, and takes its place. False if none waits. */
static bool displace_refusal(struct stalls *stalls)
{
	struct stall *stall = stalls->refusals > 0 ? stalls->list : NULL;

	while (stall != NULL && !stall->is_refusal)
		stall = stall->next;
	if (stall == NULL)
		return false;
	wake(stall, STALL_DISPLACED);
	leave_place(stalls, stall);
	return true;
}

/*
 * Whether there is room in the budget. One that displaces another stall has it a moment before that
 * is gone.
 */
static bool make_room(struct stalls *stalls, const struct stall *stall, enum stall_share share,
		      unsigned budget)
{
	while (stalls->active >= room_for(budget, share))
		if (share == STALL_REFUSAL || !displace_refusal(stalls))
			break;
	if (stalls->active < room_for(budget, share))
		return true;
	return share == STALL_DISPLACING && displace(stalls, &stall->client);
}

/* Takes a place for a stall; with the mutex held. */
static bool take_place(struct stalls *stalls, struct stall *stall, enum stall_share share)
{
	unsigned budget = stalls_budget(stalls);

	if (!make_room(stalls, stall, share, budget))
		return false;
	stall->group = NULL;
	/* A refusal is in nobody's way, so its network may have more of those. */
	if (stall->reserved == NULL && share != STALL_REFUSAL) {
		stall->group = join_network(stalls, &stall->network,
					    share == STALL_DISPLACING ? UINT_MAX : budget);
		if (stall->group == NULL)
			return false;
	}
	stall->is_listed = true;
	stall->is_refusal = share == STALL_REFUSAL;
	stalls->active++;
	stalls->refusals += stall->is_refusal;
	DL_APPEND(stalls->list, stall);
	return true;
}

bool stall_begin(struct stalls *stalls, struct stall *stall, enum stall_share share)
{
	bool has_place;

	if (clock_cond_init(&stall->wake) != 0)
		return false;
	stall->woken = false;
	stall->end = STALL_ELAPSED;
	stall->began_ms = stalls->clock->mono_ms(stalls->clock);

	pthread_mutex_lock(&stalls->mutex);
	has_place = take_place(stalls, stall, share);
	if (has_place && stalls->stopped) {
		stall->woken = true;
		stall->end = STALL_STOPPED;
	}
	pthread_mutex_unlock(&stalls->mutex);

	if (!has_place)
		pthread_cond_destroy(&stall->wake);
	return has_place;
}

struct network_stalls *stalls_reserve(struct stalls *stalls, const struct prefix *network)
{
	unsigned budget = stalls_budget(stalls);
	struct network_stalls *reserved = NULL;

	pthread_mutex_lock(&stalls->mutex);
	if ((stalls->active < budget || displace_refusal(stalls)) && stalls->reserved < budget)
		reserved = join_network(stalls, network, budget);
	stalls->reserved += reserved != NULL;
	pthread_mutex_unlock(&stalls->mutex);
	return reserved;
}

void stalls_unreserve(struct stalls *stalls, struct network_stalls *reserved)
{
	if (reserved == NULL)
		return;
	pthread_mutex_lock(&stalls->mutex);
	leave_network(stalls, reserved);
	stalls->reserved--;
	pthread_mutex_unlock(&stalls->mutex);
}

enum stall_end stall_wait(struct stalls *stalls, struct stall *stall, int64_t *waited_ms)
{
	const struct clock *clock = stalls->clock;
	int64_t end_ms = stall->began_ms + stall->delay_ms;

	if (stalls->wakeup != NULL)
		stalls->wakeup();

	pthread_mutex_lock(&stalls->mutex);
	while (!stall->woken && clock->mono_ms(clock) < end_ms)
		clock->wait_until(clock, &stall->wake, &stalls->mutex, end_ms);
	leave_place(stalls, stall);
	pthread_mutex_unlock(&stalls->mutex);

	pthread_cond_destroy(&stall->wake);
	*waited_ms = clock->mono_ms(clock) - stall->began_ms;
	return stall->end;
}

void stall_wake(struct stalls *stalls, struct stall *stall)
{
	pthread_mutex_lock(&stalls->mutex);
	wake(stall, STALL_FORGIVEN);
	pthread_mutex_unlock(&stalls->mutex);
}

unsigned stalls_forgive(struct stalls *stalls, const struct prefix *client)
{
	struct stall *stall;
	unsigned count = 0;

	pthread_mutex_lock(&stalls->mutex);
	DL_FOREACH(stalls->list, stall)
	{
		if (!prefix_equal(&stall->client, client))
			continue;
		wake(stall, STALL_FORGIVEN);
		count++;
	}
	pthread_mutex_unlock(&stalls->mutex);
	return count;
}

unsigned stalls_stop(struct stalls *stalls)
{
	struct stall *stall;
	unsigned count;

	pthread_mutex_lock(&stalls->mutex);
	stalls->stopped = true;
	count = stalls->active;
	DL_FOREACH(stalls->list, stall)
	{
		wake(stall, STALL_STOPPED);
	}
	pthread_mutex_unlock(&stalls->mutex);
	return count;
}

size_t stalls_list(struct stalls *stalls, struct stall_row *rows, size_t max)
{
	int64_t now_ms = stalls->clock->mono_ms(stalls->clock);
	const struct stall *stall;
	size_t count = 0;

	pthread_mutex_lock(&stalls->mutex);
	DL_FOREACH(stalls->list, stall)
	{
		if (count == max)
			break;
		rows[count++] = (struct stall_row){
			.client = stall->client,
			.address = stall->address,
			.stage = stall->stage,
			.delay_ms = stall->delay_ms,
			.waited_ms = now_ms > stall->began_ms ? now_ms - stall->began_ms : 0,
			.score = stall->score,
		};
	}
	pthread_mutex_unlock(&stalls->mutex);
	return count;
}

void stalls_set_budget(struct stalls *stalls, unsigned budget)
{
	atomic_store(&stalls->budget, budget);
}

unsigned stalls_budget(const struct stalls *stalls)
{
	return atomic_load(&stalls->budget);
}

unsigned stalls_active(const struct stalls *stalls)
{
	return atomic_load(&stalls->active);
}
