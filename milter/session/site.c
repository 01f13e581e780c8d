/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts strangers' offences of all sessions, and exchanges them with other hosts, minute by
 * minute.
 */
#include "session/site.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "config/config.h"
#include "session/journal.h"
#include "store/store.h"

#define MINUTE_MS INT64_C(60000)
/* More than are read, so that those of a clock that was set back by a little are still known. */
#define MINUTES (STORE_SITE_MINUTES + 6)

/* What the shared store holds of one minute, as far as this host has counted it. */
struct minute {
	int64_t number; /* since the epoch */
	uint64_t sum; /* when it was last read */
	uint64_t mine; /* what this host has sent since, perhaps without an answer */
	bool is_old; /* its sum of before is not known any more: nothing of it counts */
};

struct site {
	const struct journal *journal;
	pthread_mutex_t mutex;
	struct siege siege;
	_Atomic bool is_on; /* the siege's */
	/* hundredths that other hosts have yet to hear of, as of unsent_ms */
	double unsent;
	int64_t unsent_ms;
	/* Of site_exchange alone. */
	struct minute minutes[MINUTES]; /* each at its number modulo MINUTES */
	int64_t read_ms; /* when they were last read; 0: never */
};

struct site *site_new(const struct journal *journal, int64_t now_ms)
{
	struct site *site = calloc(1, sizeof(*site));

	if (site == NULL)
		return NULL;
	site->journal = journal;
	site->unsent_ms = now_ms;
	siege_init(&site->siege, now_ms);
	pthread_mutex_init(&site->mutex, NULL);
	return site;
}

void site_free(struct site *site)
{
	if (site == NULL)
		return;
	pthread_mutex_destroy(&site->mutex);
	free(site);
}

struct siege_settings site_settings(const struct config *config)
{
	return (struct siege_settings){
		.threshold = config->siege_threshold,
		.factor = config->siege_factor,
		.half_life_ms = config->siege_half_life_ms,
	};
}

bool site_in_siege(const struct site *site)
{
	return atomic_load_explicit(&site->is_on, memory_order_relaxed);
}

/* Unlocks; the journal hears of a change without the lock. */
static void conclude(struct site *site, bool has_changed, struct siege_state *state)
{
	siege_state(&site->siege, state);
	atomic_store_explicit(&site->is_on, state->is_on, memory_order_relaxed);
	pthread_mutex_unlock(&site->mutex);
	if (has_changed)
		site->journal->siege(site->journal, state);
}

/* What waits to be sent has become less by as much as what was counted at once. */
static void add_unsent(struct site *site, const struct siege_settings *settings, double hundredths,
		       int64_t now_ms)
{
	double waited_ms = fmax(0, (double)(now_ms - site->unsent_ms));

	site->unsent *= exp2(-waited_ms / (double)settings->half_life_ms);
	site->unsent = fmin(site->unsent + hundredths, (double)COUNTERS_MAX);
	site->unsent_ms = now_ms;
}

void site_offence(struct site *site, const struct siege_settings *settings, uint64_t hundredths,
		  int64_t now_ms)
{
	struct siege_state state;
	bool has_changed;

	pthread_mutex_lock(&site->mutex);
	has_changed = siege_add(&site->siege, settings, hundredths, 0, now_ms);
	add_unsent(site, settings, (double)hundredths, now_ms);
	conclude(site, has_changed, &state);
}

void site_state(struct site *site, const struct siege_settings *settings, int64_t now_ms,
		struct siege_state *state)
{
	bool has_changed;

	pthread_mutex_lock(&site->mutex);
	has_changed = siege_update(&site->siege, settings, now_ms);
	conclude(site, has_changed, state);
}

void site_update(struct site *site, const struct siege_settings *settings, int64_t now_ms)
{
	struct siege_state state;

	site_state(site, settings, now_ms, &state);
}

/* The whole hundredths that wait. */
static uint64_t take_unsent(struct site *site, const struct siege_settings *settings,
			    int64_t now_ms)
{
	double whole;

	pthread_mutex_lock(&site->mutex);
	add_unsent(site, settings, 0, now_ms);
	whole = floor(site->unsent);
	site->unsent -= whole;
	pthread_mutex_unlock(&site->mutex);
	return (uint64_t)whole;
}

static void give_back(struct site *site, const struct siege_settings *settings, uint64_t amount,
		      int64_t now_ms)
{
	pthread_mutex_lock(&site->mutex);
	add_unsent(site, settings, (double)amount, now_ms);
	pthread_mutex_unlock(&site->mutex);
}

static struct minute *find_minute(struct site *site, int64_t number)
{
	struct minute *minute = &site->minutes[number % MINUTES];

	/*
	 * One of later stands there if the clock was set back: its host may have counted this one
	 * already.
	 */
	if (minute->number != number)
		*minute = (struct minute){.number = number, .is_old = minute->number > number};
	return minute;
}

/* How much the others have added since the minute was last read. */
static uint64_t take_growth(struct minute *minute, uint64_t sum)
{
	/* A server that has restarted, or forgot, begins anew. */
	uint64_t growth = sum >= minute->sum ? sum - minute->sum : sum;
	uint64_t mine = growth < minute->mine ? growth : minute->mine;
	bool is_old = minute->is_old;

	minute->sum = sum;
	minute->mine -= mine;
	minute->is_old = false;
	return is_old ? 0 : growth - mine;
}

/* How long ago that growth was, on average. */
static int64_t age_of(const struct site *site, int64_t number, int64_t now_ms)
{
	int64_t begin_ms = number * MINUTE_MS, end_ms = begin_ms + MINUTE_MS;

	/* A host whose clock is behind has added to a minute that was over. */
	if (site->read_ms >= end_ms || end_ms > now_ms)
		end_ms = now_ms;
	if (begin_ms < site->read_ms)
		begin_ms = site->read_ms;
	return now_ms - (begin_ms + end_ms) / 2;
}

static void hear(struct site *site, const struct siege_settings *settings,
		 const struct store_site *shared, int64_t now_ms)
{
	struct siege_state state;
	bool has_changed = false;

	pthread_mutex_lock(&site->mutex);
	/* The oldest first: a siege of before does not begin now. */
	for (int i = STORE_SITE_MINUTES - 1; i >= 0; i--) {
		int64_t number = shared->minute - i;
		uint64_t others = take_growth(find_minute(site, number), shared->sums[i]);

		if (others > 0)
			has_changed ^= siege_add(&site->siege, settings, others,
						 age_of(site, number, now_ms), now_ms);
	}
	conclude(site, has_changed, &state);
	site->read_ms = now_ms;
}

void site_exchange(struct site *site, struct store *store, const struct siege_settings *settings,
		   const char *key_prefix, int64_t now_ms)
{
	struct store_site shared = {.key_prefix = key_prefix, .minute = now_ms / MINUTE_MS};
	bool is_answered;

	site_update(site, settings, now_ms);
	if (settings->threshold <= 0)
		return;
	shared.amount = take_unsent(site, settings, now_ms);
	is_answered = store_share_site(store, &shared);
	/* What may have been told is never told again. */
	if (shared.step == STORE_SITE_NOT_TOLD)
		give_back(site, settings, shared.amount, now_ms);
	else
		find_minute(site, shared.minute)->mine += shared.amount;
	if (is_answered)
		hear(site, settings, &shared, now_ms);
}
