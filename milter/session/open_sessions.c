/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups the open sessions by client, in a hash table of lists. */
#include "session/open_sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/table.h"

/* The open sessions of one client; the group is freed with the last of them. */
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
	struct open_sessions *all = calloc(1, sizeof(*all));

	if (all != NULL)
		pthread_mutex_init(&all->mutex, NULL);
	return all;
}

void open_sessions_free(struct open_sessions *all)
{
	struct client_sessions *group, *next;

	if (all == NULL)
		return;
	HASH_ITER(hh, all->groups, group, next)
	{
		HASH_DEL(all->groups, group);
		free(group);
	}
	pthread_mutex_destroy(&all->mutex);
	free(all);
}

static struct client_sessions *find(const struct open_sessions *all, const struct prefix *client)
{
	struct client_sessions *group;

	HASH_FIND(hh, all->groups, client, sizeof(*client), group);
	return group;
}

static struct client_sessions *find_or_add(struct open_sessions *all, const struct prefix *client)
{
	struct client_sessions *group = find(all, client);

	if (group != NULL)
		return group;
	group = calloc(1, sizeof(*group));
	if (group == NULL)
		return NULL;
	group->client = *client;
	HASH_ADD(hh, all->groups, client, sizeof(group->client), group);
	if (group->hh.tbl == NULL) {
		free(group);
		return NULL;
	}
	return group;
}

void open_sessions_join(struct open_sessions *all, struct open_session *session,
			const struct prefix *client)
{
	pthread_mutex_lock(&all->mutex);
	session->group = find_or_add(all, client);
	if (session->group != NULL)
		DL_APPEND(session->group->list, session);
	pthread_mutex_unlock(&all->mutex);
}

void open_sessions_leave(struct open_sessions *all, struct open_session *session)
{
	struct client_sessions *group = session->group;

	if (group == NULL)
		return;
	pthread_mutex_lock(&all->mutex);
	DL_DELETE(group->list, session);
	session->group = NULL;
	if (group->list == NULL) {
		HASH_DEL(all->groups, group);
		free(group);
	}
	pthread_mutex_unlock(&all->mutex);
}

unsigned open_sessions_mark(struct open_sessions *all, const struct prefix *client,
			    const struct open_session *except)
{
	const struct client_sessions *group;
	struct open_session *session;
	unsigned count = 0;

	pthread_mutex_lock(&all->mutex);
	group = find(all, client);
	for (session = group != NULL ? group->list : NULL; session != NULL;
	     session = session->next, count++)
		if (session != except)
			atomic_store(&session->is_marked, true);
	pthread_mutex_unlock(&all->mutex);
	return count;
}

unsigned open_sessions_count(struct open_sessions *all, const struct prefix *client)
{
	const struct client_sessions *group;
	const struct open_session *session;
	unsigned count = 0;

	pthread_mutex_lock(&all->mutex);
	group = find(all, client);
	for (session = group != NULL ? group->list : NULL; session != NULL; session = session->next)
		count++;
	pthread_mutex_unlock(&all->mutex);
	return count;
}

bool open_sessions_has_older(struct open_sessions *all, const struct open_session *session,
			     unsigned limit)
{
	unsigned older = 0;

	if (session->group == NULL)
		return false;
	pthread_mutex_lock(&all->mutex);
	for (const struct open_session *p = session->group->list; p != session && older < limit;
	     p = p->next)
		older++;
	pthread_mutex_unlock(&all->mutex);
	return older >= limit;
}
