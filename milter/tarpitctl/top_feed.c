/* SPDX-License-Identifier: BSD-2-Clause */
#include "top.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "ask.h"

#define INTERVAL_MS 1000

struct top_feed {
	pthread_mutex_t mutex;
	pthread_cond_t change;
	int event; /* eventfd: there is news */
	char *path;
	struct ctl_link *link; /* the thread's alone */
	/* Below the mutex. */
	int users; /* the last one frees it */
	bool stopped, paused, has_news;
	int clients;
	struct top_answers news;
};

static int64_t mono_ms(void)
{
	return clock_system.mono_ms(&clock_system);
}

void top_answers_clear(struct top_answers *answers)
{
	json_decref(answers->status);
	json_decref(answers->stalls);
	json_decref(answers->list);
	*answers = (struct top_answers){0};
}

/* --- asking once */

/* The status with which the daemon says no; nonsense is as good as no daemon. */
static int refusal_status(const json_t *answer)
{
	json_int_t status = json_integer_value(json_object_get(answer, "status"));

	return status > 0 && status < 126 ? (int)status : EX_UNAVAILABLE;
}

/* NULL with the reason and the status in answers. */
static json_t *ask(struct ctl_link *link, json_t *request, struct top_answers *answers)
{
	json_t *answer = NULL;
	const char *error;

	answers->exit_status = EX_UNAVAILABLE;
	if (request == NULL)
		snprintf(answers->error, sizeof(answers->error), "out of memory");
	else
		answer = ctl_ask(link, request, answers->error, sizeof(answers->error));
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

static bool ask_all(struct ctl_link *link, int clients, struct top_answers *answers)
{
	answers->status = ask(link, json_pack("{s:s}", "command", "status"), answers);
	if (answers->status == NULL)
		return false;
	answers->status_ms = mono_ms();
	answers->stalls = ask(link, json_pack("{s:s}", "command", "stalls"), answers);
	if (answers->stalls == NULL)
		return false;
	answers->stalls_ms = mono_ms();
	answers->list =
		ask(link, json_pack("{s:s,s:i}", "command", "list", "count", clients), answers);
	return answers->list != NULL;
}

static bool connect_and_ask(struct ctl_link **link, const char *path, int clients,
			    struct top_answers *answers)
{
	*answers = (struct top_answers){.exit_status = EX_UNAVAILABLE};
	if (*link == NULL)
		*link = ctl_connect(path, answers->error, sizeof(answers->error));
	if (*link == NULL)
		return false;
	if (ask_all(*link, clients, answers)) {
		answers->exit_status = EX_OK;
		answers->error[0] = '\0';
		return true;
	}
	ctl_close(*link);
	*link = NULL;
	if (answers->error[0] == '\0')
		snprintf(answers->error, sizeof(answers->error), "no answer");
	return false;
}

bool top_ask(struct ctl_link **link, const char *path, int clients, struct top_answers *answers)
{
	bool reused = *link != NULL;
	int64_t began_ms = mono_ms();

	if (connect_and_ask(link, path, clients, answers))
		return true;
	/* A daemon that was restarted, or found us idle, has hung up and is there again. */
	if (!reused || mono_ms() - began_ms >= INTERVAL_MS)
		return false;
	top_answers_clear(answers);
	return connect_and_ask(link, path, clients, answers);
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
	top_answers_clear(&feed->news);
	ctl_close(feed->link);
	close(feed->event);
	pthread_cond_destroy(&feed->change);
	pthread_mutex_destroy(&feed->mutex);
	free(feed->path);
	free(feed);
}

/* False if it is time to end. */
static bool wait_for_turn(struct top_feed *feed, int64_t due_ms, int *clients)
{
	bool goes_on;

	pthread_mutex_lock(&feed->mutex);
	while (!feed->stopped && (feed->paused || mono_ms() < due_ms)) {
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
	top_answers_clear(&feed->news);
	feed->news = *answers;
	feed->has_news = true;
	pthread_mutex_unlock(&feed->mutex);
	if (write(feed->event, &one, sizeof(one)) < 0)
		return; /* it cannot but be readable already */
}

static void *serve(void *arg)
{
	struct top_feed *feed = arg;
	int64_t due_ms = mono_ms() + INTERVAL_MS;
	int clients;

	while (wait_for_turn(feed, due_ms, &clients)) {
		struct top_answers answers;

		due_ms = mono_ms() + INTERVAL_MS;
		top_ask(&feed->link, feed->path, clients, &answers);
		post(feed, &answers);
	}
	release(feed);
	return NULL;
}

/* The screen's thread takes all signals. */
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

struct top_feed *top_feed_start(const char *path, struct ctl_link *link)
{
	struct top_feed *feed = calloc(1, sizeof(*feed));

	if (feed == NULL) {
		ctl_close(link);
		return NULL;
	}
	pthread_mutex_init(&feed->mutex, NULL);
	clock_cond_init(&feed->change);
	feed->link = link;
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
	bool has_news;
	uint64_t count;

	if (read(feed->event, &count, sizeof(count)) < 0)
		return false;
	pthread_mutex_lock(&feed->mutex);
	has_news = feed->has_news;
	if (has_news) {
		*answers = feed->news;
		feed->news = (struct top_answers){0};
		feed->has_news = false;
	}
	pthread_mutex_unlock(&feed->mutex);
	return has_news;
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
