/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks a memcached server for sessions, and takes it out for all of them once it fails. */
#include "server.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "config/config.h"
#include "keeper.h"
#include "outcome.h"

/* A session that waits longer than this for the store looks after those that wait behind it. */
#define WAKEUP_AFTER_MS 2

/* A session that waits for a worker. */
struct server_waiter {
	pthread_cond_t given;
	struct worker *worker;
	struct server_waiter *prev, *next;
};

/* How long a session waits, and whether libmilter has been told so. */
struct waiting {
	int64_t began_ms, until_ms; /* monotonic */
	bool has_nudged;
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void server_log_state(const struct server *server, const char *reason, bool is_restarted)
{
	struct log_line line;

	log_begin(&line, server->is_up ? LOG_NOTICE : LOG_WARNING, "store");
	log_put(&line, "state", "%s", server->is_up ? "up" : "down");
	log_put(&line, "server", "%s", server->name);
	log_put(&line, "reason", "%s", reason);
	if (is_restarted)
		log_put(&line, "restarted", "yes");
	log_end(&line);
}

static void call_keeper(const struct server *server)
{
	(void)eventfd_write(server->keeper_fd, 1);
}

void server_set_up(struct server *server)
{
	eventfd_t ignored;

	(void)eventfd_read(server->down_fd, &ignored);
	server->is_up = true;
}

void server_set_down(struct server *server, const char *reason)
{
	struct server_waiter *waiter;

	if (!server->is_up)
		return;
	server->is_up = false;
	server->failures++;
	server->retry_at_ms = clock_now_ms() + server->settings.retry_ms;
	server_log_state(server, reason, false);
	(void)eventfd_write(server->down_fd, 1);
	DL_FOREACH(server->waiters, waiter)
	{
		pthread_cond_signal(&waiter->given);
	}
	/* Their connections may be dead. */
	for (size_t i = 0; i < SERVER_WORKERS; i++)
		if (server->workers[i].state == WORKER_IDLE)
			server->workers[i].state = WORKER_NEW;
	call_keeper(server);
}

void server_give(struct server *server, struct worker *worker)
{
	struct server_waiter *waiter = server->waiters;

	worker->state = WORKER_IDLE;
	if (waiter == NULL || !server->is_up)
		return;
	worker->state = WORKER_BUSY;
	waiter->worker = worker;
	DL_DELETE(server->waiters, waiter);
	pthread_cond_signal(&waiter->given);
}

static struct worker *find_idle(struct server *server)
{
	for (size_t i = 0; i < SERVER_WORKERS; i++)
		if (server->workers[i].state == WORKER_IDLE)
			return &server->workers[i];
	return NULL;
}

/* When a session that waits has something to do. */
static int64_t next_moment(const struct server *server, const struct waiting *waiting)
{
	return waiting->has_nudged || server->common->wakeup == NULL
		       ? waiting->until_ms
		       : waiting->began_ms + WAKEUP_AFTER_MS;
}

/* Sessions behind this one may be waiting for its thread: see filter_nudge. */
static void nudge(const struct server *server, struct waiting *waiting)
{
	waiting->has_nudged = true;
	if (server->common->wakeup != NULL)
		server->common->wakeup();
}

/* With the mutex held. */
static void await_worker(struct server *server, struct server_waiter *waiter,
			 struct waiting *waiting)
{
	while (waiter->worker == NULL && server->is_up && clock_now_ms() < waiting->until_ms) {
		int64_t moment = next_moment(server, waiting);

		if (clock_now_ms() < moment) {
			clock_system.wait_until(&clock_system, &waiter->given, &server->mutex,
						moment);
			continue;
		}
		pthread_mutex_unlock(&server->mutex);
		nudge(server, waiting);
		pthread_mutex_lock(&server->mutex);
	}
}

/*
 * A worker for this session, with the mutex held; NULL if there is none in time, or the server is
 * down. If not even a worker was free, the server is too slow for what is asked of it: each session
 * would wait in vain.
 */
static struct worker *take_worker(struct server *server, struct waiting *waiting)
{
	struct server_waiter waiter = {.worker = server->is_up ? find_idle(server) : NULL};

	if (waiter.worker != NULL)
		waiter.worker->state = WORKER_BUSY;
	if (waiter.worker != NULL || !server->is_up || clock_cond_init(&waiter.given) != 0)
		return waiter.worker;
	DL_APPEND(server->waiters, &waiter);
	await_worker(server, &waiter, waiting);
	if (waiter.worker == NULL) {
		DL_DELETE(server->waiters, &waiter);
		if (server->is_up) {
			stats_add(STAT_STORE_FAILURES, 1);
			server_set_down(server, "too slow for what is asked of it");
		}
	}
	pthread_cond_destroy(&waiter.given);
	return waiter.worker;
}

/* Waits for an outcome, without the mutex. False if the server went down, or the time is over. */
static bool await_outcome(const struct server *server, const struct worker *worker,
			  struct waiting *waiting)
{
	struct pollfd polls[] = {{.fd = worker->fd, .events = POLLIN},
				 {.fd = server->down_fd, .events = POLLIN}};

	for (;;) {
		int64_t now = clock_now_ms(), moment = next_moment(server, waiting);

		if (poll(polls, 2, moment > now ? (int)(moment - now) : 0) > 0)
			return polls[0].revents != 0;
		if (clock_now_ms() >= waiting->until_ms)
			return false;
		if (clock_now_ms() >= moment)
			nudge(server, waiting);
	}
}

/* The session goes on without the outcome; with the mutex held. */
static void leave_late(struct server *server, struct worker *worker, const struct errand *errand,
		       unsigned failures, int64_t asked_ms)
{
	const struct message_request *request = &errand->request;

	worker->errand = *errand;
	worker->failures = failures;
	worker->kill_at_ms = asked_ms + (int64_t)MESSAGE_TIMEOUTS_MAX * request->timeout_ms;
	worker->state = WORKER_LATE;
	/*
	 * A look-up is one round trip: that was its time. Of others the worker will tell which trip
	 * took too long.
	 */
	if (request->kind == MESSAGE_LOOK_UP && clock_now_ms() >= asked_ms + request->timeout_ms)
		server_set_down(server, "no answer in time");
	call_keeper(server);
}

/* Takes back a worker that has sent an outcome, or ended; with the mutex held. */
static void take_back(struct server *server, struct worker *worker, bool is_lost, unsigned failures,
		      const struct message_outcome *outcome)
{
	bool has_answered = outcome->result == MESSAGE_ANSWERED;

	worker->state = is_lost ? WORKER_LOST : WORKER_NEW;
	/* What was asked before the last failure tells of that one. */
	if (!has_answered && failures == server->failures)
		server_set_down(server, outcome->reason);
	if (has_answered && server->is_up)
		server_give(server, worker);
	else
		call_keeper(server);
}

/* Returns whether the outcome is there; it is the keeper's to read if not. */
static bool ask_worker(struct server *server, struct worker *worker, struct errand *errand,
		       unsigned failures, struct waiting *waiting, struct message_outcome *outcome)
{
	int64_t asked_ms = clock_now_ms(), asked_us = now_us();
	bool is_sent = worker_send(worker, &errand->request, outcome), is_lost = !is_sent;

	if (is_sent && !await_outcome(server, worker, waiting)) {
		pthread_mutex_lock(&server->mutex);
		leave_late(server, worker, errand, failures, asked_ms);
		pthread_mutex_unlock(&server->mutex);
		return false;
	}
	if (is_sent)
		is_lost = !worker_receive(worker, &errand->request, outcome);
	if (is_sent && errand->request.kind <= MESSAGE_RECORD)
		stats_observe(HISTOGRAM_STORE, now_us() - asked_us);
	pthread_mutex_lock(&server->mutex);
	take_back(server, worker, is_lost, failures, outcome);
	pthread_mutex_unlock(&server->mutex);
	return true;
}

/* An administrator's errand takes many round trips, and delays no mail. */
static int timeouts_of(const struct errand *errand)
{
	return errand->request.kind <= MESSAGE_RECORD ? 1 : MESSAGE_TIMEOUTS_MAX;
}

bool server_ask(struct server *server, struct errand *errand, struct message_outcome *outcome)
{
	struct waiting waiting = {.began_ms = clock_now_ms()};
	struct worker *worker;
	unsigned failures;

	outcome_not_asked(outcome, "down");
	pthread_mutex_lock(&server->mutex);
	errand->request.timeout_ms = server->settings.timeout_ms;
	errand->request.serial = ++server->serial;
	waiting.until_ms =
		waiting.began_ms + (int64_t)timeouts_of(errand) * errand->request.timeout_ms;
	worker = take_worker(server, &waiting);
	failures = server->failures;
	pthread_mutex_unlock(&server->mutex);
	if (worker != NULL && !ask_worker(server, worker, errand, failures, &waiting, outcome)) {
		outcome_lost(outcome, "no answer yet");
		return false;
	}
	errand_finish(errand, outcome, server->common->memory, server->number, server->name);
	return outcome->result == MESSAGE_ANSWERED;
}

bool server_is_up(struct server *server)
{
	bool is_up;

	pthread_mutex_lock(&server->mutex);
	is_up = server->is_up;
	pthread_mutex_unlock(&server->mutex);
	return is_up;
}

void server_configure(struct server *server, const struct config *config)
{
	struct server_settings *settings = &server->settings;

	pthread_mutex_lock(&server->mutex);
	settings->timeout_ms = (int32_t)config->memcached_timeout_ms;
	settings->retry_ms = config->memcached_retry_ms;
	settings->window_s = config->window_s;
	settings->widths = config->widths;
	/* They are the configuration's, which may be gone before these settings are. */
	settings->widths.translators = NULL;
	settings->widths.translators_count = 0;
	snprintf(settings->key_prefix, sizeof(settings->key_prefix), "%s", config->key_prefix);
	pthread_mutex_unlock(&server->mutex);
}

void server_await_probe(struct server *server, int64_t timeout_ms)
{
	int64_t end = clock_now_ms() + timeout_ms;

	pthread_mutex_lock(&server->mutex);
	while (!server->is_probed && clock_now_ms() < end)
		clock_system.wait_until(&clock_system, &server->probed, &server->mutex, end);
	server->is_late = !server->is_probed;
	pthread_mutex_unlock(&server->mutex);
}

bool server_has_process(struct server *server, pid_t pid)
{
	bool is_one = server->probe.pid == pid;

	for (size_t i = 0; i < SERVER_WORKERS; i++)
		is_one = is_one || server->workers[i].pid == pid;
	return is_one;
}

struct server *server_start(const char *name, unsigned number, const struct server_common *common,
			    const struct config *config, char *error, size_t size)
{
	struct server *server = calloc(1, sizeof(*server));

	snprintf(error, size, "out of memory");
	if (server == NULL)
		return NULL;
	server->common = common;
	server->number = number;
	pthread_mutex_init(&server->mutex, NULL);
	clock_cond_init(&server->probed);
	server_configure(server, config);
	server->down_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	server->keeper_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->name = strdup(name);
	if (!endpoint_parse(name, &server->endpoint))
		snprintf(error, size, "%s: not a memcached server", name);
	else if (server->down_fd < 0 || server->keeper_fd < 0)
		snprintf(error, size, "no descriptor");
	else if (server->name != NULL && !keeper_start(server))
		snprintf(error, size, "can't start a thread");
	if (server->has_keeper)
		return server;
	server_stop(server);
	return NULL;
}

void server_stop(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	server->is_stopping = true;
	pthread_mutex_unlock(&server->mutex);
	call_keeper(server);
	if (server->has_keeper)
		pthread_join(server->keeper, NULL);
	if (server->down_fd >= 0)
		close(server->down_fd);
	if (server->keeper_fd >= 0)
		close(server->keeper_fd);
	pthread_cond_destroy(&server->probed);
	pthread_mutex_destroy(&server->mutex);
	endpoint_free(&server->endpoint);
	free(server->name);
	free(server);
}
