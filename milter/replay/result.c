/* SPDX-License-Identifier: BSD-2-Clause */
#include "result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_FIRST 1024

static struct replay_result *result_of(const struct journal *journal)
{
	/* A journal is const to those who write into it; the result around it is not. */
	return (struct replay_result *)(uintptr_t)journal;
}

static int64_t now_ms(const struct replay_result *result)
{
	return result->clock->wall_ms(result->clock);
}

static int compare_hurt(const void *a, const void *b)
{
	const struct replay_client *one = *(const struct replay_client *const *)a;
	const struct replay_client *other = *(const struct replay_client *const *)b;

	if (one->stalled_ms != other->stalled_ms)
		return one->stalled_ms > other->stalled_ms ? -1 : 1;
	if (one->rejected != other->rejected)
		return one->rejected > other->rejected ? -1 : 1;
	return memcmp(&one->key, &other->key, sizeof(one->key));
}

static int compare_messages(const void *a, const void *b)
{
	const struct replay_client *one = *(const struct replay_client *const *)a;
	const struct replay_client *other = *(const struct replay_client *const *)b;

	if (one->messages != other->messages)
		return one->messages > other->messages ? -1 : 1;
	return compare_hurt(a, b);
}

typedef int compare_clients(const void *a, const void *b);

/* All flagged clients in that order; the caller's to free. */
static const struct replay_client **sorted(const struct replay_result *result,
					   compare_clients *compare, size_t *count)
{
	const struct replay_client **all =
		calloc(HASH_COUNT(result->flagged) + 1, sizeof(const struct replay_client *));

	*count = 0;
	if (all == NULL)
		return NULL;
	for (const struct replay_client *client = result->flagged; client != NULL;
	     client = client->hh.next)
		all[(*count)++] = client;
	qsort(all, *count, sizeof(*all), compare);
	return all;
}

size_t replay_result_worst(const struct replay_result *result, const struct replay_client **worst,
			   size_t max)
{
	size_t count;
	const struct replay_client **all = sorted(result, compare_hurt, &count);

	if (count > max)
		count = max;
	if (count > 0)
		memcpy(worst, all, count * sizeof(*worst));
	free(all);
	return count;
}

size_t replay_result_innocents(const struct replay_result *result,
			       const struct replay_client **innocents, size_t max)
{
	size_t count, taken = 0;
	const struct replay_client **all = sorted(result, compare_messages, &count);

	while (taken < count && taken < max && all[taken]->messages > 0) {
		innocents[taken] = all[taken];
		taken++;
	}
	free(all);
	return taken;
}

static void forget(struct replay_client **table, struct replay_client *client)
{
	HASH_DEL(*table, client);
	free(client);
}

static bool add(struct replay_client **table, struct replay_client *client)
{
	HASH_ADD(hh, *table, key, sizeof(client->key), client);
	if (client->hh.tbl != NULL)
		return true;
	free(client);
	return false;
}

/* Room among the flagged: the half that has been hurt least goes, so that this is rarely done. */
static void thin_out(struct replay_result *result)
{
	size_t count;
	const struct replay_client **all = sorted(result, compare_hurt, &count);

	for (size_t i = count / 2; i < count; i++) {
		struct replay_client *client;

		HASH_FIND(hh, result->flagged, &all[i]->key, sizeof(client->key), client);
		forget(&result->flagged, client);
		result->flagged_forgotten++;
	}
	free(all);
}

static struct replay_client *find(const struct replay_result *result, const struct prefix *key)
{
	struct replay_client *client;

	HASH_FIND(hh, result->flagged, key, sizeof(*key), client);
	if (client == NULL)
		HASH_FIND(hh, result->unflagged, key, sizeof(*key), client);
	return client;
}

/* "[192.0.2.1]" and "unknown" are no names. */
static void set_name(struct replay_client *client, const char *name)
{
	if (name == NULL || *name == '\0' || *name == '[' || strcmp(name, "unknown") == 0)
		return;
	snprintf(client->name, sizeof(client->name), "%s", name);
}

/* NULL if out of memory. */
static struct replay_client *find_or_add(struct replay_result *result, const struct prefix *key,
					 const char *name)
{
	struct replay_client *client = find(result, key);

	if (client == NULL) {
		if (HASH_COUNT(result->unflagged) >= REPLAY_UNFLAGGED_MAX)
			forget(&result->unflagged, result->unflagged);
		client = calloc(1, sizeof(*client));
		if (client == NULL)
			return NULL;
		client->key = *key;
		if (!add(&result->unflagged, client))
			return NULL;
	} else if (client->flags == 0 && HASH_COUNT(result->unflagged) > REPLAY_UNFLAGGED_MAX / 2) {
		/* The last that would be forgotten; not worth it while there is room. */
		HASH_DEL(result->unflagged, client);
		if (!add(&result->unflagged, client))
			return NULL;
	}
	if (client->name[0] == '\0')
		set_name(client, name);
	return client;
}

static void promote(struct replay_result *result, struct replay_client *client)
{
	HASH_DEL(result->unflagged, client);
	if (HASH_COUNT(result->flagged) >= REPLAY_FLAGGED_MAX)
		thin_out(result);
	client->first_flagged_ms = now_ms(result);
	result->clients_flagged++;
	if (client->messages > 0)
		result->flagged_delivering++;
	add(&result->flagged, client);
}

static void note_flag(struct replay_result *result, const struct journal_client *who, double score)
{
	struct replay_flag *flags = result->flags;

	result->flags_total++;
	if (result->flags_count == REPLAY_FLAGS_MAX)
		return;
	if ((result->flags_count & (result->flags_count - 1)) == 0)
		flags = reallocarray(flags, result->flags_count * 2 + 1, sizeof(*flags));
	if (flags == NULL)
		return;
	result->flags = flags;
	flags = &flags[result->flags_count++];
	flags->wall_ms = now_ms(result);
	flags->score = score;
	snprintf(flags->client, sizeof(flags->client), "%s", who->address);
}

static void on_rejected(const struct journal *journal, const struct journal_client *who,
			const struct journal_rejection *rejection)
{
	struct replay_result *result = result_of(journal);
	struct replay_client *client = find_or_add(result, &who->client->key, who->host);

	result->rejected += rejection->count;
	if (rejection->amount > 0)
		result->rejected_counted += rejection->count;
	if (client == NULL)
		return;
	client->rejected += rejection->count;
	client->score_max = fmax(client->score_max, rejection->standing->score);
}

static void on_flagged(const struct journal *journal, const struct journal_client *who,
		       const struct standing *standing, int64_t delay_ms)
{
	struct replay_result *result = result_of(journal);
	struct replay_client *client = find_or_add(result, &who->client->key, who->host);

	(void)delay_ms;
	note_flag(result, who, standing->score);
	if (client == NULL)
		return;
	client->score_max = fmax(client->score_max, standing->score);
	if (client->flags++ == 0)
		promote(result, client);
}

static void count_stall(struct replay_result *result, struct replay_client *client,
			const struct journal_decision *decision)
{
	result->stalls[decision->stage]++;
	result->stalled_ms[decision->stage] += decision->delay_ms;
	if (client != NULL) {
		client->stalls++;
		client->stalled_ms += decision->delay_ms;
	}
	if (result->run != NULL)
		replay_concurrency_stall(&result->concurrency, result->run, now_ms(result),
					 decision->delay_ms);
}

static void on_decided(const struct journal *journal, const struct journal_client *who,
		       const struct journal_decision *decision)
{
	struct replay_result *result = result_of(journal);
	struct replay_client *client = find(result, &who->client->key);
	enum action action =
		decision->reason == REASON_OBSERVE ? decision->instead_of : decision->action;

	if (result->is_muted)
		return;
	if (action == ACTION_STALL) {
		count_stall(result, client, decision);
	} else if (action == ACTION_DEFER) {
		result->deferrals[decision->stage]++;
		if (client != NULL)
			client->deferrals++;
	} else {
		result->passes++;
	}
}

static void on_released(const struct journal *journal, const struct journal_client *who,
			const struct stall *stall, int64_t waited_ms, enum stall_end end)
{
	(void)journal;
	(void)who;
	(void)stall;
	(void)waited_ms;
	(void)end;
}

static void on_warned(const struct journal *journal, const char *mta_name, const char *warning)
{
	(void)journal;
	(void)mta_name;
	(void)warning;
}

void replay_result_init(struct replay_result *result, const struct clock *clock,
			unsigned max_stalls)
{
	*result = (struct replay_result){
		.journal = {.rejected = on_rejected,
			    .flagged = on_flagged,
			    .decided = on_decided,
			    .released = on_released,
			    .warned = on_warned},
		.clock = clock,
	};
	replay_concurrency_init(&result->concurrency, max_stalls);
}

void replay_result_free(struct replay_result *result)
{
	while (result->unflagged != NULL)
		forget(&result->unflagged, result->unflagged);
	while (result->flagged != NULL)
		forget(&result->flagged, result->flagged);
	free(result->flags);
	free(result->seen);
	replay_concurrency_free(&result->concurrency);
}

/* Puts a hash, which is not 0, into its place; false if it was there. */
static bool place(uint64_t *seen, size_t size, uint64_t hash)
{
	size_t i = (size_t)(hash & (size - 1));

	for (; seen[i] != 0; i = (i + 1) & (size - 1))
		if (seen[i] == hash)
			return false;
	seen[i] = hash;
	return true;
}

static bool make_room(struct replay_result *result)
{
	size_t size = result->seen_size == 0 ? SEEN_FIRST : 2 * result->seen_size;
	uint64_t *seen;

	if (2 * result->seen_used < result->seen_size)
		return true;
	seen = calloc(size, sizeof(*seen));
	if (seen == NULL)
		return false;
	for (size_t i = 0; i < result->seen_size; i++)
		if (result->seen[i] != 0)
			place(seen, size, result->seen[i]);
	free(result->seen);
	result->seen = seen;
	result->seen_size = size;
	return true;
}

void replay_result_exempt(struct replay_result *result)
{
	if (!result->is_muted)
		result->sessions_exempt++;
}

void replay_result_session(struct replay_result *result, const struct prefix *key)
{
	/* Two different seeds, for 32 bits would make some clients one. */
	struct {
		struct prefix key;
		uint8_t seed;
	} seeded = {*key, 1};
	uint64_t hash =
		(uint64_t)hash_table(key, sizeof(*key)) << 32 | hash_table(&seeded, sizeof(seeded));

	if (result->is_muted)
		return;
	result->sessions++;
	if (result->clients >= REPLAY_CLIENTS_MAX || !make_room(result))
		return;
	if (place(result->seen, result->seen_size, hash != 0 ? hash : 1)) {
		result->seen_used++;
		result->clients++;
	}
}

void replay_result_delivered(struct replay_result *result, const struct prefix *key,
			     const char *name, unsigned recipients)
{
	struct replay_client *client = find_or_add(result, key, name);

	result->messages++;
	result->recipients += recipients;
	if (client == NULL)
		return;
	if (client->messages++ == 0 && client->flags > 0)
		result->flagged_delivering++;
}

void replay_result_finish(struct replay_result *result, int64_t last_ms)
{
	replay_concurrency_advance(&result->concurrency, INT64_MAX);
	replay_concurrency_reach(&result->concurrency, last_ms);
}
