/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/hash.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int set_up(void **state)
{
	(void)state;
	return hash_init();
}

/*
 * All hosts must agree on these, whatever their libsodium and byte order. The figures are from
 * another implementation (Python: SipHash-2-4 keyed with hashlib.blake2b(key_prefix,
 * digest_size=16)).
 */
static void recipient_hash_is_the_same_on_all_hosts(void **state)
{
	static const struct {
		const char *key_prefix, *address;
		enum side side;
		uint64_t hash;
	} rows[] = {
		{"tarpit", "user@example.test", SIDE_BAD, UINT64_C(0x39f87964787584ac)},
		{"tarpit", "user@example.test", SIDE_GOOD, UINT64_C(0x4787a895b7b02bcc)},
		{"other", "user@example.test", SIDE_BAD, UINT64_C(0xb05fc0657f2a94be)},
		{"tarpit", "", SIDE_BAD, UINT64_C(0x2b1b61a8c9f6d9c4)},
		{"tarpit", "<(1) \"User\"@Example.TEST.>", SIDE_BAD, UINT64_C(0x39f87964787584ac)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address;

		address_parse(rows[i].address, &address);
		assert_true(hash_recipient(rows[i].key_prefix, rows[i].side, address.text) ==
			    rows[i].hash);
	}
}

static void recipient_hash_does_not_depend_on_the_process(void **state)
{
	uint64_t before = hash_recipient("tarpit", SIDE_BAD, "user@example.test");

	(void)state;
	assert_int_equal(hash_init(), 0);
	assert_true(hash_recipient("tarpit", SIDE_BAD, "user@example.test") == before);
}

static void recipient_hashes_differ(void **state)
{
	uint64_t hashes[2000];
	size_t count = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char address[40];

		snprintf(address, sizeof(address), "user%u@example.test", i);
		hashes[count++] = hash_recipient("tarpit", SIDE_BAD, address);
		hashes[count++] = hash_recipient("tarpit", SIDE_GOOD, address);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			assert_true(hashes[i] != hashes[j]);
}

static void overlong_recipient_is_hashed_within_bounds(void **state)
{
	char a[ADDRESS_TEXT_MAX * 2], b[ADDRESS_TEXT_MAX * 2];

	(void)state;
	memset(a, 'x', sizeof(a));
	a[sizeof(a) - 1] = '\0';
	memcpy(b, a, sizeof(b));
	b[ADDRESS_TEXT_MAX] = 'y';
	assert_true(hash_recipient("t", SIDE_BAD, a) == hash_recipient("t", SIDE_BAD, b));
	b[ADDRESS_TEXT_MAX - 1] = 'y';
	assert_true(hash_recipient("t", SIDE_BAD, a) != hash_recipient("t", SIDE_BAD, b));
}

static void table_hash_is_keyed(void **state)
{
	unsigned differ = 0;

	(void)state;
	assert_int_equal(hash_table("abc", 3), hash_table("abc", 3));
	assert_int_not_equal(hash_table("abc", 3), hash_table("abd", 3));
	assert_int_not_equal(hash_table("abc", 3), hash_table("abc", 2));
	/* Another process has another key; by chance one of eight hashes may be alike, not all. */
	for (int i = 0; i < 8; i++) {
		unsigned before = hash_table("abc", 3);

		assert_int_equal(hash_init(), 0);
		differ += hash_table("abc", 3) != before;
	}
	assert_true(differ >= 7);
}

static void chance_is_spread_from_minus_one_to_one(void **state)
{
	unsigned low = 0, high = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		double chance = hash_chance();

		assert_true(chance >= -1 && chance <= 1);
		low += chance < -0.5;
		high += chance > 0.5;
	}
	/* A quarter each: 2500, give or take 43. */
	assert_in_range(low, 2000, 3000);
	assert_in_range(high, 2000, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipient_hash_is_the_same_on_all_hosts),
		cmocka_unit_test(recipient_hash_does_not_depend_on_the_process),
		cmocka_unit_test(recipient_hashes_differ),
		cmocka_unit_test(overlong_recipient_is_hashed_within_bounds),
		cmocka_unit_test(table_hash_is_keyed),
		cmocka_unit_test(chance_is_spread_from_minus_one_to_one),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
