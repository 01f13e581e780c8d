/* SPDX-License-Identifier: BSD-2-Clause */
/* What is due once a second, and waits for no session. */
#include "state.h"

#include "config/config.h"
#include "session/site.h"

/* Tells other hosts what this one has seen of a siege, hears from them, and ends it in time. */
static void share_site(const struct tarpit *tarpit, const struct config *config)
{
	struct siege_settings settings = site_settings(config);

	site_exchange(tarpit->site, tarpit->store, &settings, config->key_prefix,
		      tarpit->clock->wall_ms(tarpit->clock));
}

void upkeep(struct daemon *d)
{
	struct config *config = config_box_get(d->tarpit.config);

	share_site(&d->tarpit, config);
	config_release(config);
}
