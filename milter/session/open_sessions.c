/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/open_sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/table.h"

/* The open sessions of one client; there is one as long as there is a session. */
struct peer_group {
	struct prefix client;
	struct peer *list; /* oldest first */
	UT_hash_handle hh;
};

struct peers {
	pthread_mutex_t mutex;
	struct peer_group *groups;
};

struct peers *peers_new(void)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (peers != NULL)
		pthread_mutex_init(&peers->mutex, NULL);
	return peers;
}

void peers_free(struct peers *peers)
{
	struct peer_group *group, *next;

	if (peers == NULL)
		return;
	HASH_ITER(hh, peers->groups, group, next)
	{
		HASH_DEL(peers->groups, group);
		free(group);
	}
	pthread_mutex_destroy(&peers->mutex);
	free(peers);
}

static struct peer_group *find(const struct peers *peers, const struct prefix *client)
{
	struct peer_group *group;

	HASH_FIND(hh, peers->groups, client, sizeof(*client), group);
	return group;
}

static struct peer_group *find_or_add(struct peers *peers, const struct prefix *client)
{
	struct peer_group *group = find(peers, client);

	if (group != NULL)
		return group;
	group = calloc(1, sizeof(*group));
	if (group == NULL)
		return NULL;
	group->client = *client;
	HASH_ADD(hh, peers->groups, client, sizeof(group->client), group);
	if (group->hh.tbl == NULL) {
		free(group);
		return NULL;
	}
	return group;
}

void peers_join(struct peers *peers, struct peer *peer, const struct prefix *client)
{
	pthread_mutex_lock(&peers->mutex);
	peer->group = find_or_add(peers, client);
	if (peer->group != NULL)
		DL_APPEND(peer->group->list, peer);
	pthread_mutex_unlock(&peers->mutex);
}

void peers_leave(struct peers *peers, struct peer *peer)
{
	struct peer_group *group = peer->group;

	if (group == NULL)
		return;
	pthread_mutex_lock(&peers->mutex);
	DL_DELETE(group->list, peer);
	peer->group = NULL;
	if (group->list == NULL) {
		HASH_DEL(peers->groups, group);
		free(group);
	}
	pthread_mutex_unlock(&peers->mutex);
}

unsigned peers_mark(struct peers *peers, const struct prefix *client)
{
	const struct peer_group *group;
	struct peer *peer;
	unsigned count = 0;

	pthread_mutex_lock(&peers->mutex);
	group = find(peers, client);
	for (peer = group != NULL ? group->list : NULL; peer != NULL; peer = peer->next) {
		atomic_store(&peer->is_marked, true);
		count++;
	}
	pthread_mutex_unlock(&peers->mutex);
	return count;
}

unsigned peers_count(struct peers *peers, const struct prefix *client)
{
	const struct peer_group *group;
	const struct peer *peer;
	unsigned count = 0;

	pthread_mutex_lock(&peers->mutex);
	group = find(peers, client);
	for (peer = group != NULL ? group->list : NULL; peer != NULL; peer = peer->next)
		count++;
	pthread_mutex_unlock(&peers->mutex);
	return count;
}

bool peers_has_older(struct peers *peers, const struct peer *peer, unsigned limit)
{
	unsigned older = 0;

	if (peer->group == NULL)
		return false;
	pthread_mutex_lock(&peers->mutex);
	for (const struct peer *p = peer->group->list; p != peer && older < limit; p = p->next)
		older++;
	pthread_mutex_unlock(&peers->mutex);
	return older >= limit;
}
