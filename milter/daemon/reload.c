/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes a new configuration while the daemon runs. */
#include "state.h"

#include <stdatomic.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "base/stats.h"
#include "config.h"
#include "session/stall.h"
#include "store/store.h"

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
	daemon_open_log(d);
	stalls_set_budget(d->tarpit.stalls, limits_stalls(d));
	store_configure(d->tarpit.store, fresh);
	persistence_write_soon(d);
	log_reload(d, needs_restart);
	if (limits_read_postfix(d, &limit))
		limits_compare(d, &limit);
	return true;
}

/* The mutex is for libconfuse, too, which can't be used by two threads at once. */
bool reload(void *argument, struct faults *faults, char *needs_restart, size_t size)
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
