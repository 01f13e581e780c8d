/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the client of a stall that ran its course was still there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include <cmocka.h>

#include "session_bed.h"
#include "base/stats.h"

/* Since the last call. */
static void assert_counted(uint64_t stayed, uint64_t left, const char *what)
{
	static uint64_t stayed_before, left_before;
	struct stats_distribution stayed_by, left_by;

	if (stats_get(STAT_STALLS_STAYED) - stayed_before != stayed ||
	    stats_get(STAT_STALLS_LEFT) - left_before != left)
		fail_msg("%s: stayed %llu, left %llu", what,
			 (unsigned long long)(stats_get(STAT_STALLS_STAYED) - stayed_before),
			 (unsigned long long)(stats_get(STAT_STALLS_LEFT) - left_before));
	stayed_before += stayed;
	left_before += left;
	stats_distribution(HISTOGRAM_STAYED, &stayed_by);
	stats_distribution(HISTOGRAM_LEFT, &left_by);
	assert_int_equal(stayed_by.count, stayed_before);
	assert_int_equal(left_by.count, left_before);
}

#define DO(...) do_step(&(const struct step){__VA_ARGS__}, POSTFIX)

static void the_next_command_tells_that_the_client_is_there(void **state)
{
	static const struct step next[] = {{HELO},
					   {MAIL, "<x@example.net>"},
					   {RCPT, "<a@example.org>", "good"},
					   {DATA},
					   {LOGIN}};

	(void)state;
	START("stall_at={connect}");
	has_offended("192.0.2.1", 5);
	for (size_t i = 0; i < COUNT(next); i++) {
		DO(CONNECT, "192.0.2.1");
		assert_counted(0, 0, "stalled");
		do_step(&next[i], POSTFIX);
		assert_counted(1, 0, "next command");
		DO(CLOSE);
		assert_counted(0, 0, "closed");
	}
	finish();
}

static void without_one_it_is_the_time_of_the_end(void **state)
{
	static const struct {
		const char *stall_at;
		int64_t pause_ms;
		bool has_left;
	} rows[] = {
		{"stall_at={connect}", 0, true},
		{"stall_at={connect}", 20, true},
		{"stall_at={connect}", 21, false},
		{"stall_at={connect}", 9999, false},
		{"stall_at={connect}", 10000, true},
		{"stall_at={connect}", 300000, true},
		{"stall_at={mail}", 1, true},
		{"stall_at={mail}", 100, false},
		{"stall_at={mail}", 300000, true},
		{"stall_at={rcpt}", 1, true},
		{"stall_at={rcpt}", 100, false},
		{"stall_at={rcpt}", 300000, true},
		/* The message comes then. */
		{"stall_at={data}", 1, true},
		{"stall_at={data}", 100, false},
		{"stall_at={data}", 300000, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		START(rows[i].stall_at);
		has_offended("192.0.2.1", 50);
		DO(CONNECT, "192.0.2.1");
		DO(MAIL, "<x@example.net>");
		if (rows[i].stall_at[10] != 'c' && rows[i].stall_at[10] != 'm')
			DO(RCPT, "<a@example.org>", "good");
		if (rows[i].stall_at[10] == 'd')
			DO(DATA_BEGUN);
		if (rows[i].stall_at[10] == 'c') {
			/* MAIL was there to be a next command. */
			assert_counted(1, 0, rows[i].stall_at);
			DO(CLOSE);
			DO(CONNECT, "192.0.2.1");
		}
		fake_clock_advance(rows[i].pause_ms);
		assert_counted(0, 0, rows[i].stall_at);
		DO(CLOSE);
		assert_counted(!rows[i].has_left, rows[i].has_left, rows[i].stall_at);
		finish();
	}
}

static void nothing_is_counted_without_a_stall(void **state)
{
	(void)state;
	START("mode=observe");
	has_offended("192.0.2.1", 5);
	DO(CONNECT, "192.0.2.1");
	DO(CLOSE);
	DO(CONNECT, "192.0.2.2");
	DO(MAIL, "<x@example.net>");
	DO(CLOSE);
	assert_counted(0, 0, "not stalled");
	finish();
}

static void wake(int64_t deadline_ms)
{
	struct prefix client;

	(void)deadline_ms;
	assert_true(prefix_parse("192.0.2.1", &client));
	stalls_forgive(tarpit.stalls, &client);
}

static void a_stall_that_was_cut_short_tells_nothing(void **state)
{
	(void)state;
	START("stall_at={connect}");
	has_offended("192.0.2.1", 5);
	fake_clock_on_next_wait(wake);
	DO(CONNECT, "192.0.2.1");
	DO(MAIL, "<x@example.net>");
	DO(CLOSE);
	assert_counted(0, 0, "forgiven");
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_command_tells_that_the_client_is_there),
		TEST(without_one_it_is_the_time_of_the_end),
		TEST(nothing_is_counted_without_a_stall),
		TEST(a_stall_that_was_cut_short_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
