/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recipients that flagged clients probed and nobody reached, as far as the log tells: traps,
 * perhaps. For one thread. The memory is bounded, whatever the log holds: of probed recipients
 * REPLAY_CANDIDATES_MAX are kept, and those that were accepted are a Bloom filter of 1 MiB, so a
 * candidate may be missed (one in a thousand, where 400,000 recipients were accepted) but is never
 * one that was accepted.
 */
#ifndef TARPIT_REPLAY_CANDIDATES_H
#define TARPIT_REPLAY_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"
#include "base/table.h"

/* Beyond so many the half with the fewest probes is forgotten. */
#define REPLAY_CANDIDATES_MAX 8192
/* Clients of one recipient that are told apart. */
#define REPLAY_PROBERS_MAX 8

struct replay_candidates;

struct replay_candidate {
	uint64_t probes;
	unsigned clients;		/* REPLAY_PROBERS_MAX: so many or more */
	/* Private. */
	unsigned probers[REPLAY_PROBERS_MAX];	/* hashes of them */
	uint64_t sequence;		/* of the last probe, among all */
	UT_hash_handle hh;
	char address[];			/* printable ASCII, in the form of base/address.h */
};

/* delimiters are those of address_mailbox, and stay the caller's. NULL if out of memory. */
struct replay_candidates *replay_candidates_new(const char *delimiters);
void replay_candidates_free(struct replay_candidates *candidates);	/* NULL is allowed */
/* A flagged client has met a rejection; an address that can be no trap is passed over. */
void replay_candidates_probed(struct replay_candidates *candidates, const char *address,
			      const struct prefix *client);
/*
 * Somebody got through to this address: neither it nor any extension of its mailbox is a candidate,
 * nor the mailbox.
 */
void replay_candidates_accepted(struct replay_candidates *candidates, const char *address);
/* Those that were probed most, most first; returns how many. */
size_t replay_candidates_most(struct replay_candidates *candidates,
			      const struct replay_candidate **most, size_t max);

#endif
