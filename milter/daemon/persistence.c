/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries the memory store over a restart: reads memory_file at the start, and has a thread write
 * it every few minutes, after a reload, and at the end. With memcached there is no file: memcached
 * remembers.
 */
#include "state.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "store/memory_file.h"

#define PERIOD_MS (5 * 60 * 1000)
/*
 * How long the start may take: Postfix waits 30 s for a milter that listens and says nothing.
 */
#define READ_MS (20 * 1000)
/* How often a file that can't be written is told of. */
#define WARNING_MS (60 * 60 * 1000)
/* What the thread has to give up, once it was to end. */
#define GIVE_UP_MS 50

/* The folder of the file, in directory, which holds PATH_MAX; "" if there is no file. */
static void find_folder(const char *path, char *directory)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(directory, PATH_MAX, "%s", *path != '\0' ? dirname(copy) : "");
}

/* What is wrong shows when the file is written: see persistence_read. */
void persistence_make_folder(const struct daemon *d)
{
	char directory[PATH_MAX];

	if (d->config->use_memcached)
		return;
	find_folder(d->config->memory_file, directory);
	if (*directory == '\0' || mkdir(directory, 0750) != 0)
		return;
	if (d->changes_user && lchown(directory, d->user.uid, d->user.gid) != 0)
		log_message(LOG_WARNING, "memory_file", "can't give %s to user %s: %s", directory,
			    d->user.name, strerror(errno));
}

static int64_t wall_ms(const struct daemon *d)
{
	return d->tarpit.clock->wall_ms(d->tarpit.clock);
}

static int64_t mono_ms(const struct daemon *d)
{
	return d->tarpit.clock->mono_ms(d->tarpit.clock);
}

static bool may_read_on(void *argument)
{
	const struct daemon *d = argument;

	return mono_ms(d) - d->started_ms < READ_MS;
}

void persistence_read(struct daemon *d)
{
	const struct config *config = d->config;
	const struct memory_file_task task = {
		d->tarpit.store, config, wall_ms(d), may_read_on, d, false,
	};
	char directory[PATH_MAX], reason[256];

	find_folder(config->memory_file, directory);
	if (config->use_memcached || *directory == '\0')
		return;
	if (!memory_file_read(&task, &d->persistence.remembered, reason, sizeof(reason)))
		log_message(LOG_WARNING, "memory_file", "%s: %s: nobody is remembered",
			    config->memory_file, reason);
	if (access(directory, W_OK | X_OK) != 0 &&
	    log_allowed_every(&d->persistence.limit, WARNING_MS))
		log_message(LOG_WARNING, "memory_file", "%s: %s: a restart will forget all",
			    directory, strerror(errno));
}

/*
 * The thread gives up what it writes once the last file is due, and that one when it takes too
 * long.
 */
static bool may_write_on(void *argument)
{
	struct persistence *p = &((struct daemon *)argument)->persistence;
	bool may;

	pthread_mutex_lock(&p->mutex);
	may = !p->is_ending || (p->is_last && mono_ms(argument) < p->end_by_ms);
	pthread_mutex_unlock(&p->mutex);
	return may;
}

static void write_file(struct daemon *d, bool is_last)
{
	struct config *config = config_box_get(d->tarpit.config);
	const struct memory_file_task task = {
		d->tarpit.store, config, wall_ms(d), may_write_on, d, is_last,
	};
	enum memory_file_result result = MEMORY_FILE_WRITTEN;
	char reason[256];

	if (*config->memory_file != '\0')
		result = memory_file_write(&task, reason, sizeof(reason));
	if (result == MEMORY_FILE_FAILED && log_allowed_every(&d->persistence.limit, WARNING_MS))
		log_message(LOG_WARNING, "memory_file",
			    "%s: %s: a restart will forget what is not in it", config->memory_file,
			    reason);
	if (result == MEMORY_FILE_GIVEN_UP && is_last)
		log_message(LOG_WARNING, "memory_file",
			    "%s: too much to be written in time: it stays as it was",
			    config->memory_file);
	config_release(config);
}

/* Waits until the file is due; false if it is for the last time. */
static bool await_turn(struct daemon *d)
{
	struct persistence *p = &d->persistence;
	int64_t due_ms = mono_ms(d) + PERIOD_MS;
	bool is_last;

	pthread_mutex_lock(&p->mutex);
	while (!p->is_ending && !p->is_due &&
	       d->tarpit.clock->wait_until(d->tarpit.clock, &p->changed, &p->mutex, due_ms))
		;
	p->is_due = false;
	is_last = p->is_last = p->is_ending;
	pthread_mutex_unlock(&p->mutex);
	return !is_last;
}

static void *keep_writing(void *argument)
{
	struct daemon *d = argument;
	struct persistence *p = &d->persistence;

	while (await_turn(d))
		write_file(d, false);
	write_file(d, true);
	pthread_mutex_lock(&p->mutex);
	p->has_ended = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

bool persistence_start(struct daemon *d)
{
	struct persistence *p = &d->persistence;
	pthread_t thread;

	if (d->config->use_memcached)
		return true;
	if (pthread_mutex_init(&p->mutex, NULL) != 0 || clock_cond_init(&p->changed) != 0)
		return false;
	p->runs = pthread_create(&thread, NULL, keep_writing, d) == 0;
	/* Where it hangs nobody waits for it. */
	if (p->runs)
		pthread_detach(thread);
	return p->runs;
}

static void change(struct persistence *p, bool *what)
{
	pthread_mutex_lock(&p->mutex);
	*what = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
}

void persistence_write_soon(struct daemon *d)
{
	if (d->persistence.runs)
		change(&d->persistence, &d->persistence.is_due);
}

void persistence_end(struct daemon *d, int64_t by_ms)
{
	struct persistence *p = &d->persistence;
	bool has_ended;

	if (!p->runs)
		return;
	p->end_by_ms = by_ms;
	change(p, &p->is_ending);
	pthread_mutex_lock(&p->mutex);
	while (!p->has_ended && d->tarpit.clock->wait_until(d->tarpit.clock, &p->changed, &p->mutex,
							    by_ms + GIVE_UP_MS))
		;
	has_ended = p->has_ended;
	pthread_mutex_unlock(&p->mutex);
	if (!has_ended)
		log_message(LOG_WARNING, "memory_file",
			    "not written in time: the disk is too slow");
}
