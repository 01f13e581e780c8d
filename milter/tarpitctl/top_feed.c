/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks status, stalls and list, in a thread that outlives the screen if the daemon is silent. */
#include "top_feed.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "base/clock.h"

#define INTERVAL_MS 1000

struct top_feed {
	pthread_mutex_t mutex;
	pthread_cond_t change;
	int event; /* an eventfd: readable once there are new answers */
	char *path;
	int connection; /* the thread's alone; -1: none */
	/* The mutex guards the rest. */
	int users; /* the thread and the screen: the last one frees the feed */
	bool stopped, paused, has_answers;
	int clients;
	struct top_answers answers;
};

void top_feed_clear(struct top_answers *answers)
{
	json_decref(answers->status);
	json_decref(answers->stalls);
	json_decref(answers->list);
	*answers = (struct top_answers){0};
}

/* --- asking once */

/* The status of a refusal, if that is one that a process can exit with. */
static int refusal_status(const json_t *answer)
{
	json_int_t status = json_integer_value(json_object_get(answer, "status"));

	return status > 0 && status < 126 ? (int)status : EX_UNAVAILABLE;
}

/* Releases the request. NULL with the reason and the status in answers. */
static json_t *ask(int connection, json_t *request, struct top_answers *answers)
{
	json_t *answer = NULL;
	const char *error;

	answers->exit_status = EX_UNAVAILABLE;
	if (request == NULL)
		snprintf(answers->error, sizeof(answers->error), "out of memory");
	else
		answer = ask_daemon(connection, request, answers->error, sizeof(answers->error));
	json_decref(request);
	if (answer == NULL || json_is_true(json_object_get(answer, "ok")))
		return answer;
	error = json_string_value(json_object_get(answer, "error"));
	snprintf(answers->error, sizeof(answers->error), "%s",
		 error != NULL && *error != '\0' ? error : "the daemon does not answer that");
	answers->exit_status = refusal_status(answer);
	json_decref(answer);
	return NULL;
}

static bool ask_all(int connection, int clients, struct top_answers *answers)
{
	answers->status = ask(connection, json_pack("{s:s}", "command", "status"), answers);
	if (answers->status == NULL)
		return false;
	answers->status_ms = clock_now_ms();
	answers->stalls = ask(connection, json_pack("{s:s}", "command", "stalls"), answers);
	if (answers->stalls == NULL)
		return false;
	answers->stalls_ms = clock_now_ms();
	answers->list = ask(connection, json_pack("{s:s,s:i}", "command", "list", "count", clients),
			    answers);
	return answers->list != NULL;
}

static bool connect_and_ask(int *connection, const char *path, int clients,
			    struct top_answers *answers)
{
	*answers = (struct top_answers){.exit_status = EX_UNAVAILABLE};
	if (*connection < 0)
		*connection = ask_connect(path, answers->error, sizeof(answers->error));
	if (*connection < 0)
		return false;
	if (ask_all(*connection, clients, answers)) {
		answers->exit_status = EX_OK;
		answers->error[0] = '\0';
		return true;
	}
	close(*connection);
	*connection = -1;
	if (answers->error[0] == '\0')
		snprintf(answers->error, sizeof(answers->error), "no answer");
	return false;
}

bool top_feed_ask(int *connection, const char *path, int clients, struct top_answers *answers)
{
	bool is_reused = *connection >= 0;
	int64_t began_ms = clock_now_ms();

	if (connect_and_ask(connection, path, clients, answers))
		return true;
	/* A daemon that was restarted, or that hangs up on idle clients, takes a new connection. */
	if (!is_reused || clock_now_ms() - began_ms >= INTERVAL_MS)
		return false;
	top_feed_clear(answers);
	return connect_and_ask(connection, path, clients, answers);
}

/* --- asking each second */

static void release(struct top_feed *feed)
{
	bool is_last;

	pthread_mutex_lock(&feed->mutex);
	is_last = --feed->users == 0;
	pthread_mutex_unlock(&feed->mutex);
	if (!is_last)
		return;
	top_feed_clear(&feed->answers);
	if (feed->connection >= 0)
		close(feed->connection);
	close(feed->event);
	pthread_cond_destroy(&feed->change);
	pthread_mutex_destroy(&feed->mutex);
	free(feed->path);
	free(feed);
}

/* Waits until it is time to ask; false if the feed is stopped. */
static bool wait_for_turn(struct top_feed *feed, int64_t due_ms, int *clients)
{
	bool goes_on;

	pthread_mutex_lock(&feed->mutex);
	while (!feed->stopped && (feed->paused || clock_now_ms() < due_ms)) {
		if (feed->paused)
			pthread_cond_wait(&feed->change, &feed->mutex);
		else
			clock_system.wait_until(&clock_system, &feed->change, &feed->mutex, due_ms);
	}
	goes_on = !feed->stopped;
	*clients = feed->clients;
	pthread_mutex_unlock(&feed->mutex);
	return goes_on;
}

static void post(struct top_feed *feed, const struct top_answers *answers)
{
	uint64_t one = 1;

	pthread_mutex_lock(&feed->mutex);
	top_feed_clear(&feed->answers);
	feed->answers = *answers;
	feed->has_answers = true;
	pthread_mutex_unlock(&feed->mutex);
	if (write(feed->event, &one, sizeof(one)) < 0)
		return; /* the counter is full, so the descriptor is readable already */
}

static void *serve(void *arg)
{
	struct top_feed *feed = arg;
	int64_t due_ms = clock_now_ms() + INTERVAL_MS;
	int clients;

	while (wait_for_turn(feed, due_ms, &clients)) {
		struct top_answers answers;

		due_ms = clock_now_ms() + INTERVAL_MS;
		top_feed_ask(&feed->connection, feed->path, clients, &answers);
		post(feed, &answers);
	}
	release(feed);
	return NULL;
}

/* Blocks all signals in the thread: they are for the screen. */
static int start_thread(struct top_feed *feed)
{
	sigset_t all, before;
	pthread_t thread;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, serve, feed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_detach(thread);
	return error;
}

struct top_feed *top_feed_start(const char *path, int connection)
{
	struct top_feed *feed = calloc(1, sizeof(*feed));

	if (feed == NULL) {
		if (connection >= 0)
			close(connection);
		return NULL;
	}
	pthread_mutex_init(&feed->mutex, NULL);
	clock_cond_init(&feed->change);
	feed->connection = connection;
	feed->path = strdup(path);
	feed->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	feed->clients = TOP_CLIENTS_MAX;
	feed->users = 2;
	if (feed->path != NULL && feed->event >= 0 && start_thread(feed) == 0)
		return feed;
	feed->users = 1;
	release(feed);
	return NULL;
}

int top_feed_descriptor(const struct top_feed *feed)
{
	return feed->event;
}

bool top_feed_take(struct top_feed *feed, struct top_answers *answers)
{
	bool has_answers;
	uint64_t count;

	if (read(feed->event, &count, sizeof(count)) < 0)
		return false;
	pthread_mutex_lock(&feed->mutex);
	has_answers = feed->has_answers;
	if (has_answers) {
		*answers = feed->answers;
		feed->answers = (struct top_answers){0};
		feed->has_answers = false;
	}
	pthread_mutex_unlock(&feed->mutex);
	return has_answers;
}

void top_feed_set(struct top_feed *feed, bool paused, int clients)
{
	pthread_mutex_lock(&feed->mutex);
	feed->paused = paused;
	feed->clients = clients;
	pthread_cond_signal(&feed->change);
	pthread_mutex_unlock(&feed->mutex);
}

void top_feed_stop(struct top_feed *feed)
{
	pthread_mutex_lock(&feed->mutex);
	feed->stopped = true;
	pthread_cond_signal(&feed->change);
	pthread_mutex_unlock(&feed->mutex);
	release(feed);
}
