/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "judge/siege.h"

#define SECOND 1000
#define MINUTE (60 * (int64_t)SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NOW (INT64_C(1700000000) * SECOND)

/* The defaults of tarpit-milter.conf(5). */
static const struct siege_settings defaults = {30, 5, 10 * MINUTE};

static void assert_near(double value, double expected)
{
	if (!(value > expected - 1e-3 && value < expected + 1e-3))
		fail_msg("%f instead of %f", value, expected);
}

static void offend(struct siege *siege, int64_t now_ms)
{
	siege_add(siege, &defaults, 100, 0, now_ms);
}

static struct siege_state state_at(struct siege *siege, int64_t now_ms)
{
	struct siege_state state;

	siege_update(siege, &defaults, now_ms);
	siege_state(siege, &state);
	return state;
}

static void score_halves_every_half_life(void **state)
{
	static const struct {
		int64_t later_ms;
		double score;
	} rows[] = {
		{0, 16}, {5 * MINUTE, 11.3137}, {10 * MINUTE, 8}, {40 * MINUTE, 1}, {3 * HOUR, 0},
		{100 * DAY, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct siege siege;

		siege_init(&siege, NOW);
		siege_add(&siege, &defaults, 1600, 0, NOW);
		assert_near(state_at(&siege, NOW + rows[i].later_ms).score, rows[i].score);
	}
}

static void old_offences_have_halved_already(void **state)
{
	struct siege siege;

	(void)state;
	siege_init(&siege, NOW);
	siege_add(&siege, &defaults, 1600, 20 * MINUTE, NOW);
	assert_near(state_at(&siege, NOW).score, 4);
	/* Made in the future, by another host's clock. */
	siege_add(&siege, &defaults, 1600, -MINUTE, NOW);
	assert_near(state_at(&siege, NOW).score, 20);
}

static void begins_with_the_offence_that_reaches_the_threshold(void **state)
{
	struct siege siege;

	(void)state;
	siege_init(&siege, NOW);
	for (int i = 0; i < 29; i++)
		assert_false(siege_add(&siege, &defaults, 100, 0, NOW));
	assert_false(siege_add(&siege, &defaults, 99, 0, NOW));
	assert_false(siege.is_on);
	assert_true(siege_add(&siege, &defaults, 1, 0, NOW));
	assert_true(siege.is_on);
	assert_false(siege_add(&siege, &defaults, 100, 0, NOW));
}

/* As a botnet comes: one probe a second. */
static void begins_with_the_32nd_probe_at_the_latest(void **state)
{
	struct siege siege;
	int probes = 0;

	(void)state;
	siege_init(&siege, NOW);
	do
		offend(&siege, NOW + probes++ * SECOND);
	while (!siege.is_on && probes < 100);
	assert_int_equal(probes, 31);
}

static void never_with_a_threshold_of_0(void **state)
{
	const struct siege_settings never = {0, 5, 10 * MINUTE};
	struct siege siege;

	(void)state;
	siege_init(&siege, NOW);
	assert_false(siege_add(&siege, &never, 1000000, 0, NOW));
	/* A reload ends one at once. */
	siege_init(&siege, NOW);
	assert_true(siege_add(&siege, &defaults, 1000000, 0, NOW));
	assert_true(siege_update(&siege, &never, NOW + 1));
	assert_false(siege.is_on);
}

/* n offences an hour, one every so many seconds, for so long. Returns when it ended. */
static int64_t offend_hourly(struct siege *siege, int64_t from_ms, int n, int64_t for_ms)
{
	int64_t now_ms = from_ms;

	for (; now_ms < from_ms + for_ms; now_ms += HOUR / n)
		offend(siege, now_ms);
	return now_ms;
}

static void mean_is_the_time_average_of_the_last_day(void **state)
{
	struct siege_state now;
	struct siege siege;
	int64_t end;

	(void)state;
	siege_init(&siege, NOW);
	/* 600 s / ln 2 = 866 s that an offence counts; 40 an hour make 9.6. */
	end = offend_hourly(&siege, NOW, 40, 3 * DAY);
	now = state_at(&siege, end);
	assert_true(now.mean > 9.6 && now.mean < 9.65);
	assert_true(now.score > 9.0 && now.score < 10.2);
	/* Half a day of silence halves it, as far as whole hours tell. */
	now = state_at(&siege, end + 12 * HOUR);
	assert_true(now.mean > 4.85 && now.mean < 5.05);
	assert_near(state_at(&siege, end + 26 * HOUR).mean, 0);
	/* Of an hour that lies in it by half, half. */
	siege_init(&siege, NOW);
	now = state_at(&siege, offend_hourly(&siege, NOW, 40, 3 * DAY + HOUR / 2));
	assert_true(now.mean > 9.6 && now.mean < 9.65);
}

static void late_news_make_the_mean_that_they_would_have_made(void **state)
{
	struct siege timely, late;

	(void)state;
	siege_init(&timely, NOW);
	siege_init(&late, NOW);
	siege_add(&timely, &defaults, 1600, 0, NOW);
	siege_add(&late, &defaults, 1600, 10 * MINUTE, NOW + 10 * MINUTE);
	assert_near(state_at(&timely, NOW + 10 * MINUTE).mean, 8 * 865.617 / 3600);
	assert_near(state_at(&late, NOW + 10 * MINUTE).mean, 8 * 865.617 / 3600);
}

static void a_day_that_is_known_in_part_is_that_part(void **state)
{
	struct siege_state now;
	struct siege siege;
	int64_t end;

	(void)state;
	siege_init(&siege, NOW);
	end = offend_hourly(&siege, NOW, 40, 10 * HOUR);
	now = state_at(&siege, end);
	/* Less the first half hour, in which it rose. */
	assert_true(now.mean > 9.3 && now.mean < 9.6);
	/* An hour at least: 32 * (1 - 1/2) * 866 s of 3600 s. */
	siege_init(&siege, NOW);
	siege_add(&siege, &defaults, 3200, 0, NOW);
	assert_near(state_at(&siege, NOW).mean, 0);
	assert_near(state_at(&siege, NOW + 10 * MINUTE).mean, 16 * 865.617 / 3600);
}

static void what_a_site_always_has_is_no_siege(void **state)
{
	struct siege siege;
	int64_t end, probes = 0;

	(void)state;
	siege_init(&siege, NOW);
	/* 160 an hour: a score and mean of 38.5, above the threshold. */
	end = offend_hourly(&siege, NOW, 160, 2 * DAY);
	assert_true(state_at(&siege, end).score > 30);
	assert_false(state_at(&siege, end).is_on);
	while (!siege.is_on && probes < 1000)
		siege_add(&siege, &defaults, 100, 0, end + probes++);
	assert_in_range(probes, 150, 160);
}

static void ends_when_for_a_minute_it_was_none(void **state)
{
	struct siege siege;

	(void)state;
	siege_init(&siege, NOW);
	siege_add(&siege, &defaults, 3000, 0, NOW);
	assert_false(siege_update(&siege, &defaults, NOW + 1 * SECOND));
	assert_false(siege_update(&siege, &defaults, NOW + 60 * SECOND));
	/* Back within the minute: another one begins. */
	siege_add(&siege, &defaults, 400, 0, NOW + 60 * SECOND);
	assert_false(siege_update(&siege, &defaults, NOW + 62 * SECOND));
	assert_false(siege.is_lapsing);
	for (int64_t s = 63; s < 500; s++)
		if (siege_update(&siege, &defaults, NOW + s * SECOND)) {
			/* From 31.99 it takes 56 s to fall to 30, from 60 s on. */
			assert_in_range(s, 175, 177);
			return;
		}
	fail();
}

/* Replay's clock leaps from one line of a log to the next. */
static void ends_in_time_when_nobody_looked(void **state)
{
	static const int64_t leaps[] = {2 * MINUTE, HOUR, 30 * HOUR, 3 * DAY, 10000 * DAY};

	(void)state;
	for (size_t i = 0; i < sizeof(leaps) / sizeof(leaps[0]); i++) {
		struct siege_state now;
		struct siege siege;

		siege_init(&siege, NOW);
		siege_add(&siege, &defaults, 3000, 0, NOW);
		assert_true(siege_update(&siege, &defaults, NOW + leaps[i]));
		siege_state(&siege, &now);
		assert_false(now.is_on);
		assert_in_range(now.changed_ms, NOW + 60 * SECOND, NOW + 80 * SECOND);
	}
}

static void ends_after_any_leap(void **state)
{
	struct siege siege;

	(void)state;
	siege_init(&siege, NOW);
	siege_add(&siege, &defaults, 3000, 0, NOW);
	assert_true(siege_update(&siege, &defaults, NOW + 10000 * DAY));
	assert_false(siege.is_on);
	assert_near(state_at(&siege, NOW + 10000 * DAY).mean, 0);
	/* The clock of a machine that has just booted: the day before is not known. */
	siege_init(&siege, 0);
	siege_add(&siege, &defaults, 3200, 0, NOW);
	assert_near(state_at(&siege, NOW + 10 * MINUTE).mean, 16 * 865.617 / 3600);
}

static void a_clock_set_back_takes_no_time(void **state)
{
	struct siege_state now;
	struct siege siege;
	int64_t end;

	(void)state;
	siege_init(&siege, NOW);
	end = offend_hourly(&siege, NOW, 40, 30 * HOUR);
	now = state_at(&siege, end);
	for (int i = 1; i < 10; i++) {
		struct siege_state then = state_at(&siege, end - i * 5 * HOUR);

		assert_near(then.score, now.score);
		assert_near(then.mean, now.mean);
	}
	/* And goes on from there. */
	assert_near(state_at(&siege, end - 45 * HOUR + 10 * MINUTE).score, now.score / 2);
	assert_near(state_at(&siege, end - 45 * HOUR + 26 * HOUR).mean, 0);
}

static void nothing_makes_it_overflow(void **state)
{
	struct siege_state now;
	struct siege siege;

	(void)state;
	siege_init(&siege, NOW);
	for (int i = 0; i < 1000; i++)
		siege_add(&siege, &defaults, UINT64_MAX, 0, NOW + i * SECOND);
	now = state_at(&siege, NOW + HOUR);
	assert_true(now.score > 0 && now.score <= 1e9);
	assert_true(now.mean > 0 && now.mean < 1e9);
	siege_add(&siege, &defaults, 100, INT64_MAX, NOW + HOUR);
	assert_true(state_at(&siege, NOW + HOUR).score <= now.score);
	siege_add(&siege, &defaults, UINT64_MAX, INT64_MAX, NOW + HOUR);
	assert_true(state_at(&siege, NOW + HOUR).mean < 1e9);
	now = state_at(&siege, NOW + 3 * DAY);
	assert_near(now.score, 0);
	assert_near(now.mean, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(score_halves_every_half_life),
		cmocka_unit_test(old_offences_have_halved_already),
		cmocka_unit_test(begins_with_the_offence_that_reaches_the_threshold),
		cmocka_unit_test(begins_with_the_32nd_probe_at_the_latest),
		cmocka_unit_test(never_with_a_threshold_of_0),
		cmocka_unit_test(mean_is_the_time_average_of_the_last_day),
		cmocka_unit_test(late_news_make_the_mean_that_they_would_have_made),
		cmocka_unit_test(a_day_that_is_known_in_part_is_that_part),
		cmocka_unit_test(what_a_site_always_has_is_no_siege),
		cmocka_unit_test(ends_when_for_a_minute_it_was_none),
		cmocka_unit_test(ends_in_time_when_nobody_looked),
		cmocka_unit_test(ends_after_any_leap),
		cmocka_unit_test(a_clock_set_back_takes_no_time),
		cmocka_unit_test(nothing_makes_it_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
