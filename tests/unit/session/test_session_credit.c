/* SPDX-License-Identifier: BSD-2-Clause */
/* Credit is for mail that has been delivered; traps; what a siege does to strangers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "session/site.h"
#include "session_bed.h"

#define CLIENT "192.0.2.1"

/* A message to so many recipients of a domain, from user`first` on. */
static void send_to(struct session *session, const char *domain, unsigned first, unsigned count)
{
	mail_from(session, "<x@example.net>");
	for (unsigned i = first; i < first + count; i++) {
		char recipient[80];

		snprintf(recipient, sizeof(recipient), "<user%u@%s>", i, domain);
		rcpt_to(session, recipient, "good", NULL);
	}
	if (session_data(session, NULL) == VERDICT_CONTINUE)
		session_end_of_message(session);
}

/* What the client has in the store and in this host's memory. */
static unsigned good_of(const char *address)
{
	return (unsigned)counted(address).good_now;
}

static void credit_is_earned_at_the_end_of_a_message(void **state)
{
	static const struct {
		const char *label;
		struct step end[2];
		unsigned good;
	} rows[] = {
		{"the message was sent", {{DATA, .verdict = VERDICT_ACCEPT}}, 200},
		{"DATA, and then nothing", {{DATA_BEGUN}, {CLOSE}}, 0},
		{"DATA, and the MTA gave it up", {{DATA_BEGUN}, {ABORT}}, 0},
		{"RSET", {{ABORT}}, 0},
		{"another MAIL", {{MAIL, "<x@example.net>"}, {DATA_BEGUN, .verdict = VERDICT_ACCEPT}}, 0},
		{"QUIT", {{CLOSE}}, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (unsigned offences = 0; offences < 2; offences++) {
			const struct step steps[] = {
				{CONNECT, CLIENT},
				{MAIL, "<x@example.net>"},
				{RCPT, "<a@example.org>", "good"},
				{RCPT, "<b@example.org>", "alias"},
				rows[i].end[0],
				rows[i].end[1].kind != CONNECT ? rows[i].end[1]
							       : (struct step){PAUSE},
			};

			START();
			has_offended(CLIENT, offences);
			PLAY(POSTFIX, steps);
			if (good_of(CLIENT) != rows[i].good)
				fail_msg("%s: %u", rows[i].label, good_of(CLIENT));
			finish();
		}
	}
}

/*
 * A list with dead addresses is not flagged in its first message, nor one that is thrown away
 * afterwards.
 */
static void until_then_it_counts_in_its_own_transaction(void **state)
{
	static const struct step steps[] = {
		{CONNECT, CLIENT},
		{MAIL, "<list@example.net>"},
		{RCPT, "<a@example.org>", "good"},
		{RCPT, "<b@example.org>", "good"},
		{RCPT, "<1@example.org>", "5.1.1", .events = "reject", .detail = "good=2.00 score=-3.00"},
		{RCPT, "<2@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<3@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<4@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<5@example.org>", "5.1.1", .events = "reject", .detail = "flagged=no"},
		{ABORT},
		/* The transaction has taken its credit with it. */
		{MAIL, "<list@example.net>", .waited_ms = 5000, .events = "flag stall release"},
	};

	(void)state;
	START("stall_at={mail, rcpt}");
	PLAY(SENDMAIL, steps);
	finish();
}

/* Known and unknown users mixed, and never a message: known ones are no credit. */
static void a_list_checker_is_slowed_after_five(void **state)
{
	unsigned bad = 0;

	(void)state;
	START("stall_at={rcpt}");
	for (unsigned i = 0; fake_clock_waited_ms() == 0 && i < 100; i++) {
		struct session *session = open_as(CLIENT, POSTFIX);
		char recipient[80];

		mail_from(session, "<x@example.net>");
		snprintf(recipient, sizeof(recipient), "<known%u@example.org>", i);
		rcpt_to(session, recipient, "good", NULL);
		session_abort(session);
		mail_from(session, "<x@example.net>");
		snprintf(recipient, sizeof(recipient), "<unknown%u@example.org>", i);
		rcpt_to(session, recipient, "5.1.1", NULL);
		session_close(session);
		bad++;
	}
	assert_in_range(bad, 5, 7);
	finish();
}

static void history_protects_and_costs_no_write(void **state)
{
	struct session *session;

	(void)state;
	START();
	session = open_as(CLIENT, POSTFIX);
	for (unsigned i = 0; i < 300; i++) {
		static const char *const domains[] = {"d0.example", "d1.example", "d2.example"};

		send_to(session, domains[i % 3], i, 1);
	}
	assert_int_equal(counting.records, 0);
	assert_int_equal(counting.lookups, 1);
	mail_from(session, "<x@example.net>");
	for (unsigned i = 0; i < 15; i++) {
		char recipient[40];

		snprintf(recipient, sizeof(recipient), "<dead%u@d0.example>", i);
		rcpt_to(session, recipient, "5.1.1", NULL);
	}
	assert_int_equal(fake_clock_waited_ms(), 0);
	assert_int_equal(counted(CLIENT).bad_now, 1500);
	session_close(session);
	finish();
}

static void history_protects_a_network(void **state)
{
	(void)state;
	START();
	/* A pool of 100 addresses, a fifth of its recipients stale. */
	for (unsigned i = 0; i < 500; i++) {
		char address[20];
		struct session *session;

		snprintf(address, sizeof(address), "192.0.2.%u", i / 5);
		session = open_as(address, POSTFIX);
		mail_from(session, "<x@example.net>");
		if (i % 5 == 4)
			rcpt_to(session, "<dead@example.org>", "5.1.1", NULL);
		else
			send_to(session, "example.org", i, 1);
		session_close(session);
	}
	assert_int_equal(fake_clock_waited_ms(), 0);
	finish();
}

static void one_domain_earns_ten_until_it_rejects(void **state)
{
	struct session *session;

	(void)state;
	for (unsigned offences = 0; offences < 2; offences++) {
		START();
		has_offended(CLIENT, offences);
		session = open_as(CLIENT, POSTFIX);
		send_to(session, "catch-all.example", 0, 20);
		send_to(session, "catch-all.example", 20, 20);
		assert_int_equal(good_of(CLIENT), 1000);
		send_to(session, "example.org", 0, 1);
		assert_int_equal(good_of(CLIENT), 1100);
		mail_from(session, "<x@example.net>");
		rcpt_to(session, "<dead@catch-all.example>", "5.1.1", NULL);
		send_to(session, "catch-all.example", 40, 20);
		assert_int_equal(good_of(CLIENT), 3100);
		session_close(session);
		finish();
	}
}

/* Nor does it count more in its own transaction. */
static void a_catch_all_buys_no_more_than_ten_in_a_transaction(void **state)
{
	struct session *session;
	unsigned rejected = 0;

	(void)state;
	START("stall_at={rcpt}");
	session = open_as(CLIENT, POSTFIX);
	mail_from(session, "<x@example.net>");
	for (unsigned i = 0; i < 100; i++) {
		char recipient[40];

		snprintf(recipient, sizeof(recipient), "<user%u@catch-all.example>", i);
		rcpt_to(session, recipient, "good", NULL);
	}
	while (fake_clock_waited_ms() == 0 && rejected < 100) {
		char recipient[40];

		snprintf(recipient, sizeof(recipient), "<u%u@example.org>", rejected++);
		rcpt_to(session, recipient, "5.1.1", NULL);
	}
	assert_int_equal(rejected, 25);
	session_close(session);
	finish();
}

static void delimiters_are_the_sites(void **state)
{
	static const struct {
		const char *set;
		unsigned good;
	} rows[] = {
		{"recipient_delimiter=+", 300},
		{"recipient_delimiter=-", 400},
		{"recipient_delimiter=+-", 200},
		{"recipient_delimiter=", 500},
	};
	static const struct step steps[] = {
		{CONNECT, CLIENT},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a+1@example.org>", "good"},
		{RCPT, "<a+2@example.org>", "good"},
		{RCPT, "<b-1@example.org>", "good"},
		{RCPT, "<b-2@example.org>", "good"},
		{RCPT, "<a@example.org>", "good"},
		{DATA, .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		START(rows[i].set);
		PLAY(POSTFIX, steps);
		if (good_of(CLIENT) != rows[i].good)
			fail_msg("%s: %u", rows[i].set, good_of(CLIENT));
		finish();
	}
}

static void a_trap_flags_at_once(void **state)
{
	static const struct {
		const char *recipient, *outcome, *sender;
		bool is_trap;
	} rows[] = {
		{"<trap@example.org>", "good", "<x@example.net>", true},
		{"<trap@example.org>", "5.1.1", "<x@example.net>", true},
		{"<TRAP@Example.org>", "5.1.1", "<>", true},
		{"<trap+x@example.org>", "good", "<x@example.net>", true},
		{"<\"trap\"@example.org.>", "5.2.2", "<x@example.net>", true},
		{"<trap@example.com>", "5.1.1", "<x@example.net>", false},
		{"<trap2@example.org>", "good", "<x@example.net>", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step steps[] = {
			{CONNECT, CLIENT},
			{MAIL, rows[i].sender},
			{RCPT, rows[i].recipient, rows[i].outcome,
			 .waited_ms = rows[i].is_trap ? 5000 : 0,
			 .events = rows[i].is_trap		      ? "flag reject stall release"
				   : rows[i].outcome[0] == '5' ? "reject"
							       : NULL,
			 .detail = rows[i].is_trap ? "code=trap" : NULL},
			{DATA, .verdict = VERDICT_ACCEPT},
		};

		START("trap_recipients={trap@example.org}", "stall_at={rcpt}");
		PLAY(POSTFIX, steps);
		assert_int_equal(counted(CLIENT).bad_now,
				 rows[i].is_trap		  ? 500
				 : rows[i].outcome[0] == '5' ? 100
							     : 0);
		assert_int_equal(good_of(CLIENT), rows[i].is_trap || rows[i].outcome[0] == '5' ? 0 : 100);
		finish();
	}
}

/* What a client can bring about in a catch-all domain of its own, which has every mailbox. */
static void nothing_but_a_dead_mailbox_lifts_a_domains_bound(void **state)
{
	static const struct {
		const char *recipient, *outcome;
	} rows[] = {
		{"<a%b.example@catch-all.example>", "5.7.1"},
		{"<a%b.example@catch-all.example>", "5.1.1"},
		{"<b.example!a@catch-all.example>", "5.1.1"},
		{"<\"a@b.example\"@catch-all.example>", "5.1.1"},
		{"<user@catch-all.example>", "5.5.2"}, /* Postfix: the sender has no domain */
		{"<user@catch-all.example>", "5.1.8"}, /* the sender's domain is not there */
		{"<user@catch-all.example>", "5.7.1"}, /* the client is listed */
		{"<trap@catch-all.example>", "good"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct session *session;

		START("trap_recipients={trap@catch-all.example}", "stall_at={}");
		session = open_as(CLIENT, POSTFIX);
		mail_from(session, "<x@example.net>");
		rcpt_to(session, rows[i].recipient, rows[i].outcome, NULL);
		send_to(session, "catch-all.example", 0, 30);
		if (good_of(CLIENT) != 1000)
			fail_msg("%s, %s", rows[i].recipient, rows[i].outcome);
		session_close(session);
		finish();
	}
}

static void a_trap_counts_once_and_is_stronger_than_an_exemption(void **state)
{
	static const struct step steps[] = {
		{CONNECT, CLIENT},
		{MAIL, "<x@example.net>"},
		{RCPT, "<abuse@example.org>", "good", .events = "flag reject", .detail = "weight=7.00"},
		{RCPT, "<abuse@example.org>", "good", .events = "reject", .detail = "weight=0.00"},
		{RCPT, "<abuse@example.com>", "good"},
	};

	(void)state;
	START("trap_recipients={abuse@example.org}", "stall_at={}", "threshold=7");
	PLAY(POSTFIX, steps);
	finish();
}

/*
 * One probe, for that user if it is not NULL, from each of many unrelated addresses; returns the
 * first that is slowed.
 */
static unsigned probe_from_everywhere(unsigned count, const char *user)
{
	for (unsigned i = 1; i <= count; i++) {
		struct session *session;
		char address[20], recipient[40];

		snprintf(address, sizeof(address), "10.%u.%u.1", i / 250, i % 250);
		snprintf(recipient, sizeof(recipient), "<user%u@example.org>", i);
		session = open_as(address, POSTFIX);
		mail_from(session, "<x@example.net>");
		rcpt_to(session, user != NULL ? user : recipient, "5.1.1", NULL);
		session_close(session);
		if (fake_clock_waited_ms() > 0)
			return i;
		fake_clock_advance(100);
	}
	return 0;
}

static void a_siege_slows_strangers_from_the_32nd_probe_on(void **state)
{
	(void)state;
	START("stall_at={rcpt}");
	assert_in_range(probe_from_everywhere(100, NULL), 30, 32);
	finish();
	START("stall_at={rcpt}", "siege_threshold=0");
	assert_int_equal(probe_from_everywhere(100, NULL), 0);
	finish();
}

/* A trap's offence flags its client at once, and is the site's, too. */
static void traps_make_a_siege(void **state)
{
	(void)state;
	START("stall_at={}", "trap_recipients={trap@example.org}");
	assert_int_equal(probe_from_everywhere(10, "<trap@example.org>"), 0);
	assert_true(site_in_siege(tarpit.site));
	finish();
}

/*
 * Who has credit, or does not offend, goes on as before; so does a newcomer who delivers in the
 * same message.
 */
static void a_siege_is_nothing_to_others(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "good"},
		{DATA, .verdict = VERDICT_ACCEPT},
		{CLOSE},
		{CONNECT, "192.0.2.2"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<a@example.org>", "good"},
		{RCPT, "<typo@example.org>", "5.1.1", .events = "reject"},
		{CLOSE},
		{CONNECT, "192.0.2.3"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<typo@example.org>", "5.1.1", .events = "reject"},
		{CLOSE},
		/* A stranger. */
		{CONNECT, "192.0.2.4"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<user@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release"},
	};
	struct session *session;

	(void)state;
	START("stall_at={rcpt}", "network_threshold=0");
	session = open_as("192.0.2.3", POSTFIX);
	send_to(session, "example.org", 0, 1);
	session_close(session);
	assert_true(probe_from_everywhere(100, NULL) > 0);
	assert_true(site_in_siege(tarpit.site));
	PLAY(POSTFIX, steps);
	finish();
}

/* The log has both: fail2ban heeds the second. */
static void who_goes_on_in_a_siege_is_flagged_once_more_on_its_own_account(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.4"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<1@example.org>", "5.1.1", .events = "flag reject", .detail = "by_siege=yes"},
		{RCPT, "<2@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<3@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<4@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<5@example.org>", "5.1.1", .events = "flag reject", .detail = "delay_ms=5000"},
		{RCPT, "<6@example.org>", "5.1.1", .events = "reject"},
	};

	(void)state;
	START("stall_at={}", "network_threshold=0", "siege_threshold=1");
	probe_from_everywhere(3, NULL);
	PLAY(POSTFIX, steps);
	assert_false(caught_text("by_siege"));
	finish();
}

/* Nobody is deferred for being new. */
static void strangers_pass_in_a_siege_when_the_budget_is_full(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.4"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<user@example.org>", "5.1.1", .events = "flag reject pass",
		 .detail = "reason=budget"},
		{MAIL, "<x@example.net>", .events = "pass", .detail = "reason=budget"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(mtas); i++) {
		START("network_threshold=0", "max_stalls=4");
		assert_true(probe_from_everywhere(100, NULL) > 0);
		occupy(4);
		PLAY(mtas[i], steps);
		vacate(4);
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(credit_is_earned_at_the_end_of_a_message),
		TEST(until_then_it_counts_in_its_own_transaction),
		TEST(a_list_checker_is_slowed_after_five),
		TEST(history_protects_and_costs_no_write),
		TEST(history_protects_a_network),
		TEST(one_domain_earns_ten_until_it_rejects),
		TEST(a_catch_all_buys_no_more_than_ten_in_a_transaction),
		TEST(delimiters_are_the_sites),
		TEST(a_trap_flags_at_once),
		TEST(nothing_but_a_dead_mailbox_lifts_a_domains_bound),
		TEST(a_trap_counts_once_and_is_stronger_than_an_exemption),
		TEST(a_siege_slows_strangers_from_the_32nd_probe_on),
		TEST(traps_make_a_siege),
		TEST(a_siege_is_nothing_to_others),
		TEST(who_goes_on_in_a_siege_is_flagged_once_more_on_its_own_account),
		TEST(strangers_pass_in_a_siege_when_the_budget_is_full),
	};

	return cmocka_run_group_tests_name("session_credit", tests, NULL, NULL);
}
