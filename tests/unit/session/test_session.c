/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/memory.h"
#include "session_bed.h"

static void fifth_unknown_recipient_is_the_first_to_wait(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{HELO},
		{MAIL, "<harvester@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject",
		 .detail = "reject: client=192.0.2.1 host=client.example.net stage=RCPT "
			   "code=5.1.1 rcpt=a@example.org sender=harvester@example.net "
			   "weight=1.00 bad=1.00 good=0.00 score=1.00 flagged=no"},
		{RCPT, "<b@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<c@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<d@example.org>", "5.1.1", .events = "reject", .detail = "score=4.00"},
		{RCPT, "<e@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release",
		 .detail = "flag: client=192.0.2.1 host=client.example.net bad=5.00 good=0.00 "
			   "score=5.00 network=192.0.2.0/24 network_score=5.00 delay_ms=5000"},
		{RCPT, "<f@example.org>", "5.1.1", .waited_ms = 5000, .events = REJECTED_STALLED,
		 .detail = "release: client=192.0.2.1 stage=RCPT waited_ms=5000 reason=elapsed"},
		{RCPT, "<g@example.org>", "5.1.1", .waited_ms = 5743, .events = REJECTED_STALLED,
		 .detail = "stall: client=192.0.2.1 host=client.example.net stage=RCPT "
			   "delay_ms=5743 score=6.00 active=1"},
		{DATA, .verdict = VERDICT_ACCEPT, .waited_ms = 6598, .events = STALLED,
		 .detail = "stage=DATA"},
		{CLOSE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		START();
		PLAY(mtas[i], steps);
		finish();
	}
}

static void flagged_client_waits_in_its_next_session_and_others_do_not(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .waited_ms = 5000, .events = "flag stall release",
		 .detail = "stage=CONNECT"},
		{HELO},
		{MAIL, "<x@example.net>", .waited_ms = 5000, .events = STALLED,
		 .detail = "stage=MAIL"},
		{RCPT, "<a@example.org>", "good", .waited_ms = 5000, .events = STALLED},
		{DATA, .verdict = VERDICT_ACCEPT},
		{CLOSE},
		/* A neighbour that never offended. */
		{CONNECT, "192.0.2.2"},
		{MAIL, "<y@example.net>"},
		{RCPT, "<a@example.org>", "good"},
		{RCPT, "<b@example.org>", "5.1.1", .events = "reject"},
		{DATA, .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		START();
		has_offended("192.0.2.1", 5);
		PLAY(mtas[i], steps);
		finish();
	}
}

static void ipv6_client_is_its_network_prefix(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "2001:db8:0:1::2", .waited_ms = 5000, .events = "flag stall release",
		 .detail = "client=2001:db8:0:1::2 "},
		{CLOSE},
		{CONNECT, "2001:db8:0:2::1"},
		{CLOSE},
		{CONNECT, "::ffff:192.0.2.1", .waited_ms = 5000, .events = "flag stall release",
		 .detail = "client=192.0.2.1 "},
	};

	(void)state;
	START();
	has_offended("2001:db8:0:1::1", 5);
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void what_counts_and_what_does_not(void **state)
{
	static const struct {
		const char *label, *outcome;
		uint64_t bad, good;
		const char *events, *detail;
	} rows[] = {
		{"unknown user", "5.1.1", 100, 0, "reject", "weight=1.00"},
		{"relay denied", "5.7.1", 100, 0, "reject", "code=5.7.1"},
		{"mailbox full", "5.2.2", 0, 0, "reject", "weight=0.00"},
		{"message too big", "5.3.4", 0, 0, "reject", "weight=0.00"},
		{"greylisted", "4.2.0", 0, 0, "", NULL},
		{"deferred", "4.7.1", 0, 0, "", NULL},
		{"accepted", "good", 0, 100, "", NULL},
		{"virtual alias", "alias", 0, 100, "", NULL},
		{"the MTA does not say", "silent", 0, 0, "", NULL},
		{"a text", "User unknown", 0, 0, "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step steps[] = {
			{CONNECT, "192.0.2.1"},
			{MAIL, "<x@example.net>"},
			{RCPT, "<bad@example.org>", "5.1.1", .events = "reject"},
			{RCPT, "<a@example.org>", rows[i].outcome, .events = rows[i].events,
			 .detail = rows[i].detail},
			{RCPT, "<a@example.org>", rows[i].outcome, .events = rows[i].events},
			{DATA, .verdict = VERDICT_ACCEPT},
		};
		struct tally tally;

		START();
		PLAY(POSTFIX, steps);
		tally = counted("192.0.2.1");
		if (tally.bad_now != 100 + rows[i].bad || tally.good_now != rows[i].good)
			fail_msg("%s: bad %d, good %d", rows[i].label, (int)tally.bad_now,
				 (int)tally.good_now);
		finish();
	}
}

static void soft_offences_count(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@elsewhere.example>", "4.7.1", .events = "reject", .detail = "code=4.7.1"},
		{RCPT, "<b@elsewhere.example>", "4.7.1", .events = "reject"},
		{RCPT, "<c@example.org>", "4.2.0", .events = ""},
	};

	(void)state;
	START("soft_offences=\"4.7.1 0.5\"");
	PLAY(POSTFIX, steps);
	assert_int_equal(counted("192.0.2.1").bad_now, 100);
	finish();
}

static void greylisting_and_virtual_aliases_never_flag(void **state)
{
	(void)state;
	START();
	has_offended("192.0.2.1", 4);
	for (int i = 0; i < 200; i++) {
		char recipient[40];

		snprintf(recipient, sizeof(recipient), "<user%d@example.org>", i);
		const struct step steps[] = {
			{CONNECT, "192.0.2.1"},
			{MAIL, "<x@example.net>"},
			{RCPT, recipient, "4.2.0"},
			{RCPT, recipient, "alias"},
			{DATA, .verdict = VERDICT_ACCEPT},
		};

		PLAY(POSTFIX, steps);
	}
	assert_int_equal(counted("192.0.2.1").bad_now, 400);
	finish();
}

static void accepted_recipients_of_clean_client_cost_no_write(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{HELO},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "good"},
		{RCPT, "<b@example.org>", "alias"},
		{DATA, .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	START();
	PLAY(POSTFIX, steps);
	assert_int_equal(counting.records, 0);
	assert_int_equal(counting.lookups, 1);
	finish();
}

static void recipients_count_once_unless_told_otherwise(void **state)
{
	static const struct {
		const char *set;
		uint64_t bad, good;
	} rows[] = {{"count_distinct=yes", 100, 100}, {"count_distinct=no", 300, 200}};
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject", .detail = "weight=1.00"},
		{RCPT, "<A@Example.Org>", "5.1.1", .events = "reject"},
		{RCPT, "<@relay.test:a@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<good@example.org>", "good"},
		{RCPT, "<GOOD@example.org>", "good"},
		{DATA, .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		START(rows[i].set);
		PLAY(POSTFIX, steps);
		assert_int_equal(counted("192.0.2.1").bad_now, rows[i].bad);
		assert_int_equal(counted("192.0.2.1").good_now, rows[i].good);
		finish();
	}
}

static void repeated_recipient_is_logged_with_no_weight(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject", .detail = "weight=1.00"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject",
		 .detail = "weight=0.00 bad=1.00 good=0.00 score=1.00"},
	};

	(void)state;
	START();
	PLAY(POSTFIX, steps);
	finish();
}

static void good_recipients_take_off_the_score(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<good@example.org>", "good"},
		{RCPT, "<a@example.org>", "5.1.1", .waited_ms = 0, .events = "reject",
		 .detail = "bad=5.00 good=1.00 score=3.00 flagged=no"},
		{RCPT, "<b@example.org>", "5.1.1", .events = "reject", .detail = "score=4.00"},
		{RCPT, "<c@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release",
		 .detail = "bad=7.00 good=1.00 score=5.00 flagged=yes"},
	};

	(void)state;
	START();
	has_offended("192.0.2.1", 4);
	PLAY(POSTFIX, steps);
	finish();
}

static void bounces_weigh_a_quarter(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject",
		 .detail = "sender=<> weight=0.25 bad=0.25"},
		{RCPT, "<b@example.org>", "4.2.0", .bad_count = "3", .events = "reject",
		 .detail = "code=hidden rcpt=\"\" sender=<> weight=0.13"},
		{MAIL, "<x>"},
		{RCPT, "<c@example.org>", "5.1.1", .events = "reject", .detail = "weight=1.00"},
	};

	(void)state;
	START();
	PLAY(SENDMAIL, steps);
	finish();
}

static void callouts_of_postfix_weigh_as_bounces_do(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<Double-Bounce@mx.example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject",
		 .detail = "sender=double-bounce@mx.example.net weight=0.25 bad=0.25"},
		{MAIL, "<double-bounce2@mx.example.net>"},
		{RCPT, "<b@example.org>", "5.1.1", .events = "reject", .detail = "weight=1.00"},
		{MAIL, "<probe@example.net>"},
		{RCPT, "<c@example.org>", "5.1.1", .events = "reject", .detail = "weight=0.25"},
		{MAIL, "<probe@example.com>"},
		{RCPT, "<d@example.org>", "5.1.1", .events = "reject", .detail = "weight=1.00"},
	};

	(void)state;
	START("callout_senders={double-bounce@, probe@example.net}");
	PLAY(POSTFIX, steps);
	finish();
}

/* Debian 13's Sendmail tells that a recipient is refused, and no code. */
static void sendmail_that_gives_no_code_shows_unknown_users(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x>"},
		{RCPT, "<a@example.org>", "", .bad_count = "1", .events = "reject",
		 .detail = "code=5.1.1 rcpt=a@example.org sender=x weight=1.00"},
		{RCPT, "<a@example.org>", "", .bad_count = "2", .events = "reject",
		 .detail = "weight=0.00 bad=1.00"},
	};

	(void)state;
	START();
	PLAY(SENDMAIL, steps);
	finish();
}

/*
 * Postfix has no such recipients, and no other MTA that has no {nbadrcpts} is taken for Sendmail.
 */
static void refusal_without_code_is_believed_of_sendmail_alone(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x>"},
		{RCPT, "<a@example.org>", ""},
	};

	(void)state;
	START();
	PLAY(POSTFIX, steps);
	PLAY(SENDMAIL, steps);
	finish();
}

/* The example of facts/mta.md 1.2, and then some. */
static void hidden_rejections_are_counted_once(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", "1", .events = "reject"},
		{RCPT, "<b@example.org>", "5.1.1", "4", .events = "reject reject",
		 .detail = "code=hidden rcpt=\"\" sender=x@example.net weight=1.00 bad=2.00 "
			   "good=0.00 score=2.00 flagged=no count=2"},
		/* At a good one, the number before it. */
		{RCPT, "<good@example.org>", "good", "4"},
		{RCPT, "<good2@example.org>", "good", "5", .events = "reject",
		 .detail = "weight=0.50"},
		{DATA, .bad_count = "5", .verdict = VERDICT_ACCEPT},
		/* It begins anew with each MAIL. */
		{MAIL, "<x@example.net>"},
		{RCPT, "<good3@example.org>", "good", "0"},
		{RCPT, "<c@example.org>", "5.1.1", "1", .events = "reject"},
		{DATA, .bad_count = "3", .verdict = VERDICT_ACCEPT, .events = "reject",
		 .detail = "count=2"},
	};

	(void)state;
	START();
	PLAY(SENDMAIL, steps);
	/* Three that were shown, five that were not. */
	assert_int_equal(counted("192.0.2.1").bad_now, 3 * 100 + 5 * 50);
	finish();
}

static void hidden_rejections_flag(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<good@example.org>", "good", "9", .events = "reject"},
		{DATA, .bad_count = "12", .verdict = VERDICT_ACCEPT, .events = "reject"},
		{MAIL, "<x@example.net>"},
		{DATA, .bad_count = "2", .verdict = VERDICT_ACCEPT, .waited_ms = 5000,
		 .events = "flag reject stall release"},
	};

	(void)state;
	/* The one good recipient of the first message takes 2 off. */
	START();
	PLAY(SENDMAIL, steps);
	assert_int_equal(counted("192.0.2.1").bad_now, 700);
	assert_int_equal(counted("192.0.2.1").good_now, 100);
	finish();
}

static void nonsense_in_the_count_is_ignored(void **state)
{
	static const char *const counts[] = {"",       "-5", "x",  "1e3", "4294967299",
					     "100001", "0",  " 7", NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		const struct step steps[] = {
			{CONNECT, "192.0.2.1"},
			{MAIL, "<x@example.net>"},
			{RCPT, "<a@example.org>", "4.2.0", "2", .events = "reject"},
			/* A number that is smaller than before is no news either. */
			{RCPT, "<b@example.org>", "good", counts[i]},
			{DATA, .bad_count = counts[i], .verdict = VERDICT_ACCEPT},
		};

		START("good_credit=0");
		PLAY(SENDMAIL, steps);
		assert_int_equal(counted("192.0.2.1").bad_now, 50);
		finish();
	}
}

static void rejections_of_exempt_recipients_are_not_taken_for_hidden_ones(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<abuse@example.org>", "5.1.1", "1"},
		{RCPT, "<b@example.org>", "4.2.0", "2"},
		{DATA, .bad_count = "2", .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	START();
	PLAY(SENDMAIL, steps);
	assert_int_equal(counting.records, 0);
	finish();
}

static void hidden_rejections_are_never_deduplicated(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{DATA, .bad_count = "2", .verdict = VERDICT_ACCEPT, .events = "reject"},
		{MAIL, "<x@example.net>"},
		{DATA, .bad_count = "2", .verdict = VERDICT_ACCEPT, .events = "reject"},
	};

	(void)state;
	START("hidden_weight=0.75");
	PLAY(SENDMAIL, steps);
	assert_int_equal(counted("192.0.2.1").bad_now, 300);
	finish();
}

static void clients_are_looked_up_at_connect_and_at_a_later_mail_or_rcpt(void **state)
{
	static const struct {
		struct step step;
		unsigned lookups;
	} rows[] = {
		{{CONNECT, "192.0.2.1"}, 1},
		{{HELO}, 1},
		{{MAIL, "<x@example.net>"}, 1},
		{{PAUSE, .pause_ms = 1000}, 1},
		{{MAIL, "<x@example.net>"}, 1},
		{{PAUSE, .pause_ms = 1}, 1},
		{{MAIL, "<x@example.net>"}, 2},
		{{MAIL, "<x@example.net>"}, 2},
		{{PAUSE, .pause_ms = 5000}, 2},
		{{HELO}, 2},
		{{RCPT, "<a@example.org>", "good"}, 3},
		{{RCPT, "<a@example.org>", "5.1.1"}, 3},
		{{DATA}, 3},
		/* Recording brought the count along. */
		{{MAIL, "<x@example.net>"}, 3},
		{{PAUSE, .pause_ms = 5000}, 3},
		{{LOGIN}, 3},
	};

	(void)state;
	START();
	for (size_t i = 0; i < COUNT(rows); i++) {
		do_step(&rows[i].step, POSTFIX);
		if (counting.lookups != rows[i].lookups)
			fail_msg("row %zu: %u lookups", i, counting.lookups);
	}
	assert_int_equal(counting.records, 1);
	session_close(sessions[0]);
	sessions[0] = NULL;
	finish();
}

static void client_flagged_elsewhere_waits_at_its_next_mail_or_rejection(void **state)
{
	static const struct step before[] = {{CONNECT, "192.0.2.1"}, {MAIL, "<x@example.net>"}};
	static const struct step mail[] = {
		{PAUSE, .pause_ms = 2000},
		{MAIL, "<x@example.net>", .waited_ms = 5000, .events = "flag stall release"},
	};
	static const struct step rejection[] = {
		{RCPT, "<a@example.org>", "good"},
		{RCPT, "<a@example.org>", "5.1.1", .waited_ms = 5743,
		 .events = "flag reject stall release"},
	};
	static const struct {
		const struct step *steps;
		size_t count;
	} rows[] = {{mail, COUNT(mail)}, {rejection, COUNT(rejection)}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		START("good_credit=0");
		for (size_t j = 0; j < COUNT(before); j++)
			do_step(&before[j], POSTFIX);
		has_offended("192.0.2.1", 5);
		play(POSTFIX, rows[i].steps, rows[i].count);
		finish();
	}
}

static void flagged_by_hand_waits_the_longest(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .waited_ms = 20000, .events = "flag stall release"},
		{MAIL, "<x@example.net>", .waited_ms = 20000, .events = STALLED},
		{RCPT, "<a@example.org>", "good", .waited_ms = 20000, .events = STALLED},
		{RCPT, "<a@example.org>", "5.1.1", .waited_ms = 20000, .events = REJECTED_STALLED},
	};
	struct store_query query;
	struct store_view view;

	(void)state;
	START();
	query = query_of("192.0.2.1");
	view = (struct store_view){.window = query.window.index, .by_hand = true};
	memory_learn(counting.memory, &query, &view);
	PLAY(POSTFIX, steps);
	finish();
}

static void dirty_network_flags_a_neighbour_at_its_first_offence(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.200"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<full@example.org>", "5.2.2", .events = "reject"},
		{RCPT, "<a@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release",
		 .detail = "bad=1.00 good=0.00 score=1.00 network=192.0.2.0/24 "
			   "network_score=20.00 delay_ms=5000"},
		{CLOSE},
		/* Beyond that network. */
		{CONNECT, "192.0.3.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject"},
	};

	(void)state;
	START();
	for (int i = 1; i < 20; i++) {
		char address[20];

		snprintf(address, sizeof(address), "192.0.2.%d", i);
		has_offended(address, 1);
	}
	PLAY(POSTFIX, steps);
	finish();
}

/* One probe from each address, as a harvester with a /24, or with a /48, might. */
static void changing_addresses_is_slowed_from_the_20th_probe(void **state)
{
	(void)state;
	for (int is_ipv6 = 0; is_ipv6 <= 1; is_ipv6++) {
		START("stall_at={rcpt}");
		for (unsigned i = 1; i <= 100; i++) {
			const int64_t before = fake_clock_waited_ms();
			struct session *session = session_open(&tarpit);
			char address[40], recipient[40];

			if (is_ipv6)
				snprintf(address, sizeof(address), "2001:db8:0:%x::1", i);
			else
				snprintf(address, sizeof(address), "192.0.2.%u", i);
			snprintf(recipient, sizeof(recipient), "<user%u@example.org>", i);
			connect_as(session, address, POSTFIX);
			mail_from(session, "<x@example.net>");
			rcpt_to(session, recipient, "5.1.1", NULL);
			assert_int_equal(fake_clock_waited_ms() > before, i >= 20);
			session_close(session);
			caught.count = 0;
		}
		finish();
	}
}

static void messages_of_one_session_are_all_watched(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{HELO},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<good@example.org>", "good"},
		{DATA, .verdict = VERDICT_ACCEPT},
		{MAIL, "<y@example.net>"},
		{RCPT, "<b@example.org>", "5.1.1", .events = "reject",
		 .detail = "sender=y@example.net"},
		{RCPT, "<c@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<d@example.org>", "5.1.1", .events = "reject"},
		{MAIL, "<z@example.net>"},
		{RCPT, "<e@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<f@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<g@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release"},
		{DATA, .verdict = VERDICT_ACCEPT, .waited_ms = 5000, .events = STALLED},
		{MAIL, "<x@example.net>", .waited_ms = 5000, .events = STALLED},
	};

	(void)state;
	START();
	PLAY(SENDMAIL, steps);
	finish();
}

static void sessions_of_before_and_after_a_reload_count_together(void **state)
{
	static const struct step before[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "5.1.1"},
	};
	static const struct step after[] = {
		{CONNECT, "192.0.2.1", .session = 1},
		{MAIL, "<x@example.net>", .session = 1},
		{RCPT, "<b@example.org>", "5.1.1", .events = "reject", .session = 1},
		{RCPT, "<c@example.org>", "5.1.1", .events = "reject", .session = 0},
		{RCPT, "<d@example.org>", "5.1.1", .events = "reject", .session = 1},
		{RCPT, "<e@example.org>", "5.1.1", .events = "reject", .session = 0},
		{RCPT, "<f@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release", .session = 1},
	};
	const char *const sets[] = {"window=2h", "jitter=0", NULL};

	(void)state;
	START();
	for (size_t i = 0; i < COUNT(before); i++)
		do_step(&before[i], POSTFIX);
	config_box_put(tarpit.config, load(sets));
	PLAY(POSTFIX, after);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fifth_unknown_recipient_is_the_first_to_wait),
		TEST(flagged_client_waits_in_its_next_session_and_others_do_not),
		TEST(ipv6_client_is_its_network_prefix),
		TEST(what_counts_and_what_does_not),
		TEST(soft_offences_count),
		TEST(greylisting_and_virtual_aliases_never_flag),
		TEST(accepted_recipients_of_clean_client_cost_no_write),
		TEST(recipients_count_once_unless_told_otherwise),
		TEST(repeated_recipient_is_logged_with_no_weight),
		TEST(good_recipients_take_off_the_score),
		TEST(sendmail_that_gives_no_code_shows_unknown_users),
		TEST(refusal_without_code_is_believed_of_sendmail_alone),
		TEST(bounces_weigh_a_quarter),
		TEST(callouts_of_postfix_weigh_as_bounces_do),
		TEST(hidden_rejections_are_counted_once),
		TEST(hidden_rejections_flag),
		TEST(nonsense_in_the_count_is_ignored),
		TEST(rejections_of_exempt_recipients_are_not_taken_for_hidden_ones),
		TEST(hidden_rejections_are_never_deduplicated),
		TEST(clients_are_looked_up_at_connect_and_at_a_later_mail_or_rcpt),
		TEST(client_flagged_elsewhere_waits_at_its_next_mail_or_rejection),
		TEST(flagged_by_hand_waits_the_longest),
		TEST(dirty_network_flags_a_neighbour_at_its_first_offence),
		TEST(changing_addresses_is_slowed_from_the_20th_probe),
		TEST(sessions_of_before_and_after_a_reload_count_together),
		TEST(messages_of_one_session_are_all_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
