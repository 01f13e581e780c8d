/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "session_bed.h"
#include "base/stats.h"

static void each_stage_may_be_chosen(void **state)
{
	static const char *const names[] = {"connect", "helo", "mail", "rcpt", "data"};
	static const char *const details[] = {"stage=CONNECT", "stage=HELO", "stage=MAIL",
					      "stage=RCPT", "stage=DATA"};

	(void)state;
	for (unsigned chosen = 0; chosen < COUNT(names); chosen++) {
		struct step steps[] = {
			{CONNECT, "192.0.2.1", .events = "flag"},
			{HELO},
			{MAIL, "<x@example.net>"},
			{RCPT, "<a@example.org>", "good"},
			{DATA, .verdict = VERDICT_ACCEPT},
		};
		char set[30];

		steps[chosen].waited_ms = 5000;
		steps[chosen].events = chosen == 0 ? "flag stall release" : STALLED;
		steps[chosen].detail = details[chosen];
		snprintf(set, sizeof(set), "stall_at={%s}", names[chosen]);
		START(set, "good_credit=0");
		has_offended("192.0.2.1", 5);
		PLAY(POSTFIX, steps);
		finish();
	}
}

static void delay_ends_before_the_mta_loses_patience(void **state)
{
	static const struct {
		const char *mta, *set;
		unsigned offences;
		int64_t waited_ms;
	} rows[] = {
		{POSTFIX, NULL, 5, 5000},
		{POSTFIX, NULL, 10, 10000},
		{POSTFIX, NULL, 15, 20000},
		{POSTFIX, NULL, 100, 20000},
		{POSTFIX, "delay_max=10m", 100, 28000},
		{SENDMAIL, NULL, 5, 5000},
		{SENDMAIL, NULL, 10, 8000},
		{SENDMAIL, NULL, 100, 8000},
		{"", NULL, 100, 8000},
		{"Postcow 3.7.11", "delay_max=10m", 100, 28000},
		{POSTFIX, "mta=sendmail", 100, 8000},
		{SENDMAIL, "mta=postfix", 100, 20000},
		{"", "mta=postfix", 100, 20000},
		{NULL, NULL, 100, 8000},
		{POSTFIX, "mta_timeout=5s", 100, 3000},
		{SENDMAIL, "mta_timeout=5s", 5, 3000},
		{SENDMAIL, "mta_timeout=1m", 100, 20000},
		{POSTFIX, "mta_timeout=3s", 5, 1000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct session *session;

		start_over((const char *const[]){"stall_at={connect}", rows[i].set, NULL});
		has_offended("192.0.2.1", rows[i].offences);
		session = session_open(&tarpit);
		assert_int_equal(connect_as(session, "192.0.2.1", rows[i].mta), VERDICT_CONTINUE);
		if (fake_clock_waited_ms() != rows[i].waited_ms)
			fail_msg("row %zu: %lld ms", i, (long long)fake_clock_waited_ms());
		session_close(session);
		finish();
	}
}

static void jitter_is_by_chance(void **state)
{
	static const struct {
		double chance;
		int64_t waited_ms;
	} rows[] = {{-1, 9000}, {0, 10000}, {1, 11000}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct session *session;

		START("jitter=10");
		next_chance = rows[i].chance;
		has_offended("192.0.2.1", 10);
		session = session_open(&tarpit);
		connect_as(session, "192.0.2.1", POSTFIX);
		assert_int_equal(fake_clock_waited_ms(), rows[i].waited_ms);
		/* What is logged at the moment of flagging is not. */
		assert_string_equal(caught_events(), "flag stall release");
		assert_non_null(strstr(caught.lines[0], "delay_ms=10000"));
		caught.count = 0;
		session_close(session);
		finish();
	}
}

static void stalls_of_one_transaction_are_limited_in_sum(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "silent", .waited_ms = 5000, .events = STALLED},
		{RCPT, "<b@example.org>", "silent", .waited_ms = 5000, .events = STALLED},
		/* What is left. */
		{RCPT, "<c@example.org>", "silent", .waited_ms = 2000, .events = STALLED,
		 .detail = "delay_ms=2000"},
		{RCPT, "<d@example.org>", "silent", .events = "pass",
		 .detail = "pass: client=192.0.2.1 stage=RCPT reason=transaction-limit"},
		{RCPT, "<e@example.org>", "5.1.1", .events = "reject pass"},
		{DATA, .verdict = VERDICT_ACCEPT, .events = "pass", .detail = "stage=DATA"},
		/* The next transaction has its own. */
		{MAIL, "<x@example.net>"},
		{RCPT, "<f@example.org>", "silent", .waited_ms = 5743, .events = STALLED},
	};

	(void)state;
	START("stall_at={rcpt, data}", "max_stall_per_transaction=12s");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void stalls_of_one_session_are_limited_in_sum(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = "flag stall release"},
		{MAIL, "<x@example.net>", .waited_ms = 5000, .events = STALLED},
		{MAIL, "<x@example.net>", .waited_ms = 3000, .events = STALLED},
		{MAIL, "<x@example.net>", .events = "pass", .detail = "reason=session-limit"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject pass"},
		{DATA, .verdict = VERDICT_ACCEPT, .events = "pass"},
		{CLOSE},
		{CONNECT, "192.0.2.1", .waited_ms = 5743, .events = STALLED},
	};

	(void)state;
	START("max_stall_per_session=13s");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

/* 25 bad recipients in one write: their replies reach the client together, within its 5 minutes. */
static void pipelined_recipients_stay_under_the_clients_patience(void **state)
{
	struct session *session;
	int64_t before;

	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		START();
		has_offended("192.0.2.1", 50);
		session = session_open(&tarpit);
		connect_as(session, "192.0.2.1", mtas[i]);
		before = fake_clock_waited_ms();
		mail_from(session, "<x@example.net>");
		for (int j = 0; j < 100; j++) {
			char recipient[40];

			snprintf(recipient, sizeof(recipient), "<user%d@example.org>", j);
			caught.count = 0;
			assert_int_equal(rcpt_to(session, recipient, "5.1.1", NULL),
					 VERDICT_CONTINUE);
		}
		assert_int_equal(fake_clock_waited_ms() - before, 240000);
		session_close(session);
		finish();
	}
}

static void helo_stall_comes_with_each_helo_within_the_limit(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{HELO, .waited_ms = 5000, .events = STALLED},
		{HELO, .waited_ms = 3000, .events = STALLED},
		{HELO, .events = "pass"},
		{HELO, .events = "pass"},
	};

	(void)state;
	START("stall_at={helo}", "max_stall_per_session=8s");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void wait_does_not_tell_known_from_unknown(void **state)
{
	static const char *const outcomes[] = {"5.1.1", "5.2.2", "4.2.0",
					       "good",	"alias", "silent"};

	(void)state;
	for (size_t mta = 0; mta < COUNT(mtas); mta++)
		for (unsigned offences = 5; offences < 20; offences++) {
			int64_t first = -1;

			for (size_t i = 0; i < COUNT(outcomes); i++) {
				struct session *session;

				START("stall_at={rcpt}");
				has_offended("192.0.2.1", offences);
				session = session_open(&tarpit);
				connect_as(session, "192.0.2.1", mtas[mta]);
				mail_from(session, "<x@example.net>");
				assert_int_equal(
					rcpt_to(session, "<a@example.org>", outcomes[i], NULL),
					VERDICT_CONTINUE);
				if (first < 0)
					first = fake_clock_waited_ms();
				assert_true(first >= 5000);
				assert_int_equal(fake_clock_waited_ms(), first);
				session_close(session);
				finish();
			}
		}
}

/* A good recipient may end the flag; for itself it comes too late. */
static void recipient_that_frees_the_client_still_waits(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<good@example.org>", "good", .waited_ms = 5000, .events = STALLED},
		{RCPT, "<good2@example.org>", "good"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject", .detail = "flagged=no"},
	};

	(void)state;
	START("stall_at={rcpt}");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void stalls_are_counted(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<good@example.org>", "good", .waited_ms = 5000, .events = STALLED},
		{RCPT, "<good@example.org>", "good", .waited_ms = 5000, .events = STALLED},
	};
	uint64_t begun = stats_get(STAT_STALLS_BEGUN), ended = stats_get(STAT_STALLS_ENDED),
		 stalled_ms = stats_get(STAT_STALLED_MS);

	(void)state;
	START("stall_at={rcpt}", "good_credit=0");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	assert_int_equal(stats_get(STAT_STALLS_BEGUN) - begun, 2);
	assert_int_equal(stats_get(STAT_STALLS_ENDED) - ended, 2);
	assert_int_equal(stats_get(STAT_STALLED_MS) - stalled_ms, 10000);
	finish();
}

static void client_is_announced_each_time_it_becomes_flagged(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<good@example.org>", "good", .waited_ms = 5000, .events = STALLED},
		/* Credit that is pending does not count: it may be lost again. */
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject"},
		{ABORT},
		{MAIL, "<x@example.net>"},
		{RCPT, "<b@example.org>", "good", .waited_ms = 5743, .events = STALLED},
		{DATA, .verdict = VERDICT_ACCEPT},
		{MAIL, "<x@example.net>"},
		{RCPT, "<c@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release"},
		{CLOSE},
		/* Another session has it already. */
		{CONNECT, "192.0.2.1"},
	};
	uint64_t flags = stats_get(STAT_FLAGS);

	(void)state;
	START("stall_at={rcpt}");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	assert_int_equal(stats_get(STAT_FLAGS) - flags, 2);
	finish();
}

static void forgive_after_a_moment(int64_t deadline_ms)
{
	struct store_query query = query_of("192.0.2.1");

	(void)deadline_ms;
	fake_clock_advance(100);
	assert_int_equal(stalls_forgive(tarpit.stalls, &query.client.key), 1);
}

static void forgiven_client_goes_on_at_once(void **state)
{
	static const struct step before[] = {{CONNECT, "192.0.2.1"}, {MAIL, "<x@example.net>"}};
	static const struct step woken[] = {
		{RCPT, "<a@example.org>", "good", .events = STALLED,
		 .detail = "release: client=192.0.2.1 stage=RCPT waited_ms=100 reason=forgiven"},
		/* This session has forgotten what it knew, and asks again. */
		{DATA, .verdict = VERDICT_ACCEPT},
		{MAIL, "<x@example.net>"},
		{RCPT, "<c@example.org>", "good", .waited_ms = 20000, .events = STALLED},
	};

	(void)state;
	START("stall_at={rcpt, data}");
	has_offended("192.0.2.1", 50);
	for (size_t i = 0; i < COUNT(before); i++)
		do_step(&before[i], POSTFIX);
	fake_clock_on_next_wait(forgive_after_a_moment);
	PLAY(POSTFIX, woken);
	finish();
}

static void administrator_forgives(const char *address)
{
	struct store_query query = query_of(address);

	store_forgive(counting.memory, &query);
	open_sessions_mark(tarpit.peers, &query.client.key, NULL);
	stalls_forgive(tarpit.stalls, &query.client.key);
}

static void administrator_flags(const char *address, int64_t seconds)
{
	struct store_query query = query_of(address);

	store_flag(counting.memory, &query,
				   window_now_s(&query.window) + seconds);
	open_sessions_mark(tarpit.peers, &query.client.key, NULL);
}

static void flag_after_a_moment(int64_t deadline_ms)
{
	(void)deadline_ms;
	administrator_flags("192.0.2.1", 600);
}

static void open_session_follows_the_administrator(void **state)
{
	static const struct step start[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "good"},
	};
	static const struct step flagged[] = {
		{RCPT, "<b@example.org>", "good", .waited_ms = 20000, .events = "flag stall release"},
		{RCPT, "<c@example.org>", "5.1.1", .waited_ms = 20000, .events = REJECTED_STALLED},
	};
	static const struct step forgiven[] = {
		{RCPT, "<d@example.org>", "good"},
		{DATA, .verdict = VERDICT_ACCEPT},
		{MAIL, "<x@example.net>"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		START();
		for (size_t k = 0; k < COUNT(start); k++)
			do_step(&start[k], mtas[i]);
		administrator_flags("192.0.2.1", 600);
		caught.count = 0;
		do_step(&flagged[0], mtas[i]);
		assert_string_equal(caught_events(), flagged[0].events);
		caught.count = 0;
		do_step(&flagged[1], mtas[i]);
		assert_string_equal(caught_events(), flagged[1].events);
		administrator_forgives("192.0.2.1");
		PLAY(mtas[i], forgiven);
		finish();
	}
}

/* Between the session's look at the client and the beginning of its stall. */
static const struct store_ops *ops_before;

static void forgive_after_looking(struct store *store, const struct store_query *query,
				  struct store_view *view)
{
	ops_before->lookup(store, query, view);
	counting.store.ops = ops_before;
	store_forgive(counting.memory, query);
	open_sessions_mark(tarpit.peers, &query->client.key, NULL);
	assert_int_equal(stalls_forgive(tarpit.stalls, &query->client.key), 0);
}

static void client_forgiven_just_before_its_stall_does_not_wait(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag stall release",
		 .detail = "stage=CONNECT waited_ms=0 reason=forgiven"},
		{MAIL, "<x@example.net>"},
	};
	struct store_ops ops;

	(void)state;
	START();
	has_offended("192.0.2.1", 5);
	ops_before = counting.store.ops;
	ops = *ops_before;
	ops.lookup = forgive_after_looking;
	counting.store.ops = &ops;
	PLAY(POSTFIX, steps);
	finish();
}

static void flagged_while_it_waits_waits_on(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = "flag stall release"},
		{MAIL, "<x@example.net>", .waited_ms = 20000, .events = STALLED},
	};

	(void)state;
	START();
	has_offended("192.0.2.1", 5);
	fake_clock_on_next_wait(flag_after_a_moment);
	PLAY(POSTFIX, steps);
	finish();
}

static void stop_after_a_second(int64_t deadline_ms)
{
	(void)deadline_ms;
	fake_clock_advance(1000);
	stalls_stop(tarpit.stalls);
}

static void stop_lets_everyone_go_on(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag stall release",
		 .detail = "stage=CONNECT waited_ms=1000 reason=stop"},
		{MAIL, "<x@example.net>", .events = STALLED, .detail = "waited_ms=0 reason=stop"},
		{RCPT, "<a@example.org>", "5.1.1", .events = REJECTED_STALLED},
		{DATA, .verdict = VERDICT_ACCEPT, .events = STALLED},
	};

	(void)state;
	START();
	has_offended("192.0.2.1", 5);
	fake_clock_on_next_wait(stop_after_a_second);
	PLAY(SENDMAIL, steps);
	finish();
}

static void client_is_free_again_as_offences_fade(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{PAUSE, .pause_ms = WINDOW_MS},
		/* Half of the next window: 10 offences count as 5. */
		{PAUSE, .pause_ms = WINDOW_MS / 2},
		{MAIL, "<x@example.net>", .waited_ms = 5000, .events = STALLED},
		/* The wait was a little more of it. */
		{MAIL, "<x@example.net>"},
		{PAUSE, .pause_ms = WINDOW_MS},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject", .detail = "score=1.00"},
	};

	(void)state;
	START("stall_at={mail, rcpt}");
	has_offended("192.0.2.1", 10);
	PLAY(POSTFIX, steps);
	finish();
}

static void window_may_end_within_a_session(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "silent", .waited_ms = 5000, .events = STALLED},
		/* With no new look, it knows how old its knowledge is. */
		{PAUSE, .pause_ms = 2 * WINDOW_MS},
		{RCPT, "<b@example.org>", "silent"},
		{RCPT, "<c@example.org>", "5.1.1", .events = "reject", .detail = "bad=1.00"},
	};

	(void)state;
	START("stall_at={rcpt}");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void dirty_network_is_clean_again_as_offences_fade(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "silent", .waited_ms = 7071, .events = STALLED},
		/* Of 4 own offences and 30 in all, 2 and 15 are left. */
		{PAUSE, .pause_ms = WINDOW_MS + WINDOW_MS / 2},
		{RCPT, "<b@example.org>", "silent"},
	};

	(void)state;
	START("stall_at={rcpt}");
	has_offended("192.0.2.1", 4);
	has_offended("192.0.2.2", 26);
	PLAY(POSTFIX, steps);
	finish();
}

static void clock_set_back_does_no_harm(void **state)
{
	static const struct step steps[] = {
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<b@example.org>", "good"},
		{DATA, .verdict = VERDICT_ACCEPT},
	};
	static const struct step open = {CONNECT, "192.0.2.1"};

	(void)state;
	START("stall_at={rcpt}");
	do_step(&open, POSTFIX);
	fake_clock_set_wall(MIDNIGHT - 10 * WINDOW_MS);
	PLAY(POSTFIX, steps);
	do_step(&open, POSTFIX);
	fake_clock_set_wall(-1);
	PLAY(POSTFIX, steps);
	finish();
}

/* A session that is stalled as it connects, hears `then`, and ends pause_ms later. */
static const char *stall_and_close(double jitter, const struct step *then, int64_t pause_ms)
{
	static const struct step open = {CONNECT, "192.0.2.1"}, close = {CLOSE};

	next_chance = jitter;
	do_step(&open, SENDMAIL);
	if (then != NULL)
		do_step(then, SENDMAIL);
	fake_clock_advance(pause_ms);
	caught.count = 0;
	do_step(&close, SENDMAIL);
	return caught_events();
}

static void timeout_that_is_too_short_is_noticed(void **state)
{
	static const struct step next[] = {
		{HELO}, {MAIL, "<x@example.net>"}, {RCPT, "<a@example.org>", "good"}, {DATA}};

	(void)state;
	START("stall_at={connect}", "jitter=10", "good_credit=0");
	has_offended("192.0.2.1", 5);
	/* Clients that hang up now and then; others show that the MTA has the patience. */
	for (size_t i = 0; i < COUNT(next); i++) {
		for (int j = 0; j < 4; j++)
			assert_string_equal(stall_and_close(0, NULL, 0), "");
		assert_string_equal(stall_and_close(0, &next[i], 0), "");
	}
	/* Neither one that lived through a shorter stall nor one that left later shows anything. */
	assert_string_equal(stall_and_close(1, NULL, 0), "");
	assert_string_equal(stall_and_close(0.5, NULL, 0), "");
	assert_string_equal(stall_and_close(1, NULL, 0), "");
	assert_string_equal(stall_and_close(1, NULL, 0), "");
	assert_string_equal(stall_and_close(0, &next[0], 0), "");
	assert_string_equal(stall_and_close(1, NULL, 100), "");
	assert_string_equal(stall_and_close(1, NULL, 0), "mta");
	assert_true(caught_text("mta: name=mx.example.org warning="));
	assert_true(caught_text("stalls of 5250 ms"));
	/* Once a minute. */
	assert_string_equal(stall_and_close(1, NULL, 0), "");
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* The first: it is logged once a minute at most, and others hang up as well. */
		TEST(timeout_that_is_too_short_is_noticed),
		TEST(each_stage_may_be_chosen),
		TEST(delay_ends_before_the_mta_loses_patience),
		TEST(jitter_is_by_chance),
		TEST(stalls_of_one_transaction_are_limited_in_sum),
		TEST(stalls_of_one_session_are_limited_in_sum),
		TEST(pipelined_recipients_stay_under_the_clients_patience),
		TEST(helo_stall_comes_with_each_helo_within_the_limit),
		TEST(wait_does_not_tell_known_from_unknown),
		TEST(recipient_that_frees_the_client_still_waits),
		TEST(stalls_are_counted),
		TEST(client_is_announced_each_time_it_becomes_flagged),
		TEST(forgiven_client_goes_on_at_once),
		TEST(open_session_follows_the_administrator),
		TEST(client_forgiven_just_before_its_stall_does_not_wait),
		TEST(flagged_while_it_waits_waits_on),
		TEST(stop_lets_everyone_go_on),
		TEST(client_is_free_again_as_offences_fade),
		TEST(window_may_end_within_a_session),
		TEST(dirty_network_is_clean_again_as_offences_fade),
		TEST(clock_set_back_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
