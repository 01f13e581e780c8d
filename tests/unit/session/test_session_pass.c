/* SPDX-License-Identifier: BSD-2-Clause */
/* A limit is no licence: pass_limit; and nothing tells a known recipient from an unknown one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "session/site.h"
#include "session_bed.h"

#define CLIENT "192.0.2.1"

/*
 * Names so many recipients, of which each is another one. Returns the last verdict; stops at a 421.
 */
static enum verdict harvest(struct session *session, unsigned count)
{
	static unsigned number;
	enum verdict verdict = VERDICT_CONTINUE;

	for (unsigned i = 0; i < count && verdict == VERDICT_CONTINUE; i++) {
		char recipient[40];

		snprintf(recipient, sizeof(recipient), "<user%u@example.org>", number++);
		verdict = rcpt_to(session, recipient, "5.1.1", NULL);
	}
	return verdict;
}

static int64_t waits(enum verdict (*what)(struct session *session), struct session *session)
{
	int64_t before = fake_clock_waited_ms();

	what(session);
	return fake_clock_waited_ms() - before;
}

static enum verdict one_more(struct session *session)
{
	return harvest(session, 1);
}

static bool yes(void)
{
	return true;
}

static void has_delivered(const char *address, unsigned count)
{
	struct store_query query = query_of(address);
	const struct store_event event = {.side = SIDE_GOOD, .amount = count * 100};
	struct store_view view;

	store_record(counting.memory, &query, &event, &view);
}

/*
 * After a transaction's limit so many recipients pass, and then the delay goes on, or the client is
 * refused: but not one to whom mail is more than a way to get in.
 */
static void a_transactions_limit_is_no_licence(void **state)
{
	static const struct {
		const char *mta;
		unsigned delivered;
		enum verdict verdict;
		int64_t waited_ms;
	} rows[] = {
		{POSTFIX, 0, VERDICT_CONTINUE, 20000}, {SENDMAIL, 0, VERDICT_DEFER, 8000},
		{POSTFIX, 1, VERDICT_CONTINUE, 20000}, {SENDMAIL, 1, VERDICT_DEFER, 8000},
		{POSTFIX, 20, VERDICT_CONTINUE, 0},    {SENDMAIL, 20, VERDICT_CONTINUE, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct session *session;
		int64_t before;

		START("stall_at={rcpt}", "pass_limit=7", "max_stall_per_transaction=60s");
		has_offended(CLIENT, 50);
		has_delivered(CLIENT, rows[i].delivered);
		session = open_as(CLIENT, rows[i].mta);
		mail_from(session, "<x@example.net>");
		while (fake_clock_waited_ms() < 60000)
			assert_int_equal(harvest(session, 1), VERDICT_CONTINUE);
		before = fake_clock_waited_ms();
		assert_int_equal(harvest(session, 7), VERDICT_CONTINUE);
		assert_int_equal(fake_clock_waited_ms(), before);
		assert_int_equal(counted(CLIENT).passed_now, 700);
		caught.count = 0;
		assert_int_equal(harvest(session, 1), rows[i].verdict);
		assert_int_equal(fake_clock_waited_ms() - before, rows[i].waited_ms);
		assert_true(caught_text(rows[i].verdict == VERDICT_DEFER
						? "defer: client=192.0.2.1 stage=RCPT "
						  "reason=transaction-limit"
					: rows[i].waited_ms > 0 ? "stall: "
								: "pass: "));
		session_close(session);
		finish();
	}
}

/* A message whose recipients have been let through is not refused at DATA. */
static void what_has_passed_is_delivered(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		struct session *session;

		START("pass_limit=3", "max_stall_per_transaction=30s");
		has_offended(CLIENT, 50);
		session = open_as(CLIENT, mtas[i]);
		mail_from(session, "<x@example.net>");
		while (counted(CLIENT).passed_now < 300)
			assert_int_equal(rcpt_to(session, "<a@example.org>", "good", NULL),
					 VERDICT_CONTINUE);
		assert_int_equal(session_data(session, NULL), VERDICT_CONTINUE);
		assert_int_equal(session_end_of_message(session), VERDICT_ACCEPT);
		assert_int_equal(counted(CLIENT).good_now, 100);
		session_close(session);
		finish();
	}
}

static void a_sessions_limit_is_no_licence(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		struct session *session;
		int64_t before;

		START("pass_limit=5", "max_stall_per_session=100s");
		has_offended(CLIENT, 50);
		session = open_as(CLIENT, mtas[i]);
		while (fake_clock_waited_ms() < 100000)
			mail_from(session, "<x@example.net>");
		before = fake_clock_waited_ms();
		/* No recipient, so nothing that could harvest. */
		assert_int_equal(mail_from(session, "<x@example.net>"), VERDICT_CONTINUE);
		assert_int_equal(harvest(session, 5), VERDICT_CONTINUE);
		assert_int_equal(fake_clock_waited_ms(), before);
		caught.count = 0;
		assert_int_equal(mail_from(session, "<x@example.net>"), VERDICT_DEFER);
		assert_true(caught_text("stage=MAIL reason=session-limit"));
		session_close(session);
		/* The next one waits from the beginning, and what has passed is not forgotten. */
		session = open_as(CLIENT, mtas[i]);
		assert_true(fake_clock_waited_ms() > before);
		session_close(session);
		finish();
	}
}

/* What has passed fades as offences do. */
static void passes_count_for_a_window(void **state)
{
	struct session *session;

	(void)state;
	START("stall_at={rcpt}", "pass_limit=10", "max_stall_per_transaction=20s", "good_credit=0");
	for (unsigned round = 0; round < 3; round++) {
		const unsigned passing[] = {10, 6, 10}; /* half of the first ten still count */
		int64_t before;

		has_offended(CLIENT, 50);
		session = open_as(CLIENT, POSTFIX);
		mail_from(session, "<x@example.net>");
		while (waits(one_more, session) > 0 && counted(CLIENT).passed_now == 0)
			;
		before = fake_clock_waited_ms();
		harvest(session, passing[round] - 1);
		if (fake_clock_waited_ms() != before)
			fail_msg("round %u", round);
		assert_true(waits(one_more, session) > 0);
		session_close(session);
		/* To the middle of the next window, and then two windows on. */
		fake_clock_advance(round == 0 ? WINDOW_MS * 3 / 2 - fake_clock_waited_ms()
					      : WINDOW_MS * 2);
	}
	finish();
}

/*
 * In a dirty network its flagged clients share what may pass: each new address has no licence of
 * its own.
 */
static void a_dirty_network_shares_what_may_pass(void **state)
{
	unsigned passed = 0;

	(void)state;
	START("stall_at={rcpt}", "pass_limit=30", "max_stalls=4");
	has_offended("192.0.2.250", 20);
	occupy(4);
	for (unsigned i = 0; i < 100; i++) {
		struct session *session;
		char address[20];

		snprintf(address, sizeof(address), "192.0.2.%u", i);
		session = open_as(address, SENDMAIL);
		mail_from(session, "<x@example.net>");
		while (harvest(session, 1) == VERDICT_CONTINUE)
			if (++passed > 200)
				break;
		session_close(session);
	}
	vacate(4);
	/* The budget is full: a 421 each; with when_full=pass only the first thirty pass. */
	assert_int_equal(passed, 0);
	finish();
	START("stall_at={rcpt}", "pass_limit=30", "max_stalls=4", "when_full=pass");
	has_offended("192.0.2.250", 20);
	occupy(4);
	for (unsigned i = 0; i < 100; i++) {
		struct session *session;
		char address[20];

		snprintf(address, sizeof(address), "192.0.2.%u", i);
		session = open_as(address, SENDMAIL);
		mail_from(session, "<x@example.net>");
		for (unsigned j = 0; j < 5 && harvest(session, 1) == VERDICT_CONTINUE; j++)
			passed++;
		session_close(session);
	}
	vacate(4);
	assert_int_equal(passed, 30);
	finish();
}

/* Nor where only recipients wait, as in Exchange's example: the next message is refused. */
static void who_is_spent_begins_no_message_without_room(void **state)
{
	struct session *session;

	(void)state;
	START("stall_at={rcpt}", "pass_limit=5", "max_stalls=4");
	has_offended(CLIENT, 50);
	occupy(4);
	session = open_as(CLIENT, POSTFIX);
	assert_int_equal(mail_from(session, "<x@example.net>"), VERDICT_CONTINUE);
	assert_int_equal(harvest(session, 5), VERDICT_CONTINUE);
	assert_int_equal(mail_from(session, "<x@example.net>"), VERDICT_DEFER);
	vacate(4);
	assert_int_equal(mail_from(session, "<x@example.net>"), VERDICT_CONTINUE);
	session_close(session);
	finish();
}

/* Nor more of a network's sessions than have a place in its share, each for its own transaction. */
static void who_is_spent_has_a_place_for_all_its_message(void **state)
{
	static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
	struct session *session[3];

	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		START("stall_at={rcpt}", "pass_limit=0", "max_stalls=8");
		for (size_t j = 0; j < COUNT(session); j++) {
			has_offended(addresses[j], 50);
			session[j] = open_as(addresses[j], mtas[i]);
			assert_int_equal(mail_from(session[j], "<x@example.net>"),
					 j < 2 ? VERDICT_CONTINUE : VERDICT_DEFER);
		}
		assert_true(waits(one_more, session[0]) > 0);
		assert_true(waits(one_more, session[1]) > 0);
		session_abort(session[0]);
		assert_int_equal(mail_from(session[2], "<x@example.net>"), VERDICT_CONTINUE);
		assert_int_equal(mail_from(session[0], "<x@example.net>"), VERDICT_DEFER);
		session_close(session[1]);
		assert_int_equal(mail_from(session[0], "<x@example.net>"), VERDICT_CONTINUE);
		session_close(session[0]);
		session_close(session[2]);
		finish();
	}
}

/* What its neighbours have used up is not its own. */
static void who_delivers_has_what_may_pass_for_itself(void **state)
{
	struct session *session;

	(void)state;
	START("stall_at={mail, rcpt}", "pass_limit=3", "max_stalls=4");
	has_offended("192.0.2.250", 20);
	has_offended(CLIENT, 8);
	has_delivered(CLIENT, 1);
	occupy(4);
	session = open_as("192.0.2.250", SENDMAIL);
	fake_clock_advance(1);
	tarpit.lacks_threads = yes;
	mail_from(session, "<x@example.net>");
	harvest(session, 3);
	tarpit.lacks_threads = NULL;
	session_close(session);
	session = open_as(CLIENT, SENDMAIL);
	assert_int_equal(mail_from(session, "<x@example.net>"), VERDICT_CONTINUE);
	assert_int_equal(harvest(session, 3), VERDICT_CONTINUE);
	session_close(session);
	vacate(4);
	finish();
}

/* A harvester, too, can send a mail: credit keeps it from a 421 until its recipients have passed. */
static void one_mail_is_no_licence(void **state)
{
	static const struct {
		unsigned delivered, passed;
		enum verdict verdict;
	} rows[] = {
		{1, 2, VERDICT_CONTINUE},
		{1, 3, VERDICT_DEFER},
		{12, 3, VERDICT_DEFER},
		{13, 3, VERDICT_CONTINUE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct store_event passed = {.side = SIDE_PASSED,
						   .amount = rows[i].passed * 100};
		struct store_query query;
		struct session *older[2], *session;
		struct store_view view;

		START("pass_limit=3");
		query = query_of(CLIENT);
		has_offended(CLIENT, 50);
		has_delivered(CLIENT, rows[i].delivered);
		store_record(counting.memory, &query, &passed, &view);
		for (size_t j = 0; j < COUNT(older); j++)
			older[j] = open_as(CLIENT, POSTFIX);
		session = session_open(&tarpit);
		if (connect_as(session, CLIENT, POSTFIX) != rows[i].verdict)
			fail_msg("%u delivered, %u passed", rows[i].delivered, rows[i].passed);
		session_close(session);
		for (size_t j = 0; j < COUNT(older); j++)
			session_close(older[j]);
		finish();
	}
}

/* A client with credit is never refused for want of room; one without is. */
static void who_delivers_is_not_deferred(void **state)
{
	static const char *const when_full[] = {"when_full=defer", "when_full=pass"};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(mtas); i++) {
		const char *mta = mtas[i / 2];

		for (unsigned has_credit = 0; has_credit < 2; has_credit++) {
			bool passes = has_credit || i % 2 == 1;
			struct session *older[2], *session;
			enum verdict verdict;

			START(when_full[i % 2], "max_stalls=40");
			has_offended(CLIENT, 50);
			if (has_credit)
				has_delivered(CLIENT, 1);
			for (size_t j = 0; j < COUNT(older); j++)
				older[j] = open_as(CLIENT, mta);
			session = session_open(&tarpit);
			caught.count = 0;
			/* Older sessions of it are open. */
			verdict = connect_as(session, CLIENT, mta);
			assert_int_equal(verdict, has_credit ? VERDICT_CONTINUE : VERDICT_DEFER);
			assert_true(caught_text(has_credit ? "stall: " : "reason=sessions"));
			/* The budget is full. */
			occupy(40);
			caught.count = 0;
			verdict = mail_from(older[0], "<x@example.net>");
			assert_int_equal(verdict, passes ? VERDICT_CONTINUE : VERDICT_DEFER);
			assert_true(!passes || caught_text("pass: client=192.0.2.1 stage=MAIL "
							   "reason=budget"));
			vacate(40);
			session_close(session);
			for (size_t j = 0; j < COUNT(older); j++)
				session_close(older[j]);
			finish();
		}
	}
}

/*
 * A client that has been answered nothing but 421 for half an hour; others hold the budget
 * meanwhile.
 */
static void nobody_is_shut_out_for_ever(void **state)
{
	const int64_t minute = 60000;
	struct session *session[4];

	(void)state;
	START("max_stalls=4", "stall_at={connect, rcpt}");
	has_offended(CLIENT, 50);
	occupy(4);
	for (int64_t ms = 0; ms < 30 * minute; ms += minute) {
		session[0] = session_open(&tarpit);
		assert_int_equal(connect_as(session[0], CLIENT, POSTFIX), VERDICT_DEFER);
		session_close(session[0]);
		fake_clock_advance(minute);
	}
	/* Two sessions come in, and take the places of the others that came last. */
	for (size_t i = 0; i < COUNT(session); i++) {
		session[i] = session_open(&tarpit);
		caught.count = 0;
		assert_int_equal(connect_as(session[i], CLIENT, POSTFIX),
				 i < 2 ? VERDICT_CONTINUE : VERDICT_DEFER);
		assert_true(i >= 2 || caught_text("release: client=192.0.2.1 stage=CONNECT "
						  "waited_ms=20000 reason=elapsed"));
	}
	/* They crawl as any other, though the budget is still full. */
	mail_from(session[0], "<x@example.net>");
	caught.count = 0;
	assert_int_equal(harvest(session[0], 1), VERDICT_CONTINUE);
	assert_true(caught_text("stall: "));
	for (size_t i = 0; i < COUNT(session); i++)
		session_close(session[i]);
	vacate(4);
	finish();
}

/* One that is served now and then, or goes away for long, is not shut out. */
static void who_was_served_waits_for_its_turn(void **state)
{
	static const struct {
		const char *set;
		int64_t pause_ms;
		bool is_served;
	} rows[] = {{"defer_longest=30m", 60000, true}, {"defer_longest=1m", 8 * 60000, false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		START("max_stalls=4", "window=1d", rows[i].set);
		has_offended(CLIENT, 50);
		for (unsigned j = 0; j < 90; j++) {
			struct session *session = session_open(&tarpit);
			bool has_room = rows[i].is_served && j % 20 == 19;

			occupy(has_room ? 0 : 4);
			assert_int_equal(connect_as(session, CLIENT, SENDMAIL),
					 has_room ? VERDICT_CONTINUE : VERDICT_DEFER);
			vacate(has_room ? 0 : 4);
			session_close(session);
			fake_clock_advance(rows[i].pause_ms);
		}
		finish();
	}
}

/*
 * --- nothing tells ------------------------------------------------------------------------------
 */

/* What a client is in, before the recipient that it is to learn nothing about. */
struct scene {
	const char *label;
	const char *sets[4];
	const char *said[2]; /* in the log at the recipient, as Postfix's and Sendmail's */
	unsigned older; /* sessions */
	unsigned occupied; /* places of the budget */
	int64_t stalled_ms; /* in this transaction */
	bool has_credit, in_siege, by_another_session;
};

static struct session *enter(const struct scene *scene, const char *mta, struct session **older)
{
	struct session *session;

	start_over(scene->sets);
	if (scene->in_siege)
		for (unsigned i = 0; i < 40; i++) {
			char address[20];

			snprintf(address, sizeof(address), "10.0.%u.1", i);
			older[0] = open_as(address, mta);
			mail_from(older[0], "<x@example.net>");
			harvest(older[0], 1);
			session_close(older[0]);
		}
	if (!scene->by_another_session)
		has_offended(CLIENT, scene->in_siege ? 1 : 10);
	if (scene->has_credit)
		has_delivered(CLIENT, 1);
	for (unsigned i = 0; i < scene->older; i++)
		older[i] = open_as(CLIENT, mta);
	session = open_as(CLIENT, mta);
	mail_from(session, "<x@example.net>");
	if (scene->by_another_session) {
		mail_from(older[0], "<x@example.net>");
		harvest(older[0], 5);
	}
	while (fake_clock_waited_ms() < scene->stalled_ms)
		rcpt_to(session, "<known@example.org>", "4.2.0", NULL);
	occupy(scene->occupied);
	return session;
}

static void check_scene(const struct scene *scene, const char *mta)
{
	static const char *const outcomes[] = {"good", "alias", "5.1.1", "4.2.0", "silent"};
	enum verdict verdicts[COUNT(outcomes)];
	int64_t waited[COUNT(outcomes)];

	for (size_t i = 0; i < COUNT(outcomes); i++) {
		struct session *older[3], *session = enter(scene, mta, older);

		waited[i] = fake_clock_waited_ms();
		caught.count = 0;
		verdicts[i] = rcpt_to(session, "<someone@example.org>", outcomes[i], NULL);
		waited[i] = fake_clock_waited_ms() - waited[i];
		if (verdicts[i] != verdicts[0] || waited[i] != waited[0])
			fail_msg("%s, %s: %s gets %d after %d ms, %s %d after %d ms", mta,
				 scene->label, outcomes[0], (int)verdicts[0], (int)waited[0],
				 outcomes[i], (int)verdicts[i], (int)waited[i]);
		if (!caught_text(scene->said[mta == mtas[1]]))
			fail_msg("%s, %s: it is not in that state", mta, scene->label);
		vacate(scene->occupied);
		session_close(session);
		for (unsigned j = 0; j < scene->older; j++)
			session_close(older[j]);
		finish();
	}
}

static void nothing_tells_whether_a_recipient_exists(void **state)
{
	static const struct scene scenes[] = {
		{"flagged", {"stall_at={rcpt}"}, {"stall: ", "stall: "}},
		{"flagged, with credit",
		 {"stall_at={rcpt}"},
		 {"stall: ", "stall: "},
		 .has_credit = true},
		{"flagged by another session",
		 {"stall_at={rcpt}"},
		 {"stall: ", "stall: "},
		 .older = 1,
		 .by_another_session = true},
		{"crowded since another session was flagged",
		 {"stall_at={rcpt}"},
		 {"stall: ", "reason=sessions"},
		 .older = 3,
		 .by_another_session = true},
		{"budget full",
		 {"stall_at={rcpt}", "max_stalls=8"},
		 {"pass: ", "reason=budget"},
		 .occupied = 8},
		{"only the reserve left",
		 {"stall_at={rcpt}", "max_stalls=8"},
		 {"stall: ", "stall: "},
		 .occupied = 7},
		{"budget full, and passing",
		 {"stall_at={rcpt}", "max_stalls=8", "when_full=pass"},
		 {"pass: ", "pass: "},
		 .occupied = 8},
		{"transaction limit",
		 {"stall_at={rcpt}", "max_stall_per_transaction=20s"},
		 {"reason=transaction-limit", "reason=transaction-limit"},
		 .stalled_ms = 20000},
		{"session limit",
		 {"stall_at={rcpt}", "max_stall_per_session=20s"},
		 {"reason=session-limit", "reason=session-limit"},
		 .stalled_ms = 20000},
		{"beyond pass_limit",
		 {"stall_at={rcpt}", "max_stall_per_transaction=20s", "pass_limit=0"},
		 {"stall: ", "reason=transaction-limit"},
		 .stalled_ms = 20000},
		{"beyond pass_limit, with credit",
		 {"stall_at={rcpt}", "max_stall_per_transaction=20s", "pass_limit=0"},
		 {"stall: ", "reason=transaction-limit"},
		 .stalled_ms = 20000,
		 .has_credit = true},
		{"siege",
		 {"stall_at={rcpt}", "network_threshold=0"},
		 {"stall: ", "stall: "},
		 .in_siege = true},
		{"observed",
		 {"stall_at={rcpt}", "mode=observe"},
		 {"reason=observe", "reason=observe"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++)
		for (size_t j = 0; j < COUNT(mtas); j++)
			check_scene(&scenes[i], mtas[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_transactions_limit_is_no_licence),
		TEST(what_has_passed_is_delivered),
		TEST(a_sessions_limit_is_no_licence),
		TEST(passes_count_for_a_window),
		TEST(a_dirty_network_shares_what_may_pass),
		TEST(who_is_spent_begins_no_message_without_room),
		TEST(who_is_spent_has_a_place_for_all_its_message),
		TEST(who_delivers_has_what_may_pass_for_itself),
		TEST(one_mail_is_no_licence),
		TEST(who_delivers_is_not_deferred),
		TEST(nobody_is_shut_out_for_ever),
		TEST(who_was_served_waits_for_its_turn),
		TEST(nothing_tells_whether_a_recipient_exists),
	};

	return cmocka_run_group_tests_name("session_pass", tests, NULL, NULL);
}
