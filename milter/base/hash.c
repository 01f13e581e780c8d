/* SPDX-License-Identifier: BSD-2-Clause */
/* Hashes table keys and recipients with libsodium. */
#include "base/hash.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"

static unsigned char table_key[crypto_shorthash_KEYBYTES];

int hash_init(void)
{
	if (sodium_init() < 0)
		return -1;
	crypto_shorthash_keygen(table_key);
	return 0;
}

unsigned hash_table(const void *data, size_t length)
{
	unsigned char digest[crypto_shorthash_BYTES];
	unsigned value;

	crypto_shorthash(digest, data, length, table_key);
	memcpy(&value, digest, sizeof(value));
	return value;
}

uint64_t hash_recipient(const char *key_prefix, enum side side, const char *address)
{
	unsigned char key[crypto_shorthash_KEYBYTES];
	unsigned char digest[crypto_shorthash_BYTES];
	char text[ADDRESS_TEXT_MAX + 1];
	size_t length = strnlen(address, ADDRESS_TEXT_MAX);
	uint64_t value = 0;

	crypto_generichash(key, sizeof(key), (const unsigned char *)key_prefix, strlen(key_prefix),
			   NULL, 0);
	text[0] = side == SIDE_BAD ? 'b' : 'g';
	memcpy(text + 1, address, length);
	crypto_shorthash(digest, (const unsigned char *)text, length + 1, key);
	/* The bytes are taken in this order on machines of either endianness. */
	for (size_t i = 0; i < sizeof(digest); i++)
		value = value << 8 | digest[i];
	return value;
}

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct hash_sum), "room for the state");

static crypto_generichash_state *state_of(struct hash_sum *sum)
{
	return (void *)sum->state;
}

void hash_sum_begin(struct hash_sum *sum)
{
	crypto_generichash_init(state_of(sum), NULL, 0, HASH_SUM_SIZE);
}

void hash_sum_add(struct hash_sum *sum, const void *data, size_t length)
{
	crypto_generichash_update(state_of(sum), data, length);
}

void hash_sum_end(struct hash_sum *sum, unsigned char digest[HASH_SUM_SIZE])
{
	crypto_generichash_final(state_of(sum), digest, HASH_SUM_SIZE);
}

const char *hash_library_version(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "libsodium %s", sodium_version_string());
	return text;
}

double hash_chance(void)
{
	return (double)randombytes_random() / (double)UINT32_MAX * 2 - 1;
}
