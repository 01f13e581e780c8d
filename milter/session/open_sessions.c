/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/open_sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/table.h"

/* The open sessions of one client; there is one as long as there is a session. */
struct client_sessions {
	struct prefix client;
	struct open_session *list; /* oldest first */
	UT_hash_handle hh;
};

struct open_sessions {
	pthread_mutex_t mutex;
	struct client_sessions *groups;
};

struct open_sessions *open_sessions_new(void)
{
	struct open_sessions *peers = calloc(1, sizeof(*peers));

	if (peers != NULL)
		pthread_mutex_init(&peers->mutex, NULL);
	return peers;
}

void open_sessions_free(struct open_sessions *peers)
{
	struct client_sessions *group, *next;

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

static struct client_sessions *find(const struct open_sessions *peers, const struct prefix *client)
{
	struct client_sessions *group;

	HASH_FIND(hh, peers->groups, client, sizeof(*client), group);
	return group;
}

static struct client_sessions *find_or_add(struct open_sessions *peers, const struct prefix *client)
{
	struct client_sessions *group = find(peers, client);

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

void open_sessions_join(struct open_sessions *peers, struct open_session *peer,
			const struct prefix *client)
{
	pthread_mutex_lock(&peers->mutex);
	peer->group = find_or_add(peers, client);
	if (peer->group != NULL)
		DL_APPEND(peer->group->list, peer);
	pthread_mutex_unlock(&peers->mutex);
}

void open_sessions_leave(struct open_sessions *peers, struct open_session *peer)
{
	struct client_sessions *group = peer->group;

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

unsigned open_sessions_mark(struct open_sessions *peers, const struct prefix *client)
{
	const struct client_sessions *group;
	struct open_session *peer;
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

unsigned open_sessions_count(struct open_sessions *peers, const struct prefix *client)
{
	const struct client_sessions *group;
	const struct open_session *peer;
	unsigned count = 0;

	pthread_mutex_lock(&peers->mutex);
	group = find(peers, client);
	for (peer = group != NULL ? group->list : NULL; peer != NULL; peer = peer->next)
		count++;
	pthread_mutex_unlock(&peers->mutex);
	return count;
}

bool open_sessions_has_older(struct open_sessions *peers, const struct open_session *peer,
			     unsigned limit)
{
	unsigned older = 0;

	if (peer->group == NULL)
		return false;
	pthread_mutex_lock(&peers->mutex);
	for (const struct open_session *p = peer->group->list; p != peer && older < limit;
	     p = p->next)
		older++;
	pthread_mutex_unlock(&peers->mutex);
	return older >= limit;
}
