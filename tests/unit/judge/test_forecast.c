/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "judge/forecast.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LENGTH_S 14400
#define INDEX INT64_C(124668)
#define START_S (INDEX * LENGTH_S)

static const struct policy policy = {
	.threshold = 5, .good_credit = 2, .network_threshold = 20, .delay_min_ms = 5000, .delay_max_ms = 20000};
static const struct client with_network = {
	.key = {4, 32, {192, 0, 2, 1}}, .network = {4, 24, {192, 0, 2, 0}}};

static int64_t forecast_at(const struct policy *judge, const struct store_view *view, int64_t after_ms)
{
	struct window now = window_at(START_S * 1000 + after_ms, LENGTH_S);

	return forecast_flagged_s(judge, &with_network, view, &now);
}

static bool is_flagged_at(const struct store_view *view, int64_t after_ms)
{
	struct window now = window_at(START_S * 1000 + after_ms, LENGTH_S);
	struct standing st;

	policy_judge_view(&policy, &with_network, view, &now, (struct circumstances){0}, &st);
	return st.flagged;
}

struct row {
	const char *label;
	struct tally client, network;
	int64_t by_hand_until_s; /* after the window began */
	int64_t after_s, remains_s;
};

static const struct row rows[] = {
	{"nothing", {0}, {0}, 0, 0, 0},
	{"below the threshold", {.bad_now = 499}, {0}, 0, 0, 0},
	{"just over: to the window's end", {.bad_now = 500}, {0}, 0, 0, LENGTH_S},
	{"the same, late", {.bad_now = 500}, {0}, 0, LENGTH_S - 60, 60},
	{"twice: half of the next window too", {.bad_now = 1000}, {0}, 0, 0, LENGTH_S * 3 / 2},
	{"eight: three eighths of it", {.bad_now = 800}, {0}, 0, 3600, LENGTH_S * 11 / 8 - 3600},
	{"very bad: never two windows", {.bad_now = 100000000}, {0}, 0, 0, 2 * LENGTH_S - 1},
	{"of the window before", {.bad_previous = 1000}, {0}, 0, 0, LENGTH_S / 2},
	{"that, faded", {.bad_previous = 1000}, {0}, 0, LENGTH_S / 2 + 60, 0},
	{"both windows", {.bad_now = 300, .bad_previous = 400}, {0}, 0, 0, LENGTH_S / 2},
	{"credit takes off", {.bad_now = 1000, .good_now = 200}, {0}, 0, 0, LENGTH_S * 7 / 6},
	{"not flagged yet, though fading credit would lift it",
	 {.bad_now = 1000, .good_previous = 300}, {0}, 0, 0, 0},
	{"credit that fades as fast as the offences",
	 {.bad_now = 600, .bad_previous = 200, .good_previous = 100}, {0}, 0, 0, LENGTH_S * 7 / 6},
	{"fading credit lifts it", {.bad_now = 900, .good_previous = 200}, {0}, 0, 0,
	 LENGTH_S * 13 / 9},

	{"dirty: to the window's end, for then it is less than one offence of this window",
	 {.bad_now = 50}, {.bad_now = 100000}, 0, 0, LENGTH_S},
	{"dirty: until its own have faded to one", {.bad_now = 200}, {.bad_now = 100000}, 0, 0,
	 LENGTH_S * 3 / 2},
	{"dirty, until the network is clean", {.bad_now = 200}, {.bad_now = 2500}, 0, 0,
	 LENGTH_S * 6 / 5},
	{"dirty, then by its own", {.bad_now = 1000}, {.bad_now = 2200}, 0, 0, LENGTH_S * 3 / 2},
	{"clean network", {.bad_now = 200}, {.bad_now = 1900}, 0, 0, 0},

	{"by hand", {0}, {0}, 600, 0, 600},
	{"by hand, later", {0}, {0}, 600, 450, 150},
	{"by hand, over", {0}, {0}, 600, 600, 0},
	{"by hand, then by its own", {.bad_now = 500}, {0}, 600, 0, LENGTH_S},
	{"by its own, then by hand", {.bad_now = 500}, {0}, LENGTH_S + 600, 0, LENGTH_S + 600},
	{"by hand in the third window", {0}, {0}, 2 * LENGTH_S + 600, 3600, 2 * LENGTH_S - 3000},
	{"by hand, beyond two windows", {0}, {0}, 2 * LENGTH_S + 7200, 3600, 2 * LENGTH_S},
	{"by hand for a month: two windows", {0}, {0}, 30 * 86400, 3600, 2 * LENGTH_S},
};

/* View of the window that the table means. */
static struct store_view view_of(const struct row *row)
{
	return (struct store_view){.window = INDEX,
				   .client = row->client,
				   .network = row->network,
				   .by_hand = row->by_hand_until_s > 0,
				   .by_hand_until_s =
					   row->by_hand_until_s > 0 ? START_S + row->by_hand_until_s : 0};
}

static void a_client_remains_until_policy_lets_it_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct store_view view = view_of(&rows[i]);
		int64_t found = forecast_at(&policy, &view, rows[i].after_s * 1000);

		if (found != rows[i].remains_s)
			fail_msg("%s: %lld, not %lld", rows[i].label, (long long)found,
				 (long long)rows[i].remains_s);
	}
}

/* Whatever the table says: policy itself, asked each second. */
static void policy_agrees_each_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct store_view view = view_of(&rows[i]);
		int64_t after_ms = rows[i].after_s * 1000 + 437, found;

		found = forecast_at(&policy, &view, after_ms);
		for (int64_t s = 0; s < found; s++)
			if (!is_flagged_at(&view, after_ms + s * 1000))
				fail_msg("%s: not flagged after %lld s of %lld", rows[i].label,
					 (long long)s, (long long)found);
		if (found < 2 * LENGTH_S && is_flagged_at(&view, after_ms + found * 1000 + 1001))
			fail_msg("%s: still flagged after %lld s", rows[i].label, (long long)found);
	}
}

static void a_fraction_of_a_second_is_none(void **state)
{
	const struct store_view view = {.window = INDEX, .client = {.bad_now = 500}};

	(void)state;
	assert_int_equal(forecast_at(&policy, &view, LENGTH_S * 1000 - 999), 0);
	assert_in_range(forecast_at(&policy, &view, LENGTH_S * 1000 - 1500), 1, 1);
}

static void counts_of_an_earlier_window_are_taken_on(void **state)
{
	const struct store_view view = {.window = INDEX - 1, .client = {.bad_now = 1000}};

	(void)state;
	assert_in_range(forecast_at(&policy, &view, 0), LENGTH_S / 2 - 1, LENGTH_S / 2);
}

static void a_flag_without_an_end_is_two_windows(void **state)
{
	const struct store_view view = {.window = INDEX, .by_hand = true};

	(void)state;
	assert_int_equal(forecast_at(&policy, &view, 5000), 2 * LENGTH_S);
}

static void networks_may_not_matter(void **state)
{
	const struct store_view view = {
		.window = INDEX, .client = {.bad_now = 100}, .network = {.bad_now = 100000}};
	struct policy alone = policy;

	(void)state;
	alone.network_threshold = 0;
	assert_int_equal(forecast_at(&alone, &view, 0), 0);
	assert_true(forecast_at(&policy, &view, 0) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_remains_until_policy_lets_it_go),
		cmocka_unit_test(policy_agrees_each_second),
		cmocka_unit_test(a_fraction_of_a_second_is_none),
		cmocka_unit_test(counts_of_an_earlier_window_are_taken_on),
		cmocka_unit_test(a_flag_without_an_end_is_two_windows),
		cmocka_unit_test(networks_may_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
