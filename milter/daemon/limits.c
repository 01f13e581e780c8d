/* SPDX-License-Identifier: BSD-2-Clause */
/* How many sessions and stalls there may be: by descriptors, threads, and Postfix's processes. */
#include "state.h"

#include <stdlib.h>
#include <syslog.h>

#include "base/log.h"
#include "memcached/memcached_store.h"
#include "session/stall.h"

void limits_apply(struct daemon *d)
{
	unsigned servers =
		d->config->use_memcached ? (unsigned)d->config->memcached_servers.count : 0;
	unsigned reserved = DESCRIPTORS_RESERVED + servers * MEMCACHED_STORE_DESCRIPTORS;
	unsigned descriptors = process_limit_descriptors(servers * MEMCACHED_STORE_PROCESSES);

	d->sessions_max = descriptors > 2 * reserved ? descriptors - reserved : descriptors / 2;
}

unsigned limits_stalls(const struct daemon *d)
{
	unsigned most = d->sessions_max / 4 * 3;

	if (d->config->max_stalls <= most)
		return d->config->max_stalls;
	log_message(LOG_WARNING, "limits",
		    "max_stalls is held at %u: no more descriptors or threads", most);
	return most;
}

bool limits_read_postfix(const struct daemon *d, struct postfix_limit *limit)
{
	const char *directory = getenv("MAIL_CONFIG");

	return postfix_limit_read(directory != NULL ? directory : "/etc/postfix", d->config->socket,
				  limit);
}

void limits_compare(const struct daemon *d, const struct postfix_limit *limit)
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
