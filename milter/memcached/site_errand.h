/* SPDX-License-Identifier: BSD-2-Clause */
/* What hosts tell each other of a siege, as an errand: a counter for each minute. */
#ifndef TARPIT_MEMCACHED_SITE_ERRAND_H
#define TARPIT_MEMCACHED_SITE_ERRAND_H

#include "errand.h"
#include "store/store.h"

/*
 * Adds to the counter of site's minute, if there is an amount, and looks up those of the last
 * minutes.
 */
void site_errand_begin(struct errand *errand, const struct store_site *site);
/* Takes how far that came, and the sums: 0 where there is none. */
void site_errand_end(const struct errand *errand, const struct message_outcome *outcome,
		     struct store_site *site);

#endif
