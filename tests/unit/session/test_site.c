/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/counters.h"
#include "session/journal.h"
#include "session/site.h"
#include "store/store.h"

#define SECOND 1000
#define MINUTE (60 * (int64_t)SECOND)
#define HOUR (60 * MINUTE)
/* Half a minute past a minute. */
#define NOW (INT64_C(28333333) * MINUTE + 30 * SECOND)

static const struct siege_settings defaults = {30, 5, 10 * MINUTE};

/* A store that all hosts share: a few minutes' sums, and how the next calls end. */
static struct {
	struct store store;
	int64_t first;
	uint64_t sums[100];
	bool is_silent, is_deaf, has_lost;
	unsigned calls;
	uint64_t told;
} shared;

static bool share(struct store *store, struct store_site *site)
{
	int64_t now = site->minute - shared.first;

	(void)store;
	assert_string_equal(site->key_prefix, "tarpit");
	assert_in_range(now, STORE_SITE_MINUTES - 1, 99);
	shared.calls++;
	if (shared.is_deaf)
		return false;
	if (!shared.has_lost)
		shared.sums[now] += site->amount;
	shared.told += site->amount;
	site->step = shared.is_silent ? STORE_SITE_MAYBE_TOLD : STORE_SITE_TOLD;
	if (shared.is_silent)
		return false;
	for (int i = 0; i < STORE_SITE_MINUTES; i++)
		site->sums[i] = shared.sums[now - i];
	return true;
}

static const struct store_ops shared_ops = {.share_site = share};

/* What the journal was told: "on" and "off". */
static char told[200];

static void tell(const struct journal *journal, const struct siege_state *state)
{
	(void)journal;
	strcat(told, state->is_on ? "on " : "off ");
}

static const struct journal journal = {.siege = tell};

static int start(void **state)
{
	(void)state;
	memset(&shared, 0, sizeof(shared));
	shared.store.ops = &shared_ops;
	shared.first = NOW / MINUTE - 50;
	told[0] = '\0';
	return 0;
}

static void exchange(struct site *site, int64_t now_ms)
{
	site_exchange(site, &shared.store, &defaults, "tarpit", now_ms);
}

static void offend(struct site *site, unsigned times, int64_t now_ms)
{
	for (unsigned i = 0; i < times; i++)
		site_offence(site, &defaults, 100, now_ms);
}

static double score(struct site *site, int64_t now_ms)
{
	struct siege_state state;

	site_state(site, &defaults, now_ms, &state);
	return state.score;
}

static void assert_score(struct site *site, int64_t now_ms, double expected)
{
	double value = score(site, now_ms);

	if (!(value > expected - 0.02 && value < expected + 0.02))
		fail_msg("%f instead of %f", value, expected);
}

/* What others counted: this host knows its age by half a minute. */
static void assert_nearly(struct site *site, int64_t now_ms, double expected)
{
	double value = score(site, now_ms);

	if (!(value >= expected * 0.96 - 1e-9 && value <= expected * 1.04))
		fail_msg("%f instead of about %f", value, expected);
}

static void offences_of_this_host_count_at_once(void **state)
{
	struct site *site = site_new(&journal, NOW);

	(void)state;
	offend(site, 29, NOW);
	assert_false(site_in_siege(site));
	offend(site, 1, NOW);
	assert_true(site_in_siege(site));
	assert_string_equal(told, "on ");
	site_update(site, &defaults, NOW + 30 * SECOND);
	assert_true(site_in_siege(site));
	site_update(site, &defaults, NOW + 2 * MINUTE);
	assert_false(site_in_siege(site));
	assert_string_equal(told, "on off ");
	site_free(site);
}

static void works_without_a_shared_store(void **state)
{
	static const struct store_ops none = {.share_site = NULL};
	struct store store = {.ops = &none};
	struct site *site = site_new(&journal, NOW);

	(void)state;
	offend(site, 30, NOW);
	for (int64_t s = 0; s < 200; s++)
		site_exchange(site, &store, &defaults, "tarpit", NOW + s * SECOND);
	assert_string_equal(told, "on off ");
	assert_score(site, NOW + 10 * MINUTE, 15);
	site_free(site);
}

static void nobody_is_asked_where_there_is_never_a_siege(void **state)
{
	static const struct siege_settings never = {0, 5, 10 * MINUTE};
	struct site *site = site_new(&journal, NOW);

	(void)state;
	offend(site, 30, NOW);
	site_exchange(site, &shared.store, &never, "tarpit", NOW);
	assert_int_equal(shared.calls, 0);
	/* A reload has switched them off. */
	assert_false(site_in_siege(site));
	site_free(site);
}

static void hosts_that_each_see_half_meet_one_siege(void **state)
{
	struct site *one = site_new(&journal, NOW), *other = site_new(&journal, NOW);
	int64_t now_ms = NOW;
	unsigned probes = 0;

	(void)state;
	/* Over the end of a minute. */
	for (; !site_in_siege(one) && probes < 100; probes++, now_ms += SECOND) {
		offend(probes % 2 != 0 ? one : other, 1, now_ms);
		exchange(one, now_ms + 300);
		exchange(other, now_ms + 600);
	}
	assert_in_range(probes, 31, 32);
	assert_true(site_in_siege(other));
	assert_string_equal(told, "on on ");
	/* Nothing is counted twice, as time goes on. */
	for (int64_t s = 0; s < 20 * 60; s++) {
		exchange(one, now_ms + s * SECOND);
		exchange(other, now_ms + s * SECOND);
	}
	now_ms += 20 * MINUTE;
	assert_true(score(one, now_ms) > 7.2 && score(one, now_ms) < 8);
	assert_true(score(other, now_ms) > 7.2 && score(other, now_ms) < 8);
	assert_in_range(shared.told, 3080, 3200);
	site_free(one);
	site_free(other);
}

static void a_host_that_starts_later_catches_up(void **state)
{
	struct site *one = site_new(&journal, NOW), *late;

	(void)state;
	offend(one, 20, NOW);
	exchange(one, NOW);
	offend(one, 20, NOW + 5 * MINUTE);
	exchange(one, NOW + 5 * MINUTE);
	late = site_new(&journal, NOW + 8 * MINUTE);
	exchange(late, NOW + 8 * MINUTE);
	assert_nearly(late, NOW + 8 * MINUTE, score(one, NOW + 8 * MINUTE));
	exchange(late, NOW + 8 * MINUTE + SECOND);
	assert_nearly(late, NOW + 8 * MINUTE + SECOND, score(one, NOW + 8 * MINUTE + SECOND));
	site_free(one);
	site_free(late);
}

static void fresh_news_are_fresh(void **state)
{
	const int64_t last_ms = NOW + 29 * SECOND;
	struct site *site = site_new(&journal, NOW);

	(void)state;
	exchange(site, last_ms);
	shared.sums[50] += 1600;
	exchange(site, last_ms + 100);
	assert_score(site, last_ms + 100, 16);
	exchange(site, last_ms + MINUTE);
	/* From a host whose clock is behind. */
	shared.sums[50] += 1600;
	exchange(site, last_ms + MINUTE);
	assert_score(site, last_ms + MINUTE, 16 + 16 * 0.933);
	site_free(site);
}

static void what_was_not_told_is_told_later(void **state)
{
	struct site *one = site_new(&journal, NOW), *other = site_new(&journal, NOW);

	(void)state;
	exchange(one, NOW);
	exchange(other, NOW);
	shared.is_deaf = true;
	offend(one, 16, NOW);
	for (int64_t s = 0; s <= 600; s++)
		exchange(one, NOW + s * SECOND);
	assert_int_equal(shared.told, 0);
	shared.is_deaf = false;
	exchange(one, NOW + 10 * MINUTE);
	exchange(other, NOW + 10 * MINUTE);
	/* It has halved, as it has where it was counted. */
	assert_score(one, NOW + 10 * MINUTE, 8);
	assert_nearly(other, NOW + 10 * MINUTE, 8);
	exchange(one, NOW + 10 * MINUTE);
	assert_in_range(shared.told, 799, 800);
	site_free(one);
	site_free(other);
}

static void what_may_have_been_told_is_not_told_again(void **state)
{
	static const bool losses[] = {false, true};

	for (size_t i = 0; i < 2; i++) {
		struct site *one = site_new(&journal, NOW), *other = site_new(&journal, NOW);

		start(state);
		offend(one, 8, NOW);
		shared.is_silent = true;
		shared.has_lost = losses[i];
		exchange(one, NOW);
		shared.is_silent = shared.has_lost = false;
		exchange(one, NOW + SECOND);
		exchange(other, NOW + SECOND);
		assert_int_equal(shared.told, 800);
		assert_score(one, NOW + SECOND, 8);
		assert_nearly(other, NOW + SECOND, losses[i] ? 0 : 8);
		site_free(one);
		site_free(other);
	}
}

static void a_server_that_forgot_begins_anew(void **state)
{
	struct site *one = site_new(&journal, NOW), *other = site_new(&journal, NOW);

	(void)state;
	offend(one, 10, NOW);
	exchange(one, NOW);
	exchange(other, NOW);
	memset(shared.sums, 0, sizeof(shared.sums));
	exchange(one, NOW);
	exchange(other, NOW);
	assert_score(one, NOW, 10);
	assert_nearly(other, NOW, 10);
	offend(one, 5, NOW);
	exchange(one, NOW);
	exchange(other, NOW);
	assert_score(one, NOW, 15);
	assert_nearly(other, NOW, 15);
	site_free(one);
	site_free(other);
}

static void a_clock_set_back_counts_nothing_twice(void **state)
{
	static const int64_t steps[] = {2 * MINUTE, 20 * MINUTE};

	for (size_t i = 0; i < 2; i++) {
		struct site *one = site_new(&journal, NOW - HOUR);
		struct site *other = site_new(&journal, NOW - HOUR);
		double expected;

		start(state);
		for (int minute = -40; minute <= 0; minute++) {
			offend(one, 1, NOW + minute * MINUTE);
			exchange(one, NOW + minute * MINUTE);
			exchange(other, NOW + minute * MINUTE);
		}
		assert_nearly(other, NOW, score(one, NOW));
		exchange(other, NOW - steps[i]);
		assert_nearly(other, NOW - steps[i], score(one, NOW));
		exchange(other, NOW - steps[i] + SECOND);
		assert_nearly(other, NOW - steps[i], score(one, NOW));
		/* Nor when it is set right, if that was no more than minutes. */
		if (i == 0) {
			exchange(other, NOW);
			assert_nearly(other, NOW, score(one, NOW + 2 * MINUTE));
			exchange(other, NOW - steps[i] + SECOND);
		}
		/* And what comes then does count. */
		expected = score(other, NOW - steps[i] + SECOND);
		shared.sums[NOW / MINUTE - steps[i] / MINUTE - shared.first] += 1000;
		exchange(other, NOW - steps[i] + SECOND);
		assert_nearly(other, NOW - steps[i] + SECOND, expected + 10);
		site_free(one);
		site_free(other);
	}
}

static void a_hostile_sum_is_only_a_large_one(void **state)
{
	struct site *site = site_new(&journal, NOW);

	(void)state;
	exchange(site, NOW);
	for (int64_t minute = 0; minute < 40; minute++) {
		for (size_t i = 0; i < 100; i++)
			shared.sums[i] = (i + (size_t)minute) % 3 == 0 ? 7 : COUNTERS_MAX;
		exchange(site, NOW + minute * MINUTE);
		assert_true(score(site, NOW + minute * MINUTE) <= 1e9);
	}
	/* It passes. */
	assert_score(site, NOW + 10 * HOUR, 0);
	assert_false(site_in_siege(site));
	site_free(site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(offences_of_this_host_count_at_once, start),
		cmocka_unit_test_setup(works_without_a_shared_store, start),
		cmocka_unit_test_setup(nobody_is_asked_where_there_is_never_a_siege, start),
		cmocka_unit_test_setup(hosts_that_each_see_half_meet_one_siege, start),
		cmocka_unit_test_setup(a_host_that_starts_later_catches_up, start),
		cmocka_unit_test_setup(fresh_news_are_fresh, start),
		cmocka_unit_test_setup(what_was_not_told_is_told_later, start),
		cmocka_unit_test_setup(what_may_have_been_told_is_not_told_again, start),
		cmocka_unit_test_setup(a_server_that_forgot_begins_anew, start),
		cmocka_unit_test_setup(a_clock_set_back_counts_nothing_twice, start),
		cmocka_unit_test_setup(a_hostile_sum_is_only_a_large_one, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
