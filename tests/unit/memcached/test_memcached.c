/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only a store in memcached does: it is shared, goes away, comes back, and may ask for a
 * password.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store_bed.h"

static void another_daemon_sees_the_same(void **state)
{
	struct store *other = open_test_store(IN_MEMCACHED);
	struct store_view view;

	await_up(other);
	assert_true(offend(*state, "192.0.2.1", 1000, 1, &view));
	assert_false(offend(other, "192.0.2.1", 1000, 1, &view));
	assert_true(offend(other, "192.0.2.1", 1000, 2, &view));
	assert_int_equal(view.client.bad_now, 200);
	assert_int_equal(look_up(*state, "192.0.2.1", 1000).client.bad_now, 200);
	store_destroy(other);
}

/* Waits until a count is there: one that came too late for its caller is noted a moment after. */
static void await_count(struct store *store, uint64_t bad)
{
	for (int ms = 0; ms < START_MS; ms += STEP_MS) {
		if (look_up(store, "192.0.2.1", 1000).client.bad_now == bad)
			return;
		sleep_ms(STEP_MS);
	}
	assert_int_equal(look_up(store, "192.0.2.1", 1000).client.bad_now, bad);
}

static void outage_is_bridged_and_paid_for_once(void **state)
{
	struct store *store = *state, *other;
	struct store_view view;

	offend(store, "192.0.2.1", 1000, 1, &view);
	suspend_memcached();
	for (uint64_t i = 2; i <= 9; i++)
		offend(store, "192.0.2.1", 1000, i, &view);
	await_count(store, 900);
	assert_string_equal(store_state(store), "down");
	kill(memcached, SIGCONT);
	await_up(store);

	other = open_test_store(IN_MEMCACHED);
	await_up(other);
	view = look_up(other, "192.0.2.1", 1000);
	assert_int_equal(view.client.bad_now, 900);
	assert_int_equal(view.network.bad_now, 900);
	store_destroy(other);
	sleep_ms(500);	/* two rounds of the keeper: nothing is paid twice */
	assert_int_equal(look_up(store, "192.0.2.1", 1000).client.bad_now, 900);
}

static void count_server(const char *server, bool is_up, void *arg)
{
	int *up = arg;

	assert_string_equal(server, memcached_socket);
	*up = is_up;
}

static void other_daemon_follows_what_an_administrator_does(void **state)
{
	struct store *store = *state, *other = open_test_store(IN_MEMCACHED);
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store_view view;

	await_up(other);
	assert_true(store_flag(store, &query, NOW_S + 600));
	assert_true(look_up(other, "192.0.2.1", WINDOW_NOW).by_hand);
	offend(other, "192.0.2.1", WINDOW_NOW, 1, &view);
	assert_true(store_forgive(store, &query));
	view = look_up(other, "192.0.2.1", WINDOW_NOW);
	assert_false(view.by_hand);
	assert_true(tally_is_zero(&view.client));
	store_destroy(other);
}

static void administrator_is_told_that_the_server_is_away(void **state)
{
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;
	int is_up = -1;

	offend(store, "192.0.2.1", WINDOW_NOW, 1, &view);
	suspend_memcached();
	assert_false(store_forgive(store, &query));
	view = look_up(store, "192.0.2.1", WINDOW_NOW);
	assert_true(tally_is_zero(&view.client));
	assert_false(store_flag(store, &query, NOW_S + 600));
	assert_true(look_up(store, "192.0.2.1", WINDOW_NOW).by_hand);
	store_servers(store, count_server, &is_up);
	assert_int_equal(is_up, 0);
	kill(memcached, SIGCONT);
}

static void server_that_was_never_there_leaves_the_memory_store(void **state)
{
	struct store *store;
	struct store_view view;

	(void)state;
	unlink(memcached_socket);
	store = open_test_store(IN_MEMCACHED);
	assert_string_equal(store_state(store), "down");
	assert_true(offend(store, "192.0.2.1", 1000, 1, &view));
	assert_int_equal(view.client.bad_now, 100);
	store_destroy(store);
}

#define MINUTE 28333333

/* Whether there was an answer, of which *site has the rest. */
static bool share(struct store *store, int64_t minute, uint64_t amount, struct store_site *site)
{
	*site = (struct store_site){.key_prefix = "tarpit", .minute = minute, .amount = amount};
	return store_share_site(store, site);
}

static void minutes_of_a_site_are_shared(void **state)
{
	struct store *store = *state, *other = open_test_store(IN_MEMCACHED);
	struct store_site site;

	await_up(other);
	assert_true(share(store, MINUTE, 0, &site));
	assert_int_equal(site.step, STORE_SITE_NOT_TOLD);
	for (size_t i = 0; i < STORE_SITE_MINUTES; i++)
		assert_int_equal(site.sums[i], 0);
	assert_true(share(store, MINUTE, 250, &site));
	assert_int_equal(site.step, STORE_SITE_TOLD);
	assert_int_equal(site.sums[0], 250);
	assert_true(share(other, MINUTE, 100, &site));
	assert_int_equal(site.sums[0], 350);
	assert_true(share(other, MINUTE + 2, 30, &site));
	assert_int_equal(site.sums[0], 30);
	assert_int_equal(site.sums[1], 0);
	assert_int_equal(site.sums[2], 350);
	assert_true(share(store, MINUTE + 9, 0, &site));
	assert_int_equal(site.sums[9], 350);
	assert_int_equal(site.sums[7], 30);
	assert_true(share(store, MINUTE + 10, 0, &site));
	assert_int_equal(site.sums[8], 30);
	store_destroy(other);
}

static void what_a_site_tells_no_server_is_not_taken_as_told(void **state)
{
	struct store *store = *state;
	struct store_site site;

	assert_true(share(store, MINUTE, 100, &site));
	suspend_memcached();
	/* The worker knows that it did not come so far; where it is late, nobody knows yet. */
	assert_false(share(store, MINUTE, 10, &site));
	assert_int_not_equal(site.step, STORE_SITE_TOLD);
	for (int ms = 0; ms < START_MS && strcmp(store_state(store), "down") != 0; ms += STEP_MS)
		sleep_ms(STEP_MS);
	assert_false(share(store, MINUTE, 1, &site));
	assert_int_equal(site.step, STORE_SITE_NOT_TOLD);
	kill(memcached, SIGCONT);
	await_up(store);
	assert_true(share(store, MINUTE, 1, &site));
	assert_int_equal(site.sums[0], 101);
}

static void a_store_that_nobody_shares_has_no_site(void **state)
{
	struct store_site site;

	assert_false(share(*state, MINUTE, 100, &site));
	assert_int_equal(site.step, STORE_SITE_NOT_TOLD);
}

static void wrong_password_leaves_the_memory_store(void **state)
{
	struct store *store = *state;
	struct store_view view;

	offend(store, "192.0.2.1", 1000, 1, &view);
	set_password("another\n");
	store_destroy(store);
	*state = store = open_test_store(IN_MEMCACHED_WITH_SASL);
	assert_string_equal(store_state(store), "down");
	assert_true(offend(store, "192.0.2.1", 1000, 2, &view));
	assert_int_equal(view.client.bad_now, 100);
}

WITH_SASL(wrong_password_leaves_the_memory_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_daemon_sees_the_same, setup_memcached,
						teardown_memcached),
		cmocka_unit_test_setup_teardown(outage_is_bridged_and_paid_for_once,
						setup_memcached, teardown_memcached),
		cmocka_unit_test_setup_teardown(other_daemon_follows_what_an_administrator_does,
						setup_memcached, teardown_memcached),
		cmocka_unit_test_setup_teardown(administrator_is_told_that_the_server_is_away,
						setup_memcached, teardown_memcached),
		cmocka_unit_test_setup_teardown(minutes_of_a_site_are_shared, setup_memcached,
						teardown_memcached),
		cmocka_unit_test_setup_teardown(what_a_site_tells_no_server_is_not_taken_as_told,
						setup_memcached, teardown_memcached),
		cmocka_unit_test_setup_teardown(a_store_that_nobody_shares_has_no_site,
						setup_memory, teardown_memory),
		cmocka_unit_test_setup_teardown(wrong_password_leaves_the_memory_store_with_sasl,
						setup_sasl, teardown_sasl),
		cmocka_unit_test(server_that_was_never_there_leaves_the_memory_store),
	};
	int failed;

	if (!open_bed())
		return 1;
	failed = cmocka_run_group_tests_name("store in memcached", tests, NULL, NULL);
	close_bed();
	return failed;
}
