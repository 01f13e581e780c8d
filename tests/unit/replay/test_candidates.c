/* SPDX-License-Identifier: BSD-2-Clause */
/* Which recipients would be traps. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/hash.h"
#include "replay/candidates.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct replay_candidates *candidates;

static void probe(const char *address, unsigned client)
{
	char text[PREFIX_TEXT_MAX];
	struct prefix prefix;

	snprintf(text, sizeof(text), "192.0.2.%u", client);
	assert_true(prefix_parse(text, &prefix));
	replay_candidates_probed(candidates, address, &prefix);
}

static void check(const char *const *addresses, size_t count)
{
	const struct replay_candidate *most[16];
	size_t found = replay_candidates_most(candidates, most, COUNT(most));

	for (size_t i = 0; i < found && i < count; i++)
		assert_string_equal(most[i]->address, addresses[i]);
	assert_int_equal(found, count);
}

static void test_those_probed_most_come_first(void **state)
{
	static const char *const wanted[] = {"c@b.example", "b@b.example", "a@b.example",
					     "d@b.example"};
	const struct replay_candidate *most[4];

	(void)state;
	probe("d@b.example", 1);
	probe("a@b.example", 1);
	for (unsigned i = 0; i < 3; i++) {
		probe("b@b.example", 1);
		probe(i == 0 ? "<C@B.example>" : "c@b.example", i);
	}
	check(wanted, COUNT(wanted));
	assert_int_equal(replay_candidates_most(candidates, most, 2), 2);
	assert_int_equal(most[0]->probes, 3);
	assert_int_equal(most[0]->clients, 3);
	assert_int_equal(most[1]->probes, 3);
	assert_int_equal(most[1]->clients, 1);
	for (unsigned i = 0; i < 100; i++)
		probe("c@b.example", i);
	assert_int_equal(replay_candidates_most(candidates, most, 1), 1);
	assert_int_equal(most[0]->probes, 103);
	assert_int_equal(most[0]->clients, REPLAY_PROBERS_MAX);
}

static void test_accepted_before_or_after(void **state)
{
	static const char *const wanted[] = {"none+x@b.example", "none@b.example"};

	(void)state;
	replay_candidates_accepted(candidates, "Before@b.example.");
	replay_candidates_accepted(candidates, "mail+box@b.example");
	replay_candidates_accepted(candidates, "none-y@b.example");
	replay_candidates_accepted(candidates, "none@c.example");
	probe("before@b.example", 1);
	probe("after@b.example", 1);
	probe("mail@b.example", 1);
	probe("none@b.example", 1);
	probe("none+x@b.example", 1);
	probe("before+x@b.example", 1);
	probe("after+x@b.example", 1);
	probe("mail+other@b.example", 1);
	replay_candidates_accepted(candidates, "\"after\"@b.example");
	check(wanted, COUNT(wanted));
}

static void test_addresses_that_can_be_no_trap(void **state)
{
	static const char *const addresses[] = {"",
						"<>",
						"root",
						"a b@b.example",
						"\"a b\"@b.example",
						"a\x1b[2J@b.example",
						"j\xc3\xb6rg@b.example",
						"a%c@b.example",
						"c!a@b.example",
						"a@b.example\n",
						"??@b.example",
						"a@[192.0.2.1",
						"@b.example"};
	char text[2 * ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++)
		probe(addresses[i], 1);
	for (int length = 255; length < (int)sizeof(text); length++) {
		snprintf(text, sizeof(text), "%0*d@b.example", length - 10, 1);
		probe(text, 1);
	}
	check(NULL, 0);
}

/* Among a dictionary's addresses, each tried once, those that come again stay. */
static void test_memory_is_bounded(void **state)
{
	static const char *const wanted[] = {"often@b.example"};
	size_t before = 0, after;
	char text[64];

	(void)state;
	for (unsigned i = 0; i < 10 * REPLAY_CANDIDATES_MAX; i++) {
		snprintf(text, sizeof(text), "user%06u@b.example", i);
		probe(text, 1);
		if (i % 1000 == 0)
			probe("often@b.example", i / 1000 % 3);
		if (i == REPLAY_CANDIDATES_MAX - 2)
			before = mallinfo2().uordblks;
		snprintf(text, sizeof(text), "good%06u@b.example", i);
		replay_candidates_accepted(candidates, text);
	}
	after = mallinfo2().uordblks;
	if (after > before + before / 10)
		fail_msg("%zu bytes, then %zu", before, after);
	for (unsigned i = 0; i < 10 * REPLAY_CANDIDATES_MAX; i++) {
		snprintf(text, sizeof(text), "user%06u@b.example", i);
		replay_candidates_accepted(candidates, text);
	}
	check(wanted, COUNT(wanted));
}

static int set_up(void **state)
{
	(void)state;
	candidates = replay_candidates_new("+");
	return candidates != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	replay_candidates_free(candidates);
	return 0;
}

static int set_up_all(void **state)
{
	(void)state;
	return hash_init();
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		EACH(test_those_probed_most_come_first),
		EACH(test_accepted_before_or_after),
		EACH(test_addresses_that_can_be_no_trap),
		EACH(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, set_up_all, NULL);
}
