/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "judge/explain.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HOURS 3600
#define NETWORK "192.0.2.0/24"
/* 2026-11-21 07:32:38 UTC */
#define UNTIL INT64_C(1795246358)

#define DEFAULTS                                                                                   \
	.threshold = 5, .good_credit = 2, .network_threshold = 20, .delay_min_ms = 5000,           \
	.delay_max_ms = 20000, .jitter = 10

static const struct policy defaults = {DEFAULTS};
static const struct policy no_credit = {
	.threshold = 5, .network_threshold = 20, .delay_min_ms = 5000, .delay_max_ms = 20000};
static const struct policy no_networks = {
	.threshold = 5, .good_credit = 2, .delay_min_ms = 5000, .delay_max_ms = 20000};
static const struct policy exchange = {.threshold = 1, .delay_min_ms = 5000, .delay_max_ms = 5000};
static const struct policy low = {.threshold = 0.5,
				  .good_credit = 0.25,
				  .network_threshold = 20,
				  .delay_min_ms = 100,
				  .delay_max_ms = 600000};

/* Counts in hundredths, in the middle of nowhere: nothing has faded. */
struct row {
	const struct policy *policy;
	uint64_t bad, good, network_bad;
	uint32_t window_s;
	bool by_hand;
	int64_t until_s;
	const char *text;
};

static void check(const struct row *row)
{
	const struct tally client = {.bad_now = row->bad, .good_now = row->good};
	const struct tally network = {.bad_now = row->network_bad};
	struct standing standing;
	char text[EXPLAIN_MAX];

	policy_judge(row->policy, &client, row->network_bad > 0 ? &network : NULL, &(struct circumstances){.by_hand = row->by_hand},
		     &standing);
	assert_ptr_equal(explain_standing(row->policy, &standing, row->window_s,
					  row->network_bad > 0 ? NETWORK : NULL, row->until_s, text),
			 text);
	assert_string_equal(text, row->text);
}

static void arithmetic_can_be_checked(void **state)
{
	static const struct row rows[] = {
		{&defaults, 825, 100, 0, 4 * HOURS, false, 0,
		 "8.25 bad - 2 x 1.00 good = 6.25 in 4 h, threshold 5: flagged, next delay 5.9 s"},
		{&defaults, 500, 0, 0, 4 * HOURS, false, 0,
		 "5.00 bad - 2 x 0.00 good = 5.00 in 4 h, threshold 5: flagged, next delay 5 s"},
		{&defaults, 99900, 0, 100000, 14 * 24 * HOURS, false, 0,
		 "999.00 bad - 2 x 0.00 good = 999.00 in 14 d, network 192.0.2.0/24 is dirty (1000.00, "
		 "network_threshold 20), threshold 1, inherited score 5 x 1000.00 / 20 = 250.00, less than "
		 "its own: flagged, next delay 20 s"},
		{&no_networks, 1000, 0, 100000, 24 * HOURS + 1800, false, 0,
		 "10.00 bad - 2 x 0.00 good = 10.00 in 1 d, threshold 5: flagged, next delay 10 s"},
		{&exchange, 100, 5000, 0, 4 * HOURS, false, 0,
		 "1.00 bad in 4 h, threshold 1: flagged, next delay 5 s"},
		{&low, 50, 0, 0, 60, false, 0,
		 "0.50 bad - 0.25 x 0.00 good = 0.50 in 1 min, threshold 0.5: flagged, next delay 100 ms"},
		{&low, 10000, 0, 0, 60, false, 0,
		 "100.00 bad - 0.25 x 0.00 good = 100.00 in 1 min, threshold 0.5: flagged, next delay "
		 "10 min"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i]);
}

static void how_far_it_is_is_told(void **state)
{
	static const struct row rows[] = {
		{&defaults, 0, 0, 0, 4 * HOURS, false, 0,
		 "0.00 bad - 2 x 0.00 good = 0.00 in 4 h, threshold 5: not flagged, 5.00 below"},
		{&defaults, 300, 200, 0, 4 * HOURS, false, 0,
		 "3.00 bad - 2 x 2.00 good = -1.00 in 4 h, threshold 5: not flagged, 6.00 below"},
		{&defaults, 499, 0, 0, 4 * HOURS, false, 0,
		 "4.99 bad - 2 x 0.00 good = 4.99 in 4 h, threshold 5: not flagged, 0.01 below"},
		{&no_credit, 300, 0, 0, 4 * HOURS, false, 0,
		 "3.00 bad in 4 h, threshold 5: not flagged, 2.00 below"},
	};
	const struct standing nearly = {.bad = 4.999, .score = 4.999, .threshold = 5};
	const struct standing rest = {.bad = 2, .good = 1, .score = -1e-12, .threshold = 5};
	char text[EXPLAIN_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i]);
	assert_string_equal(explain_standing(&defaults, &nearly, 4 * HOURS, NULL, 0, text),
			    "5.00 bad - 2 x 0.00 good = 5.00 in 4 h, threshold 5: not flagged, less "
			    "than 0.01 below");
	assert_string_equal(explain_standing(&defaults, &rest, 4 * HOURS, NULL, 0, text),
			    "2.00 bad - 2 x 1.00 good = 0.00 in 4 h, threshold 5: not flagged, 5.00 "
			    "below");
}

/* What only this host knows, a trap and a siege are in the sentence where they decide. */
static void what_decides_is_named(void **state)
{
	const struct store_query none = {.window = {.length_s = 4 * HOURS}};
	struct store_view view = {.client = {.bad_now = 500, .good_now = 300},
				  .kept = {.good_now = 200},
				  .has_trap = true};
	struct standing standing;
	char text[EXPLAIN_MAX];

	(void)state;
	policy_judge_view(&defaults, &none.client, &view, &none.window,
			  (struct circumstances){.in_siege = true}, &standing);
	assert_string_equal(explain_standing(&defaults, &standing, 4 * HOURS, NULL, 0, text),
			    "5.00 bad (a trap among them) - 2 x 3.00 good (2.00 of it known to this "
			    "host alone) = -1.00 in 4 h, threshold 5: not flagged, 6.00 below");
	view = (struct store_view){.client = {.bad_now = 100}};
	policy_judge_view(&defaults, &none.client, &view, &none.window,
			  (struct circumstances){.in_siege = true}, &standing);
	assert_string_equal(explain_standing(&defaults, &standing, 4 * HOURS, NULL, 0, text),
			    "1.00 bad - 2 x 0.00 good = 1.00 in 4 h, threshold 5, the site is under "
			    "siege, where a stranger's first offence counts: flagged, next delay 5 s");
}

static void dirty_network_is_named(void **state)
{
	static const struct row rows[] = {
		{&defaults, 100, 0, 1900, 4 * HOURS, false, 0,
		 "1.00 bad - 2 x 0.00 good = 1.00 in 4 h, threshold 5: not flagged, 4.00 below"},
		{&defaults, 100, 0, 2500, 4 * HOURS, false, 0,
		 "1.00 bad - 2 x 0.00 good = 1.00 in 4 h, network 192.0.2.0/24 is dirty (25.00, "
		 "network_threshold 20), threshold 1, inherited score 5 x 25.00 / 20 = 6.25: flagged, next "
		 "delay 5.9 s"},
		{&defaults, 50, 0, 2500, 4 * HOURS, false, 0,
		 "0.50 bad - 2 x 0.00 good = 0.50 in 4 h, network 192.0.2.0/24 is dirty (25.00, "
		 "network_threshold 20), where any offence of this window counts, inherited score 5 x "
		 "25.00 / 20 = 6.25: flagged, next delay 5.9 s"},
		{&low, 60, 0, 2500, 4 * HOURS, false, 0,
		 "0.60 bad - 0.25 x 0.00 good = 0.60 in 4 h, network 192.0.2.0/24 is dirty (25.00, "
		 "network_threshold 20), threshold 0.5, inherited score 0.5 x 25.00 / 20 = 0.62: flagged, next "
		 "delay 119 ms"},
		{&no_networks, 100, 0, 2500, 4 * HOURS, false, 0,
		 "1.00 bad - 2 x 0.00 good = 1.00 in 4 h, threshold 5: not flagged, 4.00 below"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i]);
}

static void flag_by_hand_is_named(void **state)
{
	static const struct row rows[] = {
		{&defaults, 0, 0, 0, 4 * HOURS, true, UNTIL,
		 "0.00 bad - 2 x 0.00 good = 0.00 in 4 h, threshold 5: flagged by hand until "
		 "2026-11-21T07:32:38Z, next delay 20 s"},
		{&defaults, 600, 0, 0, 4 * HOURS, true, 0,
		 "6.00 bad - 2 x 0.00 good = 6.00 in 4 h, threshold 5: flagged by hand, next delay 20 s"},
		/* A flag that has ended. */
		{&defaults, 100, 0, 0, 4 * HOURS, false, UNTIL,
		 "1.00 bad - 2 x 0.00 good = 1.00 in 4 h, threshold 5: not flagged, 4.00 below"},
		{&defaults, 100, 0, 0, 4 * HOURS, true, INT64_MAX,
		 "1.00 bad - 2 x 0.00 good = 1.00 in 4 h, threshold 5: flagged by hand, next delay 20 s"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i]);
}

static void longest_sentence_fits(void **state)
{
	const struct policy policy = {.threshold = 9999.123456,
				      .good_credit = 99.123456,
				      .network_threshold = 99999.123456,
				      .delay_min_ms = 599999,
				      .delay_max_ms = 600000};
	const struct standing standing = {.bad = 1e10,
					  .good = 1e10,
					  .score = 1e10,
					  .threshold = 9999.123456,
					  .network_score = 1e10,
					  .inherited_score = 1e9,
					  .effective_score = 1e15,
					  .network_dirty = true,
					  .by_hand = true,
					  .flagged = true};
	char text[EXPLAIN_MAX];

	(void)state;
	explain_standing(&policy, &standing, 14 * 24 * HOURS - 1,
			 "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", UNTIL, text);
	assert_non_null(strstr(text, ", next delay 10 min"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arithmetic_can_be_checked),
		cmocka_unit_test(how_far_it_is_is_told),
		cmocka_unit_test(what_decides_is_named),
		cmocka_unit_test(dirty_network_is_named),
		cmocka_unit_test(flag_by_hand_is_named),
		cmocka_unit_test(longest_sentence_fits),
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
