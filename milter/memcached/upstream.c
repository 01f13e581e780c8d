/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <utlist.h>

#include "base/clock.h"
#include "errand.h"
#include "memcached/link.h"
#include "base/log.h"
#include "store/memory.h"
#include "config/config.h"
#include "base/stats.h"

/* Calls under way to one server; more wait in its queue. */
#define WORKERS 8
/* A session that waits longer than this for the store looks after those that wait behind it. */
#define WAKEUP_AFTER_MS 2

/* Of an administrator's errand. */
#define ROUND_TRIPS_MAX 12

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED };

/* A session's question. The session waits for it, but not for ever: who is last frees it. */
struct job {
	enum job_state state;
	bool is_abandoned; /* the session has gone on; the worker frees it */
	struct errand errand;
	char key_prefix[COUNTERS_KEY_PREFIX_MAX + 1]; /* the errand's */
	pthread_cond_t finished;
	struct job *prev, *next; /* in the queue while JOB_QUEUED */
};

struct worker {
	struct upstream *upstream;
	pthread_t thread;
	struct job *job; /* NULL: idle */
	struct errand_worker errands;
	_Atomic int64_t overdue_at_ms; /* of its link */
};

/* What a reload may change. */
struct upstream_settings {
	int64_t timeout_ms, retry_ms;
	uint32_t window_s;
	char key_prefix[COUNTERS_KEY_PREFIX_MAX + 1];
};

struct upstream {
	const char *name; /* as configured */
	unsigned number;
	struct store *memory;
	void (*wakeup)(void);
	struct link_server server;
	struct link_login login;
	pthread_mutex_t mutex;
	char peer[LINK_PEER_MAX]; /* as the keeper found it; a name may take its time */
	struct upstream_settings settings;
	pthread_cond_t work; /* for workers */
	pthread_cond_t change; /* for the keeper, and for who awaits the first probe */
	bool is_up, is_probed, is_stopping;
	bool is_late; /* at the start, nobody has waited until it was probed */
	unsigned failures; /* a connection from before the last one may be dead */
	int64_t retry_at_ms;
	struct job *queue;
	struct worker workers[WORKERS];
	unsigned workers_count;
	pthread_t keeper;
	bool has_keeper;
};

static int64_t now_ms(void)
{
	return clock_system.mono_ms(&clock_system);
}

static void log_state(const struct upstream *upstream, const char *reason)
{
	struct log_line line;

	log_begin(&line, upstream->is_up ? LOG_NOTICE : LOG_WARNING, "store");
	log_put(&line, "state", "%s", upstream->is_up ? "up" : "down");
	log_put(&line, "server", "%s", upstream->name);
	log_put(&line, "reason", "%s", reason);
	log_end(&line);
}

/* The caller holds the mutex. */
static void set_down(struct upstream *upstream, const char *reason)
{
	struct job *job;

	if (!upstream->is_up)
		return;
	upstream->is_up = false;
	upstream->failures++;
	upstream->retry_at_ms = now_ms() + upstream->settings.retry_ms;
	log_state(upstream, reason);
	/* Whoever waits goes on without it now. */
	DL_FOREACH(upstream->queue, job)
	{
		pthread_cond_signal(&job->finished);
	}
	for (unsigned i = 0; i < upstream->workers_count; i++)
		if (upstream->workers[i].job != NULL)
			pthread_cond_signal(&upstream->workers[i].job->finished);
	pthread_cond_broadcast(&upstream->change);
}

/* Whether some round trip has been under way for longer than any may: the server hangs. */
static bool is_hung(struct upstream *upstream)
{
	int64_t now = now_ms();

	for (unsigned i = 0; i < upstream->workers_count; i++) {
		int64_t overdue_at = atomic_load(&upstream->workers[i].overdue_at_ms);

		if (overdue_at != 0 && now >= overdue_at)
			return true;
	}
	return false;
}

static void job_free(struct job *job)
{
	pthread_cond_destroy(&job->finished);
	free(job);
}

/* Takes the next job, waiting for it; NULL when the store is to stop. The caller holds the mutex. */
static struct job *next_job(struct worker *worker)
{
	struct upstream *upstream = worker->upstream;
	struct job *job;

	while (upstream->queue == NULL && !upstream->is_stopping)
		pthread_cond_wait(&upstream->work, &upstream->mutex);
	if (upstream->is_stopping)
		return NULL;
	job = upstream->queue;
	DL_DELETE(upstream->queue, job);
	job->state = JOB_RUNNING;
	worker->job = job;
	return job;
}

/* A link with the settings of now and younger than the last failure; NULL if out of memory. */
static struct link *refresh(const struct upstream *upstream, struct link *link, char *peer,
			    int64_t timeout_ms, bool is_old, _Atomic int64_t *overdue_at_ms)
{
	struct link_server server = upstream->server;

	if (link != NULL && link_timeout_ms(link) == timeout_ms && !is_old)
		return link;
	link_free(link);
	if (peer[0] != '\0')
		server.host = peer;
	return link_new(&server, &upstream->login, timeout_ms, overdue_at_ms);
}

static void errands_prepare(const struct upstream *upstream, struct errand_worker *errands)
{
	*errands = (struct errand_worker){
		.server = upstream->name,
		.number = upstream->number,
		.memory = upstream->memory,
	};
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct upstream *upstream = worker->upstream;
	struct link *link = NULL;
	unsigned failures = 0;
	struct job *job;

	pthread_mutex_lock(&upstream->mutex);
	while ((job = next_job(worker)) != NULL) {
		int64_t timeout_ms = upstream->settings.timeout_ms;
		bool may_call = upstream->is_up, is_old = failures != upstream->failures, ok;
		char peer[LINK_PEER_MAX];

		failures = upstream->failures;
		memcpy(peer, upstream->peer, sizeof(peer));
		pthread_mutex_unlock(&upstream->mutex);
		link = refresh(upstream, link, peer, timeout_ms, is_old, &worker->overdue_at_ms);
		worker->errands.link = may_call ? link : NULL;
		ok = errand_run(&worker->errands, &job->errand);
		pthread_mutex_lock(&upstream->mutex);

		worker->job = NULL;
		job->state = ok ? JOB_DONE : JOB_FAILED;
		/* One that began before the last failure may tell of that one. */
		if (!ok && may_call && failures == upstream->failures)
			set_down(upstream, link != NULL ? link_error(link) : "out of memory");
		if (job->is_abandoned) {
			/* A call that failed has been counted as such. */
			stats_add(STAT_STORE_FAILURES, ok);
			job_free(job);
		} else {
			pthread_cond_signal(&job->finished);
		}
	}
	pthread_mutex_unlock(&upstream->mutex);
	link_free(link);
	return NULL;
}

/* One round of a keeper, without the lock: is the server there, and does it know all? */
static bool keep_once(struct errand_worker *errands, const struct upstream_settings *settings,
		      bool was_up)
{
	if (errands->link == NULL ||
	    (!was_up && link_probe(errands->link, settings->key_prefix) != LINK_OK))
		return false;
	/* Sessions do not wait for the end of it: what is still owed then is paid in the next rounds. */
	return errand_pay_debts(errands, settings->key_prefix, settings->window_s,
				now_ms() + settings->retry_ms / 2);
}

/* What a round found. The lock is held. */
static void note_round(struct upstream *upstream, const struct link *link, bool was_up, bool ok)
{
	const char *reason = link != NULL ? link_error(link) : "out of memory";

	if (ok && !was_up) {
		upstream->is_up = true;
		link_peer(link, upstream->peer);
		/* That it is there at the start goes without saying. */
		if (upstream->is_probed || upstream->is_late)
			log_state(upstream, upstream->is_probed ? "answers again" : "answers");
	} else if (!ok && was_up) {
		set_down(upstream, reason);
	} else if (!ok && !upstream->is_probed) {
		log_state(upstream, reason);
	}
	upstream->is_probed = true;
	pthread_cond_broadcast(&upstream->change);
}

static void *keep(void *argument)
{
	struct upstream *upstream = argument;
	struct errand_worker errands;
	_Atomic int64_t overdue_at_ms = 0; /* nobody waits for a keeper */
	char by_name[] = "";
	struct link *link = NULL;
	unsigned failures = 0;

	errands_prepare(upstream, &errands);

	pthread_mutex_lock(&upstream->mutex);
	while (!upstream->is_stopping) {
		struct upstream_settings settings = upstream->settings;
		bool was_up = upstream->is_up, is_old = failures != upstream->failures, ok;

		failures = upstream->failures;
		pthread_mutex_unlock(&upstream->mutex);
		link = refresh(upstream, link, by_name, settings.timeout_ms, is_old,
			       &overdue_at_ms);
		errands.link = link;
		ok = keep_once(&errands, &settings, was_up);
		pthread_mutex_lock(&upstream->mutex);

		note_round(upstream, link, was_up, ok);
		/* One that fails meanwhile is given the whole pause from then. */
		upstream->retry_at_ms = now_ms() + upstream->settings.retry_ms;
		while (!upstream->is_stopping && now_ms() < upstream->retry_at_ms)
			clock_system.wait_until(&clock_system, &upstream->change, &upstream->mutex,
						upstream->retry_at_ms);
	}
	pthread_mutex_unlock(&upstream->mutex);
	link_free(link);
	return NULL;
}

static struct job *job_new(const struct errand *errand)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	if (clock_cond_init(&job->finished) != 0) {
		free(job);
		return NULL;
	}
	job->errand = *errand;
	snprintf(job->key_prefix, sizeof(job->key_prefix), "%s", errand->query.key_prefix);
	job->errand.query.key_prefix = job->key_prefix;
	return job;
}

static bool is_pending(const struct upstream *upstream, const struct job *job)
{
	return upstream->is_up && (job->state == JOB_QUEUED || job->state == JOB_RUNNING);
}

/* An administrator's errand takes many round trips, and delays no mail. */
static int patience(const struct errand *errand)
{
	return errand->kind == ERRAND_FLAG || errand->kind == ERRAND_FORGIVE ? ROUND_TRIPS_MAX : 1;
}

/*
 * The time for a job has passed. If not even a worker was free for it, the server is too slow for what is
 * asked of it: were it asked on, each session would wait in vain.
 */
static void give_up(struct upstream *upstream, const struct job *job)
{
	if (job->state == JOB_QUEUED) {
		stats_add(STAT_STORE_FAILURES, 1);
		set_down(upstream, "too slow for what is asked of it");
	} else if (is_hung(upstream)) {
		set_down(upstream, "no answer in time");
	}
}

/* Waits for a queued job: until it is finished, the server is down, or its time has passed. */
static void await(struct upstream *upstream, struct job *job)
{
	int64_t timeout_ms = upstream->settings.timeout_ms * patience(&job->errand);
	int64_t began = now_ms();
	bool has_nudged = upstream->wakeup == NULL;

	while (is_pending(upstream, job)) {
		int64_t now = now_ms();

		if (now - began >= timeout_ms) {
			give_up(upstream, job);
			return;
		}
		if (!has_nudged && now - began >= WAKEUP_AFTER_MS) {
			has_nudged = true;
			pthread_mutex_unlock(&upstream->mutex);
			upstream->wakeup();
			pthread_mutex_lock(&upstream->mutex);
			continue;
		}
		clock_system.wait_until(&clock_system, &job->finished, &upstream->mutex,
					began + (has_nudged ? timeout_ms : WAKEUP_AFTER_MS));
	}
}

enum upstream_answer upstream_ask(struct upstream *upstream, struct errand *errand)
{
	enum upstream_answer answer = UPSTREAM_LATE;
	struct job *job = job_new(errand);

	if (job == NULL)
		return UPSTREAM_NOT_ASKED;
	pthread_mutex_lock(&upstream->mutex);
	if (upstream->is_up) {
		DL_APPEND(upstream->queue, job);
		pthread_cond_signal(&upstream->work);
		await(upstream, job);
		if (job->state == JOB_QUEUED)
			DL_DELETE(upstream->queue, job);
	}
	switch (job->state) {
	case JOB_QUEUED:
		answer = UPSTREAM_NOT_ASKED;
		break;
	case JOB_RUNNING:
		job->is_abandoned = true;
		job = NULL;
		break;
	case JOB_DONE:
		answer = UPSTREAM_ANSWERED;
		errand->view = job->errand.view;
		errand->obeyed = job->errand.obeyed;
		errand->counted = job->errand.counted;
		break;
	case JOB_FAILED:
		errand->counted = job->errand.counted;
		break;
	}
	pthread_mutex_unlock(&upstream->mutex);
	if (job != NULL)
		job_free(job);
	return answer;
}

bool upstream_is_up(struct upstream *upstream)
{
	bool is_up;

	pthread_mutex_lock(&upstream->mutex);
	is_up = upstream->is_up;
	pthread_mutex_unlock(&upstream->mutex);
	return is_up;
}

unsigned upstream_number(const struct upstream *upstream)
{
	return upstream->number;
}

void upstream_configure(struct upstream *upstream, const struct config *config)
{
	struct upstream_settings *settings = &upstream->settings;

	pthread_mutex_lock(&upstream->mutex);
	settings->timeout_ms = config->memcached_timeout_ms;
	settings->retry_ms = config->memcached_retry_ms;
	settings->window_s = config->window_s;
	snprintf(settings->key_prefix, sizeof(settings->key_prefix), "%s", config->key_prefix);
	pthread_mutex_unlock(&upstream->mutex);
}

void upstream_await_probe(struct upstream *upstream, int64_t timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;

	pthread_mutex_lock(&upstream->mutex);
	while (!upstream->is_probed && now_ms() < end)
		clock_system.wait_until(&clock_system, &upstream->change, &upstream->mutex, end);
	upstream->is_late = !upstream->is_probed;
	pthread_mutex_unlock(&upstream->mutex);
}

static bool start_threads(struct upstream *upstream)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *worker = &upstream->workers[i];

		worker->upstream = upstream;
		errands_prepare(upstream, &worker->errands);
		if (pthread_create(&worker->thread, NULL, work, worker) != 0)
			return false;
		pthread_mutex_lock(&upstream->mutex);
		upstream->workers_count++;
		pthread_mutex_unlock(&upstream->mutex);
	}
	upstream->has_keeper = pthread_create(&upstream->keeper, NULL, keep, upstream) == 0;
	return upstream->has_keeper;
}

struct upstream *upstream_start(const char *name, unsigned number, const struct link_login *login,
				struct store *memory, const struct config *config,
				void (*wakeup)(void), char *error, size_t size)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));

	if (upstream == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	upstream->name = name;
	upstream->number = number;
	upstream->login = *login;
	upstream->memory = memory;
	upstream->wakeup = wakeup;
	pthread_mutex_init(&upstream->mutex, NULL);
	clock_cond_init(&upstream->change);
	pthread_cond_init(&upstream->work, NULL);
	upstream_configure(upstream, config);
	if (!link_server_parse(name, &upstream->server)) {
		snprintf(error, size, "%s: not a memcached server", name);
	} else if (!start_threads(upstream)) {
		snprintf(error, size, "can't start a thread");
	} else {
		return upstream;
	}
	upstream_stop(upstream);
	return NULL;
}

void upstream_stop(struct upstream *upstream)
{
	pthread_mutex_lock(&upstream->mutex);
	upstream->is_stopping = true;
	pthread_cond_broadcast(&upstream->work);
	pthread_cond_broadcast(&upstream->change);
	pthread_mutex_unlock(&upstream->mutex);
	for (unsigned i = 0; i < upstream->workers_count; i++)
		pthread_join(upstream->workers[i].thread, NULL);
	if (upstream->has_keeper)
		pthread_join(upstream->keeper, NULL);
	pthread_cond_destroy(&upstream->work);
	pthread_cond_destroy(&upstream->change);
	pthread_mutex_destroy(&upstream->mutex);
	link_server_free(&upstream->server);
	free(upstream);
}
