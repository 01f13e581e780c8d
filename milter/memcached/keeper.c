/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks after one memcached server and its workers. */
#include "keeper.h"

#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "outcome.h"
#include "ring.h"
#include "server.h"

/* A new connection: connecting, two messages to log in, and what is asked. */
#define PROBE_TIMEOUTS 4
/* What a new process may take beside that, on a busy machine. No session waits for it. */
#define START_MS 1000
/* The first may find a connection dead, and the second has to log in. */
#define PROBES_MAX 3
/* A server tells its uptime in seconds, of a clock that it reads once a second. */
#define UPTIME_ERROR_MS 2000

struct keeper {
	struct server *server;
	struct server_settings settings; /* of this round */
	char address[MESSAGE_HOST_MAX]; /* at which the server was found */
	char reason[MESSAGE_REASON_MAX]; /* why it was not */
	bool lacks_process; /* the reason is that none could be started */
	bool is_restarted; /* the server had been started anew when it was found */
};

static enum worker_state state_of(struct server *server, const struct worker *worker)
{
	enum worker_state state;

	pthread_mutex_lock(&server->mutex);
	state = worker->state;
	pthread_mutex_unlock(&server->mutex);
	return state;
}

static void set_reason(struct keeper *keeper, const char *reason)
{
	snprintf(keeper->reason, sizeof(keeper->reason), "%s", reason);
}

/*
 * A worker for the address at which the server was found. The password is wiped as soon as it is
 * sent.
 */
static bool start_worker(struct keeper *keeper, struct worker *worker)
{
	const struct server *server = keeper->server;
	const struct server_common *common = server->common;
	struct message_setup setup = {.version = PACKAGE_VERSION, .port = server->endpoint.port};
	bool is_started;

	memcpy(setup.host, keeper->address, sizeof(setup.host));
	if (common->user != NULL) {
		snprintf(setup.user, sizeof(setup.user), "%s", common->user);
		setup.password = *common->password;
	}
	is_started = worker_start(worker, common->program, &setup, keeper->reason,
				  sizeof(keeper->reason));
	explicit_bzero(&setup, sizeof(setup));
	keeper->lacks_process = !is_started;
	return is_started;
}

/* Asks a worker of the keeper's, and waits so long. False if the worker ended of it. */
static bool converse(struct keeper *keeper, struct worker *worker, struct errand *errand,
		     int64_t wait_ms, struct message_outcome *outcome)
{
	struct message_request *request = &errand->request;
	struct pollfd poll_fd = {.fd = worker->fd, .events = POLLIN};
	bool is_good;

	pthread_mutex_lock(&keeper->server->mutex);
	request->serial = ++keeper->server->serial;
	pthread_mutex_unlock(&keeper->server->mutex);
	request->timeout_ms = keeper->settings.timeout_ms;
	is_good = worker_send(worker, request, outcome);
	if (is_good) {
		is_good = poll(&poll_fd, 1, (int)wait_ms) > 0;
		if (is_good)
			is_good = worker_receive(worker, request, outcome);
		else
			outcome_lost(outcome, "no answer in time");
	}
	if (!is_good)
		worker_end(worker);
	if (outcome->result == MESSAGE_FAILED)
		set_reason(keeper, outcome->reason);
	return is_good;
}

/*
 * Whether a worker of the keeper's gets an answer within one timeout, as sessions want it. Starts
 * one if there is none, and another if that one has ended.
 */
static bool prove(struct keeper *keeper, struct worker *worker)
{
	struct message_outcome outcome;
	struct errand errand;
	bool is_fresh = false;

	if (strcmp(worker->address, keeper->address) != 0)
		worker_end(worker);
	keeper->lacks_process = false;
	errand_probe(&errand, keeper->settings.key_prefix);
	for (int i = 0; i < PROBES_MAX; i++) {
		int64_t began_ms = clock_now_ms();

		if (worker->pid == 0) {
			if (!start_worker(keeper, worker))
				return false;
			is_fresh = true;
		}
		if (!converse(keeper, worker, &errand,
			      PROBE_TIMEOUTS * keeper->settings.timeout_ms +
				      (is_fresh ? START_MS : 0),
			      &outcome) ||
		    outcome.result == MESSAGE_FAILED) {
			if (is_fresh)
				return false;
			is_fresh = true;
		} else if (clock_now_ms() - began_ms <= keeper->settings.timeout_ms) {
			return true;
		} else {
			set_reason(keeper, "no answer in time");
		}
	}
	return false;
}

/* Tries the addresses of the server's name. May take as long as the resolver. */
static bool find(struct keeper *keeper)
{
	/* Messages are sent whole: nothing of the stack may be behind an address. */
	char addresses[ENDPOINT_ADDRESSES_MAX][MESSAGE_HOST_MAX] = {{0}};
	size_t count = endpoint_resolve(&keeper->server->endpoint, addresses, keeper->reason,
					sizeof(keeper->reason));

	for (size_t i = 0; i < count; i++) {
		memcpy(keeper->address, addresses[i], sizeof(keeper->address));
		if (prove(keeper, &keeper->server->probe))
			return true;
	}
	return false;
}

/* Whether the errand was answered. */
static bool ask(struct keeper *keeper, struct errand *errand, struct message_outcome *outcome)
{
	converse(keeper, &keeper->server->probe, errand,
		 MESSAGE_TIMEOUTS_MAX * keeper->settings.timeout_ms, outcome);
	return outcome->result == MESSAGE_ANSWERED;
}

/* Which server has a client or network: the one that has its network. */
static bool is_at(const struct keeper *keeper, const struct prefix *prefix)
{
	struct client client;

	client_identify_plain(prefix, &keeper->settings.widths, &client);
	return ring_find(keeper->server->common->ring, &client.network) == keeper->server->number;
}

/* Says what was counted in the one window that a debt is of. */
static bool restate_window(struct keeper *keeper, const struct memory_debt *counts)
{
	struct message_outcome outcome;
	struct errand errand;

	if (tally_is_zero(&counts->owed))
		return true;
	errand_restate(&errand, counts, keeper->settings.key_prefix, keeper->settings.window_s);
	return ask(keeper, &errand, &outcome);
}

/* Says one again. False if the server failed. */
static bool restate_one(struct keeper *keeper, const struct memory_known *known)
{
	const char *key_prefix = keeper->settings.key_prefix;
	struct message_outcome outcome;
	struct errand errand;
	struct memory_debt now = known->counts, before = now;
	struct store_query query = {
		.client.key = known->counts.prefix,
		.window = window_at(clock_system.wall_ms(&clock_system), keeper->settings.window_s),
		.key_prefix = key_prefix,
	};

	/* Each window for itself: hosts know of different ones, and each is said again once. */
	before.window--;
	before.owed = (struct tally){.bad_now = now.owed.bad_previous,
				     .good_now = now.owed.good_previous,
				     .passed_now = now.owed.passed_previous};
	now.owed.bad_previous = now.owed.good_previous = now.owed.passed_previous = 0;
	if (known->by_hand_until_s > 0) {
		errand_flag(&errand, &query, known->by_hand_until_s);
		if (!ask(keeper, &errand, &outcome))
			return false;
	}
	return restate_window(keeper, &now) && restate_window(keeper, &before);
}

static bool is_stopping(struct keeper *keeper)
{
	bool is_stopping;

	pthread_mutex_lock(&keeper->server->mutex);
	is_stopping = keeper->server->is_stopping;
	pthread_mutex_unlock(&keeper->server->mutex);
	return is_stopping;
}

/*
 * The server is empty: says again what it had counted, as far as this host knows. No session asks
 * it meanwhile.
 */
static bool restate(struct keeper *keeper)
{
	size_t count;
	struct memory_known *known = memory_copy_known(keeper->server->common->memory, &count);
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++)
		if (is_at(keeper, &known[i].counts.prefix))
			ok = !is_stopping(keeper) && restate_one(keeper, &known[i]);
	free(known);
	return ok;
}

/* In a container each may have the same number, and a number may come again. */
static bool is_other_process(const struct server_identity *one, const struct server_identity *other)
{
	return one->pid != 0 && (one->pid != other->pid ||
				 other->earliest_ms - one->latest_ms > UPTIME_ERROR_MS);
}

/* Has a server that was started anew told what it has lost. False if it failed. */
static bool check_identity(struct keeper *keeper)
{
	struct server *server = keeper->server;
	struct server_identity identity;
	struct message_outcome outcome;
	struct errand errand;
	int64_t asked_ms = clock_now_ms();

	keeper->is_restarted = false;
	errand_identify(&errand);
	if (!ask(keeper, &errand, &outcome))
		return false;
	if (!errand_identity(&outcome, asked_ms, clock_now_ms(), &identity))
		return true;
	keeper->is_restarted = is_other_process(&server->identity, &identity);
	if (keeper->is_restarted) {
		/* Sessions go by what this host knows until the server knows it again. */
		pthread_mutex_lock(&server->mutex);
		server_set_down(server, "started anew");
		pthread_mutex_unlock(&server->mutex);
		if (!restate(keeper))
			return false;
	}
	server->identity = identity;
	return true;
}

/*
 * Tells the server what it is owed. Sessions do not wait for the end of it: what is still owed
 * after half a pause is paid in the next rounds. What a worker dies of is lost, and a server may
 * kill each one that pays: so one that was down is told offence by offence. False if the server
 * failed.
 */
static bool pay(struct keeper *keeper, bool was_up)
{
	const struct server *server = keeper->server;
	int64_t until_ms = clock_now_ms() + keeper->settings.retry_ms / 2;
	struct message_outcome outcome = {0};
	struct debts debts;
	struct errand errand;

	while (clock_now_ms() < until_ms && outcome.was_refused == 0 &&
	       (was_up ? debts_take(server->common->memory, server->number, DEBTS_ENTRIES_MAX,
				    &debts)
		       : debts_take_one(server->common->memory, server->number, &debts))) {
		errand_pay(&errand, &debts, keeper->settings.key_prefix, keeper->settings.window_s);
		converse(keeper, &keeper->server->probe, &errand,
			 MESSAGE_TIMEOUTS_MAX * keeper->settings.timeout_ms, &outcome);
		errand_finish(&errand, &outcome, server->common->memory, server->number,
			      server->name);
		if (outcome.result == MESSAGE_FAILED)
			return false;
	}
	return true;
}

/* A process that can't be started says nothing of the server: sessions go on with fewer. */
static void log_shortage(const struct keeper *keeper)
{
	static struct log_limit limit;

	if (log_allowed(&limit))
		log_message(LOG_WARNING, "limits", "%s", keeper->reason);
}

/* Makes new workers ready for sessions, that many at most. False if the server failed. */
static bool ready(struct keeper *keeper, unsigned most)
{
	struct server *server = keeper->server;

	for (size_t i = 0; i < SERVER_WORKERS && most > 0; i++) {
		struct worker *worker = &server->workers[i];

		if (state_of(server, worker) != WORKER_NEW)
			continue;
		if (!prove(keeper, worker)) {
			if (!keeper->lacks_process)
				return false;
			log_shortage(keeper);
			continue;
		}
		most--;
		pthread_mutex_lock(&server->mutex);
		server_give(server, worker);
		pthread_mutex_unlock(&server->mutex);
	}
	return true;
}

static bool has_idle(struct keeper *keeper)
{
	struct server *server = keeper->server;

	for (size_t i = 0; i < SERVER_WORKERS; i++)
		if (state_of(server, &server->workers[i]) == WORKER_IDLE)
			return true;
	set_reason(keeper, "no answer in time");
	return false;
}

/* What a round found; with the mutex held. */
static void note_round(struct keeper *keeper, bool was_up, bool ok)
{
	struct server *server = keeper->server;

	if (ok && !was_up) {
		server_set_up(server);
		/* That it is there at the start goes without saying. */
		if (server->is_probed || server->is_late)
			server_log_state(server, server->is_probed ? "answers again" : "answers",
					 keeper->is_restarted);
	} else if (!ok && was_up) {
		server_set_down(server, keeper->reason);
	} else if (!ok && !server->is_probed) {
		server_log_state(server, keeper->reason, false);
	}
	server->is_probed = true;
	pthread_cond_broadcast(&server->probed);
	server->retry_at_ms = clock_now_ms() + server->settings.retry_ms;
}

/* Is the server there, and does it know all? */
static void do_round(struct keeper *keeper)
{
	struct server *server = keeper->server;
	bool was_up, ok;

	pthread_mutex_lock(&server->mutex);
	was_up = server->is_up;
	keeper->settings = server->settings;
	pthread_mutex_unlock(&server->mutex);
	if (was_up)
		ok = (server->probe.pid != 0 || prove(keeper, &server->probe)) &&
		     check_identity(keeper);
	else
		ok = find(keeper) && check_identity(keeper);
	was_up = was_up && !keeper->is_restarted;
	ok = ok && pay(keeper, was_up) && (was_up || (ready(keeper, 1) && has_idle(keeper)));
	pthread_mutex_lock(&server->mutex);
	note_round(keeper, was_up, ok);
	pthread_mutex_unlock(&server->mutex);
}

/* The outcome of a late worker is there, or its time is over. */
static void settle_late(struct keeper *keeper, struct worker *worker)
{
	struct server *server = keeper->server;
	struct pollfd poll_fd = {.fd = worker->fd, .events = POLLIN};
	struct message_outcome outcome;
	bool is_good = false;

	if (poll(&poll_fd, 1, 0) > 0)
		is_good = worker_receive(worker, &worker->errand.request, &outcome);
	else if (clock_now_ms() >= worker->kill_at_ms)
		outcome_lost(&outcome, "no answer in time");
	else
		return;
	/* Too late is a failure; one that failed is counted as such already. */
	stats_add(STAT_STORE_FAILURES, outcome.result == MESSAGE_ANSWERED);
	errand_finish(&worker->errand, &outcome, server->common->memory, server->number,
		      server->name);
	pthread_mutex_lock(&server->mutex);
	if (outcome.result == MESSAGE_FAILED && worker->failures == server->failures)
		server_set_down(server, outcome.reason);
	worker->state = is_good ? WORKER_NEW : WORKER_LOST;
	if (is_good && outcome.result == MESSAGE_ANSWERED && server->is_up)
		server_give(server, worker);
	pthread_mutex_unlock(&server->mutex);
}

/* One that waits for a session, and has ended meanwhile. */
static void check_idle(struct server *server, struct worker *worker)
{
	struct pollfd poll_fd = {.fd = worker->fd};

	pthread_mutex_lock(&server->mutex);
	if (worker->state == WORKER_IDLE && poll(&poll_fd, 1, 0) > 0) {
		worker->state = WORKER_LOST;
		stats_add(STAT_STORE_FAILURES, 1);
		server_set_down(server, "tarpit-store ended");
	}
	pthread_mutex_unlock(&server->mutex);
}

static void look_after(struct keeper *keeper, struct worker *worker)
{
	struct server *server = keeper->server;
	enum worker_state state = state_of(server, worker);

	if (state == WORKER_LATE)
		settle_late(keeper, worker);
	else if (state == WORKER_IDLE)
		check_idle(server, worker);
	if (state_of(server, worker) != WORKER_LOST)
		return;
	worker_end(worker);
	pthread_mutex_lock(&server->mutex);
	worker->state = WORKER_NEW;
	pthread_mutex_unlock(&server->mutex);
}

/*
 * Until there is work: a session's call, an outcome that is late, the end of a worker, or the next
 * round.
 */
static void wait_for_work(struct server *server)
{
	struct pollfd polls[SERVER_WORKERS + 1];
	eventfd_t ignored;
	int64_t until_ms, now = clock_now_ms();

	pthread_mutex_lock(&server->mutex);
	until_ms = server->retry_at_ms;
	for (size_t i = 0; i < SERVER_WORKERS; i++) {
		const struct worker *worker = &server->workers[i];
		bool is_late = worker->state == WORKER_LATE;

		/* poll passes over descriptors below 0, and tells of an end unasked. */
		polls[i] = (struct pollfd){
			.fd = is_late || worker->state == WORKER_IDLE ? worker->fd : -1,
			.events = is_late ? POLLIN : 0};
		if (is_late && worker->kill_at_ms < until_ms)
			until_ms = worker->kill_at_ms;
	}
	pthread_mutex_unlock(&server->mutex);
	polls[SERVER_WORKERS] = (struct pollfd){.fd = server->keeper_fd, .events = POLLIN};
	(void)poll(polls, SERVER_WORKERS + 1, until_ms > now ? (int)(until_ms - now) : 0);
	(void)eventfd_read(server->keeper_fd, &ignored);
}

static void fail(struct keeper *keeper)
{
	stats_add(STAT_STORE_FAILURES, 1);
	pthread_mutex_lock(&keeper->server->mutex);
	server_set_down(keeper->server, keeper->reason);
	pthread_mutex_unlock(&keeper->server->mutex);
}

/* False once the keeper is to end. */
static bool keep_once(struct keeper *keeper)
{
	struct server *server = keeper->server;
	bool is_stopping, is_due;

	for (size_t i = 0; i < SERVER_WORKERS; i++)
		look_after(keeper, &server->workers[i]);
	pthread_mutex_lock(&server->mutex);
	is_stopping = server->is_stopping;
	is_due = clock_now_ms() >= server->retry_at_ms;
	pthread_mutex_unlock(&server->mutex);
	if (is_stopping)
		return false;
	if (is_due)
		do_round(keeper);
	if (server_is_up(server) && !ready(keeper, SERVER_WORKERS))
		fail(keeper);
	wait_for_work(server);
	return true;
}

static void *keep(void *argument)
{
	struct keeper keeper = {.server = argument};
	struct server *server = keeper.server;

	while (keep_once(&keeper))
		;
	for (size_t i = 0; i < SERVER_WORKERS; i++)
		worker_end(&server->workers[i]);
	worker_end(&server->probe);
	return NULL;
}

bool keeper_start(struct server *server)
{
	server->has_keeper = pthread_create(&server->keeper, NULL, keep, server) == 0;
	return server->has_keeper;
}
