/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's life: starts its threads, hears signals, and stops. */
#include "state.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "base/stats.h"
#include "config.h"
#include "control/socket.h"
#include "memcached/memcached_store.h"
#include "metrics/http.h"
#include "mta/filter.h"
#include "mta/libmilter_guard.h"
#include "session/deferrals.h"
#include "session/journal.h"
#include "session/open_sessions.h"
#include "session/site.h"
#include "session/stall.h"
#include "store/memory.h"
#include "store/store.h"

/* Threads need little (syslog 9 KB); sanitizers need more. */
#ifdef WITH_SANITIZERS
#define THREAD_STACK (2 * 1024 * 1024)
#else
#define THREAD_STACK (256 * 1024)
#endif
/* Stopping: how long callbacks get to end, and their replies to leave. */
#define STOP_CALLBACKS_MS 700
#define STOP_REPLIES_MS 20
#define STOP_STEP_MS 5
/* When memory_file must have been written, counted from the signal. */
#define STOP_WRITTEN_MS 800

static void sleep_ms(long ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

int daemon_fail(const struct daemon *d, int code, const char *reason)
{
	log_message(LOG_ERR, "start", "%s", reason);
	if (!d->options->foreground)
		fprintf(stderr, "tarpit-milter: %s\n", reason);
	return code;
}

void daemon_open_log(const struct daemon *d)
{
	if (d->options->foreground)
		log_to(NULL);
	else
		log_writer_open(d->config->syslog_facility);
	log_set_level(d->config->log_level);
}

static int find_user(struct daemon *d)
{
	char reason[256];
	int code;

	if (geteuid() != 0)
		return EX_OK;
	code = process_find_user(d->config->user, &d->user, reason, sizeof(reason));
	if (code != EX_OK)
		return daemon_fail(d, code, reason);
	d->changes_user = d->user.uid != 0;
	if (!d->changes_user)
		log_message(LOG_WARNING, "start", "runs as root, as the key user says");
	return EX_OK;
}

static int give_up_privileges(const struct daemon *d)
{
	char reason[256];
	int code = EX_OK;

	if (d->changes_user)
		code = process_become(&d->user, reason, sizeof(reason));
	if (code == EX_OK)
		code = process_forgo_privileges(reason, sizeof(reason));
	return code == EX_OK ? EX_OK : daemon_fail(d, code, reason);
}

/* The store that config asks for; NULL with the reason in error. */
static struct store *open_store(const struct config *config, char *error, size_t size)
{
	struct store *store;

	if (config->use_memcached)
		return memcached_store_new(config, NULL, filter_nudge, error, size);
	store = memory_store_new(config->memory_clients);
	if (store == NULL)
		snprintf(error, size, "out of memory");
	return store;
}

static int build(struct daemon *d)
{
	struct tarpit *tarpit = &d->tarpit;
	char reason[512] = "out of memory";

	limits_apply(d);
	tarpit->max_sessions = d->sessions_max;
	tarpit->clock = &clock_system;
	tarpit->chance = hash_chance;
	tarpit->lacks_threads = libmilter_guard_lacks_threads;
	tarpit->journal = &journal_log;
	tarpit->peers = open_sessions_new();
	tarpit->deferrals = deferrals_new(DEFERRALS_MAX);
	tarpit->site = site_new(&journal_log, clock_system.wall_ms(&clock_system));
	tarpit->stalls = stalls_new(&clock_system, limits_stalls(d), filter_nudge);
	tarpit->config = config_box_new(config_hold(d->config));
	if (tarpit->peers == NULL || tarpit->deferrals == NULL || tarpit->site == NULL ||
	    tarpit->stalls == NULL || tarpit->config == NULL)
		return daemon_fail(d, EX_OSERR, reason);
	tarpit->store = open_store(d->config, reason, sizeof(reason));
	if (tarpit->store == NULL)
		return daemon_fail(d, EX_UNAVAILABLE, reason);
	persistence_read(d);
	return EX_OK;
}

static void reload_on_signal(struct daemon *d)
{
	char needs_restart[256];
	struct faults faults = {0};

	(void)reload(d, &faults, needs_restart, sizeof(needs_restart));
	faults_free(&faults);
}

static void *serve(void *argument)
{
	struct daemon *d = argument;

	filter_run();
	atomic_store(&d->has_ended, true);
	kill(getpid(), SIGTERM);
	return NULL;
}

/* All signals that mean something to the daemon are blocked in all threads, and read by main. */
static int block_signals(struct daemon *d)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, keep = {.sa_handler = SIG_DFL};
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
	d->signals = signalfd(-1, &mask, SFD_CLOEXEC);
	if (d->signals < 0 || pthread_sigmask(SIG_BLOCK, &mask, NULL) != 0 ||
	    sigaction(SIGPIPE, &ignore, NULL) != 0 ||
	    /*
	     * Whoever started the daemon may ignore it: then the kernel would reap tarpit-store
	     * before its keeper.
	     */
	    sigaction(SIGCHLD, &keep, NULL) != 0)
		return daemon_fail(d, EX_OSERR, "can't arrange for signals");
	return EX_OK;
}

/* For the control socket, which serves no process that a memcached server may have taken over. */
static bool is_store_worker(void *argument, pid_t pid)
{
	struct daemon *d = argument;

	return memcached_store_has_process(d->tarpit.store, pid);
}

/* Metrics and the control socket; mail is served without them if need be. */
static void start_observers(struct daemon *d)
{
	const struct control_host host = {.tarpit = &d->tarpit,
					  .started_ms = d->started_ms,
					  .arg = d,
					  .reload = reload,
					  .is_refused = d->config->use_memcached ? is_store_worker
										 : NULL};
	char error[256];
	int result;

	if (d->config->metrics_listen[0] != '\0' &&
	    !metrics_http_start(d->config->metrics_listen, &d->tarpit, error, sizeof(error)))
		log_message(LOG_WARNING, "start", "no metrics: %s", error);
	/* From here on a reload may replace d->config. */
	result = d->control >= 0 ? control_socket_start(&host, d->control) : 0;
	if (result != 0) {
		log_message(LOG_WARNING, "start", "no control socket: %s", strerror(result));
		close(d->control);
		unlink(d->config->control_socket);
		d->control = -1;
	}
}

static int start_threads(struct daemon *d)
{
	pthread_attr_t attributes;
	int code;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
	code = build(d);
	if (code != EX_OK)
		return code;
	/*
	 * Each descriptor may be a session that wants a thread, and libmilter has some threads of
	 * its own.
	 */
	if (libmilter_guard_start(2 * (d->sessions_max + DESCRIPTORS_RESERVED)) != 0 ||
	    pthread_create(&d->thread, NULL, serve, d) != 0 || !upkeep_start(d) ||
	    !persistence_start(d))
		return daemon_fail(d, EX_OSERR, "can't start a thread");
	start_observers(d);
	return EX_OK;
}

static void log_start(const struct daemon *d)
{
	struct config *config = config_box_get(d->tarpit.config);
	struct log_line line;

	log_begin(&line, LOG_NOTICE, "start");
	log_put(&line, "version", "%s", PACKAGE_VERSION);
	log_put(&line, "socket", "%s", config->socket);
	log_put(&line, "store", "%s", config->use_memcached ? "memcached" : "memory");
	log_put(&line, "mode", "%s", config->observe ? "observe" : "enforce");
	log_put(&line, "max_stalls", "%u", stalls_budget(d->tarpit.stalls));
	log_put(&line, "max_sessions", "%u", d->sessions_max);
	if (d->persistence.runs)
		log_put(&line, "remembered", "%zu", d->persistence.remembered);
	log_end(&line);
	config_release(config);
}

static void log_status(const struct daemon *d)
{
	struct config *config = config_box_get(d->tarpit.config);
	struct log_line line;

	log_begin(&line, LOG_NOTICE, "status");
	line.wanted = true; /* whatever log_level says */
	log_put(&line, "version", "%s", PACKAGE_VERSION);
	log_put(&line, "uptime_s", "%" PRId64, (clock_now_ms() - d->started_ms) / 1000);
	log_put(&line, "mode", "%s", config->observe ? "observe" : "enforce");
	log_put(&line, "store", "%s", config->use_memcached ? "memcached" : "memory");
	log_put(&line, "store_state", "%s", store_state(d->tarpit.store));
	log_put(&line, "sessions", "%u", atomic_load(&d->tarpit.open_sessions));
	log_put(&line, "stalls", "%u", stalls_active(d->tarpit.stalls));
	log_put(&line, "max_stalls", "%u", stalls_budget(d->tarpit.stalls));
	for (enum stats_counter c = 0; c < STAT_COUNT; c++)
		log_put(&line, stats_name(c), "%" PRIu64, stats_get(c));
	log_end(&line);
	config_release(config);
}

/* Hears signals until TERM, INT, or libmilter's own end. Returns the signal, or 0. */
static int attend(struct daemon *d)
{
	struct signalfd_siginfo signal_info;

	for (;;) {
		if (read(d->signals, &signal_info, sizeof(signal_info)) !=
		    (ssize_t)sizeof(signal_info))
			continue;
		switch (signal_info.ssi_signo) {
		case SIGHUP:
			reload_on_signal(d);
			break;
		case SIGUSR1:
			log_status(d);
			break;
		default:
			return atomic_load(&d->has_ended) ? 0 : (int)signal_info.ssi_signo;
		}
	}
}

/*
 * Ends the stalls, gives their answers time to leave, and leaves the rest to the end of the
 * process. smfi_stop would only wait for seconds, and cut off sessions that are still stalled.
 */
static void stop(struct daemon *d, int signal_number)
{
	int64_t began_ms = clock_now_ms();
	unsigned released = stalls_stop(d->tarpit.stalls);
	/* A reload may be going on in the control thread, and is about to replace d->config. */
	const struct config *config = config_box_get(d->tarpit.config);
	struct log_line line;

	process_notify("STOPPING=1");
	for (int ms = 0; filter_callbacks() > 0 && ms < STOP_CALLBACKS_MS; ms += STOP_STEP_MS)
		sleep_ms(STOP_STEP_MS);
	sleep_ms(STOP_REPLIES_MS);
	upkeep_tell_deferred(d, true);
	sockets_remove(d, config);
	persistence_end(d, began_ms + STOP_WRITTEN_MS);

	log_begin(&line, LOG_NOTICE, "stop");
	log_put(&line, "version", "%s", PACKAGE_VERSION);
	log_put(&line, "store", "%s", config->use_memcached ? "memcached" : "memory");
	log_put(&line, "mode", "%s", config->observe ? "observe" : "enforce");
	log_put(&line, "reason", "%s",
		signal_number == 0 ? "libmilter ended" : strsignal(signal_number));
	log_put(&line, "released", "%u", released);
	log_end(&line);
}

static int start(struct daemon *d)
{
	struct postfix_limit limit;
	char reason[256];
	int code = EX_OK;
	bool knows_limit;

	if (!libmilter_guard_is_linked())
		return daemon_fail(
			d, EX_SOFTWARE,
			"linked so that libmilter does not call the daemon's own pthread_create "
			"and sigwait: sessions would be lost");
	if (hash_init() != 0)
		return daemon_fail(d, EX_OSERR, "no random numbers");
	if (d->options->detach)
		code = process_detach(&d->ready, reason, sizeof(reason));
	if (code != EX_OK)
		return daemon_fail(d, code, reason);
	/* Before there is a file that a signal could leave behind, or a thread. */
	code = block_signals(d);
	if (code != EX_OK)
		return code;
	/*
	 * Without this thread each session would write to the log itself, and wait where the log
	 * daemon hangs.
	 */
	if (!d->options->foreground && log_writer_start() != 0)
		return daemon_fail(d, EX_OSERR, "can't start a thread");
	code = find_user(d);
	if (code != EX_OK)
		return code;
	/* The user who starts the daemon may read more than the user that the daemon becomes. */
	knows_limit = limits_read_postfix(d, &limit);
	code = sockets_open(d);
	if (code == EX_OK)
		persistence_make_folder(d);
	if (code == EX_OK)
		code = give_up_privileges(d);
	if (code == EX_OK)
		code = start_threads(d);
	if (code == EX_OK && knows_limit)
		limits_compare(d, &limit);
	return code;
}

int daemon_run(const struct daemon_options *options, struct config *config)
{
	/* libmilter's threads may outlive this function by a moment. */
	static struct daemon d;
	int signal_number, code;

	d.options = options;
	d.config = config;
	d.pid_file = -1;
	d.ready = -1;
	d.control = -1;
	pthread_mutex_init(&d.reload_mutex, NULL);
	d.started_ms = clock_now_ms();
	daemon_open_log(&d);
	code = start(&d);
	if (code != EX_OK) {
		sockets_remove(&d, config);
		return code;
	}
	log_start(&d);
	process_ready(d.ready);
	signal_number = attend(&d);
	stop(&d, signal_number);
	return signal_number != 0 ? EX_OK : EX_SOFTWARE;
}
