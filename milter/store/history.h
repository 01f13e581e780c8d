/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What clients and networks without an offence have earned: good counts that no shared counter has
 * yet, and which recipients and domains they are of. Those that earned longest ago are forgotten
 * first. Not thread-safe.
 */
#ifndef TARPIT_STORE_HISTORY_H
#define TARPIT_STORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/prefix.h"
#include "seen.h"
#include "store/store.h"

/* What a client may earn in a domain in which it has met no rejection, in a window: recipients. */
#define HISTORY_DOMAIN_MAX 10
/* Recipients that are kept for each client that may be, on average. */
#define HISTORY_RECIPIENTS_PER_CLIENT 2

/* Zero it to begin with. */
struct history {
	struct history_entry *clients, *networks;
	struct history_entry *cursor; /* of a walk: the next to be shown */
	struct seen recipients, domains;
};

/* What is kept of a client or network, as a walk shows it. */
struct history_item {
	struct prefix prefix;
	int64_t window;
	uint64_t good_now, good_previous; /* hundredths */
};

/* Adds what is kept of a client or network to tally, which is of that window. */
void history_show(const struct history *history, bool is_network, const struct prefix *prefix,
		  int64_t window, struct tally *tally);
/*
 * Keeps at most max clients and as many networks. Without memory the amount, in hundredths, is
 * lost.
 */
void history_add(struct history *history, size_t max, bool is_network, const struct prefix *prefix,
		 int64_t window, uint64_t amount);
/* The same as history_show, and forgets it. */
void history_take(struct history *history, bool is_network, const struct prefix *prefix,
		  int64_t window, struct tally *tally);

/* Takes less, of that window, from what is kept. */
void history_subtract(struct history *history, bool is_network, const struct prefix *prefix,
		      int64_t window, const struct tally *less);

/*
 * How many recipients of its domain, this one among them, may still earn credit for the client in
 * this window: 0 for one that has done so, UINT_MAX for a domain in which the client has met a
 * rejection.
 */
unsigned history_credit_left(const struct history *history, const struct prefix *client,
			     int64_t window, const struct store_recipient *recipient);
/* The recipient's message has reached its end. Whether that earns credit. */
bool history_earn(struct history *history, size_t max, const struct prefix *client, int64_t window,
		  const struct store_recipient *recipient);
/* The client has met a rejection in this domain. */
void history_note_rejection(struct history *history, size_t max, const struct prefix *client,
			    int64_t window, uint64_t domain);
void history_clear(struct history *history);

/*
 * Clients or networks one by one, as seen_walk and seen_walk_next have it; one that has earned
 * meanwhile is shown again.
 */
size_t history_walk(struct history *history, bool is_network);
bool history_walk_next(struct history *history, struct history_item *item);
/* Keeps it as it was shown, in the place of what there is. */
void history_put(struct history *history, size_t max, bool is_network,
		 const struct history_item *item);

#endif
