/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyed hashing (SipHash, BLAKE2b, by libsodium), so that nobody outside can choose collisions. */
#ifndef TARPIT_BASE_HASH_H
#define TARPIT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"

/* Chooses this process's key for hash_table. Call once, before any thread. Returns 0 or -1. */
int hash_init(void);
/* For tables in this process. */
unsigned hash_table(const void *data, size_t length);
/* The same on every host with the same key_prefix. A recipient may be seen as good and as bad. */
uint64_t hash_recipient(const char *key_prefix, enum side side, const char *address);
/* Uniform, from -1 to 1. */
double hash_chance(void);
const char *hash_library_version(void);	/* "libsodium 1.0.18" */

#endif
