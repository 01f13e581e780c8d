/* SPDX-License-Identifier: BSD-2-Clause */
/* One suite over all stores. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "store_bed.h"

#define THREADS 16
#define OFFENCES 10000

static void unknown_client_has_nothing(void **state)
{
	struct store_view view = look_up(*state, "192.0.2.1", 1000);

	assert_true(tally_is_zero(&view.client));
	assert_true(tally_is_zero(&view.network));
	assert_false(view.by_hand);
	assert_false(view.announced);
}

static void record_brings_the_fresh_count(void **state)
{
	struct store_view view;

	assert_true(offend(*state, "192.0.2.1", 1000, 1, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_int_equal(view.network.bad_now, 100);
	assert_true(offend(*state, "192.0.2.1", 1000, 2, &view));
	assert_int_equal(view.client.bad_now, 200);
	assert_int_equal(view.window, 1000);
}

static void recipient_counts_once_a_window_and_client(void **state)
{
	struct store_view view;

	assert_true(offend(*state, "192.0.2.1", 1000, 7, &view));
	assert_false(offend(*state, "192.0.2.1", 1000, 7, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_true(offend(*state, "192.0.2.2", 1000, 7, &view));
	assert_true(offend(*state, "192.0.2.1", 1001, 7, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_int_equal(view.client.bad_previous, 100);
}

static void neighbours_share_the_network_only(void **state)
{
	struct store_view view;

	offend(*state, "192.0.2.1", 1000, 1, &view);
	offend(*state, "192.0.2.2", 1000, 1, &view);
	view = look_up(*state, "192.0.2.3", 1000);
	assert_true(tally_is_zero(&view.client));
	assert_int_equal(view.network.bad_now, 200);
	view = look_up(*state, "192.0.3.1", 1000);
	assert_true(tally_is_zero(&view.network));
}

static void good_and_bad_are_kept_apart(void **state)
{
	struct store_query query = make_query("2001:db8::1", 1000);
	struct store_event good = {.side = SIDE_GOOD, .amount = 100};
	struct store_view view;
	struct store *store = *state;

	offend(store, "2001:db8::2", 1000, 1, &view);
	assert_true(store_record(store, &query, &good, &view));
	assert_true(store_record(store, &query, &good, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_int_equal(view.client.good_now, 200);
	assert_int_equal(view.network.good_now, 200);
}

static void windows_pass(void **state)
{
	struct store_view view;

	offend(*state, "192.0.2.1", 1000, 1, &view);
	view = look_up(*state, "192.0.2.1", 1001);
	assert_int_equal(view.client.bad_now, 0);
	assert_int_equal(view.client.bad_previous, 100);
	view = look_up(*state, "192.0.2.1", 1002);
	assert_true(tally_is_zero(&view.client));
}

/* A message to so many recipients of one domain, from number first on, that has reached its end. */
static void deliver(struct store *store, const char *address, int64_t window, uint64_t first,
		    size_t count, uint64_t domain)
{
	struct store_query query = make_query(address, window);
	struct store_recipient recipients[40];
	struct store_view view;

	for (size_t i = 0; i < count; i++)
		recipients[i] = (struct store_recipient){first + i, domain, true};
	store_credit(store, &query, recipients, count, &view);
}

/* Whoever has not offended is remembered by this host; the first offence takes that along. */
static void history_goes_along_with_the_first_offence(void **state)
{
	struct store *store = *state;
	struct store_view view;

	deliver(store, "192.0.2.1", 1000, 1, 3, 99);
	deliver(store, "192.0.2.2", 1000, 1, 2, 99);
	view = look_up(store, "192.0.2.1", 1000);
	assert_int_equal(view.client.good_now, 300);
	assert_int_equal(view.kept.good_now, 300);
	assert_int_equal(view.network.good_now, 500);
	view = look_up(store, "192.0.2.1", 1001);
	assert_int_equal(view.client.good_previous, 300);
	assert_int_equal(view.client.good_now, 0);

	assert_true(offend(store, "192.0.2.1", 1001, 1, &view));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(view.client.bad_now, 100);
		assert_int_equal(view.client.good_previous, 300);
		assert_true(tally_is_zero(&view.kept));
		assert_int_equal(view.network.bad_now, 100);
		assert_int_equal(view.network.good_previous, 500);
		view = look_up(store, "192.0.2.1", 1001);
	}
	/* From here on it is told at once, and the neighbour's own is still here. */
	deliver(store, "192.0.2.1", 1001, 4, 20, 98);
	view = look_up(store, "192.0.2.1", 1001);
	assert_int_equal(view.client.good_now, 1000);
	assert_true(tally_is_zero(&view.kept));
	view = look_up(store, "192.0.2.2", 1001);
	assert_int_equal(view.kept.good_previous, 200);
	assert_int_equal(view.client.good_previous, 200);
}

static void credit_counts_once_a_window_recipient_and_client(void **state)
{
	struct store *store = *state;
	struct store_view view;

	for (unsigned offences = 0; offences < 2; offences++) {
		const char *address = offences == 0 ? "192.0.2.1" : "198.51.100.1";

		if (offences > 0)
			offend(store, address, 1000, 777, &view);
		deliver(store, address, 1000, 1, 2, 99);
		deliver(store, address, 1000, 2, 2, 99);
		assert_int_equal(look_up(store, address, 1000).client.good_now, 300);
		deliver(store, address, 1001, 1, 2, 99);
		view = look_up(store, address, 1001);
		assert_int_equal(view.client.good_now, 200);
		assert_int_equal(view.client.good_previous, 300);
	}
}

static void what_has_passed_is_counted_apart(void **state)
{
	struct store_query query = make_query("192.0.2.1", 1000);
	struct store_event passed = {.side = SIDE_PASSED, .amount = 100};
	struct store_view view;
	struct store *store = *state;

	offend(store, "192.0.2.1", 1000, 1, &view);
	store_record(store, &query, &passed, &view);
	store_record(store, &query, &passed, &view);
	assert_int_equal(view.client.passed_now, 200);
	assert_int_equal(view.network.passed_now, 200);
	assert_int_equal(view.client.bad_now, 100);
	view = look_up(store, "192.0.2.1", 1001);
	assert_int_equal(view.client.passed_previous, 200);
	query.window.index = 1001;
	store_forgive(store, &query);
	assert_int_equal(look_up(store, "192.0.2.1", 1001).client.passed_previous, 0);
}

static void announcement_is_news_once(void **state)
{
	struct store_query query = make_query("192.0.2.1", 1000);
	struct store *store = *state;
	struct store_view view;

	offend(store, "192.0.2.1", 1000, 1, &view);
	assert_false(view.announced);
	assert_true(store_announce(store, &query.client.key, true));
	assert_false(store_announce(store, &query.client.key, true));
	assert_true(look_up(store, "192.0.2.1", 1000).announced);
	assert_true(store_announce(store, &query.client.key, false));
	assert_false(look_up(store, "192.0.2.1", 1000).announced);
}

static void count_good(struct store *store, const char *address, int64_t window)
{
	struct store_query query = make_query(address, window);
	struct store_event good = {.side = SIDE_GOOD, .amount = 100};
	struct store_view view;

	store_record(store, &query, &good, &view);
}

static void forgiven_client_leaves_nothing_but_its_neighbours(void **state)
{
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;

	offend(store, "192.0.2.1", WINDOW_NOW - 1, 1, &view);
	offend(store, "192.0.2.1", WINDOW_NOW, 2, &view);
	offend(store, "192.0.2.1", WINDOW_NOW, 3, &view);
	count_good(store, "192.0.2.1", WINDOW_NOW);
	offend(store, "192.0.2.2", WINDOW_NOW, 4, &view);
	assert_true(store_flag(store, &query, NOW_S + 600));
	store_announce(store, &query.client.key, true);

	assert_true(store_forgive(store, &query));
	view = look_up(store, "192.0.2.1", WINDOW_NOW);
	assert_true(tally_is_zero(&view.client));
	assert_false(view.by_hand);
	assert_false(view.announced);
	assert_int_equal(view.network.bad_now, 100);
	assert_int_equal(view.network.bad_previous, 0);
	assert_int_equal(view.network.good_now, 0);
	view = look_up(store, "192.0.2.2", WINDOW_NOW);
	assert_int_equal(view.client.bad_now, 100);
	/* It may offend anew. */
	assert_true(offend(store, "192.0.2.1", WINDOW_NOW, 5, &view));
	assert_int_equal(view.client.bad_now, 100);
}

static void unknown_client_can_be_forgiven(void **state)
{
	struct store_query query = make_query("2001:db8::1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;

	assert_true(store_forgive(store, &query));
	view = look_up(store, "2001:db8::1", WINDOW_NOW);
	assert_true(tally_is_zero(&view.client));
}

static void flag_by_hand_lasts_until_its_end(void **state)
{
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;

	assert_true(store_flag(store, &query, NOW_S + 4000));
	view = look_up(store, "192.0.2.1", WINDOW_NOW);
	assert_true(view.by_hand);
	assert_int_equal(view.by_hand_until_s, NOW_S + 4000);
	assert_false(look_up(store, "192.0.2.2", WINDOW_NOW).by_hand);
	assert_true(look_up(store, "192.0.2.1", WINDOW_NOW + 1).by_hand);
	assert_false(look_up(store, "192.0.2.1", WINDOW_NOW + 2).by_hand);
	/* The clock was ahead for a moment. */
	assert_true(look_up(store, "192.0.2.1", WINDOW_NOW + 1).by_hand);
}

#define MANY 200

static void note_visit(const struct client *client, const struct store_view *view, void *arg)
{
	unsigned *visits = arg;

	assert_int_equal(client->key.bits, 32);
	assert_int_equal(client->network.bits, 24);
	assert_int_equal(view->client.bad_now, 100);
	assert_int_equal(view->network.bad_now, MANY * 100);
	visits[client->key.address[3]]++;
}

static void each_client_is_shown_once(void **state)
{
	const struct client_widths widths = {32, 24, 64, 48, NULL, 0};
	struct store_query query = make_query("192.0.2.1", 1000);
	struct store *store = *state;
	unsigned visits[256] = {0};
	struct store_view view;
	char address[20];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		offend(store, address, 1000, 1, &view);
	}
	/* What another daemon has done since is known once it is looked up. */
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		look_up(store, address, 1000);
	}
	store_each(store, &widths, &query.window, note_visit, visits);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(visits[i], i < MANY);
}

struct flood {
	struct store *store;
	unsigned number;
};

static void *flood(void *argument)
{
	struct flood *own = argument;
	struct store_view view;

	for (unsigned i = 0; i < OFFENCES / THREADS; i++)
		offend(own->store, "192.0.2.1", 1000, (uint64_t)own->number << 32 | i, &view);
	return NULL;
}

static void sixteen_threads_lose_no_count(void **state)
{
	pthread_t threads[THREADS];
	struct flood floods[THREADS];
	struct store_view view;

	for (unsigned i = 0; i < THREADS; i++) {
		floods[i] = (struct flood){.store = *state, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, flood, &floods[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	view = look_up(*state, "192.0.2.1", 1000);
	assert_int_equal(view.client.bad_now, OFFENCES * 100);
	assert_int_equal(view.network.bad_now, OFFENCES * 100);
}

#define ALL(test)                                                                                  \
	{#test " (memory)", test, setup_memory, teardown_memory, NULL},                            \
		{#test " (memcached)", test, setup_memcached, teardown_memcached, NULL},           \
	{                                                                                          \
		#test " (SASL)", test##_with_sasl, setup_sasl, teardown_sasl, NULL                 \
	}

WITH_SASL(unknown_client_has_nothing)
WITH_SASL(record_brings_the_fresh_count)
WITH_SASL(recipient_counts_once_a_window_and_client)
WITH_SASL(neighbours_share_the_network_only)
WITH_SASL(good_and_bad_are_kept_apart)
WITH_SASL(windows_pass)
WITH_SASL(history_goes_along_with_the_first_offence)
WITH_SASL(credit_counts_once_a_window_recipient_and_client)
WITH_SASL(what_has_passed_is_counted_apart)
WITH_SASL(announcement_is_news_once)
WITH_SASL(forgiven_client_leaves_nothing_but_its_neighbours)
WITH_SASL(unknown_client_can_be_forgiven)
WITH_SASL(flag_by_hand_lasts_until_its_end)
WITH_SASL(each_client_is_shown_once)
WITH_SASL(sixteen_threads_lose_no_count)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(unknown_client_has_nothing),
		ALL(record_brings_the_fresh_count),
		ALL(recipient_counts_once_a_window_and_client),
		ALL(neighbours_share_the_network_only),
		ALL(good_and_bad_are_kept_apart),
		ALL(windows_pass),
		ALL(history_goes_along_with_the_first_offence),
		ALL(credit_counts_once_a_window_recipient_and_client),
		ALL(what_has_passed_is_counted_apart),
		ALL(announcement_is_news_once),
		ALL(forgiven_client_leaves_nothing_but_its_neighbours),
		ALL(unknown_client_can_be_forgiven),
		ALL(flag_by_hand_lasts_until_its_end),
		ALL(each_client_is_shown_once),
		ALL(sixteen_threads_lose_no_count),
	};
	int failed;

	if (!open_bed())
		return 1;
	failed = cmocka_run_group_tests_name("store", tests, NULL, NULL);
	close_bed();
	return failed;
}
