/* SPDX-License-Identifier: BSD-2-Clause */
/* Hands log lines to a thread that waits in syslog(3) for all others. */
#include "base/log_writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"

/* A line that waits for the thread, which frees it. */
struct waiting {
	int priority;
	char *line;
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t filled, written;
	bool has_begun, is_writing;
	struct waiting lines[LOG_WRITER_QUEUE]; /* a ring */
	size_t first, count;
	unsigned lost;
} queue = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.filled = PTHREAD_COND_INITIALIZER,
};

static atomic_bool is_open;
static _Atomic int current_facility;

/* Puts a copy of line into the queue. The mutex is held. */
static void enqueue(int priority, const char *line)
{
	char *copy = queue.count < LOG_WRITER_QUEUE ? strdup(line) : NULL;

	if (copy == NULL) {
		queue.lost++;
		log_count_lost();
		return;
	}
	queue.lines[(queue.first + queue.count++) % LOG_WRITER_QUEUE] =
		(struct waiting){.priority = priority, .line = copy};
	pthread_cond_signal(&queue.filled);
}

/*
 * A queue that was full takes nothing until half of it is free, and first tells how much was left
 * out. The mutex is held.
 */
static void enqueue_after_loss(int priority, const char *line)
{
	char text[LOG_LOST_MAX];

	if (queue.count > LOG_WRITER_QUEUE / 2) {
		queue.lost++;
		log_count_lost();
		return;
	}
	log_lost(text, queue.lost);
	queue.lost = 0;
	enqueue(LOG_WARNING, text);
	enqueue(priority, line);
}

/* A log_sink: calls syslog(3) itself until the thread has started, and fills its queue then. */
static void take_line(int priority, const char *line)
{
	bool has_begun;

	pthread_mutex_lock(&queue.mutex);
	has_begun = queue.has_begun;
	if (has_begun && queue.lost > 0)
		enqueue_after_loss(priority, line);
	else if (has_begun)
		enqueue(priority, line);
	pthread_mutex_unlock(&queue.mutex);
	if (!has_begun)
		syslog(current_facility | priority, "%s", line);
}

void log_writer_open(int facility)
{
	/* openlog(3) would wait for a thread that is in syslog(3). */
	if (!atomic_exchange(&is_open, true))
		openlog("tarpit-milter", LOG_PID, facility);
	current_facility = facility;
	log_to(take_line);
}

/* Writes the first line of the queue. The mutex is held, but released while syslog(3) may wait. */
static void write_first(void)
{
	struct waiting next = queue.lines[queue.first];

	queue.first = (queue.first + 1) % LOG_WRITER_QUEUE;
	queue.count--;
	queue.is_writing = true;
	pthread_mutex_unlock(&queue.mutex);
	syslog(current_facility | next.priority, "%s", next.line);
	free(next.line);
	pthread_mutex_lock(&queue.mutex);
	queue.is_writing = false;
}

static void *write_all(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&queue.mutex);
	for (;;) {
		while (queue.count == 0) {
			pthread_cond_broadcast(&queue.written);
			pthread_cond_wait(&queue.filled, &queue.mutex);
		}
		write_first();
	}
	return NULL;
}

int log_writer_start(void)
{
	sigset_t all, before;
	pthread_t thread;
	int result;

	if (clock_cond_init(&queue.written) != 0)
		return ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&thread, NULL, write_all, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result != 0)
		return result;
	pthread_detach(thread);
	pthread_mutex_lock(&queue.mutex);
	queue.has_begun = true;
	pthread_mutex_unlock(&queue.mutex);
	return 0;
}

void log_writer_flush(int64_t timeout_ms)
{
	int64_t end_ms = clock_now_ms() + timeout_ms;

	pthread_mutex_lock(&queue.mutex);
	while (queue.has_begun && (queue.count > 0 || queue.is_writing) && clock_now_ms() < end_ms)
		clock_system.wait_until(&clock_system, &queue.written, &queue.mutex, end_ms);
	pthread_mutex_unlock(&queue.mutex);
}
