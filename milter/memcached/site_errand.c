/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the request for the minutes of a site, and reads what came of it. */
#include "site_errand.h"

#include <stdio.h>

/* Minutes are read for ten, by hosts whose clocks agree within seconds. */
#define TTL_S 3600

_Static_assert(STORE_SITE_MINUTES <= MESSAGE_KEYS_MAX, "all minutes are read at once");
_Static_assert((int)STORE_SITE_NOT_TOLD == (int)MESSAGE_NOT_DONE &&
		       (int)STORE_SITE_TOLD == (int)MESSAGE_DONE &&
		       (int)STORE_SITE_MAYBE_TOLD == (int)MESSAGE_MAYBE_DONE,
	       "a step of the worker is one of the site");

void site_errand_begin(struct errand *errand, const struct store_site *site)
{
	struct message_request *request = &errand->request;

	*errand = (struct errand){.request = {.kind = MESSAGE_LOOK_UP, .ttl_s = TTL_S}};
	request->keys_count = STORE_SITE_MINUTES;
	for (int i = 0; i < STORE_SITE_MINUTES; i++)
		counters_site_key(request->keys[i], site->key_prefix, site->minute - i);
	if (site->amount == 0)
		return;
	request->kind = MESSAGE_RECORD;
	request->counts_count = 1;
	request->counts[0].amount = site->amount;
	counters_site_key(request->counts[0].key, site->key_prefix, site->minute);
}

void site_errand_end(const struct errand *errand, const struct message_outcome *outcome,
		     struct store_site *site)
{
	if (errand->request.counts_count > 0)
		site->step = (enum store_site_step)outcome->counts[0];
	for (int i = 0; i < STORE_SITE_MINUTES; i++)
		site->sums[i] =
			outcome->values[i].state == MESSAGE_NUMBER ? outcome->values[i].number : 0;
}
