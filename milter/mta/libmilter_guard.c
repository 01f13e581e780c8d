/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for three functions of the C library that libmilter calls: pthread_create, so that it
 * always gets a thread for a session; read, so that it gets no packet that it can't bear; and
 * sigwait, so that signals are the daemon's. Linked into the daemon alone.
 */
#include "mta/libmilter_guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"
#include "config.h"
#include "mta/packet.h"

/* Sessions are quick in a spare thread: none is stalled while there are too few. */
#define SPARES 4
/* How often the keeper tries to start a thread while there are too few. */
#define RETRY_MS 10

/* What a thread was to run that could not be started. */
struct task {
	void *(*run)(void *);
	void *arg;
};

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* There is one libmilter in a process, and libmilter hands nothing of ours to pthread_create. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t queued; /* wakes a spare thread */
	pthread_cond_t used; /* wakes the keeper */
	struct task *tasks; /* a ring */
	size_t tasks_max, first, count;
	unsigned spares; /* threads that wait for a task */
	_Atomic bool lacks_threads, has_started;
} reserve = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.queued = PTHREAD_COND_INITIALIZER,
};

static struct log_limit threads_limit, packets_limit;

static int create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		  void *arg)
{
	static create_fn *_Atomic next;
	create_fn *found = next;

	if (found == NULL) {
		found = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
		next = found;
	}
	return found != NULL ? found(thread, attributes, run, arg) : EAGAIN;
}

/* A spare thread runs one task and ends: libmilter's task detaches the thread. */
static void *run_spare(void *argument)
{
	struct task task;

	(void)argument;
	pthread_mutex_lock(&reserve.mutex);
	while (reserve.count == 0)
		pthread_cond_wait(&reserve.queued, &reserve.mutex);
	task = reserve.tasks[reserve.first];
	reserve.first = (reserve.first + 1) % reserve.tasks_max;
	reserve.count--;
	reserve.spares--;
	pthread_cond_signal(&reserve.used);
	pthread_mutex_unlock(&reserve.mutex);
	return task.run(task.arg);
}

/* The mutex is held. False if there are still too few. */
static bool refill(void)
{
	pthread_t thread;
	int result = 0;

	while (reserve.spares < SPARES && result == 0) {
		result = create(&thread, NULL, run_spare, NULL);
		reserve.spares += result == 0;
	}
	return result == 0;
}

/* The keeper: a thread that keeps the reserve full. */
static void *keep(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&reserve.mutex);
	for (;;) {
		bool is_full = refill();

		atomic_store(&reserve.lacks_threads, !is_full);
		if (is_full) {
			pthread_cond_wait(&reserve.used, &reserve.mutex);
			continue;
		}
		if (log_allowed(&threads_limit)) {
			pthread_mutex_unlock(&reserve.mutex);
			log_message(LOG_WARNING, "limits",
				    "no more threads: clients pass that were to be slowed");
			pthread_mutex_lock(&reserve.mutex);
		}
		clock_system.wait_until(&clock_system, &reserve.used, &reserve.mutex,
					clock_now_ms() + RETRY_MS);
	}
	return NULL;
}

int libmilter_guard_start(size_t waiting_max)
{
	pthread_t keeper;
	int result;

	reserve.tasks_max = waiting_max;
	reserve.tasks = calloc(waiting_max, sizeof(*reserve.tasks));
	if (reserve.tasks == NULL)
		return ENOMEM;
	result = clock_cond_init(&reserve.used);
	if (result == 0)
		result = create(&keeper, NULL, keep, NULL);
	if (result == 0)
		atomic_store(&reserve.has_started, true);
	return result;
}

bool libmilter_guard_lacks_threads(void)
{
	return atomic_load(&reserve.lacks_threads);
}

/* Clang's sanitizers must see each thread being made themselves: there is no stand-in then. */
#if defined(WITH_SANITIZERS) && defined(__clang__)
static bool creates_threads(void)
{
	return true;
}
#else
static bool creates_threads(void)
{
	return (uintptr_t)dlsym(RTLD_DEFAULT, "pthread_create") == (uintptr_t)pthread_create;
}

/* Leaves a task for a spare thread. False if too many wait already. */
static bool enqueue(void *(*run)(void *), void *arg)
{
	bool has_room;

	pthread_mutex_lock(&reserve.mutex);
	has_room = reserve.count < reserve.tasks_max;
	if (has_room) {
		reserve.tasks[(reserve.first + reserve.count) % reserve.tasks_max] =
			(struct task){run, arg};
		reserve.count++;
		atomic_store(&reserve.lacks_threads, true);
		pthread_cond_signal(&reserve.queued);
		pthread_cond_signal(&reserve.used);
	}
	pthread_mutex_unlock(&reserve.mutex);
	return has_room;
}

/*
 * A caller for whom no thread can be had is told that one was started; libmilter does not use the
 * thread's id.
 */
__attribute__((visibility("default"))) int pthread_create(pthread_t *restrict thread,
							  const pthread_attr_t *restrict attributes,
							  void *(*run)(void *), void *restrict arg)
{
	int result = create(thread, attributes, run, arg);

	if (result == 0 || !atomic_load(&reserve.has_started) || !enqueue(run, arg))
		return result;
	*thread = pthread_self();
	return 0;
}
#endif

bool libmilter_guard_is_linked(void)
{
	return creates_threads() && (uintptr_t)dlsym(RTLD_DEFAULT, "sigwait") == (uintptr_t)sigwait;
}

/*
 * A thread of libmilter's waits for HUP, TERM and INT, and ends libmilter for each. Here it waits for
 * ever, with these blocked as in all threads, and main has the signals from a signalfd.
 */
__attribute__((visibility("default"))) int sigwait(const sigset_t *restrict set,
						   int *restrict number)
{
	(void)set;
	(void)number;
	for (;;)
		poll(NULL, 0, -1);
}

static ssize_t next_read(int fd, void *buffer, size_t size)
{
	typedef ssize_t read_fn(int, void *, size_t);
	static read_fn *_Atomic next;
	read_fn *found = next;

	if (found == NULL) {
		found = (read_fn *)dlsym(RTLD_NEXT, "read");
		next = found;
	}
	if (found != NULL)
		return found(fd, buffer, size);
	errno = ENOSYS;
	return -1;
}

/* By this name a header that checks sizes may have made it something else. */
ssize_t read_for_libmilter(int fd, void *buffer, size_t size) __asm__("read");

/* To libmilter a session with a bad packet looks as if the MTA had hung up. */
__attribute__((visibility("default"))) ssize_t read_for_libmilter(int fd, void *buffer, size_t size)
{
	static _Thread_local struct packet_reader reader;
	bool is_packet = packet_reader_expects(&reader, fd, size);
	ssize_t length = next_read(fd, buffer, size);

	if (!is_packet || (length < 0 && errno == EINTR))
		return length;
	if (length <= 0) {
		reader = (struct packet_reader){0};
		return length;
	}
	if (packet_reader_take(&reader, buffer, (size_t)length))
		return length;
	if (log_allowed(&packets_limit))
		log_message(
			LOG_WARNING, "mta",
			"macros that come in no pairs: the connection is closed; is it an MTA that "
			"speaks to the milter's socket?");
	return 0;
}
