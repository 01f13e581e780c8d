/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done once a second outside any session: hosts tell each other of sieges, the log of 421s.
 */
#include "state.h"

#include <stdatomic.h>
#include <time.h>

#include "session/deferrals.h"
#include "session/journal.h"
#include "session/site.h"

static void tell_deferred(const struct deferral *deferral, void *argument)
{
	const struct journal *journal = argument;
	char address[PREFIX_TEXT_MAX];
	const struct journal_client who = {
		.address = prefix_format_address(&deferral->address, address), .host = ""};

	journal->deferred(journal, &who, &deferral->decision);
}

void upkeep_tell_deferred(const struct daemon *d, bool is_end)
{
	const struct tarpit *tarpit = &d->tarpit;

	deferrals_flush(tarpit->deferrals, tarpit->clock->mono_ms(tarpit->clock), is_end,
			tell_deferred, (void *)(uintptr_t)tarpit->journal);
}

static void share_siege(const struct daemon *d)
{
	const struct tarpit *tarpit = &d->tarpit;
	struct config *config = config_box_get(tarpit->config);
	struct siege_settings settings = site_settings(config);

	site_exchange(tarpit->site, tarpit->store, &settings, config->key_prefix,
		      tarpit->clock->wall_ms(tarpit->clock));
	config_release(config);
}

static void *keep_up(void *argument)
{
	const struct daemon *d = argument;
	const struct timespec second = {.tv_sec = 1};

	for (;;) {
		nanosleep(&second, NULL);
		share_siege(d);
		upkeep_tell_deferred(d, false);
	}
	return NULL;
}

bool upkeep_start(struct daemon *d)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, keep_up, d) == 0;
}
