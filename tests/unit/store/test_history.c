/* SPDX-License-Identifier: BSD-2-Clause */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/history.h"

#define WINDOW 100
#define MAX 10

static struct history history;

static int begin(void **state)
{
	(void)state;
	history = (struct history){0};
	return hash_init();
}

static int end(void **state)
{
	(void)state;
	history_clear(&history);
	return 0;
}

static struct prefix client_of(uint8_t number)
{
	return (struct prefix){4, 32, {192, 0, 2, number}};
}

static struct tally shown(uint8_t number, int64_t window)
{
	struct prefix client = client_of(number);
	struct tally tally = {0};

	history_show(&history, false, &client, window, &tally);
	return tally;
}

static void add(uint8_t number, int64_t window, uint64_t amount)
{
	struct prefix client = client_of(number);

	history_add(&history, MAX, false, &client, window, amount);
}

static void good_is_kept_for_two_windows(void **state)
{
	struct prefix client = client_of(1);

	(void)state;
	add(1, WINDOW, 100);
	add(1, WINDOW, 200);
	assert_int_equal(shown(1, WINDOW).good_now, 300);
	assert_int_equal(shown(1, WINDOW + 1).good_previous, 300);
	assert_int_equal(shown(1, WINDOW + 2).good_previous, 0);
	add(1, WINDOW + 1, 50);
	assert_int_equal(shown(1, WINDOW + 1).good_now, 50);
	assert_int_equal(shown(1, WINDOW + 1).good_previous, 300);
	/* A clock that was set back by a little, or was read just before the window began. */
	assert_int_equal(shown(1, WINDOW).good_now, 50);
	add(1, WINDOW, 1);
	assert_int_equal(shown(1, WINDOW + 1).good_now, 51);
	assert_int_equal(shown(1, WINDOW + 1).good_previous, 300);
	/* Clients and networks are kept apart. */
	client.bits = 24;
	assert_int_equal(shown(2, WINDOW).good_now, 0);
	history_add(&history, MAX, true, &client, WINDOW, 700);
	assert_int_equal(shown(1, WINDOW + 1).good_now, 51);
}

static void what_is_taken_is_gone(void **state)
{
	struct prefix client = client_of(1);
	struct tally taken = {.bad_now = 100};

	(void)state;
	add(1, WINDOW, 300);
	history_take(&history, false, &client, WINDOW + 1, &taken);
	assert_int_equal(taken.bad_now, 100);
	assert_int_equal(taken.good_previous, 300);
	history_take(&history, false, &client, WINDOW + 1, &taken);
	assert_int_equal(taken.good_previous, 300);
}

static void what_is_subtracted_is_of_its_window(void **state)
{
	const struct tally less = {.good_now = 30, .good_previous = 500};
	struct prefix client = client_of(1);

	(void)state;
	history_subtract(&history, false, &client, WINDOW, &less);
	add(1, WINDOW, 300);
	add(1, WINDOW + 1, 100);
	history_subtract(&history, false, &client, WINDOW + 1, &less);
	assert_int_equal(shown(1, WINDOW + 1).good_now, 70);
	assert_int_equal(shown(1, WINDOW + 1).good_previous, 0);
	history_subtract(&history, true, &client, WINDOW + 1, &less);
	assert_int_equal(shown(1, WINDOW + 1).good_now, 70);
}

static void who_earned_longest_ago_is_forgotten(void **state)
{
	(void)state;
	for (uint8_t number = 0; number < MAX; number++)
		add(number, WINDOW, 100);
	add(0, WINDOW, 100);
	add(MAX, WINDOW, 100);
	assert_int_equal(shown(0, WINDOW).good_now, 200);
	assert_int_equal(shown(1, WINDOW).good_now, 0);
	assert_int_equal(shown(2, WINDOW).good_now, 100);
	assert_int_equal(shown(MAX, WINDOW).good_now, 100);
}

static bool earn(uint64_t mailbox, uint64_t domain, int64_t window)
{
	const struct store_recipient recipient = {mailbox, domain, true};
	struct prefix client = client_of(1);

	return history_earn(&history, 1000, &client, window, &recipient);
}

static unsigned left(uint64_t mailbox, uint64_t domain, int64_t window)
{
	const struct store_recipient recipient = {mailbox, domain, true};
	struct prefix client = client_of(1);

	return history_credit_left(&history, &client, window, &recipient);
}

static void a_recipient_earns_once_and_a_domain_ten(void **state)
{
	struct prefix client = client_of(1);

	(void)state;
	assert_int_equal(left(1, 7, WINDOW), 10);
	for (uint64_t mailbox = 1; mailbox <= 10; mailbox++) {
		assert_true(earn(mailbox, 7, WINDOW));
		assert_false(earn(mailbox, 7, WINDOW));
	}
	assert_int_equal(left(1, 7, WINDOW), 0);
	assert_int_equal(left(11, 7, WINDOW), 0);
	assert_false(earn(11, 7, WINDOW));
	/* Another domain, and another window. */
	assert_true(earn(1000, 8, WINDOW));
	assert_true(earn(1, 7, WINDOW + 1));
	/* Where it has met a rejection there is no bound, in that window and the next. */
	history_note_rejection(&history, 1000, &client, WINDOW, 7);
	assert_int_equal(left(11, 7, WINDOW), UINT_MAX);
	for (uint64_t mailbox = 11; mailbox <= 300; mailbox++)
		assert_true(earn(mailbox, 7, WINDOW));
	assert_false(earn(11, 7, WINDOW));
	assert_int_equal(left(500, 7, WINDOW + 1), UINT_MAX);
	assert_int_equal(left(500, 7, WINDOW + 2), 10);
	assert_int_equal(left(500, 8, WINDOW), 9);
}

static void recipients_that_are_not_distinct_are_bound_by_their_domain_alone(void **state)
{
	const struct store_recipient recipient = {.mailbox = 1, .domain = 7};
	struct prefix client = client_of(1);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_true(history_earn(&history, 1000, &client, WINDOW, &recipient));
	assert_false(history_earn(&history, 1000, &client, WINDOW, &recipient));
}

#define FRESH(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(good_is_kept_for_two_windows),
		FRESH(what_is_taken_is_gone),
		FRESH(what_is_subtracted_is_of_its_window),
		FRESH(who_earned_longest_ago_is_forgotten),
		FRESH(a_recipient_earns_once_and_a_domain_ten),
		FRESH(recipients_that_are_not_distinct_are_bound_by_their_domain_alone),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
