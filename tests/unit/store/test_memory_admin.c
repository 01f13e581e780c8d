/* SPDX-License-Identifier: BSD-2-Clause */
/* What an administrator asks of the memory store: flags by hand, forgiving, the list of clients. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/debts.h"
#include "store/memory.h"
#include "config/config.h"

#define WINDOW 1000
#define LENGTH_S 60
#define NOW_S (INT64_C(1) * WINDOW * LENGTH_S)
#define MANY 1000

static const struct client_widths widths = {32, 24, 64, 48, NULL, 0};
static const struct window window = {.index = WINDOW, .length_s = LENGTH_S};
static const struct store_event offence = {.side = SIDE_BAD, .amount = 100};

static int set_up(void **state)
{
	*state = memory_store_new(MANY);
	return *state == NULL || hash_init() != 0 ? -1 : 0;
}

static int set_up_for_three(void **state)
{
	*state = memory_store_new(3);
	return *state == NULL || hash_init() != 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct store *store = *state;

	store_destroy(store);
	return 0;
}

static struct store_query query_of(const char *address)
{
	struct store_query query = {.window = window, .key_prefix = "tarpit"};
	struct prefix prefix;

	assert_true(prefix_parse(address, &prefix));
	client_identify(&prefix, &widths, &query.client);
	return query;
}

static struct store_query query_of_number(unsigned number)
{
	char address[20];

	snprintf(address, sizeof(address), "10.0.%u.%u", number >> 8, number & 255);
	return query_of(address);
}

static void offend(struct store *store, const struct store_query *query)
{
	struct store_view view;

	store_record(store, query, &offence, &view);
}

static bool is_by_hand(struct store *store, const char *address)
{
	struct store_query query = query_of(address);
	struct store_view view;

	store_lookup(store, &query, &view);
	return view.by_hand;
}

static void newcomers_do_not_push_out_who_is_flagged_by_hand(void **state)
{
	struct store_query query = query_of("192.0.2.1");
	struct store *store = *state;

	store_flag(store, &query, NOW_S + 10);
	for (unsigned i = 0; i < 20; i++) {
		struct store_query other = query_of_number(i);

		offend(store, &other);
	}
	assert_true(is_by_hand(store, "192.0.2.1"));
	/* Past its end it is a client like any other. */
	for (unsigned i = 0; i < 20; i++) {
		struct store_query other = query_of_number(i);

		other.window.index = WINDOW + 1;
		offend(store, &other);
	}
	store_flag(store, &query, NOW_S + 1000);
	assert_true(is_by_hand(store, "192.0.2.1"));
}

static void there_is_room_even_if_all_are_flagged_by_hand(void **state)
{
	struct store *store = *state;

	for (unsigned i = 0; i < 20; i++) {
		struct store_query query = query_of_number(i);
		struct store_view view;

		assert_true(store_flag(store, &query, NOW_S + 10));
		store_lookup(store, &query, &view);
		assert_true(view.by_hand);
	}
}

static void owe(struct store *store, const struct store_query *query)
{
	const enum debt_step steps[DEBTS_MAX] = {DEBT_NOT_TOLD};
	struct debts debts;

	debts_of_event(query, &offence, &debts);
	debts_settle(store, 0, &debts, steps);
}

static void forgiven_client_owes_nothing(void **state)
{
	struct store_query query = query_of("192.0.2.1"), neighbour = query_of("192.0.2.2");
	struct store *store = *state;
	struct memory_debt debt;
	uint64_t owed = 0;

	owe(store, &query);
	owe(store, &query);
	owe(store, &neighbour);
	assert_true(store_forgive(store, &query));
	while (memory_take_debt(store, 0, &debt)) {
		assert_false(prefix_equal(&debt.prefix, &query.client.key));
		if (debt.is_network)
			owed += debt.owed.bad_now;
	}
	assert_int_equal(owed, 100);
}

static void forgiven_client_leaves_its_network_no_history(void **state)
{
	struct store_query query = query_of("192.0.2.1"), neighbour = query_of("192.0.2.2");
	struct store_recipient recipient = {.mailbox = 1, .domain = 2, .is_distinct = true};
	struct store *store = *state;
	struct store_view view;

	assert_true(store_credit(store, &query, &recipient, 1, &view));
	assert_true(store_credit(store, &neighbour, &recipient, 1, &view));
	assert_int_equal(view.network.good_now, 200);
	assert_true(store_forgive(store, &query));
	store_lookup(store, &neighbour, &view);
	assert_int_equal(view.network.good_now, 100);
}

struct visits {
	struct store *store;
	unsigned counts[MANY];
};

static void note_and_offend(const struct client *client, const struct store_view *view, void *arg)
{
	struct visits *visits = arg;
	unsigned number = client->key.address[2] * 256U + client->key.address[3];
	struct store_query query = query_of_number(number);

	(void)view;
	visits->counts[number]++;
	/* Now it is the last of the list, and will be met again. */
	offend(visits->store, &query);
}

static void client_that_offends_meanwhile_is_shown_once(void **state)
{
	struct visits visits = {.store = *state};

	for (unsigned i = 0; i < MANY; i++) {
		struct store_query query = query_of_number(i);

		offend(visits.store, &query);
	}
	for (unsigned round = 1; round <= 2; round++) {
		store_each(visits.store, &widths, &window, note_and_offend, &visits);
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(visits.counts[i], round);
	}
}

static void note_and_forgive(const struct client *client, const struct store_view *view, void *arg)
{
	struct visits *visits = arg;
	unsigned number = client->key.address[2] * 256U + client->key.address[3];

	(void)view;
	visits->counts[number]++;
	/* Those that come next, a whole step of them. */
	for (unsigned i = number + 1; i < MANY && i < number + 100; i++) {
		struct store_query query = query_of_number(i);

		store_forgive(visits->store, &query);
	}
}

static void client_that_goes_meanwhile_does_no_harm(void **state)
{
	struct visits visits = {.store = *state};
	unsigned shown = 0;

	for (unsigned i = 0; i < MANY; i++) {
		struct store_query query = query_of_number(i);

		offend(visits.store, &query);
	}
	store_each(visits.store, &widths, &window, note_and_forgive, &visits);
	for (unsigned i = 0; i < MANY; i++) {
		assert_in_range(visits.counts[i], 0, 1);
		shown += visits.counts[i];
	}
	assert_int_equal(visits.counts[0], 1);
	assert_in_range(shown, 1, MANY - 1);
}

static _Atomic bool is_over;

static void *keep_offending(void *argument)
{
	struct store *store = argument;

	for (unsigned i = 0; !atomic_load(&is_over); i = (i + 1) % (2 * MANY)) {
		struct store_query query = query_of_number(i);

		offend(store, &query);
		if (i % 7 == 0)
			store_forgive(store, &query);
	}
	return NULL;
}

static void count_visit(const struct client *client, const struct store_view *view, void *arg)
{
	unsigned *count = arg;

	(void)view;
	assert_int_equal(client->key.bits, 32);
	(*count)++;
}

static void threads_may_offend_and_forgive_meanwhile(void **state)
{
	pthread_t threads[4];
	unsigned count = 0;
	struct store *store = *state;

	atomic_store(&is_over, false);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, keep_offending, store), 0);
	/* On a busy machine the threads may take their time to begin. */
	for (int i = 0; i < 50 || count == 0; i++)
		store_each(store, &widths, &window, count_visit, &count);
	atomic_store(&is_over, true);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_not_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(newcomers_do_not_push_out_who_is_flagged_by_hand,
						set_up_for_three, tear_down),
		cmocka_unit_test_setup_teardown(there_is_room_even_if_all_are_flagged_by_hand,
						set_up_for_three, tear_down),
		cmocka_unit_test_setup_teardown(forgiven_client_owes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forgiven_client_leaves_its_network_no_history,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_that_offends_meanwhile_is_shown_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(client_that_goes_meanwhile_does_no_harm, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(threads_may_offend_and_forgive_meanwhile, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("memory, by hand", tests, NULL, NULL);
}
