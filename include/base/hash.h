/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyed hashing (SipHash, BLAKE2b, by libsodium), so that nobody outside can choose collisions. */
#ifndef TARPIT_BASE_HASH_H
#define TARPIT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"

/* Chooses this process's key for hash_table. Call once, before any thread. Returns 0 or -1. */
int hash_init(void);
/* For tables in this process. Thread-safe, as are the next two. */
unsigned hash_table(const void *data, size_t length);
/*
 * The same on every host with the same key_prefix. One recipient has two hashes: it may be accepted
 * and rejected.
 */
uint64_t hash_recipient(const char *key_prefix, enum side side, const char *address);
/* Checks a file against damage: BLAKE2b, without a key, of bytes that come piece by piece. */
#define HASH_SUM_SIZE 32
struct hash_sum {
	_Alignas(64) unsigned char state[384];	/* libsodium's */
};
void hash_sum_begin(struct hash_sum *sum);
void hash_sum_add(struct hash_sum *sum, const void *data, size_t length);
void hash_sum_end(struct hash_sum *sum, unsigned char digest[HASH_SUM_SIZE]);
/* A random number, uniform from -1 to 1. */
double hash_chance(void);
const char *hash_library_version(void);	/* "libsodium 1.0.18" */

#endif
