/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts the probes of each recipient, and remembers in a Bloom filter who was accepted. */
#include "candidates.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/printable.h"

/* RFC 5321 4.5.3.1.3: a path is of 256 octets at most, its angle brackets included. */
#define CANDIDATE_LENGTH_MAX 254

#define FILTER_BITS (1U << 23)
#define FILTER_HASHES 4

struct replay_candidates {
	struct replay_candidate *table;
	const char *delimiters;
	uint64_t sequence;
	uint8_t accepted[FILTER_BITS / 8];
};

/* The bit of the filter that is a text's n-th. */
static size_t filter_bit(const unsigned hashes[2], unsigned n)
{
	return (hashes[0] + n * hashes[1]) % FILTER_BITS;
}

static void filter_hash(const char *text, unsigned hashes[2])
{
	hashes[0] = hash_table(text, strlen(text));
	hashes[1] = hash_table(&hashes[0], sizeof(hashes[0]));
}

static void filter_add(struct replay_candidates *candidates, const char *text)
{
	unsigned hashes[2];

	filter_hash(text, hashes);
	for (unsigned n = 0; n < FILTER_HASHES; n++) {
		size_t bit = filter_bit(hashes, n);

		candidates->accepted[bit / 8] |= (uint8_t)(1U << bit % 8);
	}
}

static bool filter_has(const struct replay_candidates *candidates, const char *text)
{
	unsigned hashes[2];

	filter_hash(text, hashes);
	for (unsigned n = 0; n < FILTER_HASHES; n++) {
		size_t bit = filter_bit(hashes, n);

		if ((candidates->accepted[bit / 8] & 1U << bit % 8) == 0)
			return false;
	}
	return true;
}

/* Under the name itself or, with another extension or none, under its mailbox's. */
static bool was_accepted(const struct replay_candidates *candidates, const char *address)
{
	struct address parsed, mailbox;

	address_parse(address, &parsed);
	return filter_has(candidates, parsed.text) ||
	       (address_mailbox(&parsed, candidates->delimiters, &mailbox) &&
		filter_has(candidates, mailbox.text));
}

struct replay_candidates *replay_candidates_new(const char *delimiters)
{
	struct replay_candidates *candidates = calloc(1, sizeof(*candidates));

	if (candidates != NULL)
		candidates->delimiters = delimiters;
	return candidates;
}

static void forget(struct replay_candidates *candidates, struct replay_candidate *candidate)
{
	HASH_DEL(candidates->table, candidate);
	free(candidate);
}

void replay_candidates_free(struct replay_candidates *candidates)
{
	if (candidates == NULL)
		return;
	while (candidates->table != NULL)
		forget(candidates, candidates->table);
	free(candidates);
}

static int compare_probes(const struct replay_candidate *one, const struct replay_candidate *other)
{
	if (one->probes != other->probes)
		return one->probes > other->probes ? -1 : 1;
	if (one->clients != other->clients)
		return one->clients > other->clients ? -1 : 1;
	return strcmp(one->address, other->address);
}

/* A recipient that has just been probed may be so again: one of long ago has had its time. */
static int compare_worth(const struct replay_candidate *one, const struct replay_candidate *other)
{
	if (one->probes != other->probes)
		return one->probes > other->probes ? -1 : 1;
	return one->sequence > other->sequence ? -1 : 1;
}

/* Those that were accepted since go too. */
static void make_room(struct replay_candidates *candidates)
{
	size_t left = REPLAY_CANDIDATES_MAX / 2;
	struct replay_candidate *candidate, *next;

	HASH_SORT(candidates->table, compare_worth);
	for (candidate = candidates->table; candidate != NULL; candidate = next) {
		next = candidate->hh.next;
		if (left > 0 && !was_accepted(candidates, candidate->address))
			left--;
		else
			forget(candidates, candidate);
	}
}

static struct replay_candidate *add(struct replay_candidates *candidates, const char *address,
				    size_t length)
{
	struct replay_candidate *candidate;

	if (HASH_COUNT(candidates->table) >= REPLAY_CANDIDATES_MAX)
		make_room(candidates);
	candidate = calloc(1, sizeof(*candidate) + length + 1);
	if (candidate == NULL)
		return NULL;
	memcpy(candidate->address, address, length);
	HASH_ADD_KEYPTR(hh, candidates->table, candidate->address, length, candidate);
	if (candidate->hh.tbl != NULL)
		return candidate;
	free(candidate);
	return NULL;
}

/*
 * Whether trap_recipients would take it, and whoever reads the report can copy it. Postfix logs "?"
 * in place of what is not printable.
 */
static bool may_be_trap(const struct address *address)
{
	if (!address->is_plain || strlen(address->text) > CANDIDATE_LENGTH_MAX ||
	    *address_domain(address) == '\0')
		return false;
	for (const char *c = address->text; *c != '\0'; c++)
		if (!printable_is(*c) || strchr(" <>?", *c) != NULL)
			return false;
	return true;
}

static void note_prober(struct replay_candidate *candidate, const struct prefix *client)
{
	unsigned hash = hash_table(client, sizeof(*client));

	for (unsigned i = 0; i < candidate->clients; i++)
		if (candidate->probers[i] == hash)
			return;
	if (candidate->clients < REPLAY_PROBERS_MAX)
		candidate->probers[candidate->clients++] = hash;
}

void replay_candidates_probed(struct replay_candidates *candidates, const char *address,
			      const struct prefix *client)
{
	struct replay_candidate *candidate;
	struct address parsed;
	size_t length;

	address_parse(address, &parsed);
	if (!may_be_trap(&parsed) || was_accepted(candidates, parsed.text))
		return;
	length = strlen(parsed.text);
	HASH_FIND(hh, candidates->table, parsed.text, length, candidate);
	if (candidate == NULL)
		candidate = add(candidates, parsed.text, length);
	if (candidate == NULL)
		return;
	candidate->probes++;
	candidate->sequence = ++candidates->sequence;
	note_prober(candidate, client);
}

void replay_candidates_accepted(struct replay_candidates *candidates, const char *address)
{
	struct address parsed, mailbox;

	address_parse(address, &parsed);
	filter_add(candidates, parsed.text);
	/* A trap is one with any extension. */
	if (address_mailbox(&parsed, candidates->delimiters, &mailbox))
		filter_add(candidates, mailbox.text);
}

size_t replay_candidates_most(struct replay_candidates *candidates,
			      const struct replay_candidate **most, size_t max)
{
	size_t count = 0;

	HASH_SORT(candidates->table, compare_probes);
	for (const struct replay_candidate *candidate = candidates->table;
	     candidate != NULL && count < max; candidate = candidate->hh.next)
		if (!was_accepted(candidates, candidate->address))
			most[count++] = candidate;
	return count;
}
