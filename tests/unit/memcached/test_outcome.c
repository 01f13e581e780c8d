/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker may say, and what it may not; who owes a count then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "memcached/errand.h"
#include "memcached/outcome.h"
#include "store/memory.h"
#include "store_bed.h"

#define SERIAL 7

static const struct message_request request = {.serial = SERIAL, .seen_count = 1};

static struct message_outcome good_outcome(void)
{
	struct message_outcome outcome = {
		.serial = SERIAL,
		.was_refused = 1,
		.seen_before = 1,
		.calls = 64,
		.failures = 64,
		.replaced = (1U << MESSAGE_COUNTS_MAX) - 1,
		.result = MESSAGE_FAILED,
	};

	for (size_t i = 0; i < MESSAGE_COUNTS_MAX; i++)
		outcome.counts[i] = MESSAGE_MAYBE_DONE;
	for (size_t i = 0; i < MESSAGE_KEYS_MAX; i++)
		outcome.values[i] = (struct message_value_of){MESSAGE_NUMBER, COUNTERS_MAX};
	memset(outcome.reason, 'x', sizeof(outcome.reason) - 1);
	return outcome;
}

static bool is_valid(const struct message_outcome *outcome)
{
	return outcome_is_valid(outcome, sizeof(*outcome), &request);
}

static void all_that_an_outcome_may_hold_is_taken(void **state)
{
	struct message_outcome outcome = good_outcome();

	(void)state;
	assert_true(is_valid(&outcome));
	outcome.values[0] = (struct message_value_of){MESSAGE_NO_NUMBER, UINT64_MAX};
	assert_true(is_valid(&outcome));
}

static void only_one_size_is_taken(void **state)
{
	const struct message_outcome outcome = good_outcome();

	(void)state;
	assert_false(outcome_is_valid(&outcome, 0, &request));
	assert_false(outcome_is_valid(&outcome, sizeof(outcome) - 1, &request));
	assert_false(outcome_is_valid(&outcome, sizeof(outcome) + 1, &request));
}

#define REFUSES(change)                                                                            \
	do {                                                                                       \
		struct message_outcome outcome = good_outcome();                                   \
		change;                                                                            \
		assert_false(is_valid(&outcome));                                                  \
	} while (0)

static void nothing_beyond_its_range_is_taken(void **state)
{
	(void)state;
	REFUSES(outcome.serial++);
	REFUSES(outcome.result = MESSAGE_RESULTS);
	REFUSES(outcome.was_refused = 2);
	REFUSES(outcome.seen_before = 2);
	REFUSES(outcome.calls = 65);
	REFUSES(outcome.failures = UINT32_MAX);
	REFUSES(outcome.counts[MESSAGE_COUNTS_MAX - 1] = MESSAGE_STEPS);
	REFUSES(outcome.replaced = 1U << MESSAGE_COUNTS_MAX);
	REFUSES(outcome.values[MESSAGE_KEYS_MAX - 1].state = MESSAGE_VALUES);
	REFUSES(outcome.values[0].number = COUNTERS_MAX + 1);
	REFUSES(memset(outcome.reason, 'x', sizeof(outcome.reason)));
}

/* What is owed of one offence, of its client and of its network. */
static void check_owed(const struct message_outcome *outcome, uint64_t client, uint64_t network)
{
	const struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	const struct store_event event = {.side = SIDE_BAD, .amount = 100, .distinct = true};
	struct store *memory = memory_store_new(10);
	uint64_t owed[2] = {0, 0};
	struct errand errand;
	struct debts debts;

	assert_non_null(memory);
	errand_record(&errand, &query, &event, memory);
	assert_int_equal(errand.request.counts_count, 2);
	errand_finish(&errand, outcome, memory, 3, "server");
	while (debts_take(memory, 3, 1, &debts))
		for (size_t i = 0; i < debts.count; i++)
			owed[debts.of[i].is_network] += debts.of[i].amount;
	assert_int_equal(owed[0], client);
	assert_int_equal(owed[1], network);
	store_destroy(memory);
}

static void only_what_was_certainly_not_done_is_owed(void **state)
{
	struct message_outcome outcome;

	(void)state;
	outcome_not_asked(&outcome, "down");
	check_owed(&outcome, 100, 100);
	outcome.counts[0] = MESSAGE_DONE;
	check_owed(&outcome, 0, 100);
	outcome.counts[1] = MESSAGE_MAYBE_DONE;
	check_owed(&outcome, 0, 0);
	outcome_lost(&outcome, "tarpit-store ended");
	check_owed(&outcome, 0, 0);
	/* Another host has counted that recipient. */
	outcome_not_asked(&outcome, "");
	outcome.result = MESSAGE_ANSWERED;
	outcome.seen_before = 1;
	check_owed(&outcome, 0, 0);
}

static void debts_can_be_taken_offence_by_offence(void **state)
{
	const struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	const struct store_event event = {.side = SIDE_BAD, .amount = 250};
	const enum debt_step told = DEBT_TOLD;
	struct store *memory = memory_store_new(10);
	struct message_outcome outcome;
	uint64_t taken[2] = {0, 0};
	struct store_view view;
	struct errand errand;
	struct debts debts;

	(void)state;
	outcome_not_asked(&outcome, "down");
	errand_record(&errand, &query, &event, memory);
	errand_finish(&errand, &outcome, memory, 3, "server");
	while (debts_take_one(memory, 3, &debts)) {
		assert_int_equal(debts.count, 1);
		assert_in_range(debts.of[0].amount, 1, 100);
		taken[debts.of[0].is_network] += debts.of[0].amount;
		debts_settle(memory, 3, &debts, &told);
	}
	assert_int_equal(taken[0], 250);
	assert_int_equal(taken[1], 250);
	store_lookup(memory, &query, &view);
	assert_int_equal(view.client.bad_now, 250);
	assert_int_equal(view.network.bad_now, 250);
	store_destroy(memory);
}

static void values_become_a_view_of_the_client(void **state)
{
	const struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct message_outcome outcome = {.result = MESSAGE_ANSWERED};
	struct errand errand;
	struct store_view view;

	(void)state;
	for (unsigned i = 0; i < MESSAGE_KEYS_MAX; i++)
		outcome.values[i] = (struct message_value_of){MESSAGE_NUMBER, i + 1};
	outcome.values[2].state = MESSAGE_NO_NUMBER;
	errand_look_up(&errand, &query);
	errand_view(&errand, &outcome, &view);
	assert_memory_equal(&view.client, (&(struct tally){1, 2, 0, 4, 5, 6}), sizeof(view.client));
	assert_memory_equal(&view.network, (&(struct tally){7, 8, 9, 10, 11, 12}), sizeof(view.network));
	assert_true(view.by_hand);
	assert_int_equal(view.by_hand_until_s, 0);
	outcome.values[12].number = NOW_S;
	errand_view(&errand, &outcome, &view);
	assert_false(view.by_hand);
	outcome.values[12].number = NOW_S + 1;
	errand_view(&errand, &outcome, &view);
	assert_true(view.by_hand);
	assert_int_equal(view.by_hand_until_s, NOW_S + 1);
	outcome.values[12].state = MESSAGE_NO_NUMBER;
	errand_view(&errand, &outcome, &view);
	assert_false(view.by_hand);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_an_outcome_may_hold_is_taken),
		cmocka_unit_test(only_one_size_is_taken),
		cmocka_unit_test(nothing_beyond_its_range_is_taken),
		cmocka_unit_test(only_what_was_certainly_not_done_is_owed),
		cmocka_unit_test(debts_can_be_taken_offence_by_offence),
		cmocka_unit_test(values_become_a_view_of_the_client),
	};

	return cmocka_run_group_tests_name("outcomes of workers", tests, NULL, NULL);
}
