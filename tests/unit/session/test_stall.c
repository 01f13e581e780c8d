/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "session/stall.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where the hooks of the fake clock find what they wake. */
static struct stalls *stalls;
static unsigned wakeups;

static void count_wakeup(void)
{
	wakeups++;
}

static struct prefix client(const char *text)
{
	struct prefix prefix;

	assert_true(prefix_parse(text, &prefix));
	return prefix;
}

static struct stall stall_of(const char *text, int64_t delay_ms)
{
	/* Each client is a network of its own. */
	return (struct stall){.client = client(text),
			      .network = client(text),
			      .stage = "RCPT",
			      .delay_ms = delay_ms};
}

static int set_up(void **state)
{
	(void)state;
	fake_clock_reset(0, 1000000);
	wakeups = 0;
	stalls = stalls_new(&fake_clock, 4, count_wakeup);
	return stalls == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	stalls_free(stalls);
	return 0;
}

static void check_wait(struct stall *stall, enum stall_end end, int64_t waited_ms)
{
	int64_t waited = -1;

	assert_int_equal(stall_wait(stalls, stall, &waited), end);
	assert_int_equal(waited, waited_ms);
}

static void stall_lasts_its_delay(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000);

	(void)state;
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	assert_int_equal(stalls_active(stalls), 1);
	check_wait(&stall, STALL_ELAPSED, 5000);
	assert_int_equal(fake_clock_waited_ms(), 5000);
	assert_int_equal(stalls_active(stalls), 0);
}

static void stall_of_no_delay_does_not_wait(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 0);

	(void)state;
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	check_wait(&stall, STALL_ELAPSED, 0);
	assert_int_equal(fake_clock_waits(), 0);
	assert_int_equal(stalls_active(stalls), 0);
}

static void delay_is_counted_from_the_beginning(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000);

	(void)state;
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	fake_clock_advance(2000);
	check_wait(&stall, STALL_ELAPSED, 5000);
	assert_int_equal(fake_clock_waited_ms(), 3000);
}

static void wake_up_for_nothing(int64_t deadline_ms)
{
	(void)deadline_ms;
	fake_clock_advance(100);
}

static void spurious_wakeup_does_not_end_it(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000);

	(void)state;
	fake_clock_on_next_wait(wake_up_for_nothing);
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	check_wait(&stall, STALL_ELAPSED, 5000);
	assert_int_equal(fake_clock_waits(), 2);
}

static void set_wall_clock_back(int64_t deadline_ms)
{
	(void)deadline_ms;
	fake_clock_set_wall(-86400000);
}

static void wall_clock_does_not_matter(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000);

	(void)state;
	fake_clock_on_next_wait(set_wall_clock_back);
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	check_wait(&stall, STALL_ELAPSED, 5000);
	assert_int_equal(fake_clock_waited_ms(), 5000);
}

static void forgive_after_a_second(int64_t deadline_ms)
{
	const struct prefix prefix = client("192.0.2.1/32");

	(void)deadline_ms;
	fake_clock_advance(1000);
	assert_int_equal(stalls_forgive(stalls, &prefix), 1);
}

static void forgiven_client_goes_on_at_once(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000);

	(void)state;
	fake_clock_on_next_wait(forgive_after_a_second);
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	check_wait(&stall, STALL_FORGIVEN, 1000);
	assert_int_equal(fake_clock_waited_ms(), 0);
	assert_int_equal(stalls_active(stalls), 0);
}

static void forgive_ends_all_stalls_of_this_client_only(void **state)
{
	struct stall a = stall_of("192.0.2.1/32", 5000), b = stall_of("192.0.2.2/32", 5000),
		     c = stall_of("192.0.2.1/32", 5000);
	const struct prefix one = client("192.0.2.1/32"), network = client("192.0.2.0/24");

	(void)state;
	assert_true(stall_begin(stalls, &a, STALL_RESERVE));
	assert_true(stall_begin(stalls, &b, STALL_RESERVE));
	assert_true(stall_begin(stalls, &c, STALL_RESERVE));
	assert_int_equal(stalls_forgive(stalls, &network), 0);
	assert_int_equal(stalls_forgive(stalls, &one), 2);
	check_wait(&a, STALL_FORGIVEN, 0);
	check_wait(&c, STALL_FORGIVEN, 0);
	check_wait(&b, STALL_ELAPSED, 5000);
	assert_int_equal(stalls_forgive(stalls, &one), 0);
}

static void one_stall_can_be_ended_alone(void **state)
{
	struct stall a = stall_of("192.0.2.1/32", 5000), b = stall_of("192.0.2.1/32", 5000);

	(void)state;
	assert_true(stall_begin(stalls, &a, STALL_RESERVE));
	assert_true(stall_begin(stalls, &b, STALL_RESERVE));
	stall_wake(stalls, &a);
	check_wait(&a, STALL_FORGIVEN, 0);
	check_wait(&b, STALL_ELAPSED, 5000);
}

static void list_shows_the_oldest_first(void **state)
{
	struct stall a = stall_of("192.0.2.1/32", 5000), b = stall_of("192.0.2.2/32", 7000);
	struct stall_row rows[3];

	(void)state;
	a.score = 6.25;
	assert_int_equal(stalls_list(stalls, rows, COUNT(rows)), 0);
	assert_true(stall_begin(stalls, &a, STALL_RESERVE));
	fake_clock_advance(1500);
	assert_true(stall_begin(stalls, &b, STALL_RESERVE));
	assert_int_equal(stalls_list(stalls, rows, COUNT(rows)), 2);
	assert_true(prefix_equal(&rows[0].client, &a.client));
	assert_int_equal(rows[0].delay_ms, 5000);
	assert_int_equal(rows[0].waited_ms, 1500);
	assert_true(rows[0].score == 6.25);
	assert_string_equal(rows[0].stage, a.stage);
	assert_true(prefix_equal(&rows[1].client, &b.client));
	assert_int_equal(rows[1].waited_ms, 0);
	assert_int_equal(stalls_list(stalls, rows, 1), 1);
	check_wait(&a, STALL_ELAPSED, 5000);
	check_wait(&b, STALL_ELAPSED, 7000);
}

static void stall_may_be_used_again(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000);
	const struct prefix one = client("192.0.2.1/32");

	(void)state;
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	assert_int_equal(stalls_forgive(stalls, &one), 1);
	check_wait(&stall, STALL_FORGIVEN, 0);
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	check_wait(&stall, STALL_ELAPSED, 5000);
}

static void stop_after_two_seconds(int64_t deadline_ms)
{
	(void)deadline_ms;
	fake_clock_advance(2000);
	assert_int_equal(stalls_stop(stalls), 1);
}

static void stop_ends_all_stalls_there_are_and_will_be(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000), later = stall_of("192.0.2.2/32", 5000);

	(void)state;
	fake_clock_on_next_wait(stop_after_two_seconds);
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	check_wait(&stall, STALL_STOPPED, 2000);
	assert_true(stall_begin(stalls, &later, STALL_RESERVE));
	check_wait(&later, STALL_STOPPED, 0);
	assert_int_equal(fake_clock_waited_ms(), 0);
}

static void first_reason_to_wake_stays(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000);
	const struct prefix one = client("192.0.2.1/32");

	(void)state;
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	assert_int_equal(stalls_forgive(stalls, &one), 1);
	stalls_stop(stalls);
	check_wait(&stall, STALL_FORGIVEN, 0);
}

/* Each in a network of its own. */
static void begin_others(struct stall *others, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		others[i] = stall_of("192.0.2.2/32", 0);
		others[i].network.address[0] = (uint8_t)i;
		assert_true(stall_begin(stalls, &others[i], STALL_RESERVE));
	}
}

static void end_all(struct stall *all, unsigned count)
{
	int64_t waited;

	for (unsigned i = 0; i < count; i++)
		stall_wait(stalls, &all[i], &waited);
}

static void budget_is_kept(void **state)
{
	struct stall stall[5];

	(void)state;
	for (size_t i = 0; i < COUNT(stall); i++) {
		stall[i] = stall_of("192.0.2.1/32", 5000);
		stall[i].network.address[0] = (uint8_t)i;
		assert_int_equal(stall_begin(stalls, &stall[i], STALL_RESERVE), i < 4);
	}
	assert_int_equal(stalls_active(stalls), 4);
	check_wait(&stall[0], STALL_ELAPSED, 5000);
	assert_int_equal(stalls_active(stalls), 3);
	assert_true(stall_begin(stalls, &stall[4], STALL_RESERVE));
	end_all(stall + 1, COUNT(stall) - 1);
	assert_int_equal(stalls_active(stalls), 0);
}

static void second_half_of_the_budget_can_be_kept_free(void **state)
{
	static const struct {
		unsigned budget, in_use;
		bool first_half, any;
	} rows[] = {
		{0, 0, false, false},  {1, 0, true, true},     {1, 1, false, false},
		{2, 0, true, true},    {2, 1, false, true},    {3, 1, true, true},
		{3, 2, false, true},   {4, 1, true, true},     {4, 2, false, true},
		{4, 4, false, false},  {40, 19, true, true},   {40, 20, false, true},
		{40, 39, false, true}, {40, 40, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct stall other[40], stall = stall_of("192.0.2.1/32", 0);
		int64_t waited;

		stalls_set_budget(stalls, rows[i].budget);
		begin_others(other, rows[i].in_use);
		if (stall_begin(stalls, &stall, STALL_FIRST_HALF) != rows[i].first_half)
			fail_msg("row %zu, first half only", i);
		if (rows[i].first_half)
			stall_wait(stalls, &stall, &waited);
		assert_int_equal(stalls_active(stalls), rows[i].in_use);
		if (stall_begin(stalls, &stall, STALL_RESERVE) != rows[i].any)
			fail_msg("row %zu", i);
		if (rows[i].any)
			stall_wait(stalls, &stall, &waited);
		end_all(other, rows[i].in_use);
	}
}

/*
 * The budget, what others use of it, and whether one more begins: a command where a 421 would do,
 * and a RCPT.
 */
static void an_eighth_is_kept_for_recipients(void **state)
{
	static const struct {
		unsigned budget, in_use;
		bool ordinary, reserve;
	} rows[] = {
		{40, 34, true, true},	{40, 35, false, true}, {40, 39, false, true},
		{40, 40, false, false}, {8, 6, true, true},    {8, 7, false, true},
		{7, 6, true, true},	{1, 0, true, true},    {1, 1, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct stall other[40], stall = stall_of("192.0.2.1/32", 0);
		bool begins[2];
		int64_t waited;

		stalls_set_budget(stalls, rows[i].budget);
		begin_others(other, rows[i].in_use);
		for (int j = 0; j < 2; j++) {
			begins[j] = stall_begin(stalls, &stall,
						j == 0 ? STALL_ORDINARY : STALL_RESERVE);
			if (begins[j])
				stall_wait(stalls, &stall, &waited);
		}
		if (begins[0] != rows[i].ordinary || begins[1] != rows[i].reserve)
			fail_msg("row %zu: %d, %d", i, begins[0], begins[1]);
		end_all(other, rows[i].in_use);
	}
}

static void a_network_has_a_quarter_and_two_at_least(void **state)
{
	static const struct {
		unsigned budget, most;
	} rows[] = {{1, 1}, {2, 2}, {4, 2}, {8, 2}, {12, 3}, {40, 10}, {100, 25}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct stall stall[30], elsewhere = stall_of("198.51.100.1/32", 0);
		unsigned count = 0;
		int64_t waited;

		stalls_set_budget(stalls, rows[i].budget);
		for (; count < COUNT(stall); count++) {
			stall[count] = stall_of("192.0.2.1/32", 0);
			stall[count].client.address[3] = (uint8_t)count;
			if (!stall_begin(stalls, &stall[count], STALL_RESERVE))
				break;
		}
		if (count != rows[i].most)
			fail_msg("%u of %u", count, rows[i].budget);
		assert_int_equal(stall_begin(stalls, &elsewhere, STALL_RESERVE),
				 count < rows[i].budget);
		if (count < rows[i].budget)
			stall_wait(stalls, &elsewhere, &waited);
		/* A place that is given back may be had again. */
		stall_wait(stalls, &stall[0], &waited);
		assert_true(stall_begin(stalls, &stall[0], STALL_RESERVE));
		end_all(stall, count);
	}
}

/* A session's place is in its network's share as long as it keeps it, whether it has a stall or not. */
static void a_place_may_be_reserved(void **state)
{
	struct stall mine = stall_of("192.0.2.1/32", 5000), other = mine, elsewhere[4];
	struct network_stalls *reserved[5];

	(void)state;
	/* A network has two of four. */
	reserved[0] = stalls_reserve(stalls, &mine.network);
	assert_non_null(reserved[0]);
	assert_true(stall_begin(stalls, &other, STALL_RESERVE));
	assert_null(stalls_reserve(stalls, &mine.network));
	assert_int_equal(stalls_active(stalls), 1);
	mine.reserved = reserved[0];
	for (int i = 0; i < 2; i++) {
		assert_true(stall_begin(stalls, &mine, STALL_RESERVE));
		assert_int_equal(stalls_active(stalls), 2);
		check_wait(&mine, STALL_ELAPSED, 5000);
	}
	check_wait(&other, STALL_ELAPSED, 10000);
	stalls_unreserve(stalls, reserved[0]);
	stalls_unreserve(stalls, NULL);

	/* No more than the budget, of all networks; and none while that is in use. */
	for (unsigned i = 0; i < COUNT(reserved); i++) {
		mine.network.address[0] = (uint8_t)(100 + i);
		reserved[i] = stalls_reserve(stalls, &mine.network);
		assert_true((reserved[i] != NULL) == (i < 4));
	}
	for (unsigned i = 0; i < 4; i++)
		stalls_unreserve(stalls, reserved[i]);
	begin_others(elsewhere, 4);
	assert_null(stalls_reserve(stalls, &mine.network));
	end_all(elsewhere, 4);
	reserved[0] = stalls_reserve(stalls, &mine.network);
	assert_non_null(reserved[0]);
	stalls_unreserve(stalls, reserved[0]);
}

/* Of a client that has been shut out: the newest stall of another one ends. */
static void a_stall_may_take_the_place_of_another(void **state)
{
	struct stall a = stall_of("192.0.2.1/32", 5000), b = stall_of("192.0.2.2/32", 5000);
	struct stall mine = stall_of("192.0.2.3/32", 5000), more = mine, none = mine;

	(void)state;
	stalls_set_budget(stalls, 2);
	assert_true(stall_begin(stalls, &a, STALL_RESERVE));
	assert_true(stall_begin(stalls, &b, STALL_RESERVE));
	assert_true(stall_begin(stalls, &mine, STALL_DISPLACING));
	check_wait(&b, STALL_DISPLACED, 0);
	assert_int_equal(stalls_active(stalls), 2);
	assert_true(stall_begin(stalls, &more, STALL_DISPLACING));
	check_wait(&a, STALL_DISPLACED, 0);
	/* Only its own are left. */
	assert_false(stall_begin(stalls, &none, STALL_DISPLACING));
	check_wait(&mine, STALL_ELAPSED, 5000);
	check_wait(&more, STALL_ELAPSED, 5000);
}

static void budget_may_shrink_below_what_is_in_use(void **state)
{
	struct stall a = stall_of("192.0.2.1/32", 5000), b = a, c = a;

	(void)state;
	assert_int_equal(stalls_budget(stalls), 4);
	assert_true(stall_begin(stalls, &a, STALL_RESERVE));
	assert_true(stall_begin(stalls, &b, STALL_RESERVE));
	stalls_set_budget(stalls, 1);
	assert_int_equal(stalls_budget(stalls), 1);
	assert_int_equal(stalls_active(stalls), 2);
	assert_false(stall_begin(stalls, &c, STALL_RESERVE));
	check_wait(&a, STALL_ELAPSED, 5000);
	assert_false(stall_begin(stalls, &c, STALL_RESERVE));
	check_wait(&b, STALL_ELAPSED, 5000);
	assert_true(stall_begin(stalls, &c, STALL_RESERVE));
	check_wait(&c, STALL_ELAPSED, 5000);
}

static void each_stall_nudges(void **state)
{
	struct stall stall = stall_of("192.0.2.1/32", 5000), refused = stall;

	(void)state;
	stalls_set_budget(stalls, 1);
	assert_true(stall_begin(stalls, &stall, STALL_RESERVE));
	assert_false(stall_begin(stalls, &refused, STALL_RESERVE));
	check_wait(&stall, STALL_ELAPSED, 5000);
	assert_int_equal(wakeups, 1);
}

static void nudge_is_optional(void **state)
{
	struct stalls *quiet = stalls_new(&fake_clock, 1, NULL);
	struct stall stall = stall_of("192.0.2.1/32", 10);
	int64_t waited;

	(void)state;
	assert_non_null(quiet);
	assert_true(stall_begin(quiet, &stall, false));
	assert_int_equal(stall_wait(quiet, &stall, &waited), STALL_ELAPSED);
	stalls_free(quiet);
	stalls_free(NULL);
}

/* From here on with real threads and the real clock; stalls of a minute that must not last. */
struct sleeper {
	struct stalls *stalls;
	struct stall stall;
	pthread_t thread;
	enum stall_end end;
	int64_t waited_ms;
};

static void *sleep_through(void *argument)
{
	struct sleeper *sleeper = argument;

	sleeper->end = stall_wait(sleeper->stalls, &sleeper->stall, &sleeper->waited_ms);
	return NULL;
}

static void threads_wake_at_once_when_forgiven_or_stopped(void **state)
{
	struct stalls *real = stalls_new(&clock_system, 100, NULL);
	const struct prefix forgiven = client("192.0.2.0/32");
	struct sleeper sleepers[16];

	(void)state;
	assert_non_null(real);
	for (size_t i = 0; i < COUNT(sleepers); i++) {
		struct sleeper *s = &sleepers[i];

		s->stalls = real;
		s->stall = stall_of(i % 2 == 0 ? "192.0.2.0/32" : "192.0.2.1/32", 60000);
		assert_true(stall_begin(real, &s->stall, false));
		assert_int_equal(pthread_create(&s->thread, NULL, sleep_through, s), 0);
	}
	assert_int_equal(stalls_forgive(real, &forgiven), COUNT(sleepers) / 2);
	for (size_t i = 0; i < COUNT(sleepers); i += 2)
		pthread_join(sleepers[i].thread, NULL);
	assert_int_equal(stalls_active(real), COUNT(sleepers) / 2);
	assert_int_equal(stalls_stop(real), COUNT(sleepers) / 2);
	for (size_t i = 1; i < COUNT(sleepers); i += 2)
		pthread_join(sleepers[i].thread, NULL);
	for (size_t i = 0; i < COUNT(sleepers); i++) {
		assert_int_equal(sleepers[i].end, i % 2 == 0 ? STALL_FORGIVEN : STALL_STOPPED);
		assert_in_range(sleepers[i].waited_ms, 0, 30000);
	}
	assert_int_equal(stalls_active(real), 0);
	stalls_free(real);
}

static void real_wait_lasts_as_long_as_asked(void **state)
{
	struct stalls *real = stalls_new(&clock_system, 1, NULL);
	struct stall stall = stall_of("192.0.2.1/32", 30);
	int64_t waited;

	(void)state;
	assert_non_null(real);
	assert_true(stall_begin(real, &stall, false));
	assert_int_equal(stall_wait(real, &stall, &waited), STALL_ELAPSED);
	assert_in_range(waited, 30, 30000);
	stalls_free(real);
}

#define FAKED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* A 421 that is kept back has what nobody else needs. */
static void a_refusal_makes_way(void **state)
{
	static const char *const clients[] = {"192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32",
					      "192.0.2.4/32"};
	struct stall refusals[2], ordinary[COUNT(clients)];

	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		refusals[i] = stall_of("198.51.100.1/32", 5000);
		assert_true(stall_begin(stalls, &refusals[i], STALL_REFUSAL));
	}
	for (size_t i = 0; i < COUNT(clients); i++) {
		struct stall third = stall_of("198.51.100.2/32", 5000);

		assert_false(stall_begin(stalls, &third, STALL_REFUSAL));
		ordinary[i] = stall_of(clients[i], 5000);
		assert_true(stall_begin(stalls, &ordinary[i], STALL_RESERVE));
	}
	assert_int_equal(stalls_active(stalls), 4);
	for (size_t i = 0; i < COUNT(refusals); i++)
		check_wait(&refusals[i], STALL_DISPLACED, 0);
	assert_int_equal(stalls_active(stalls), 4);
	for (size_t i = 0; i < COUNT(clients); i++)
		check_wait(&ordinary[i], STALL_ELAPSED, 5000);
	assert_int_equal(stalls_active(stalls), 0);
}

static void refusals_take_nothing_of_their_networks_share(void **state)
{
	const struct prefix network = client("198.51.100.0/24");
	struct stall refusals[4], ordinary[2];
	struct network_stalls *place;

	(void)state;
	stalls_set_budget(stalls, 8);
	for (size_t i = 0; i < COUNT(refusals); i++) {
		refusals[i] = stall_of("198.51.100.1/32", 5000);
		refusals[i].network = network;
		assert_true(stall_begin(stalls, &refusals[i], STALL_REFUSAL));
	}
	ordinary[0] = stall_of("198.51.100.2/32", 5000);
	ordinary[0].network = network;
	assert_true(stall_begin(stalls, &ordinary[0], STALL_ORDINARY));
	place = stalls_reserve(stalls, &network);
	assert_non_null(place);
	ordinary[1] = ordinary[0];
	assert_false(stall_begin(stalls, &ordinary[1], STALL_ORDINARY));
	ordinary[1].reserved = place;
	assert_true(stall_begin(stalls, &ordinary[1], STALL_ORDINARY));
	/* One client's refusals leave the second half free. */
	assert_int_equal(stalls_active(stalls), 6);
	for (size_t i = 0; i < COUNT(refusals); i++)
		check_wait(&refusals[i], STALL_ELAPSED, 5000);
	for (size_t i = 0; i < COUNT(ordinary); i++)
		check_wait(&ordinary[i], STALL_ELAPSED, 5000);
	stalls_unreserve(stalls, place);
}

static void a_refusal_that_was_woken_stays_so(void **state)
{
	struct stall refusal = stall_of("192.0.2.1/32", 5000), ordinary[4];

	(void)state;
	assert_true(stall_begin(stalls, &refusal, STALL_REFUSAL));
	assert_int_equal(stalls_forgive(stalls, &refusal.client), 1);
	for (size_t i = 0; i < COUNT(ordinary); i++) {
		ordinary[i] = stall_of("192.0.2.1/32", 0);
		ordinary[i].network.address[0] = (uint8_t)i;
		assert_true(stall_begin(stalls, &ordinary[i], STALL_RESERVE));
	}
	check_wait(&refusal, STALL_FORGIVEN, 0);
	for (size_t i = 0; i < COUNT(ordinary); i++)
		check_wait(&ordinary[i], STALL_ELAPSED, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKED(stall_lasts_its_delay),
		FAKED(stall_of_no_delay_does_not_wait),
		FAKED(delay_is_counted_from_the_beginning),
		FAKED(spurious_wakeup_does_not_end_it),
		FAKED(wall_clock_does_not_matter),
		FAKED(forgiven_client_goes_on_at_once),
		FAKED(forgive_ends_all_stalls_of_this_client_only),
		FAKED(one_stall_can_be_ended_alone),
		FAKED(list_shows_the_oldest_first),
		FAKED(stall_may_be_used_again),
		FAKED(stop_ends_all_stalls_there_are_and_will_be),
		FAKED(first_reason_to_wake_stays),
		FAKED(budget_is_kept),
		FAKED(second_half_of_the_budget_can_be_kept_free),
		FAKED(an_eighth_is_kept_for_recipients),
		FAKED(a_network_has_a_quarter_and_two_at_least),
		FAKED(a_place_may_be_reserved),
		FAKED(a_stall_may_take_the_place_of_another),
		FAKED(a_refusal_makes_way),
		FAKED(refusals_take_nothing_of_their_networks_share),
		FAKED(a_refusal_that_was_woken_stays_so),
		FAKED(budget_may_shrink_below_what_is_in_use),
		FAKED(each_stall_nudges),
		FAKED(nudge_is_optional),
		cmocka_unit_test(threads_wake_at_once_when_forgiven_or_stopped),
		cmocka_unit_test(real_wait_lasts_as_long_as_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
