/* SPDX-License-Identifier: BSD-2-Clause */
#include "result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_FIRST 1024

static struct book *book_of(const struct journal *journal)
{
	/* A journal is const to those who write into it; the book around it is not. */
	return (struct book *)(uintptr_t)journal;
}

static int64_t now_ms(const struct book *book)
{
	return book->clock->wall_ms(book->clock);
}

static int compare_hurt(const void *a, const void *b)
{
	const struct book_client *one = *(const struct book_client *const *)a;
	const struct book_client *other = *(const struct book_client *const *)b;

	if (one->stalled_ms != other->stalled_ms)
		return one->stalled_ms > other->stalled_ms ? -1 : 1;
	if (one->rejected != other->rejected)
		return one->rejected > other->rejected ? -1 : 1;
	return memcmp(&one->key, &other->key, sizeof(one->key));
}

static int compare_messages(const void *a, const void *b)
{
	const struct book_client *one = *(const struct book_client *const *)a;
	const struct book_client *other = *(const struct book_client *const *)b;

	if (one->messages != other->messages)
		return one->messages > other->messages ? -1 : 1;
	return compare_hurt(a, b);
}

typedef int compare_clients(const void *a, const void *b);

/* All flagged clients in that order; the caller's to free. */
static const struct book_client **sorted(const struct book *book, compare_clients *compare,
					 size_t *count)
{
	const struct book_client **all =
		calloc(HASH_COUNT(book->flagged) + 1, sizeof(const struct book_client *));

	*count = 0;
	if (all == NULL)
		return NULL;
	for (const struct book_client *client = book->flagged; client != NULL;
	     client = client->hh.next)
		all[(*count)++] = client;
	qsort(all, *count, sizeof(*all), compare);
	return all;
}

size_t book_worst(const struct book *book, const struct book_client **worst, size_t max)
{
	size_t count;
	const struct book_client **all = sorted(book, compare_hurt, &count);

	if (count > max)
		count = max;
	if (count > 0)
		memcpy(worst, all, count * sizeof(*worst));
	free(all);
	return count;
}

size_t book_innocents(const struct book *book, const struct book_client **innocents, size_t max)
{
	size_t count, taken = 0;
	const struct book_client **all = sorted(book, compare_messages, &count);

	while (taken < count && taken < max && all[taken]->messages > 0) {
		innocents[taken] = all[taken];
		taken++;
	}
	free(all);
	return taken;
}

static void forget(struct book_client **table, struct book_client *client)
{
	HASH_DEL(*table, client);
	free(client);
}

static bool add(struct book_client **table, struct book_client *client)
{
	HASH_ADD(hh, *table, key, sizeof(client->key), client);
	if (client->hh.tbl != NULL)
		return true;
	free(client);
	return false;
}

/* Room among the flagged: the half that has been hurt least goes, so that this is rarely done. */
static void thin_out(struct book *book)
{
	size_t count;
	const struct book_client **all = sorted(book, compare_hurt, &count);

	for (size_t i = count / 2; i < count; i++) {
		struct book_client *client;

		HASH_FIND(hh, book->flagged, &all[i]->key, sizeof(client->key), client);
		forget(&book->flagged, client);
		book->flagged_forgotten++;
	}
	free(all);
}

static struct book_client *find(const struct book *book, const struct prefix *key)
{
	struct book_client *client;

	HASH_FIND(hh, book->flagged, key, sizeof(*key), client);
	if (client == NULL)
		HASH_FIND(hh, book->plain, key, sizeof(*key), client);
	return client;
}

/* "[192.0.2.1]" and "unknown" are no names. */
static void set_name(struct book_client *client, const char *name)
{
	if (name == NULL || *name == '\0' || *name == '[' || strcmp(name, "unknown") == 0)
		return;
	snprintf(client->name, sizeof(client->name), "%s", name);
}

/* NULL if out of memory. */
static struct book_client *find_or_add(struct book *book, const struct prefix *key,
				       const char *name)
{
	struct book_client *client = find(book, key);

	if (client == NULL) {
		if (HASH_COUNT(book->plain) >= BOOK_PLAIN_MAX)
			forget(&book->plain, book->plain);
		client = calloc(1, sizeof(*client));
		if (client == NULL)
			return NULL;
		client->key = *key;
		if (!add(&book->plain, client))
			return NULL;
	} else if (client->flags == 0 && HASH_COUNT(book->plain) > BOOK_PLAIN_MAX / 2) {
		/* The last that would be forgotten; not worth it while there is room. */
		HASH_DEL(book->plain, client);
		if (!add(&book->plain, client))
			return NULL;
	}
	if (client->name[0] == '\0')
		set_name(client, name);
	return client;
}

static void promote(struct book *book, struct book_client *client)
{
	HASH_DEL(book->plain, client);
	if (HASH_COUNT(book->flagged) >= BOOK_FLAGGED_MAX)
		thin_out(book);
	client->first_flagged_ms = now_ms(book);
	book->clients_flagged++;
	if (client->messages > 0)
		book->flagged_delivering++;
	add(&book->flagged, client);
}

static void note_flag(struct book *book, const struct journal_client *who, double score)
{
	struct book_flag *flags = book->flags;

	book->flags_total++;
	if (book->flags_count == BOOK_FLAGS_MAX)
		return;
	if ((book->flags_count & (book->flags_count - 1)) == 0)
		flags = reallocarray(flags, book->flags_count * 2 + 1, sizeof(*flags));
	if (flags == NULL)
		return;
	book->flags = flags;
	flags = &flags[book->flags_count++];
	flags->wall_ms = now_ms(book);
	flags->score = score;
	snprintf(flags->client, sizeof(flags->client), "%s", who->address);
}

static void on_rejected(const struct journal *journal, const struct journal_client *who,
			const struct journal_rejection *rejection)
{
	struct book *book = book_of(journal);
	struct book_client *client = find_or_add(book, &who->client->key, who->host);

	book->rejected += rejection->count;
	if (rejection->amount > 0)
		book->rejected_counted += rejection->count;
	if (client == NULL)
		return;
	client->rejected += rejection->count;
	client->score_max = fmax(client->score_max, rejection->standing->score);
}

static void on_flagged(const struct journal *journal, const struct journal_client *who,
		       const struct standing *standing, int64_t delay_ms)
{
	struct book *book = book_of(journal);
	struct book_client *client = find_or_add(book, &who->client->key, who->host);

	(void)delay_ms;
	note_flag(book, who, standing->score);
	if (client == NULL)
		return;
	client->score_max = fmax(client->score_max, standing->score);
	if (client->flags++ == 0)
		promote(book, client);
}

static void count_stall(struct book *book, struct book_client *client,
			const struct journal_decision *decision)
{
	book->stalls[decision->stage]++;
	book->stalled_ms[decision->stage] += decision->delay_ms;
	if (client != NULL) {
		client->stalls++;
		client->stalled_ms += decision->delay_ms;
	}
	if (book->run != NULL)
		crowd_stall(&book->crowd, book->run, now_ms(book), decision->delay_ms);
}

static void on_decided(const struct journal *journal, const struct journal_client *who,
		       const struct journal_decision *decision)
{
	struct book *book = book_of(journal);
	struct book_client *client = find(book, &who->client->key);
	enum action action =
		decision->reason == REASON_OBSERVE ? decision->instead_of : decision->action;

	if (book->is_muted)
		return;
	if (action == ACTION_STALL) {
		count_stall(book, client, decision);
	} else if (action == ACTION_DEFER) {
		book->deferrals[decision->stage]++;
		if (client != NULL)
			client->deferrals++;
	} else {
		book->passes++;
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

static void on_session(const struct journal *journal, enum journal_session what)
{
	if (what == SESSION_OPENED)
		book_of(journal)->open_sessions++;
	else if (what == SESSION_CLOSED)
		book_of(journal)->open_sessions--;
}

static void on_warned(const struct journal *journal, const char *mta_name, enum mta_warning kind,
		      const char *warning)
{
	(void)journal;
	(void)mta_name;
	(void)kind;
	(void)warning;
}

void book_init(struct book *book, const struct clock *clock, unsigned max_stalls)
{
	*book = (struct book){
		.journal = {.session = on_session,
			    .rejected = on_rejected,
			    .flagged = on_flagged,
			    .decided = on_decided,
			    .released = on_released,
			    .warned = on_warned},
		.clock = clock,
	};
	crowd_init(&book->crowd, max_stalls);
}

void book_free(struct book *book)
{
	while (book->plain != NULL)
		forget(&book->plain, book->plain);
	while (book->flagged != NULL)
		forget(&book->flagged, book->flagged);
	free(book->flags);
	free(book->seen);
	crowd_free(&book->crowd);
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

static bool make_room(struct book *book)
{
	size_t size = book->seen_size == 0 ? SEEN_FIRST : 2 * book->seen_size;
	uint64_t *seen;

	if (2 * book->seen_used < book->seen_size)
		return true;
	seen = calloc(size, sizeof(*seen));
	if (seen == NULL)
		return false;
	for (size_t i = 0; i < book->seen_size; i++)
		if (book->seen[i] != 0)
			place(seen, size, book->seen[i]);
	free(book->seen);
	book->seen = seen;
	book->seen_size = size;
	return true;
}

void book_exempt(struct book *book)
{
	if (!book->is_muted)
		book->sessions_exempt++;
}

void book_session(struct book *book, const struct prefix *key)
{
	/* Two different seeds, for 32 bits would make some clients one. */
	struct {
		struct prefix key;
		uint8_t seed;
	} seeded = {*key, 1};
	uint64_t hash =
		(uint64_t)hash_table(key, sizeof(*key)) << 32 | hash_table(&seeded, sizeof(seeded));

	if (book->is_muted)
		return;
	book->sessions++;
	if (book->clients >= BOOK_CLIENTS_MAX || !make_room(book))
		return;
	if (place(book->seen, book->seen_size, hash != 0 ? hash : 1)) {
		book->seen_used++;
		book->clients++;
	}
}

void book_delivered(struct book *book, const struct prefix *key, const char *name,
		    unsigned recipients)
{
	struct book_client *client = find_or_add(book, key, name);

	book->messages++;
	book->recipients += recipients;
	if (client == NULL)
		return;
	if (client->messages++ == 0 && client->flags > 0)
		book->flagged_delivering++;
}

void book_finish(struct book *book, int64_t last_ms)
{
	crowd_advance(&book->crowd, INT64_MAX);
	crowd_reach(&book->crowd, last_ms);
}
