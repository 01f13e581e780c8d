/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "judge/policy.h"

#define LENGTH_S 14400
#define START_S INT64_C(1795219200)
#define INDEX (START_S / LENGTH_S)

static const struct policy policy = {
	.threshold = 5, .good_credit = 2, .network_threshold = 20, .delay_min_ms = 5000, .delay_max_ms = 20000};
static const struct client with_network = {
	.key = {4, 32, {192, 0, 2, 1}}, .network = {4, 24, {192, 0, 2, 0}}};
static const struct client without = {
	.key = {4, 32, {192, 0, 2, 1}}, .network = {4, 32, {192, 0, 2, 1}}};

static struct standing judge_at(const struct client *client, const struct store_view *view, int64_t after_s)
{
	struct window now = window_at((START_S + after_s) * 1000, LENGTH_S);
	struct standing st;

	policy_judge_view(&policy, client, view, &now, (struct circumstances){0}, &st);
	return st;
}

static void counts_fade_from_when_they_were_seen(void **state)
{
	const struct store_view view = {.window = INDEX, .client = {.bad_now = 800}};

	(void)state;
	assert_true(judge_at(&with_network, &view, 0).score == 8);
	assert_true(judge_at(&with_network, &view, LENGTH_S).score == 8);
	assert_true(judge_at(&with_network, &view, LENGTH_S + LENGTH_S / 2).score == 4);
	assert_false(judge_at(&with_network, &view, LENGTH_S + LENGTH_S / 2).flagged);
	assert_true(judge_at(&with_network, &view, 2 * LENGTH_S).score == 0);
}

static void network_matters_where_there_is_one(void **state)
{
	const struct store_view view = {
		.window = INDEX, .client = {.bad_now = 100}, .network = {.bad_now = 2000}};

	(void)state;
	assert_true(judge_at(&with_network, &view, 0).flagged);
	assert_true(judge_at(&with_network, &view, 0).network_score == 20);
	assert_false(judge_at(&without, &view, 0).flagged);
	assert_true(judge_at(&without, &view, 0).network_score == 0);
	assert_false(judge_at(&with_network, &view, LENGTH_S + 60).flagged);
}

static void flag_by_hand_ends_at_its_moment(void **state)
{
	const struct store_view view = {
		.window = INDEX, .by_hand = true, .by_hand_until_s = START_S + 600};
	const struct store_view endless = {.window = INDEX, .by_hand = true};

	(void)state;
	assert_true(judge_at(&with_network, &view, 0).flagged);
	assert_true(judge_at(&with_network, &view, 599).flagged);
	assert_false(judge_at(&with_network, &view, 600).flagged);
	assert_false(judge_at(&with_network, &view, 600).by_hand);
	assert_true(judge_at(&with_network, &endless, 600).flagged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_fade_from_when_they_were_seen),
		cmocka_unit_test(network_matters_where_there_is_one),
		cmocka_unit_test(flag_by_hand_ends_at_its_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
