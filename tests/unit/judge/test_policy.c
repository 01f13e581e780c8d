/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "judge/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The defaults of tarpit-milter.conf(5), but for the jitter. */
static const struct policy defaults = {
	.threshold = 5,
	.good_credit = 2,
	.network_threshold = 20,
	.null_sender_weight = 0.25,
	.hidden_weight = 50,
	.jitter = 0,
	.delay_min_ms = 5000,
	.delay_max_ms = 20000,
};

static struct policy with_jitter(unsigned percent)
{
	struct policy policy = defaults;

	policy.jitter = percent;
	return policy;
}

static void assert_near(double value, double expected)
{
	assert_true(value > expected - 1e-6 && value < expected + 1e-6);
}

static void score_is_bad_less_credit_for_good(void **state)
{
	static const struct {
		const char *label;
		struct tally tally;
		double elapsed, bad, good, score;
		bool flagged;
	} rows[] = {
		{"nothing", {0, 0, 0, 0, 0, 0}, 0, 0, 0, 0, false},
		{"four offences", {400, 0, 0, 0, 0, 0}, 0, 4, 0, 4, false},
		{"a hundredth short", {499, 0, 0, 0, 0, 0}, 0, 4.99, 0, 4.99, false},
		{"the fifth offence", {500, 0, 0, 0, 0, 0}, 0, 5, 0, 5, true},
		{"this window does not fade", {500, 0, 0, 0, 0, 0}, 0.99, 5, 0, 5, true},
		{"previous window, just over", {0, 500, 0, 0, 0, 0}, 0, 5, 0, 5, true},
		{"previous window half gone", {0, 1000, 0, 0, 0, 0}, 0.5, 5, 0, 5, true},
		{"a little more gone", {0, 1000, 0, 0, 0, 0}, 0.501, 4.99, 0, 4.99, false},
		{"previous window all but gone", {0, 1000, 0, 0, 0, 0}, 0.75, 2.5, 0, 2.5, false},
		{"both windows", {300, 400, 0, 0, 0, 0}, 0.5, 5, 0, 5, true},
		{"one good", {500, 0, 100, 0, 0, 0}, 0, 5, 1, 3, false},
		{"good paid off", {700, 0, 100, 0, 0, 0}, 0, 7, 1, 5, true},
		{"good of the previous window", {500, 0, 0, 100, 0, 0}, 0.5, 5, 0.5, 4, false},
		{"both sides fade alike", {200, 1000, 100, 200, 0, 0}, 0.25, 9.5, 2.5, 4.5, false},
		{"much good", {500, 0, 100000, 0, 0, 0}, 0, 5, 1000, -1995, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct standing standing;

		policy_judge(&defaults, &rows[i].tally, NULL, &(struct circumstances){.elapsed = rows[i].elapsed}, &standing);
		assert_near(standing.bad, rows[i].bad);
		assert_near(standing.good, rows[i].good);
		assert_near(standing.score, rows[i].score);
		assert_near(standing.effective_score, rows[i].score);
		if (standing.flagged != rows[i].flagged)
			fail_msg("%s", rows[i].label);
		assert_false(standing.network_dirty);
		assert_false(standing.by_hand);
	}
}

static void hundredths_add_up_exactly(void **state)
{
	struct policy policy = defaults;
	struct tally tally = {0};
	struct standing standing;

	(void)state;
	policy.threshold = 1;
	tally.bad_now = 70;
	tally.bad_previous = 60;
	policy_judge(&policy, &tally, NULL, &(struct circumstances){.elapsed = 0.5}, &standing);
	assert_true(standing.flagged);
	/* 0.1 * 3 has no exact binary form. */
	policy.threshold = 0.3;
	tally = (struct tally){.bad_now = 10, .bad_previous = 40};
	policy_judge(&policy, &tally, NULL, &(struct circumstances){.elapsed = 0.5}, &standing);
	assert_true(standing.flagged);
	tally.bad_now = 9;
	policy_judge(&policy, &tally, NULL, &(struct circumstances){.elapsed = 0.5}, &standing);
	assert_false(standing.flagged);
}

static void good_credit_of_zero_means_good_does_not_matter(void **state)
{
	struct policy policy = defaults;
	struct tally tally = {.bad_now = 500, .good_now = 100000};
	struct standing standing;

	(void)state;
	policy.good_credit = 0;
	policy_judge(&policy, &tally, NULL, &(struct circumstances){.elapsed = 0}, &standing);
	assert_near(standing.score, 5);
	assert_true(standing.flagged);
}

static void dirty_network_flags_at_the_first_own_offence(void **state)
{
	static const struct {
		const char *label;
		struct tally client, network;
		double elapsed, network_score, effective_score;
		bool dirty, flagged;
	} rows[] = {
		{"clean network", {100, 0, 0, 0, 0, 0}, {1999, 0, 0, 0, 0, 0}, 0, 19.99, 1, false, false},
		{"dirty network", {100, 0, 0, 0, 0, 0}, {2000, 0, 0, 0, 0, 0}, 0, 20, 5, true, true},
		{"dirtier network", {100, 0, 0, 0, 0, 0}, {4000, 0, 0, 0, 0, 0}, 0, 40, 10, true, true},
		{"own score is higher", {700, 0, 0, 0, 0, 0}, {2400, 0, 0, 0, 0, 0}, 0, 24, 7, true, true},
		{"never offended", {0, 0, 0, 0, 0, 0}, {1000000, 0, 0, 0, 0, 0}, 0, 10000, 0, true, false},
		{"half an offence", {50, 0, 0, 0, 0, 0}, {1000000, 0, 0, 0, 0, 0}, 0, 10000, 2500, true, true},
		{"a bounce's quarter", {25, 0, 0, 0, 0, 0}, {2000, 0, 0, 0, 0, 0}, 0, 20, 5, true, true},
		{"a quarter, made good", {25, 0, 100, 0, 0, 0}, {2100, 0, 0, 0, 0, 0}, 0, 21, -1.75, true, false},
		{"offence faded", {0, 100, 0, 0, 0, 0}, {4000, 0, 0, 0, 0, 0}, 0.5, 40, 0.5, true, false},
		{"made good", {200, 0, 100, 0, 0, 0}, {4000, 0, 100, 0, 0, 0}, 0, 38, 0, true, false},
		{"good neighbours", {100, 0, 0, 0, 0, 0}, {2000, 0, 100, 0, 0, 0}, 0, 18, 1, false, false},
		{"network of before", {100, 0, 0, 0, 0, 0}, {0, 4000, 0, 0, 0, 0}, 0.5, 20, 5, true, true},
		{"network of long before",
		 {100, 0, 0, 0, 0, 0},
		 {0, 4000, 0, 0, 0, 0},
		 0.6,
		 16,
		 1,
		 false,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct standing standing;

		policy_judge(&defaults, &rows[i].client, &rows[i].network, &(struct circumstances){.elapsed = rows[i].elapsed},
			     &standing);
		assert_near(standing.network_score, rows[i].network_score);
		assert_near(standing.effective_score, rows[i].effective_score);
		if (standing.network_dirty != rows[i].dirty || standing.flagged != rows[i].flagged)
			fail_msg("%s", rows[i].label);
	}
}

static void networks_may_be_made_not_to_matter(void **state)
{
	const struct tally client = {.bad_now = 400}, network = {.bad_now = 1000000};
	struct policy policy = defaults;
	struct standing standing;

	(void)state;
	policy.network_threshold = 0;
	policy_judge(&policy, &client, &network, &(struct circumstances){.elapsed = 0}, &standing);
	assert_false(standing.network_dirty);
	assert_false(standing.flagged);
	policy_judge(&defaults, &client, NULL, &(struct circumstances){.elapsed = 0}, &standing);
	assert_false(standing.network_dirty);
	assert_near(standing.network_score, 0);
	/* Any that is more than zero counts. */
	policy.network_threshold = 0.01;
	policy_judge(&policy, &client, &network, &(struct circumstances){.elapsed = 0}, &standing);
	assert_true(standing.network_dirty);
}

static void offence_amounts_are_weighed(void **state)
{
	static const struct {
		unsigned weight;
		bool null_sender;
		uint64_t amount;
	} rows[] = {
		{100, false, 100},   {100, true, 25}, {0, false, 0}, {0, true, 0},
		{50, false, 50},     {50, true, 13},  {1, true, 0},  {1000, true, 250},
		{1000, false, 1000}, {25, false, 25},
	};
	struct policy policy = defaults;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(policy_amount(&defaults, rows[i].weight, rows[i].null_sender),
				 rows[i].amount);
	policy.null_sender_weight = 1;
	assert_int_equal(policy_amount(&policy, 100, true), 100);
	policy.null_sender_weight = 0;
	assert_int_equal(policy_amount(&policy, 100, true), 0);
}

static void twenty_bounces_to_unknown_users_flag(void **state)
{
	struct tally tally = {0};
	struct standing standing;
	int bounces = 0;

	(void)state;
	do {
		tally_count(&tally, SIDE_BAD, policy_amount(&defaults, 100, true));
		bounces++;
		policy_judge(&defaults, &tally, NULL, &(struct circumstances){.elapsed = 0}, &standing);
	} while (!standing.flagged && bounces < 100);
	assert_int_equal(bounces, 20);
}

static int64_t delay_at(const struct policy *policy, double score, bool by_hand, double chance)
{
	struct standing standing = {
		.score = score, .effective_score = score, .flagged = true, .by_hand = by_hand};

	return policy_delay_ms(policy, &standing, chance);
}

static void delay_doubles_with_each_threshold(void **state)
{
	static const struct {
		double score;
		int64_t delay_ms;
	} rows[] = {
		{5, 5000},   {6, 5743},	     {7.5, 7071}, {10, 10000},	 {12.5, 14142},
		{15, 20000}, {15.01, 20000}, {20, 20000}, {1000, 20000}, {1e10, 20000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(delay_at(&defaults, rows[i].score, false, 0), rows[i].delay_ms);
}

static void delay_follows_its_settings(void **state)
{
	struct policy policy = defaults;

	(void)state;
	policy.threshold = 1;
	policy.delay_min_ms = policy.delay_max_ms = 5000; /* Exchange's tar pit */
	assert_int_equal(delay_at(&policy, 1, false, 0), 5000);
	assert_int_equal(delay_at(&policy, 100, false, 1), 5000);

	policy = defaults;
	policy.threshold = 2;
	policy.delay_min_ms = 100;
	policy.delay_max_ms = 100000;
	assert_int_equal(delay_at(&policy, 2, false, 0), 100);
	assert_int_equal(delay_at(&policy, 8, false, 0), 800);
	assert_int_equal(delay_at(&policy, 21, false, 0), 72408);
	assert_int_equal(delay_at(&policy, 22, false, 0), 100000);
}

static void flagged_by_hand_waits_the_longest(void **state)
{
	static const struct tally clean = {0};
	struct standing standing;

	(void)state;
	policy_judge(&defaults, &clean, &clean, &(struct circumstances){.by_hand = true}, &standing);
	assert_true(standing.flagged);
	assert_true(standing.by_hand);
	assert_int_equal(policy_delay_ms(&defaults, &standing, 0), 20000);
	assert_int_equal(delay_at(&defaults, -1995, true, 0), 20000);
}

static void jitter_goes_either_way_but_not_past_the_limits(void **state)
{
	static const struct {
		unsigned jitter;
		double score, chance;
		int64_t delay_ms;
	} rows[] = {
		{10, 10, 0, 10000},    {10, 10, 1, 11000}, {10, 10, -1, 9000}, {10, 10, 0.5, 10500},
		{10, 5, -1, 5000},     {10, 5, 1, 5500},   {10, 15, 1, 20000}, {10, 15, -1, 18000},
		{10, 1000, -1, 18000}, {0, 10, 1, 10000},  {0, 10, -1, 10000}, {100, 10, -1, 5000},
		{100, 10, 1, 20000},   {100, 7, 1, 13195},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct policy policy = with_jitter(rows[i].jitter);

		assert_int_equal(delay_at(&policy, rows[i].score, false, rows[i].chance),
				 rows[i].delay_ms);
	}
}

static void dirty_network_delay_grows_with_the_network(void **state)
{
	const struct tally client = {.bad_now = 100};
	static const struct {
		uint64_t network_bad;
		int64_t delay_ms;
	} rows[] = {{2000, 5000}, {4000, 10000}, {6000, 20000}, {60000, 20000}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct tally network = {.bad_now = rows[i].network_bad};
		struct standing standing;

		policy_judge(&defaults, &client, &network, &(struct circumstances){.elapsed = 0}, &standing);
		assert_int_equal(policy_delay_ms(&defaults, &standing, 0), rows[i].delay_ms);
	}
}

/* Four probes from each address of a /24, as the harvesters do that the networks are there for. */
static void harvester_that_changes_addresses_is_slowed_from_the_20th_probe(void **state)
{
	struct tally network = {0};
	struct standing standing;
	int probes = 0, slowed = 0;

	(void)state;
	for (int address = 0; address < 256; address++) {
		struct tally client = {0};

		for (int probe = 0; probe < 4; probe++) {
			tally_count(&client, SIDE_BAD, 100);
			tally_count(&network, SIDE_BAD, 100);
			probes++;
			policy_judge(&defaults, &client, &network, &(struct circumstances){.elapsed = 0}, &standing);
			assert_int_equal(standing.flagged, probes >= 20);
			slowed += standing.flagged;
			policy_judge(&defaults, &client, NULL, &(struct circumstances){.elapsed = 0}, &standing);
			assert_false(standing.flagged);
		}
	}
	assert_int_equal(slowed, 1024 - 19);
}

/* A small generator with a fixed seed: the same figures on every machine. */
static double next_chance(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (double)(*seed >> 11) / (double)(UINT64_C(1) << 53);
}

/* Sends to recipients of which a share is dead, in one window. Returns how many waited. */
static int send_list(double dead, int recipients, uint64_t *seed)
{
	struct tally tally = {0};
	int waited = 0;

	for (int i = 0; i < recipients; i++) {
		struct standing standing;

		if (next_chance(seed) < dead)
			tally_count(&tally, SIDE_BAD, 100);
		else if (tally.bad_now > 0)
			tally_count(&tally, SIDE_GOOD, 100);
		policy_judge(&defaults, &tally, NULL, &(struct circumstances){.elapsed = 0}, &standing);
		waited += standing.flagged;
	}
	return waited;
}

static void random_walk_tells_lists_apart(void **state)
{
	enum { RUNS = 1000, RECIPIENTS = 2000 };
	static const struct {
		const char *label;
		double dead;
		int least, most; /* runs of 1000 in which it is flagged */
	} rows[] = {
		{"a provider", 0.03, 0, 0},
		{"a newsletter, 45 % dead", 0.45, 60, 120},
		{"a bought list, 70 % dead", 0.70, RUNS, RUNS},
		{"a harvester", 0.99, RUNS, RUNS},
	};
	uint64_t seed = 2004;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int flagged = 0;

		for (int run = 0; run < RUNS; run++)
			flagged += send_list(rows[i].dead, RECIPIENTS, &seed) > 0;
		if (flagged < rows[i].least || flagged > rows[i].most)
			fail_msg("%s is flagged in %d of %d runs", rows[i].label, flagged, RUNS);
	}
}

static void flagged_newsletter_is_soon_free_again(void **state)
{
	uint64_t seed = 2004;
	int flagged = 0, shortly = 0;

	(void)state;
	for (int run = 0; run < 1000; run++) {
		int waited = send_list(0.45, 2000, &seed);

		flagged += waited > 0;
		shortly += waited > 0 && waited <= 4;
	}
	/* Of 2000 recipients, mostly one or two wait; the odds of more than four are a quarter. */
	assert_true(flagged > 0);
	assert_true(shortly * 3 >= flagged * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(score_is_bad_less_credit_for_good),
		cmocka_unit_test(hundredths_add_up_exactly),
		cmocka_unit_test(good_credit_of_zero_means_good_does_not_matter),
		cmocka_unit_test(dirty_network_flags_at_the_first_own_offence),
		cmocka_unit_test(networks_may_be_made_not_to_matter),
		cmocka_unit_test(offence_amounts_are_weighed),
		cmocka_unit_test(twenty_bounces_to_unknown_users_flag),
		cmocka_unit_test(delay_doubles_with_each_threshold),
		cmocka_unit_test(delay_follows_its_settings),
		cmocka_unit_test(flagged_by_hand_waits_the_longest),
		cmocka_unit_test(jitter_goes_either_way_but_not_past_the_limits),
		cmocka_unit_test(dirty_network_delay_grows_with_the_network),
		cmocka_unit_test(harvester_that_changes_addresses_is_slowed_from_the_20th_probe),
		cmocka_unit_test(random_walk_tells_lists_apart),
		cmocka_unit_test(flagged_newsletter_is_soon_free_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
