/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/debts.h"
#include "store/memory.h"
#include "config/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WINDOW 1000

static const struct client_widths widths = {32, 24, 64, 48, NULL, 0};
static const struct client_widths no_network = {32, 32, 64, 64, NULL, 0};

static int start_with(void **state, size_t max_clients)
{
	*state = memory_store_new(max_clients);
	return *state == NULL || hash_init() != 0 ? -1 : 0;
}

static int set_up(void **state)
{
	return start_with(state, 1000);
}

static int set_up_for_three(void **state)
{
	return start_with(state, 3);
}

static int tear_down(void **state)
{
	struct store *store = *state;

	store_destroy(store);
	return 0;
}

static struct store_query query_with(const char *address, int64_t window,
				     const struct client_widths *cut)
{
	struct prefix prefix;
	struct store_query query = {.window = {.index = window, .length_s = 60},
				    .key_prefix = "tarpit"};

	assert_true(prefix_parse(address, &prefix));
	client_identify(&prefix, cut, &query.client);
	return query;
}

static struct store_query query_of(const char *address, int64_t window)
{
	return query_with(address, window, &widths);
}

static struct store_view look(struct store *store, const char *address, int64_t window)
{
	const struct store_query query = query_of(address, window);
	struct store_view view;

	memset(&view, 0xff, sizeof(view));
	store_lookup(store, &query, &view);
	assert_int_equal(view.window, window);
	return view;
}

static const struct store_event offence = {.side = SIDE_BAD, .amount = 100};
static const struct store_event good_one = {.side = SIDE_GOOD, .amount = 100};

static struct store_event distinct(enum side side, uint64_t recipient)
{
	return (struct store_event){
		.side = side, .amount = 100, .distinct = true, .recipient = recipient};
}

static bool record(struct store *store, const char *address, int64_t window,
		   struct store_event event)
{
	const struct store_query query = query_of(address, window);
	struct store_view view;

	return store_record(store, &query, &event, &view);
}

static void check_tally(const struct tally *tally, struct tally expected)
{
	assert_int_equal(tally->bad_now, expected.bad_now);
	assert_int_equal(tally->bad_previous, expected.bad_previous);
	assert_int_equal(tally->good_now, expected.good_now);
	assert_int_equal(tally->good_previous, expected.good_previous);
}

static void check_both(struct store *store, const char *address, int64_t window,
		       struct tally expected)
{
	const struct store_view view = look(store, address, window);

	check_tally(&view.client, expected);
	check_tally(&view.network, expected);
}

static void unknown_client_has_a_clean_record(void **state)
{
	const struct store_view view = look(*state, "192.0.2.1", WINDOW);

	check_tally(&view.client, (struct tally){0});
	check_tally(&view.network, (struct tally){0});
	assert_false(view.by_hand);
	assert_false(view.announced);
}

static void events_count_for_client_and_network(void **state)
{
	static const struct {
		const char *address;
		struct tally client, network;
	} rows[] = {
		{"192.0.2.1", {200, 0, 100, 0, 0, 0}, {300, 0, 100, 0, 0, 0}},
		{"192.0.2.2", {100, 0, 0, 0, 0, 0}, {300, 0, 100, 0, 0, 0}},
		{"192.0.2.3", {0, 0, 0, 0, 0, 0}, {300, 0, 100, 0, 0, 0}},
		{"192.0.3.1", {0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}},
		/* One client is a /64, its network the /48. */
		{"2001:db8:0:1::1", {200, 0, 0, 0, 0, 0}, {300, 0, 0, 0, 0, 0}},
		{"2001:db8:0:1:ffff::", {200, 0, 0, 0, 0, 0}, {300, 0, 0, 0, 0, 0}},
		{"2001:db8:0:2::1", {100, 0, 0, 0, 0, 0}, {300, 0, 0, 0, 0, 0}},
		{"2001:db8:1:1::1", {0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}},
	};
	static const char *const offenders[] = {"192.0.2.1",	   "192.0.2.1",
						"192.0.2.2",	   "2001:db8:0:1::1",
						"2001:db8:0:1::2", "2001:db8:0:2::1"};

	for (size_t i = 0; i < COUNT(offenders); i++)
		assert_true(record(*state, offenders[i], WINDOW, offence));
	assert_true(record(*state, "192.0.2.1", WINDOW, good_one));
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct store_view view = look(*state, rows[i].address, WINDOW);

		check_tally(&view.client, rows[i].client);
		check_tally(&view.network, rows[i].network);
	}
}

static void recording_shows_the_fresh_count(void **state)
{
	struct store *store = *state;
	const struct store_query query = query_of("192.0.2.1", WINDOW);
	struct store_view view;

	for (uint64_t i = 1; i <= 3; i++) {
		assert_true(store_record(store, &query, &offence, &view));
		assert_int_equal(view.window, WINDOW);
		check_tally(&view.client, (struct tally){.bad_now = i * 100});
		check_tally(&view.network, (struct tally){.bad_now = i * 100});
	}
}

static void client_without_wider_network_has_none(void **state)
{
	struct store *store = *state;
	const struct store_query query = query_with("192.0.2.1", WINDOW, &no_network);
	struct store_view view;

	assert_true(store_record(store, &query, &offence, &view));
	check_tally(&view.client, (struct tally){.bad_now = 100});
	check_tally(&view.network, (struct tally){0});
}

static void amounts_are_kept_in_hundredths(void **state)
{
	const struct store_event quarter = {.side = SIDE_BAD, .amount = 25},
				 nothing = {.side = SIDE_BAD, .amount = 0};

	record(*state, "192.0.2.1", WINDOW, quarter);
	record(*state, "192.0.2.1", WINDOW, nothing);
	record(*state, "192.0.2.1", WINDOW, offence);
	check_both(*state, "192.0.2.1", WINDOW, (struct tally){.bad_now = 125});
}

static void recipient_counts_once_a_window(void **state)
{
	static const struct {
		const char *label, *address;
		int64_t window;
		uint64_t recipient;
		bool is_new;
	} rows[] = {
		{"first", "192.0.2.1", WINDOW, 1, true},
		{"again", "192.0.2.1", WINDOW, 1, false},
		{"another recipient", "192.0.2.1", WINDOW, 2, true},
		{"another client", "192.0.2.2", WINDOW, 1, true},
		{"another client again", "192.0.2.2", WINDOW, 1, false},
		{"the next window", "192.0.2.1", WINDOW + 1, 1, true},
		{"the next window again", "192.0.2.1", WINDOW + 1, 1, false},
	};
	struct store_view view;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (record(*state, rows[i].address, rows[i].window,
			   distinct(SIDE_BAD, rows[i].recipient)) != rows[i].is_new)
			fail_msg("%s", rows[i].label);
	view = look(*state, "192.0.2.1", WINDOW + 1);
	check_tally(&view.client, (struct tally){100, 200, 0, 0, 0, 0});
	check_tally(&view.network, (struct tally){100, 300, 0, 0, 0, 0});
}

static void recipient_that_is_not_distinct_counts_each_time(void **state)
{
	struct store_event event = distinct(SIDE_BAD, 1);

	event.distinct = false;
	for (int i = 0; i < 3; i++)
		assert_true(record(*state, "192.0.2.1", WINDOW, event));
	check_both(*state, "192.0.2.1", WINDOW, (struct tally){.bad_now = 300});
}

static void repeated_recipient_still_shows_the_count(void **state)
{
	struct store *store = *state;
	const struct store_query query = query_of("192.0.2.1", WINDOW);
	const struct store_event event = distinct(SIDE_BAD, 1);
	struct store_view view;

	assert_true(store_record(store, &query, &event, &view));
	memset(&view, 0xff, sizeof(view));
	assert_false(store_record(store, &query, &event, &view));
	check_tally(&view.client, (struct tally){.bad_now = 100});
	check_tally(&view.network, (struct tally){.bad_now = 100});
}

static void recipients_can_be_noted_alone(void **state)
{
	struct store *store = *state;
	const struct store_query query = query_of("192.0.2.1", WINDOW);

	assert_true(memory_see(store, &query.client.key, WINDOW, 7));
	assert_false(memory_see(store, &query.client.key, WINDOW, 7));
	assert_true(memory_see(store, &query.client.key, WINDOW + 1, 7));
	assert_false(record(store, "192.0.2.1", WINDOW, distinct(SIDE_BAD, 7)));
	check_both(store, "192.0.2.1", WINDOW, (struct tally){0});
}

static void counts_roll_from_window_to_window(void **state)
{
	record(*state, "192.0.2.1", WINDOW, offence);
	record(*state, "192.0.2.1", WINDOW, good_one);
	check_both(*state, "192.0.2.1", WINDOW, (struct tally){100, 0, 100, 0, 0, 0});
	/* A look does not change what there is. */
	check_both(*state, "192.0.2.1", WINDOW + 2, (struct tally){0});
	check_both(*state, "192.0.2.1", WINDOW + 1, (struct tally){0, 100, 0, 100, 0, 0});
	record(*state, "192.0.2.1", WINDOW + 1, offence);
	check_both(*state, "192.0.2.1", WINDOW + 1, (struct tally){100, 100, 0, 100, 0, 0});
	check_both(*state, "192.0.2.1", WINDOW + 2, (struct tally){0, 100, 0, 0, 0, 0});
	check_both(*state, "192.0.2.1", WINDOW + 3, (struct tally){0});
	record(*state, "192.0.2.1", WINDOW + 3, offence);
	check_both(*state, "192.0.2.1", WINDOW + 3, (struct tally){.bad_now = 100});
}

/*
 * Its own reading of the clock, or another thread's, may be just before the window that has begun.
 */
static void clock_set_back_by_a_little_loses_nothing(void **state)
{
	record(*state, "192.0.2.1", WINDOW, offence);
	record(*state, "192.0.2.1", WINDOW + 1, offence);
	check_both(*state, "192.0.2.1", WINDOW, (struct tally){100, 100, 0, 0, 0, 0});
	record(*state, "192.0.2.1", WINDOW, offence);
	check_both(*state, "192.0.2.1", WINDOW + 1, (struct tally){200, 100, 0, 0, 0, 0});
}

static void clock_set_back_by_much_starts_afresh(void **state)
{
	record(*state, "192.0.2.1", WINDOW, offence);
	check_both(*state, "192.0.2.1", WINDOW - 10, (struct tally){0});
	record(*state, "192.0.2.1", WINDOW - 10, offence);
	check_both(*state, "192.0.2.1", WINDOW - 10, (struct tally){.bad_now = 100});
	record(*state, "192.0.2.1", 0, offence);
	check_both(*state, "192.0.2.1", 0, (struct tally){.bad_now = 100});
}

static uint64_t bad_count(struct store *store, const char *address)
{
	return look(store, address, WINDOW).client.bad_now;
}

static void least_recently_offending_client_goes_first(void **state)
{
	static const char *const order[] = {"192.0.2.1", "198.51.100.1", "203.0.113.1",
					    "192.0.2.1"};

	for (size_t i = 0; i < COUNT(order); i++)
		record(*state, order[i], WINDOW, offence);
	/* Neither a good recipient nor a look is an offence. */
	record(*state, "198.51.100.1", WINDOW, good_one);
	look(*state, "198.51.100.1", WINDOW);

	record(*state, "10.0.0.1", WINDOW, offence);
	assert_int_equal(bad_count(*state, "198.51.100.1"), 0);
	assert_int_equal(look(*state, "198.51.100.1", WINDOW).network.bad_now, 0);
	assert_int_equal(bad_count(*state, "192.0.2.1"), 200);
	assert_int_equal(bad_count(*state, "203.0.113.1"), 100);
	assert_int_equal(bad_count(*state, "10.0.0.1"), 100);

	record(*state, "10.0.1.1", WINDOW, offence);
	assert_int_equal(bad_count(*state, "203.0.113.1"), 0);
	assert_int_equal(bad_count(*state, "192.0.2.1"), 200);
}

static void network_outlives_its_forgotten_clients(void **state)
{
	for (int i = 1; i <= 20; i++) {
		char address[20];

		snprintf(address, sizeof(address), "192.0.2.%d", i);
		record(*state, address, WINDOW, offence);
	}
	assert_int_equal(bad_count(*state, "192.0.2.17"), 0);
	assert_int_equal(bad_count(*state, "192.0.2.18"), 100);
	assert_int_equal(look(*state, "192.0.2.1", WINDOW).network.bad_now, 2000);
}

static void recipients_are_forgotten_in_their_order(void **state)
{
	/* Three clients, four recipients each on average. */
	for (uint64_t recipient = 0; recipient < 12; recipient++)
		assert_true(record(*state, "192.0.2.1", WINDOW, distinct(SIDE_BAD, recipient)));
	assert_false(record(*state, "192.0.2.1", WINDOW, distinct(SIDE_BAD, 0)));
	assert_true(record(*state, "192.0.2.1", WINDOW, distinct(SIDE_BAD, 12)));
	assert_false(record(*state, "192.0.2.1", WINDOW, distinct(SIDE_BAD, 1)));
	assert_true(record(*state, "192.0.2.1", WINDOW, distinct(SIDE_BAD, 0)));
}

static void fewer_clients_are_kept_after_a_reload(void **state)
{
	struct store *store = *state;
	struct config config = {.memory_clients = 1};

	record(store, "192.0.2.1", WINDOW, offence);
	record(store, "198.51.100.1", WINDOW, offence);
	record(store, "192.0.2.1", WINDOW, offence);
	store_configure(store, &config);
	assert_int_equal(bad_count(store, "198.51.100.1"), 0);
	assert_int_equal(look(store, "198.51.100.1", WINDOW).network.bad_now, 0);
	assert_int_equal(bad_count(store, "192.0.2.1"), 200);
	assert_int_equal(look(store, "192.0.2.1", WINDOW).network.bad_now, 200);

	config.memory_clients = 2;
	store_configure(store, &config);
	record(store, "198.51.100.1", WINDOW, offence);
	assert_int_equal(bad_count(store, "192.0.2.1"), 200);
	assert_int_equal(bad_count(store, "198.51.100.1"), 100);
}

static void flag_is_news_once(void **state)
{
	struct store *store = *state;
	const struct prefix one = query_of("192.0.2.1", WINDOW).client.key,
			    two = query_of("192.0.2.2", WINDOW).client.key;

	record(store, "192.0.2.1", WINDOW, offence);
	assert_false(store_announce(store, &one, false));
	assert_true(store_announce(store, &one, true));
	assert_false(store_announce(store, &one, true));
	assert_true(look(store, "192.0.2.1", WINDOW).announced);
	assert_false(look(store, "192.0.2.2", WINDOW).announced);
	/* It counts on as before, and has not been unannounced by it. */
	record(store, "192.0.2.1", WINDOW, offence);
	assert_int_equal(bad_count(store, "192.0.2.1"), 200);
	assert_true(look(store, "192.0.2.1", WINDOW).announced);

	assert_true(store_announce(store, &one, false));
	assert_false(store_announce(store, &one, false));
	assert_false(look(store, "192.0.2.1", WINDOW).announced);
	/* One that is not known here. */
	assert_false(store_announce(store, &two, false));
	assert_true(store_announce(store, &two, true));
	assert_true(look(store, "192.0.2.2", WINDOW).announced);
	record(store, "192.0.2.2", WINDOW, offence);
	assert_int_equal(bad_count(store, "192.0.2.2"), 100);
}

static void state_is_up(void **state)
{
	struct store *store = *state;

	assert_string_equal(store_state(store), "up");
}

/*
 * --- behind a shared store ---------------------------------------------------------------------
 */

#define OWNER 3

static void learn(struct store *store, const char *address, int64_t window, struct tally client,
		  struct tally network, bool by_hand)
{
	const struct store_query query = query_of(address, window);
	const struct store_view view = {
		.window = window, .client = client, .network = network, .by_hand = by_hand};

	memory_learn(store, &query, &view);
}

/* What a shared store that was started anew would be told of the only client. */
static uint64_t restated(struct store *store)
{
	size_t count;
	struct memory_known *known = memory_copy_known(store, &count);
	uint64_t bad;

	assert_int_equal(count, 1);
	bad = known[0].counts.owed.bad_now;
	free(known);
	return bad;
}

/* Sessions' answers cross: what came after the restart, or later, must not hide what came before. */
static void what_a_restarted_store_has_lost_is_the_most_that_it_said(void **state)
{
	static const struct {
		uint64_t said[4];
		uint64_t expected;
	} rows[] = {
		{{1000, 0, 0, 0}, 1000}, {{1000, 0, 100, 0}, 1000}, {{500, 400, 900, 900}, 900},
		{{500, 400, 450, 460}, 500}, {{100, 200, 300, 400}, 400},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (i > 0) {
			tear_down(state);
			assert_int_equal(set_up(state), 0);
		}
		for (size_t j = 0; j < 4; j++)
			learn(*state, "192.0.2.1", WINDOW, (struct tally){.bad_now = rows[i].said[j]},
			      (struct tally){0}, false);
		if (restated(*state) != rows[i].expected)
			fail_msg("row %zu: %llu", i, (unsigned long long)restated(*state));
	}
}

static void owe(struct store *store, const char *address, int64_t window, struct store_event event)
{
	const struct store_query query = query_of(address, window);

	const enum debt_step steps[DEBTS_MAX] = {DEBT_NOT_TOLD};
	struct debts debts;

	debts_of_event(&query, &event, &debts);
	debts_settle(store, OWNER, &debts, steps);
}

/* What lookups of the shared store show, that has said nothing itself. */
static struct store_view amended(struct store *store, const char *address, int64_t window)
{
	const struct store_query query = query_of(address, window);
	struct store_view view = {.window = window};

	memory_amend(store, &query, &view);
	return view;
}

static void what_was_learnt_is_shown(void **state)
{
	struct store_view view;

	learn(*state, "192.0.2.1", WINDOW, (struct tally){1, 2, 3, 4, 0, 0}, (struct tally){5, 6, 7, 8, 0, 0},
	      true);
	view = look(*state, "192.0.2.1", WINDOW);
	check_tally(&view.client, (struct tally){1, 2, 3, 4, 0, 0});
	check_tally(&view.network, (struct tally){5, 6, 7, 8, 0, 0});
	assert_true(view.by_hand);
	/* The shared store is right, also when it has less. */
	learn(*state, "192.0.2.1", WINDOW, (struct tally){0}, (struct tally){0}, false);
	view = look(*state, "192.0.2.1", WINDOW);
	check_tally(&view.client, (struct tally){0});
	check_tally(&view.network, (struct tally){0});
	assert_false(view.by_hand);
}

static void what_was_learnt_is_of_its_window(void **state)
{
	const struct tally tally = {1, 2, 3, 4, 0, 0}, aged = {0, 1, 0, 3, 0, 0};

	learn(*state, "192.0.2.1", WINDOW, tally, tally, false);
	learn(*state, "192.0.2.1", WINDOW + 1, tally, tally, false);
	check_both(*state, "192.0.2.1", WINDOW + 1, tally);
	check_both(*state, "192.0.2.1", WINDOW + 2, aged);
	/* An answer to one whose clock is a little behind. */
	learn(*state, "192.0.2.1", WINDOW, tally, tally, false);
	check_both(*state, "192.0.2.1", WINDOW + 1, aged);
}

static void clean_clients_take_no_room(void **state)
{
	record(*state, "192.0.2.1", WINDOW, offence);
	for (int i = 0; i < 100; i++) {
		char address[20];

		snprintf(address, sizeof(address), "10.0.%d.1", i);
		learn(*state, address, WINDOW, (struct tally){0}, (struct tally){0}, false);
	}
	assert_int_equal(bad_count(*state, "192.0.2.1"), 100);
}

static void debts_add_to_what_the_shared_store_said(void **state)
{
	struct store_view view;

	learn(*state, "192.0.2.1", WINDOW, (struct tally){300, 50, 0, 0, 0, 0},
	      (struct tally){400, 0, 0, 0, 0, 0}, false);
	owe(*state, "192.0.2.1", WINDOW, offence);
	owe(*state, "192.0.2.1", WINDOW, good_one);
	view = look(*state, "192.0.2.1", WINDOW);
	check_tally(&view.client, (struct tally){400, 50, 100, 0, 0, 0});
	check_tally(&view.network, (struct tally){500, 0, 100, 0, 0, 0});
	view = amended(*state, "192.0.2.1", WINDOW);
	check_tally(&view.client, (struct tally){100, 0, 100, 0, 0, 0});
	check_tally(&view.network, (struct tally){100, 0, 100, 0, 0, 0});
	/* What it says later does not hold the debt yet. */
	learn(*state, "192.0.2.1", WINDOW, (struct tally){600, 50, 0, 0, 0, 0},
	      (struct tally){700, 0, 0, 0, 0, 0}, false);
	view = look(*state, "192.0.2.1", WINDOW);
	check_tally(&view.client, (struct tally){700, 50, 100, 0, 0, 0});
	check_tally(&view.network, (struct tally){800, 0, 100, 0, 0, 0});
}

static void amending_tells_what_was_announced(void **state)
{
	struct store *store = *state;
	const struct prefix client = query_of("192.0.2.1", WINDOW).client.key;

	assert_false(amended(store, "192.0.2.1", WINDOW).announced);
	store_announce(store, &client, true);
	assert_true(amended(store, "192.0.2.1", WINDOW).announced);
	assert_false(amended(store, "192.0.2.2", WINDOW).announced);
}

static void debts_roll_over(void **state)
{
	struct memory_debt debt;
	struct store_view view;

	owe(*state, "192.0.2.1", WINDOW, offence);
	view = amended(*state, "192.0.2.1", WINDOW + 1);
	check_tally(&view.client, (struct tally){0, 100, 0, 0, 0, 0});
	owe(*state, "192.0.2.1", WINDOW + 1, offence);
	owe(*state, "192.0.2.1", WINDOW + 1, offence);
	view = amended(*state, "192.0.2.1", WINDOW + 1);
	check_tally(&view.client, (struct tally){200, 100, 0, 0, 0, 0});
	check_tally(&view.network, (struct tally){200, 100, 0, 0, 0, 0});
	view = amended(*state, "192.0.2.1", WINDOW + 3);
	check_tally(&view.client, (struct tally){0});

	assert_true(memory_take_debt(*state, OWNER, &debt));
	assert_int_equal(debt.window, WINDOW + 1);
	check_tally(&debt.owed, (struct tally){200, 100, 0, 0, 0, 0});
}

static void debts_that_faded_are_none(void **state)
{
	struct memory_debt debt;

	owe(*state, "192.0.2.1", WINDOW, offence);
	record(*state, "192.0.2.1", WINDOW + 2, offence);
	assert_false(memory_take_debt(*state, OWNER, &debt));
	check_both(*state, "192.0.2.1", WINDOW + 2, (struct tally){.bad_now = 100});
}

/* A new count that was sent to the shared store at once, and arrived. */
static void debt_of_a_newer_window_is_settled_in_it(void **state)
{
	const struct store_query query = query_of("192.0.2.1", WINDOW + 1);
	const struct memory_debt debt = {
		.prefix = query.client.key, .window = WINDOW + 1, .owed = {.bad_now = 100}};

	record(*state, "192.0.2.1", WINDOW, offence);
	memory_settle_debt(*state, &debt);
	assert_int_equal(look(*state, "192.0.2.1", WINDOW + 1).client.bad_now, 100);
	assert_int_equal(look(*state, "192.0.2.1", WINDOW + 1).client.bad_previous, 100);
}

static void debt_is_taken_once_by_its_owner(void **state)
{
	struct store *store = *state;
	const struct store_query query = query_of("192.0.2.1", WINDOW);
	struct memory_debt debt[2];
	size_t networks = 0;

	owe(store, "192.0.2.1", WINDOW, offence);
	owe(store, "192.0.2.1", WINDOW, offence);
	assert_false(memory_take_debt(store, OWNER + 1, &debt[0]));
	assert_false(memory_take_debt(store, MEMORY_OWNERS - 1, &debt[0]));
	for (size_t i = 0; i < COUNT(debt); i++) {
		assert_true(memory_take_debt(store, OWNER, &debt[i]));
		assert_int_equal(debt[i].window, WINDOW);
		check_tally(&debt[i].owed, (struct tally){.bad_now = 200});
		assert_true(prefix_equal(&debt[i].prefix, debt[i].is_network ? &query.client.network
									     : &query.client.key));
		networks += debt[i].is_network;
	}
	assert_int_equal(networks, 1);
	assert_false(memory_take_debt(store, OWNER, &debt[0]));
	/* Taken out, it is not shown until it is settled or returned. */
	check_both(store, "192.0.2.1", WINDOW, (struct tally){0});
}

static void take_all(struct store *store, void (*then)(struct store *, const struct memory_debt *))
{
	struct memory_debt debts[8];
	size_t count = 0;

	while (count < COUNT(debts) && memory_take_debt(store, OWNER, &debts[count]))
		count++;
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++)
		then(store, &debts[i]);
}

static void return_debt(struct store *store, const struct memory_debt *debt)
{
	memory_return_debt(store, OWNER, debt);
}

static void settled_debt_is_known_and_no_longer_owed(void **state)
{
	struct memory_debt debt;

	learn(*state, "192.0.2.1", WINDOW, (struct tally){300, 0, 0, 0, 0, 0},
	      (struct tally){300, 0, 0, 0, 0, 0}, false);
	owe(*state, "192.0.2.1", WINDOW, offence);
	take_all(*state, memory_settle_debt);
	check_both(*state, "192.0.2.1", WINDOW, (struct tally){.bad_now = 400});
	assert_int_equal(amended(*state, "192.0.2.1", WINDOW).client.bad_now, 0);
	assert_int_equal(amended(*state, "192.0.2.1", WINDOW).network.bad_now, 0);
	assert_false(memory_take_debt(*state, OWNER, &debt));
}

static void returned_debt_is_owed_again(void **state)
{
	struct memory_debt debt;

	owe(*state, "192.0.2.1", WINDOW, offence);
	take_all(*state, return_debt);
	assert_int_equal(amended(*state, "192.0.2.1", WINDOW).client.bad_now, 100);
	assert_int_equal(amended(*state, "192.0.2.1", WINDOW).network.bad_now, 100);
	/* What came to be owed meanwhile is added to. */
	assert_true(memory_take_debt(*state, OWNER, &debt));
	owe(*state, "192.0.2.1", WINDOW, offence);
	memory_return_debt(*state, OWNER, &debt);
	check_both(*state, "192.0.2.1", WINDOW, (struct tally){.bad_now = 200});
}

/* Debts that are taken, and given back or settled after an offence so many windows later. */
static void give_back_later(void **state, int64_t windows, struct tally wanted)
{
	static void (*const ways[])(struct store *,
				    const struct memory_debt *) = {return_debt, memory_settle_debt};

	for (size_t i = 0; i < COUNT(ways); i++) {
		const char *address = i == 0 ? "192.0.2.1" : "198.51.100.1";
		struct memory_debt client, network;

		owe(*state, address, WINDOW, offence);
		assert_true(memory_take_debt(*state, OWNER, &client));
		assert_true(memory_take_debt(*state, OWNER, &network));
		record(*state, address, WINDOW + windows, offence);
		ways[i](*state, &client);
		ways[i](*state, &network);
		check_both(*state, address, WINDOW + windows, wanted);
		while (memory_take_debt(*state, OWNER, &client))
			;
	}
}

static void debt_that_comes_back_a_window_later_has_aged(void **state)
{
	give_back_later(state, 1, (struct tally){100, 100, 0, 0, 0, 0});
}

static void debt_of_long_ago_does_not_harm_what_is_counted_now(void **state)
{
	give_back_later(state, 5, (struct tally){.bad_now = 100});
}

static void evicted_debtor_leaves_the_list_of_debts(void **state)
{
	struct memory_debt debt;
	unsigned count = 0;

	for (int i = 1; i <= 5; i++) {
		char address[20];

		snprintf(address, sizeof(address), "10.0.%d.1", i);
		owe(*state, address, WINDOW, offence);
	}
	while (count < 100 && memory_take_debt(*state, OWNER, &debt))
		count++;
	/* Three clients and three networks are kept. */
	assert_int_equal(count, 6);
}

/*
 * --- threads ------------------------------------------------------------------------------------
 */

#define THREADS 16
#define OFFENCES_EACH 625

static void *offend(void *argument)
{
	struct store *store = argument;

	for (int i = 0; i < OFFENCES_EACH; i++)
		record(store, "192.0.2.1", WINDOW, offence);
	return NULL;
}

/* Half of them owe, while debts are taken and settled, and some returned. */
static void *owe_and_pay(void *argument)
{
	struct store *store = argument;
	struct memory_debt debt;

	for (int i = 0; i < OFFENCES_EACH; i++) {
		owe(store, "192.0.2.1", WINDOW, offence);
		if (!memory_take_debt(store, OWNER, &debt))
			continue;
		if (i % 3 == 0)
			memory_return_debt(store, OWNER, &debt);
		else
			memory_settle_debt(store, &debt);
	}
	return NULL;
}

static void run_threads(struct store *store, void *(*first)(void *), void *(*second)(void *))
{
	pthread_t thread[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, i % 2 == 0 ? first : second, store), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void sixteen_threads_lose_no_offence(void **state)
{
	run_threads(*state, offend, offend);
	check_both(*state, "192.0.2.1", WINDOW,
		   (struct tally){.bad_now = UINT64_C(100) * THREADS * OFFENCES_EACH});
}

static void threads_that_owe_and_pay_lose_no_offence(void **state)
{
	run_threads(*state, offend, owe_and_pay);
	check_both(*state, "192.0.2.1", WINDOW,
		   (struct tally){.bad_now = UINT64_C(100) * THREADS * OFFENCES_EACH});
}

static void *offend_from_everywhere(void *argument)
{
	struct store *store = argument;

	for (unsigned i = 0; i < 2000; i++) {
		char address[20];

		snprintf(address, sizeof(address), "10.%u.%u.%u", i % 7, i % 11, i % 13);
		record(store, address, WINDOW + i % 3, distinct(SIDE_BAD, i % 17));
		look(store, address, WINDOW);
	}
	return NULL;
}

static void threads_may_evict_each_others_clients(void **state)
{
	run_threads(*state, offend_from_everywhere, owe_and_pay);
	assert_string_equal(store_state(*state), "up");
}

#define ROOMY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define FOR_THREE(test) cmocka_unit_test_setup_teardown(test, set_up_for_three, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROOMY(unknown_client_has_a_clean_record),
		ROOMY(events_count_for_client_and_network),
		ROOMY(recording_shows_the_fresh_count),
		ROOMY(client_without_wider_network_has_none),
		ROOMY(amounts_are_kept_in_hundredths),
		ROOMY(recipient_counts_once_a_window),
		ROOMY(recipient_that_is_not_distinct_counts_each_time),
		ROOMY(repeated_recipient_still_shows_the_count),
		ROOMY(recipients_can_be_noted_alone),
		ROOMY(counts_roll_from_window_to_window),
		ROOMY(clock_set_back_by_a_little_loses_nothing),
		ROOMY(clock_set_back_by_much_starts_afresh),
		FOR_THREE(least_recently_offending_client_goes_first),
		FOR_THREE(network_outlives_its_forgotten_clients),
		FOR_THREE(recipients_are_forgotten_in_their_order),
		ROOMY(fewer_clients_are_kept_after_a_reload),
		ROOMY(flag_is_news_once),
		ROOMY(state_is_up),
		ROOMY(what_was_learnt_is_shown),
		ROOMY(what_was_learnt_is_of_its_window),
		FOR_THREE(clean_clients_take_no_room),
		ROOMY(what_a_restarted_store_has_lost_is_the_most_that_it_said),
		ROOMY(debts_add_to_what_the_shared_store_said),
		ROOMY(amending_tells_what_was_announced),
		ROOMY(debts_roll_over),
		ROOMY(debts_that_faded_are_none),
		ROOMY(debt_of_a_newer_window_is_settled_in_it),
		ROOMY(debt_is_taken_once_by_its_owner),
		ROOMY(settled_debt_is_known_and_no_longer_owed),
		ROOMY(returned_debt_is_owed_again),
		ROOMY(debt_that_comes_back_a_window_later_has_aged),
		ROOMY(debt_of_long_ago_does_not_harm_what_is_counted_now),
		FOR_THREE(evicted_debtor_leaves_the_list_of_debts),
		ROOMY(sixteen_threads_lose_no_offence),
		ROOMY(threads_that_owe_and_pay_lose_no_offence),
		FOR_THREE(threads_may_evict_each_others_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
