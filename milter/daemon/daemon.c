/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "config.h"
#include "control/control.h"
#include "mta/filter.h"
#include "base/hash.h"
#include "session/journal.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "memcached/memcached_store.h"
#include "metrics/metrics.h"
#include "session/open_sessions.h"
#include "postfix_limit.h"
#include "process.h"
#include "session/session.h"
#include "mta/libmilter_guard.h"
#include "session/stall.h"
#include "base/stats.h"
#include "store/memory.h"
#include "store/store.h"

/* Threads need little (syslog 9 KB); sanitizers need more. */
#ifdef WITH_SANITIZERS
#define THREAD_STACK (2 * 1024 * 1024)
#else
#define THREAD_STACK (256 * 1024)
#endif
/* Descriptors that are no sessions: log, store, sockets, a nudge for each stall that begins. */
#define DESCRIPTORS_RESERVED 64
/* Stopping: how long callbacks get to end, and their replies to leave. */
#define STOP_CALLBACKS_MS 700
#define STOP_REPLIES_MS 20
#define STOP_STEP_MS 5

struct daemon {
	const struct daemon_options *options;
	/* Our own reference to the current one: the start's, then reload's, under its mutex. */
	struct config *config;
	pthread_mutex_t reload_mutex;
	struct tarpit tarpit;
	struct process_user user;
	bool changes_user;
	struct listen_address address;
	unsigned sessions_max;
	int64_t started_ms;
	int pid_file;
	int ready;
	int signals; /* a signalfd */
	bool has_socket; /* libmilter's is bound */
	int control; /* the control socket, -1: none */
	pthread_t thread;
	_Atomic bool has_ended;
};

static void sleep_ms(long ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

/* Says why it won't start, to whoever started it too. */
static int fail(const struct daemon *d, int code, const char *reason)
{
	log_message(LOG_ERR, "start", "%s", reason);
	if (!d->options->foreground)
		fprintf(stderr, "tarpit-milter: %s\n", reason);
	return code;
}

static void open_log(const struct daemon *d)
{
	if (d->options->foreground)
		log_to_stderr();
	else
		log_to_syslog(d->config->syslog_facility);
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
		return fail(d, code, reason);
	d->changes_user = d->user.uid != 0;
	if (!d->changes_user)
		log_message(LOG_WARNING, "start", "runs as root, as the key user says");
	return EX_OK;
}

/* /run is empty after a boot: makes a socket's directory if only that is missing. */
static bool make_directory(const struct daemon *d, const char *path, char *error, size_t size)
{
	char copy[512];
	const char *directory;

	snprintf(copy, sizeof(copy), "%s", path);
	directory = dirname(copy);
	if (mkdir(directory, 0755) != 0) {
		if (errno == EEXIST)
			return true;
		snprintf(error, size, "directory %s: %s", directory, strerror(errno));
		return false;
	}
	if (d->changes_user && lchown(directory, d->user.uid, d->user.gid) != 0)
		log_message(LOG_WARNING, "start", "can't give %s to user %s: %s", directory,
			    d->user.name, strerror(errno));
	return true;
}

static int open_socket(struct daemon *d)
{
	const char *path = listen_path(&d->address);
	char reason[1024], error[512];
	mode_t umask_before;
	int code;

	if (path == NULL || make_directory(d, path, error, sizeof(error)))
		code = listen_clear(&d->address, error, sizeof(error));
	else
		code = EX_CANTCREAT;
	if (code != EX_OK) {
		snprintf(reason, sizeof(reason), "socket %s: %s", d->config->socket, error);
		return fail(d, code, reason);
	}
	if (filter_register(&d->tarpit, d->config->socket) != 0)
		return fail(d, EX_SOFTWARE, "libmilter refuses to register");
	/* Never wider than asked for, not even for a moment. */
	umask_before = umask(0777 & ~d->config->socket_mode);
	code = filter_open();
	umask(umask_before);
	if (code != 0) {
		snprintf(reason, sizeof(reason), "can't listen on %s", d->config->socket);
		return fail(d, EX_UNAVAILABLE, reason);
	}
	d->has_socket = true;
	if (path != NULL && ((d->changes_user && lchown(path, d->user.uid, d->user.gid) != 0) ||
			     listen_set_mode(path, d->config->socket_mode) != 0)) {
		snprintf(reason, sizeof(reason), "socket %s: %s", path, strerror(errno));
		return fail(d, EX_OSERR, reason);
	}
	return EX_OK;
}

/* Mail is served without it if need be. */
static void open_control(struct daemon *d)
{
	const char *path = d->config->control_socket;
	char error[512];

	if (*path == '\0')
		return;
	if (make_directory(d, path, error, sizeof(error)))
		d->control = control_open(path, error, sizeof(error));
	if (d->control >= 0 && d->changes_user && lchown(path, d->user.uid, d->user.gid) != 0) {
		snprintf(error, sizeof(error), "%s: %s", path, strerror(errno));
		close(d->control);
		unlink(path);
		d->control = -1;
	}
	if (d->control < 0)
		log_message(LOG_WARNING, "start", "no control socket: %s", error);
}

static int bind_all(struct daemon *d)
{
	char reason[512];
	int code;

	if (!listen_parse(d->config->socket, &d->address, reason, sizeof(reason)))
		return fail(d, EX_CONFIG, reason);
	if (d->config->pid_file[0] != '\0') {
		d->pid_file = process_pid_file(d->config->pid_file, reason, sizeof(reason));
		if (d->pid_file < 0)
			return fail(d, EX_CANTCREAT, reason);
	}
	code = open_socket(d);
	if (code != EX_OK)
		return code;
	open_control(d);
	if (d->changes_user)
		code = process_become(&d->user, reason, sizeof(reason));
	if (code == EX_OK)
		code = process_forgo_privileges(reason, sizeof(reason));
	return code == EX_OK ? EX_OK : fail(d, code, reason);
}

/* Stalls are held below what descriptors and threads allow. */
static unsigned budget(const struct daemon *d)
{
	unsigned most = d->sessions_max / 4 * 3;

	if (d->config->max_stalls <= most)
		return d->config->max_stalls;
	log_message(LOG_WARNING, "limits",
		    "max_stalls is held at %u: no more descriptors or threads", most);
	return most;
}

/* What Postfix allows, if it is told of us by files that we can read. */
static bool read_postfix(const struct daemon *d, struct postfix_limit *limit)
{
	const char *directory = getenv("MAIL_CONFIG");

	return postfix_limit_read(directory != NULL ? directory : "/etc/postfix", d->config->socket,
				  limit);
}

static void compare_with_postfix(const struct daemon *d, const struct postfix_limit *limit)
{
	unsigned stalls = stalls_budget(d->tarpit.stalls);

	if (stalls <= limit->processes / 2)
		return;
	log_message(LOG_WARNING, "limits",
		    "max_stalls = %u is more than half of Postfix's process limit %u (service %s): "
		    "stalls may hold all processes, %u is advised",
		    stalls, limit->processes, limit->service,
		    limit->processes * 2 / 5 > 0 ? limit->processes * 2 / 5 : 1);
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
	unsigned descriptors = process_limit_descriptors();
	char reason[512] = "out of memory";

	d->sessions_max = descriptors > 2 * DESCRIPTORS_RESERVED
				  ? descriptors - DESCRIPTORS_RESERVED
				  : descriptors / 2;
	tarpit->max_sessions = d->sessions_max;
	tarpit->clock = &clock_system;
	tarpit->chance = hash_chance;
	tarpit->lacks_threads = libmilter_guard_lacks_threads;
	tarpit->journal = &journal_log;
	tarpit->peers = open_sessions_new();
	tarpit->stalls = stalls_new(&clock_system, budget(d), filter_nudge);
	tarpit->config = config_box_new(config_hold(d->config));
	if (tarpit->peers == NULL || tarpit->stalls == NULL || tarpit->config == NULL)
		return fail(d, EX_OSERR, reason);
	tarpit->store = open_store(d->config, reason, sizeof(reason));
	if (tarpit->store == NULL)
		return fail(d, EX_UNAVAILABLE, reason);
	return EX_OK;
}

static void log_faults(const struct faults *faults)
{
	const char *text = faults->text;

	while (text != NULL && *text != '\0') {
		size_t length = strcspn(text, "\n");

		log_message(LOG_ERR, "reload", "%.*s", (int)length, text);
		text += length + (text[length] == '\n');
	}
	log_message(LOG_ERR, "reload", "%zu fault%s: the configuration stays as it was",
		    faults->count, faults->count == 1 ? "" : "s");
}

static void log_reload(const struct daemon *d, const char *need_restart)
{
	struct log_line line;

	log_begin(&line, *need_restart != '\0' ? LOG_WARNING : LOG_NOTICE, "reload");
	log_put(&line, "version", "%s", PACKAGE_VERSION);
	log_put(&line, "store", "%s", d->config->use_memcached ? "memcached" : "memory");
	log_put(&line, "mode", "%s", d->config->observe ? "observe" : "enforce");
	if (*need_restart != '\0')
		log_put(&line, "needs_restart", "%s", need_restart);
	log_end(&line);
}

/* Takes a new configuration; false if memory ran out. */
static bool adopt(struct daemon *d, struct config *fresh, char *needs_restart, size_t size)
{
	struct postfix_limit limit;

	if (!config_keep_fixed(fresh, d->config, needs_restart, size)) {
		log_message(LOG_ERR, "reload", "out of memory");
		config_release(fresh);
		return false;
	}
	config_release(d->config);
	d->config = fresh;
	config_box_put(d->tarpit.config, config_hold(fresh));
	open_log(d);
	stalls_set_budget(d->tarpit.stalls, budget(d));
	store_configure(d->tarpit.store, fresh);
	log_reload(d, needs_restart);
	if (read_postfix(d, &limit))
		compare_with_postfix(d, &limit);
	return true;
}

/*
 * For HUP and for the control thread: one at a time, as libconfuse wants it too. faults stays empty if
 * memory ran out.
 */
static bool reload(void *argument, struct faults *faults, char *needs_restart, size_t size)
{
	struct daemon *d = argument;
	const struct daemon_options *options = d->options;
	struct config *fresh;
	bool is_done = false;

	pthread_mutex_lock(&d->reload_mutex);
	process_notify("RELOADING=1");
	fresh = config_load(options->config_file, options->config_file_named, options->sets,
			    options->sets_count, faults);
	if (fresh != NULL)
		is_done = adopt(d, fresh, needs_restart, size);
	else
		log_faults(faults);
	stats_add(is_done ? STAT_RELOADS : STAT_RELOADS_FAILED, 1);
	process_notify("READY=1");
	pthread_mutex_unlock(&d->reload_mutex);
	return is_done;
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

	(void)filter_run();
	atomic_store(&d->has_ended, true);
	kill(getpid(), SIGTERM);
	return NULL;
}

/*
 * All signals that mean something to us are blocked in all threads, and read by main. Nobody else may
 * wait for them: filter.c sees to it that libmilter does not.
 */
static int block_signals(struct daemon *d)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
	d->signals = signalfd(-1, &mask, SFD_CLOEXEC);
	if (d->signals < 0 || pthread_sigmask(SIG_BLOCK, &mask, NULL) != 0 ||
	    sigaction(SIGPIPE, &ignore, NULL) != 0)
		return fail(d, EX_OSERR, "can't arrange for signals");
	return EX_OK;
}

/* For the control socket, which serves no process that a memcached server may have taken over. */
static bool is_store_worker(void *argument, pid_t pid)
{
	struct daemon *d = argument;

	return d->config->use_memcached && memcached_store_has_process(d->tarpit.store, pid);
}

/* What an administrator looks at; mail is served without. */
static void start_observers(struct daemon *d)
{
	const struct control_host host = {.tarpit = &d->tarpit,
					  .started_ms = d->started_ms,
					  .arg = d,
					  .reload = reload,
					  .is_refused = is_store_worker};
	char error[256];
	int result;

	if (d->config->metrics_listen[0] != '\0' &&
	    !metrics_start(d->config->metrics_listen, &d->tarpit, error, sizeof(error)))
		log_message(LOG_WARNING, "start", "no metrics: %s", error);
	/* From here on d->config is what a reload makes of it. */
	result = d->control >= 0 ? control_start(&host, d->control) : 0;
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
	int code = block_signals(d);

	if (code != EX_OK)
		return code;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
	code = build(d);
	if (code != EX_OK)
		return code;
	/* Each session may want a thread, and libmilter some of its own. */
	if (libmilter_guard_start(d->sessions_max + 2 * DESCRIPTORS_RESERVED) != 0 ||
	    pthread_create(&d->thread, NULL, serve, d) != 0)
		return fail(d, EX_OSERR, "can't start a thread");
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
	log_put(&line, "uptime_s", "%" PRId64,
		(clock_system.mono_ms(&clock_system) - d->started_ms) / 1000);
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

/* Serves until TERM, INT, or libmilter's own end. Returns the signal, or 0. */
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

/* Those that we made. config holds the paths. */
static void remove_files(const struct daemon *d, const struct config *config)
{
	if (d->has_socket && listen_path(&d->address) != NULL)
		unlink(listen_path(&d->address));
	if (d->control >= 0)
		unlink(config->control_socket);
	if (d->pid_file >= 0)
		process_pid_file_remove(d->pid_file, config->pid_file);
}

/*
 * Ends the stalls, gives their answers time to leave, and leaves the rest to the end of the process.
 * smfi_stop would add nothing but seconds of waiting, and cut off what is still stalled.
 */
static void stop(struct daemon *d, int signal_number)
{
	unsigned released = stalls_stop(d->tarpit.stalls);
	/* A reload may be going on: d->config is its. */
	const struct config *config = config_box_get(d->tarpit.config);
	struct log_line line;

	process_notify("STOPPING=1");
	for (int ms = 0; filter_callbacks() > 0 && ms < STOP_CALLBACKS_MS; ms += STOP_STEP_MS)
		sleep_ms(STOP_STEP_MS);
	sleep_ms(STOP_REPLIES_MS);
	remove_files(d, config);

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

	if (hash_init() != 0)
		return fail(d, EX_OSERR, "no random numbers");
	if (d->options->detach)
		code = process_detach(&d->ready, reason, sizeof(reason));
	if (code != EX_OK)
		return fail(d, code, reason);
	/* Without it each would write for himself, and wait where the log daemon does. */
	if (!d->options->foreground && log_writer_start() != 0)
		return fail(d, EX_OSERR, "can't start a thread");
	code = find_user(d);
	if (code != EX_OK)
		return code;
	/* As whoever started us, who may read more than the user that we become. */
	knows_limit = read_postfix(d, &limit);
	code = bind_all(d);
	if (code == EX_OK)
		code = start_threads(d);
	if (code == EX_OK && knows_limit)
		compare_with_postfix(d, &limit);
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
	d.started_ms = clock_system.mono_ms(&clock_system);
	open_log(&d);
	code = start(&d);
	if (code != EX_OK) {
		remove_files(&d, config);
		return code;
	}
	log_start(&d);
	process_ready(d.ready);
	signal_number = attend(&d);
	stop(&d, signal_number);
	return signal_number != 0 ? EX_OK : EX_SOFTWARE;
}
