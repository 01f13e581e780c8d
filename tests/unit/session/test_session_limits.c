/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

#include "session_bed.h"
#include "base/stats.h"

static void budget_that_is_used_up(void **state)
{
	static const struct {
		const char *mta, *when_full;
		enum kind kind;
		const char *outcome;
		bool defers;
	} rows[] = {
		{POSTFIX, "when_full=defer", CONNECT, NULL, true},
		{POSTFIX, "when_full=defer", HELO, NULL, true},
		{POSTFIX, "when_full=defer", MAIL, NULL, true},
		/*
		 * Postfix would ignore it for a rejected one, and an accepted one is treated alike.
		 */
		{POSTFIX, "when_full=defer", RCPT, "good", false},
		{POSTFIX, "when_full=defer", RCPT, "alias", false},
		{POSTFIX, "when_full=defer", RCPT, "5.1.1", false},
		{POSTFIX, "when_full=defer", RCPT, "4.2.0", false},
		{POSTFIX, "when_full=defer", DATA, NULL, true},
		{SENDMAIL, "when_full=defer", CONNECT, NULL, true},
		{SENDMAIL, "when_full=defer", HELO, NULL, true},
		{SENDMAIL, "when_full=defer", MAIL, NULL, true},
		{SENDMAIL, "when_full=defer", RCPT, "good", true},
		{SENDMAIL, "when_full=defer", RCPT, "5.1.1", true},
		{SENDMAIL, "when_full=defer", DATA, NULL, true},
		{POSTFIX, "when_full=pass", CONNECT, NULL, false},
		{POSTFIX, "when_full=pass", MAIL, NULL, false},
		{POSTFIX, "when_full=pass", RCPT, "good", false},
		{POSTFIX, "when_full=pass", RCPT, "5.1.1", false},
		{SENDMAIL, "when_full=pass", RCPT, "5.1.1", false},
		{SENDMAIL, "when_full=pass", DATA, NULL, false},
	};
	static const struct {
		const char *set, *logged;
	} names[] = {[CONNECT] = {"connect", "CONNECT"},
		     [HELO] = {"helo", "HELO"},
		     [MAIL] = {"mail", "MAIL"},
		     [RCPT] = {"rcpt", "RCPT"},
		     [DATA] = {"data", "DATA"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step way[] = {
			{CONNECT, "192.0.2.1"}, {HELO}, {MAIL, "<x@example.net>"}};
		const struct step step = {rows[i].kind,
					  rows[i].kind == CONNECT ? "192.0.2.1" : "<a@example.org>",
					  rows[i].outcome};
		uint64_t deferred = stats_get(STAT_DEFERRED), passed = stats_get(STAT_PASSED);
		enum verdict verdict, passing;
		char set[30], line[80];

		snprintf(set, sizeof(set), "stall_at={%s}", names[rows[i].kind].set);
		START(set, rows[i].when_full, "max_stalls=4");
		has_offended("192.0.2.1", 5);
		occupy(4);
		for (size_t j = 0; j < COUNT(way) && way[j].kind < step.kind; j++)
			assert_int_equal(do_step(&way[j], rows[i].mta), VERDICT_CONTINUE);
		caught.count = 0;
		verdict = do_step(&step, rows[i].mta);
		passing = step.kind == DATA ? VERDICT_ACCEPT : VERDICT_CONTINUE;
		if (verdict != (rows[i].defers ? VERDICT_DEFER : passing))
			fail_msg("row %zu: verdict %d", i, (int)verdict);
		snprintf(line, sizeof(line), "%s: client=192.0.2.1 stage=%s reason=budget%s",
			 rows[i].defers ? "defer" : "pass", names[rows[i].kind].logged,
			 rows[i].defers ? " count=1" : "");
		assert_string_equal(caught.lines[caught.count - 1], line);
		assert_int_equal(fake_clock_waits(), 0);
		assert_int_equal(stats_get(STAT_DEFERRED) - deferred, rows[i].defers);
		assert_int_equal(stats_get(STAT_PASSED) - passed, !rows[i].defers);
		session_close(sessions[0]);
		sessions[0] = NULL;
		vacate(4);
		finish();
	}
}

static void unflagged_client_does_not_mind_the_budget(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{HELO},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<b@example.org>", "good"},
		{DATA, .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	START("max_stalls=1", "max_flagged_sessions=1");
	occupy(1);
	sessions[1] = session_open(&tarpit);
	connect_as(sessions[1], "192.0.2.1", POSTFIX);
	PLAY(POSTFIX, steps);
	vacate(1);
	finish();
}

static bool yes(void)
{
	return true;
}

/* Nor is anyone refused: it is no fault of theirs. */
static void nobody_waits_where_threads_run_out(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag pass",
		 .detail = "pass: client=192.0.2.1 stage=CONNECT reason=budget"},
		{MAIL, "<x@example.net>", .events = "pass"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject pass"},
		{RCPT, "<b@example.org>", "good", .events = "pass"},
	};

	(void)state;
	START("when_full=defer");
	tarpit.lacks_threads = yes;
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void third_session_of_flagged_client_is_deferred(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = "flag stall release"},
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = STALLED, .session = 1},
		{CONNECT, "192.0.2.1", .verdict = VERDICT_DEFER, .waited_ms = 5000,
		 .events = "defer", .session = 2,
		 .detail = "defer: client=192.0.2.1 stage=CONNECT reason=sessions"},
		/* Of which the log tells within a minute. */
		{CONNECT, "192.0.2.1", .verdict = VERDICT_DEFER, .waited_ms = 5000, .session = 3},
		/* The MTA has closed those. A place becomes free. */
		{CLOSE, .session = 2},
		{CLOSE, .session = 3},
		{CLOSE, .session = 0},
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = STALLED, .session = 4},
		{CONNECT, "192.0.2.1", .verdict = VERDICT_DEFER, .waited_ms = 5000, .session = 5},
		/* Another client has its own two. */
		{CONNECT, "192.0.2.99", .session = 6},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		START();
		has_offended("192.0.2.1", 5);
		PLAY(mtas[i], steps);
		finish();
	}
}

/* Sessions that were open when the client became flagged: at which stage the third is cut off. */
static void older_sessions_of_newly_flagged_client_are_cut_off(void **state)
{
	static const struct {
		const char *mta;
		enum kind kind;
		const char *outcome;
		bool defers;
	} rows[] = {
		{POSTFIX, MAIL, NULL, true},	 {POSTFIX, RCPT, "good", false},
		{POSTFIX, RCPT, "alias", false}, {POSTFIX, RCPT, "5.1.1", false},
		{POSTFIX, RCPT, "4.2.0", false}, {SENDMAIL, MAIL, NULL, true},
		{SENDMAIL, RCPT, "good", true},	 {SENDMAIL, RCPT, "5.1.1", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step step = {rows[i].kind, "<a@example.org>", rows[i].outcome,
					  .session = 2};
		enum verdict verdict;

		START();
		for (unsigned j = 0; j < 3; j++) {
			const struct step open = {CONNECT, "192.0.2.1", .session = j};

			do_step(&open, rows[i].mta);
			mail_from(sessions[j], "<x@example.net>");
		}
		has_offended("192.0.2.1", 10);
		/* It learns of it after a while. */
		fake_clock_advance(2000);
		caught.count = 0;
		verdict = do_step(&step, rows[i].mta);
		assert_int_equal(verdict, rows[i].defers ? VERDICT_DEFER : VERDICT_CONTINUE);
		assert_true(caught_text(rows[i].defers ? "reason=sessions" : "stall: "));
		for (unsigned j = 0; j < 3; j++) {
			session_close(sessions[j]);
			sessions[j] = NULL;
		}
		finish();
	}
}

static void where_421_is_ignored_one_client_never_takes_the_second_half(void **state)
{
	static const struct {
		unsigned in_use;
		bool waits;
	} rows[] = {{0, true}, {1, true}, {2, false}, {3, false}, {4, false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step steps[] = {
			{CONNECT, "192.0.2.1", .session = 0},
			{CONNECT, "192.0.2.1", .session = 1},
			{CONNECT, "192.0.2.1", .session = 2},
			{MAIL, "<x@example.net>", .session = 2},
			{RCPT, "<a@example.org>", "5.1.1", .session = 2,
			 .waited_ms = rows[i].waits ? 5000 : 0,
			 .events = rows[i].waits ? "flag reject stall release" : "flag reject pass",
			 .detail = rows[i].waits ? "stage=RCPT" : "reason=sessions"},
		};

		START("max_stalls=4");
		has_offended("192.0.2.1", 4);
		occupy(rows[i].in_use);
		PLAY(POSTFIX, steps);
		vacate(rows[i].in_use);
		finish();
	}
}

static void the_two_oldest_sessions_may_take_the_second_half(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{CONNECT, "192.0.2.1", .session = 1},
		{MAIL, "<x@example.net>", .session = 1},
		{RCPT, "<a@example.org>", "5.1.1", .session = 1, .waited_ms = 5000,
		 .events = "flag reject stall release"},
	};

	(void)state;
	START("max_stalls=4");
	has_offended("192.0.2.1", 4);
	occupy(3);
	PLAY(POSTFIX, steps);
	vacate(3);
	finish();
}

/* Who is refused waits for that in the half of the budget that is free, where stalls are made. */
static void a_refusal_waits_where_there_is_room(void **state)
{
	static const struct {
		unsigned in_use;
		const char *stall_at;
		int64_t waited_ms;
	} rows[] = {
		{0, "stall_at={connect,mail,rcpt}", 5000},
		{19, "stall_at={connect,mail,rcpt}", 5000},
		{20, "stall_at={connect,mail,rcpt}", 0},
		{39, "stall_at={connect,mail,rcpt}", 0},
		{0, "stall_at={mail,rcpt}", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step steps[] = {
			{CONNECT, "192.0.2.1", .verdict = VERDICT_DEFER,
			 .waited_ms = rows[i].waited_ms, .events = "flag defer", .session = 2},
		};

		START("max_flagged_sessions=1", rows[i].stall_at, "delay_max=5s");
		has_offended("192.0.2.1", 4);
		sessions[0] = open_as("192.0.2.1", POSTFIX);
		has_offended("192.0.2.1", 1);
		occupy(rows[i].in_use);
		PLAY(POSTFIX, steps);
		vacate(rows[i].in_use);
		finish();
	}
}

static void forgive_while_it_is_to_be_refused(int64_t deadline_ms)
{
	const struct store_query query = query_of("192.0.2.1");

	(void)deadline_ms;
	fake_clock_advance(1000);
	/* It has no place among the client's sessions, so that nobody is refused because of it. */
	assert_int_equal(open_sessions_count(tarpit.peers, &query.client.key), 1);
	store_forgive(counting.memory, &query);
	stalls_forgive(tarpit.stalls, &query.client.key);
}

static void stop_while_it_is_to_be_refused(int64_t deadline_ms)
{
	(void)deadline_ms;
	fake_clock_advance(1000);
	stalls_stop(tarpit.stalls);
}

static void who_is_forgiven_in_time_is_not_refused(void **state)
{
	static const struct step refused[] = {
		{CONNECT, "192.0.2.1", .events = "flag", .session = 1},
		{MAIL, "<x@example.net>", .session = 1},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		START("max_flagged_sessions=1");
		has_offended("192.0.2.1", 4);
		sessions[0] = open_as("192.0.2.1", POSTFIX);
		has_offended("192.0.2.1", 1);
		fake_clock_on_next_wait(i == 0 ? forgive_while_it_is_to_be_refused
					       : stop_while_it_is_to_be_refused);
		play(POSTFIX, refused, i == 0 ? 2 : 1);
		finish();
	}
}

static void limit_of_sessions_may_be_one(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = "flag stall release"},
		{CONNECT, "192.0.2.1", .verdict = VERDICT_DEFER, .waited_ms = 5000,
		 .events = "defer", .session = 1},
	};

	(void)state;
	START("max_flagged_sessions=1");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void sessions_may_be_unlimited(void **state)
{
	(void)state;
	START("max_flagged_sessions=0");
	has_offended("192.0.2.1", 5);
	for (unsigned i = 0; i < SESSIONS; i++) {
		const struct step open = {CONNECT, "192.0.2.1", .session = i};

		assert_int_equal(do_step(&open, POSTFIX), VERDICT_CONTINUE);
		assert_int_equal(fake_clock_waited_ms(), 5000 * (i + 1));
	}
	for (unsigned i = 0; i < SESSIONS; i++) {
		session_close(sessions[i]);
		sessions[i] = NULL;
	}
	finish();
}

/* Users behind one address: those that have logged in take nobody's place. */
static void authenticated_sessions_are_not_too_many(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{LOGIN, .verdict = VERDICT_ACCEPT},
		{CONNECT, "192.0.2.1", .session = 1},
		{LOGIN, .verdict = VERDICT_ACCEPT, .session = 1},
		{CONNECT, "192.0.2.1", .session = 2},
		{MAIL, "<x@example.net>", .session = 2, .waited_ms = 5000, .events = STALLED},
		{CONNECT, "192.0.2.1", .session = 3},
		{LOGIN, .verdict = VERDICT_ACCEPT, .session = 3},
		{LOGIN, .verdict = VERDICT_ACCEPT, .session = 0},
	};

	(void)state;
	START("stall_at={mail}");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void observing_counts_and_logs_but_does_nothing(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{CONNECT, "192.0.2.1", .session = 1},
		{CONNECT, "192.0.2.1", .session = 2},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "flag reject pass",
		 .detail = "stage=RCPT reason=observe instead_of=stall delay_ms=5000"},
		{RCPT, "<b@example.org>", "4.2.0", .events = "pass", .detail = "delay_ms=5000"},
		{RCPT, "<c@example.org>", "5.1.1", .events = "reject pass"},
		{RCPT, "<d@example.org>", "5.1.1", .events = "reject pass"},
		{DATA, .verdict = VERDICT_ACCEPT, .events = "pass", .detail = "stage=DATA"},
		/* Too many sessions, in earnest; and no budget. */
		{MAIL, "<x@example.net>", .session = 2, .events = "pass",
		 .detail = "stage=MAIL reason=observe instead_of=defer"},
		{RCPT, "<e@example.org>", "good", .session = 2, .events = "pass"},
	};

	(void)state;
	START("mode=observe", "max_stalls=1");
	has_offended("192.0.2.1", 4);
	occupy(1);
	PLAY(POSTFIX, steps);
	vacate(1);
	assert_int_equal(counted("192.0.2.1").bad_now, 700);
	finish();
}

static void session_keeps_the_settings_that_it_began_with(void **state)
{
	static const struct step old[] = {{CONNECT, "192.0.2.1"}};
	static const struct step steps[] = {
		{MAIL, "<x@example.net>", .waited_ms = 5000, .events = STALLED},
		{CONNECT, "192.0.2.1", .session = 1},
		{MAIL, "<x@example.net>", .session = 1},
	};
	static const char *const gentle[] = {"threshold=100", NULL};

	(void)state;
	START("stall_at={mail}");
	has_offended("192.0.2.1", 5);
	do_step(&old[0], POSTFIX);
	config_box_put(tarpit.config, load(gentle));
	assert_true(session_config(sessions[0])->policy.threshold < 6);
	PLAY(POSTFIX, steps);
	finish();
}

static void sessions_beyond_the_limit_pass_unwatched(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = "flag stall release"},
		{CONNECT, "192.0.2.1", .verdict = VERDICT_ACCEPT, .session = 1, .events = "limits"},
		/* It says so once a minute at most. */
		{CONNECT, "192.0.2.1", .verdict = VERDICT_ACCEPT, .session = 2},
		{MAIL, "<x@example.net>", .verdict = VERDICT_ACCEPT, .session = 2},
		{CLOSE, .session = 0},
		{CLOSE, .session = 1},
		{CLOSE, .session = 2},
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = STALLED},
	};

	(void)state;
	START();
	tarpit.max_sessions = 1;
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void mta_that_hides_all_rejections_is_named(void **state)
{
	struct session *session;

	(void)state;
	START();
	for (int i = 0; i < 3; i++) {
		session = session_open(&tarpit);
		session_rejects_not_offered(session);
		assert_int_equal(connect_as(session, "192.0.2.1", POSTFIX), VERDICT_CONTINUE);
		session_close(session);
	}
	assert_string_equal(caught_events(), "mta");
	assert_true(caught_text("mta: name=mx.example.org warning="));
	finish();
}

/* All that a proxy or a container's bridge passes on is one client. */
static void what_is_no_client_is_named(void **state)
{
	(void)state;
	START("stall_at={}", "network_threshold=0");
	has_offended("10.0.0.1", 5);
	has_offended("198.51.100.1", 5);
	sessions[0] = session_open(&tarpit);
	connect_as(sessions[0], "198.51.100.1", POSTFIX);
	assert_string_equal(caught_events(), "flag");
	session_close(sessions[0]);
	caught.count = 0;
	sessions[0] = session_open(&tarpit);
	connect_as(sessions[0], "10.0.0.1", POSTFIX);
	assert_string_equal(caught_events(), "flag mta");
	assert_true(caught_text("10.0.0.1 is flagged, and is a private address"));
	session_close(sessions[0]);
	caught.count = 0;
	for (unsigned i = 0; i < 2 * GATEWAY_SESSIONS; i++) {
		sessions[0] = session_open(&tarpit);
		connect_as(sessions[0], i % 3 != 0 ? "203.0.113.1" : "203.0.113.2", SENDMAIL);
		session_close(sessions[0]);
	}
	sessions[0] = NULL;
	assert_string_equal(caught_events(), "mta");
	assert_true(caught_text("203.0.113.1 makes most of all sessions"));
	finish();
}

static void hostile_texts_break_neither_lines_nor_keys(void **state)
{
	static char flood[10001], sender[10001];
	static const char *const texts[] = {
		flood,
		"<a\r\nreject: client=192.0.2.9>",
		"<%s%n%s%n>",
		"<\"a b\"@example.org>",
		"<\xff\xfe\x01\x1b[2J>",
		"<a\"b\\c@example.org>",
		"<",
		">",
		"",
		"q@example.test>: Recipient address rejected: no",
	};
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(0xc0000201)};

	(void)state;
	memset(flood, '\n', sizeof(flood) - 1);
	memset(sender, 'x', sizeof(sender) - 1);
	START("good_credit=0", "null_sender_weight=1");
	for (size_t i = 0; i < COUNT(texts); i++) {
		const struct connect_event event = {.host = texts[i],
						    .address = (const struct sockaddr *)&address,
						    .mta = {texts[i], texts[i], texts[i], texts[i]},
						    .mta_name = texts[i],
						    .client_name = texts[i],
						    .client_resolve = texts[i]};
		struct session *session = session_open(&tarpit);

		caught.count = 0;
		session_connect(session, &event);
		mail_from(session, i % 2 == 0 ? texts[i] : sender);
		rcpt_to(session, texts[i], "5.1.1", texts[i]);
		rcpt_to(session, texts[i], "good", texts[i]);
		rcpt_to(session, texts[i], texts[i], texts[i]);
		session_data(session, texts[i]);
		session_close(session);
		assert_true(caught.count >= 1);
		for (size_t j = 0; j < caught.count; j++) {
			assert_true(strlen(caught.lines[j]) < 2000);
			for (const char *p = caught.lines[j]; *p != '\0'; p++)
				assert_in_range((unsigned char)*p, 0x20, 0x7e);
		}
	}
	assert_int_equal(counted("192.0.2.1").bad_now, COUNT(texts) * 100);
	finish();
}

static void absent_texts_are_allowed(void **state)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(0xc0000201)};
	const struct connect_event event = {.address = (const struct sockaddr *)&address};
	struct session *session;

	(void)state;
	START();
	has_offended("192.0.2.1", 5);
	session = session_open(&tarpit);
	assert_int_equal(session_connect(session, &event), VERDICT_CONTINUE);
	assert_true(caught_text("stall: client=192.0.2.1 host=\"\""));
	session_close(session);
	finish();
}

static void events_have_their_level(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		/* flag reject stall release */
		{RCPT, "<a@example.org>", "5.1.1"},
		/* defer */
		{MAIL, "<x@example.net>", .session = 1},
		/* reject pass */
		{RCPT, "<b@example.org>", "5.1.1"},
	};
	static const struct step open = {CONNECT, "192.0.2.1", .session = 1};
	static const struct {
		const char *event;
		int priority;
	} rows[] = {
		{"flag: ", LOG_NOTICE},	 {"reject: ", LOG_INFO},  {"stall: ", LOG_NOTICE},
		{"release: ", LOG_INFO}, {"defer: ", LOG_NOTICE}, {"reject: ", LOG_INFO},
		{"pass: ", LOG_INFO},
	};

	(void)state;
	START("stall_at={rcpt}", "max_flagged_sessions=1", "max_stall_per_transaction=5s");
	has_offended("192.0.2.1", 4);
	do_step(&steps[0], POSTFIX);
	do_step(&open, POSTFIX);
	for (size_t i = 1; i < COUNT(steps); i++)
		do_step(&steps[i], POSTFIX);
	assert_int_equal(caught.count, COUNT(rows));
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(strncmp(caught.lines[i], rows[i].event, strlen(rows[i].event)), 0);
		assert_int_equal(caught.priorities[i], rows[i].priority);
	}
	for (unsigned i = 0; i < 2; i++)
		session_close(sessions[i]);
	finish();
}

static void everything_is_counted(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "127.0.0.1", .verdict = VERDICT_ACCEPT},
		{CONNECT, NULL, .verdict = VERDICT_ACCEPT, .session = 1},
		{CONNECT, "192.0.2.1", .session = 2},
		{MAIL, "<x@example.net>", .session = 2},
		{RCPT, "<a@example.org>", "5.1.1", .session = 2, .events = "reject"},
		/* Not counted by the policy: seen already, weightless, temporary. */
		{RCPT, "<a@example.org>", "5.1.1", .session = 2, .events = "reject"},
		{RCPT, "<b@example.org>", "5.2.2", .session = 2, .events = "reject"},
		{RCPT, "<c@example.org>", "5.3.4", .session = 2, .events = "reject"},
		{RCPT, "<c@example.org>", "4.2.0", .session = 2},
		/* Two hidden ones. */
		{RCPT, "<d@example.org>", "good", "7", .session = 2, .events = "reject"},
		{RCPT, "<e@example.org>", "5.1.1", .session = 2, .events = "flag reject pass"},
		{DATA, .verdict = VERDICT_ACCEPT, .session = 2, .events = "pass"},
		{CONNECT, "192.0.2.1", .session = 3, .events = "pass"},
	};
	static const struct {
		enum stats_counter stat;
		uint64_t added;
	} rows[] = {
		{STAT_SESSIONS_OPENED, 4}, {STAT_SESSIONS_CLOSED, 4}, {STAT_SESSIONS_EXEMPT, 2},
		{STAT_REJECTS, 4},	   {STAT_FLAGS, 1},	      {STAT_PASSED, 3},
		{STAT_DEFERRED, 0},	   {STAT_STALLS_BEGUN, 0},
	};
	uint64_t before[COUNT(rows)];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		before[i] = stats_get(rows[i].stat);
	START("mode=observe", "good_credit=0", "max_flagged_sessions=1");
	has_offended("192.0.2.1", 2);
	PLAY(SENDMAIL, steps);
	for (size_t i = 0; i < COUNT(rows); i++)
		if (stats_get(rows[i].stat) - before[i] != rows[i].added)
			fail_msg("%s: %d", stats_name(rows[i].stat),
				 (int)(stats_get(rows[i].stat) - before[i]));
	finish();
}

#define THREADS 8
#define SESSIONS_EACH 100

static void *harvest(void *argument)
{
	unsigned number = *(unsigned *)argument;

	for (unsigned i = 0; i < SESSIONS_EACH; i++) {
		struct session *session = session_open(&tarpit);
		char recipient[60];

		snprintf(recipient, sizeof(recipient), "<user%u.%u@example.org>", number, i);
		connect_as(session, i % 2 == 0 ? "192.0.2.1" : "192.0.2.2", POSTFIX);
		session_helo(session);
		mail_from(session, "<x@example.net>");
		rcpt_to(session, recipient, "5.1.1", NULL);
		session_data(session, NULL);
		session_close(session);
	}
	return NULL;
}

static void many_sessions_at_once_lose_no_offence(void **state)
{
	pthread_t thread[THREADS];
	unsigned number[THREADS];

	(void)state;
	START("max_stalls=3", "delay_min=100ms", "delay_max=100ms");
	log_to(ignore_line);
	for (unsigned i = 0; i < THREADS; i++) {
		number[i] = i;
		assert_int_equal(pthread_create(&thread[i], NULL, harvest, &number[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	log_to(catch_line);
	assert_int_equal(counted("192.0.2.1").bad_now, 100 * THREADS * SESSIONS_EACH / 2);
	assert_int_equal(counted("192.0.2.2").bad_now, 100 * THREADS * SESSIONS_EACH / 2);
	finish();
}

static void client_that_is_named_again_is_another_one(void **state)
{
	struct session *session;

	(void)state;
	START("max_flagged_sessions=1");
	has_offended("192.0.2.1", 9);
	session = session_open(&tarpit);
	connect_as(session, "192.0.2.1", POSTFIX);
	assert_int_equal(connect_as(session, "192.0.2.1", POSTFIX), VERDICT_CONTINUE);
	assert_int_equal(connect_as(session, "198.51.100.1", POSTFIX), VERDICT_CONTINUE);
	assert_int_equal(session_helo(session), VERDICT_CONTINUE);
	assert_int_equal(connect_as(session, "127.0.0.1", POSTFIX), VERDICT_ACCEPT);
	assert_int_equal(mail_from(session, "<a@b>"), VERDICT_ACCEPT);
	session_close(session);
	session = session_open(&tarpit);
	assert_int_equal(connect_as(session, "192.0.2.1", POSTFIX), VERDICT_CONTINUE);
	session_close(session);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(budget_that_is_used_up),
		TEST(unflagged_client_does_not_mind_the_budget),
		TEST(nobody_waits_where_threads_run_out),
		TEST(third_session_of_flagged_client_is_deferred),
		TEST(older_sessions_of_newly_flagged_client_are_cut_off),
		TEST(where_421_is_ignored_one_client_never_takes_the_second_half),
		TEST(the_two_oldest_sessions_may_take_the_second_half),
		TEST(limit_of_sessions_may_be_one),
		TEST(a_refusal_waits_where_there_is_room),
		TEST(who_is_forgiven_in_time_is_not_refused),
		TEST(sessions_may_be_unlimited),
		TEST(authenticated_sessions_are_not_too_many),
		TEST(observing_counts_and_logs_but_does_nothing),
		TEST(session_keeps_the_settings_that_it_began_with),
		TEST(sessions_beyond_the_limit_pass_unwatched),
		TEST(mta_that_hides_all_rejections_is_named),
		TEST(what_is_no_client_is_named),
		TEST(hostile_texts_break_neither_lines_nor_keys),
		TEST(absent_texts_are_allowed),
		TEST(events_have_their_level),
		TEST(everything_is_counted),
		TEST(client_that_is_named_again_is_another_one),
		TEST(many_sessions_at_once_lose_no_offence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
