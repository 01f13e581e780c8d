/* SPDX-License-Identifier: BSD-2-Clause */
#include "mta/libmilter_guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"

/* Sessions go through these quickly, for as long as there are few none stalls. */
#define SPARES 4
/* How often a thread is tried for while there are few. */
#define RETRY_MS 10

/* What a thread was to do that could not be started. */
struct part {
	void *(*run)(void *);
	void *arg;
};

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* There is one libmilter in a process, and it hands nothing of ours to pthread_create. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t call; /* for spares */
	pthread_cond_t loss; /* for the keeper */
	struct part *parts; /* a ring */
	size_t parts_max, first, count;
	unsigned spares;
	_Atomic bool are_few, has_started;
} troupe = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.call = PTHREAD_COND_INITIALIZER,
};

static struct log_limit few_limit;

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

/* A spare plays one part. libmilter's detaches the thread, so that it can't be used again. */
static void *stand_by(void *argument)
{
	struct part part;

	(void)argument;
	pthread_mutex_lock(&troupe.mutex);
	while (troupe.count == 0)
		pthread_cond_wait(&troupe.call, &troupe.mutex);
	part = troupe.parts[troupe.first];
	troupe.first = (troupe.first + 1) % troupe.parts_max;
	troupe.count--;
	troupe.spares--;
	pthread_cond_signal(&troupe.loss);
	pthread_mutex_unlock(&troupe.mutex);
	return part.run(part.arg);
}

/* The mutex is held. False if there are still too few. */
static bool hire(void)
{
	pthread_t thread;
	int result = 0;

	while (troupe.spares < SPARES && result == 0) {
		result = create(&thread, NULL, stand_by, NULL);
		troupe.spares += result == 0;
	}
	return result == 0;
}

static void *keep(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&troupe.mutex);
	for (;;) {
		bool are_few = !hire();

		atomic_store(&troupe.are_few, are_few);
		if (!are_few) {
			pthread_cond_wait(&troupe.loss, &troupe.mutex);
			continue;
		}
		if (log_allowed(&few_limit)) {
			pthread_mutex_unlock(&troupe.mutex);
			log_message(LOG_WARNING, "limits",
				    "no more threads: clients pass that were to be slowed");
			pthread_mutex_lock(&troupe.mutex);
		}
		clock_system.wait_until(&clock_system, &troupe.loss, &troupe.mutex,
					clock_system.mono_ms(&clock_system) + RETRY_MS);
	}
	return NULL;
}

int libmilter_guard_start(size_t parts_max)
{
	pthread_t keeper;
	int result;

	troupe.parts_max = parts_max;
	troupe.parts = calloc(parts_max, sizeof(*troupe.parts));
	if (troupe.parts == NULL)
		return ENOMEM;
	result = clock_cond_init(&troupe.loss);
	if (result == 0)
		result = create(&keeper, NULL, keep, NULL);
	if (result == 0)
		atomic_store(&troupe.has_started, true);
	return result;
}

bool libmilter_guard_lacks_threads(void)
{
	return atomic_load(&troupe.are_few);
}

static bool cast(void *(*run)(void *), void *arg)
{
	bool has_room;

	pthread_mutex_lock(&troupe.mutex);
	has_room = troupe.count < troupe.parts_max;
	if (has_room) {
		troupe.parts[(troupe.first + troupe.count) % troupe.parts_max] =
			(struct part){run, arg};
		troupe.count++;
		atomic_store(&troupe.are_few, true);
		pthread_cond_signal(&troupe.call);
		pthread_cond_signal(&troupe.loss);
	}
	pthread_mutex_unlock(&troupe.mutex);
	return has_room;
}

/*
 * Called in place of the C library's, by libmilter too. Whoever can't have a thread is told that he has one;
 * libmilter does not use its name. Clang's sanitizers need to see threads being made themselves.
 */
#if !(defined(WITH_SANITIZERS) && defined(__clang__))
int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
		   void *(*run)(void *), void *restrict arg)
{
	int result = create(thread, attributes, run, arg);

	if (result == 0 || !atomic_load(&troupe.has_started) || !cast(run, arg))
		return result;
	*thread = pthread_self();
	return 0;
}
#endif
