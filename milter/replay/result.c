/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts what sessions tell their journal, and keeps the clients that matter. */
#include "result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_FIRST 1024

static struct replay_result *result_of(const struct journal *journal)
{
	/* Sessions take their journal as const; the result around it is not. */
	return (struct replay_result *)(uintptr_t)journal;
}

static int64_t now_ms(const struct replay_result *result)
{
	return result->clock->wall_ms(result->clock);
}

static int compare_stalls(const struct replay_client *one, const struct replay_client *other)
{
	if (one->stalled_ms != other->stalled_ms)
		return one->stalled_ms > other->stalled_ms ? -1 : 1;
	if (one->rejected != other->rejected)
		return one->rejected > other->rejected ? -1 : 1;
	return memcmp(&one->key, &other->key, sizeof(one->key));
}

static int compare_messages(const struct replay_client *one, const struct replay_client *other)
{
	if (one->messages != other->messages)
		return one->messages > other->messages ? -1 : 1;
	return compare_stalls(one, other);
}

size_t replay_result_worst(struct replay_result *result, const struct replay_client **worst,
			   size_t max)
{
	size_t count = 0;

	HASH_SORT(result->flagged, compare_stalls);
	for (const struct replay_client *client = result->flagged; client != NULL && count < max;
	     client = client->hh.next)
		worst[count++] = client;
	return count;
}

size_t replay_result_innocents(struct replay_result *result, const struct replay_client **innocents,
			       size_t max)
{
	size_t count = 0;

	HASH_SORT(result->flagged, compare_messages);
	for (const struct replay_client *client = result->flagged;
	     client != NULL && client->messages > 0 && count < max; client = client->hh.next)
		innocents[count++] = client;
	return count;
}

uint64_t replay_result_sum(const uint64_t *by_stage)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < STAGE_COUNT; i++)
		sum += by_stage[i];
	return sum;
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

/* Makes room: the half with the shortest stalls goes, so that this is rarely done. */
static void forget_flagged(struct replay_result *result)
{
	size_t left = HASH_COUNT(result->flagged) / 2;
	struct replay_client *client, *next;

	HASH_SORT(result->flagged, compare_stalls);
	for (client = result->flagged; client != NULL; client = next) {
		next = client->hh.next;
		if (left > 0)
			left--;
		else
			forget(&result->flagged, client);
	}
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
static void set_host(struct replay_client *client, const char *host)
{
	if (host == NULL || *host == '\0' || *host == '[' || strcmp(host, "unknown") == 0)
		return;
	snprintf(client->host, sizeof(client->host), "%s", host);
}

/* NULL if out of memory. */
static struct replay_client *find_or_add(struct replay_result *result, const struct prefix *key,
					 const char *host)
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
		/* Behind all others, to be forgotten last; not worth it while there is room. */
		HASH_DEL(result->unflagged, client);
		if (!add(&result->unflagged, client))
			return NULL;
	}
	if (client->host[0] == '\0')
		set_host(client, host);
	return client;
}

static void move_to_flagged(struct replay_result *result, struct replay_client *client)
{
	HASH_DEL(result->unflagged, client);
	if (HASH_COUNT(result->flagged) >= REPLAY_FLAGGED_MAX)
		forget_flagged(result);
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

/* One whom a siege flagged first may have deserved it later without one. */
static void note_siege(struct replay_result *result, struct replay_client *client,
		       const struct standing *standing)
{
	if (!client->by_siege || !standing->flagged || standing->by_siege)
		return;
	client->by_siege = false;
	result->clients_by_siege--;
}

/*
 * For trap_recipients: 5.1.x (RFC 3463) is about the address; any other code refuses the client or
 * its mail, and a trap has no such code at all. No client's probes of one recipient count more than
 * once a window.
 */
static void note_probe(struct replay_result *result, const struct journal_client *who,
		       const struct journal_rejection *rejection)
{
	if (rejection->standing->flagged && rejection->amount > 0 &&
	    strncmp(rejection->code, "5.1.", 4) == 0)
		replay_candidates_probed(result->candidates, rejection->recipient,
					 &who->client->key);
}

static void on_rejected(const struct journal *journal, const struct journal_client *who,
			const struct journal_rejection *rejection)
{
	struct replay_result *result = result_of(journal);
	struct replay_client *client = find_or_add(result, &who->client->key, who->host);

	result->rejected += rejection->count;
	if (rejection->amount > 0)
		result->rejected_counted += rejection->count;
	note_probe(result, who, rejection);
	if (client == NULL)
		return;
	note_siege(result, client, rejection->standing);
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
	note_siege(result, client, standing);
	if (client->flags++ > 0)
		return;
	client->by_siege = standing->by_siege;
	result->clients_by_siege += standing->by_siege;
	move_to_flagged(result, client);
}

static void count_stall(struct replay_result *result, struct replay_client *client,
			const struct journal_decision *decision)
{
	result->stalls[decision->stage]++;
	result->stalled_ms[decision->stage] += (uint64_t)decision->delay_ms;
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
	}
}

static void on_session(const struct journal *journal, enum journal_session what)
{
	if (what == SESSION_OPENED)
		result_of(journal)->open_sessions++;
	else if (what == SESSION_CLOSED)
		result_of(journal)->open_sessions--;
}

static void on_warned(const struct journal *journal, const char *mta_name, enum mta_warning kind,
		      const char *warning)
{
	(void)journal;
	(void)mta_name;
	(void)kind;
	(void)warning;
}

static void on_siege(const struct journal *journal, const struct siege_state *state)
{
	struct replay_result *result = result_of(journal);

	if (state->is_on) {
		result->sieges++;
		result->siege_since_ms = state->changed_ms;
	} else {
		result->siege_ms += state->changed_ms - result->siege_since_ms;
		result->siege_since_ms = 0;
	}
}

bool replay_result_init(struct replay_result *result, const struct clock *clock,
			const struct config *config)
{
	*result = (struct replay_result){
		/* Not released: no session waits in mode observe. */
		.journal = {.session = on_session,
			    .rejected = on_rejected,
			    .flagged = on_flagged,
			    .decided = on_decided,
			    .warned = on_warned,
			    .siege = on_siege},
		.clock = clock,
	};
	replay_concurrency_init(&result->concurrency, config->max_stalls);
	result->candidates = replay_candidates_new(config->recipient_delimiter);
	return result->candidates != NULL;
}

void replay_result_free(struct replay_result *result)
{
	while (result->unflagged != NULL)
		forget(&result->unflagged, result->unflagged);
	while (result->flagged != NULL)
		forget(&result->flagged, result->flagged);
	replay_candidates_free(result->candidates);
	free(result->flags);
	free(result->seen);
	replay_concurrency_free(&result->concurrency);
}

/* Puts a hash, which is not 0, into an open-addressed table; false if it was there. */
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

	if (2 * result->clients < result->seen_size)
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

void replay_result_session(struct replay_result *result, const struct prefix *key)
{
	/* Two hashes, for 32 bits would make some clients one. */
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
	if (place(result->seen, result->seen_size, hash != 0 ? hash : 1))
		result->clients++;
}

void replay_result_delivered(struct replay_result *result, const struct prefix *key,
			     const char *host, unsigned recipients)
{
	struct replay_client *client = find_or_add(result, key, host);

	result->messages++;
	result->recipients += recipients;
	if (client == NULL)
		return;
	if (client->messages++ == 0 && client->flags > 0)
		result->flagged_delivering++;
}

void replay_result_left(struct replay_result *result, const struct prefix *key)
{
	struct replay_client *client = find(result, key);

	result->sessions_left++;
	if (client != NULL)
		client->left++;
}

void replay_result_finish(struct replay_result *result, int64_t last_ms)
{
	replay_concurrency_advance(&result->concurrency, INT64_MAX);
	replay_concurrency_reach(&result->concurrency, last_ms);
	if (result->siege_since_ms > 0)
		result->siege_ms += last_ms - result->siege_since_ms;
	result->siege_since_ms = 0;
}
