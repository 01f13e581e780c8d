/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "session_bed.h"

#define VERIFIED "exempt_certificates=verified"
#define SENDMAILS(verify) {.certificate = {verify, "/CN=c.test", "c.test", NULL, NULL}}

static void authenticated_sessions_are_left_alone(void **state)
{
	static const struct {
		const char *label, *mta, *set;
		struct mail_event event;
		bool exempt;
	} rows[] = {
		{"nobody", POSTFIX, NULL, {0}, false},
		{"SASL", POSTFIX, NULL, {.auth_type = "PLAIN", .auth_authen = "bob"}, true},
		{"SASL", SENDMAIL, NULL, {.auth_type = "PLAIN", .auth_authen = "bob"}, true},
		{"name only", SENDMAIL, NULL, {.auth_authen = "bob"}, true},
		{"XCLIENT LOGIN",
		 POSTFIX,
		 NULL,
		 {.auth_type = "XCLIENT", .auth_authen = "bob"},
		 true},
		{"empty macros", POSTFIX, NULL, {.auth_type = "", .auth_authen = ""}, false},
		{"trusted certificate", POSTFIX, NULL, {.certificate.subject = "c.test"}, false},
		{"verified", SENDMAIL, NULL, SENDMAILS("OK"), false},
		{"exempt, trusted", POSTFIX, VERIFIED, {.certificate.subject = "c.test"}, true},
		{"exempt, verified", SENDMAIL, VERIFIED, SENDMAILS("OK"), true},
		{"nothing verified",
		 POSTFIX,
		 VERIFIED,
		 {.certificate = {.verify = "", .subject = "c.test"}},
		 true},
		{"empty subject", POSTFIX, VERIFIED, {.certificate.subject = ""}, false},
		{"no certificate", SENDMAIL, VERIFIED, {.certificate = {"NO", "", "", NULL, ""}}, false},
		{"not verified", SENDMAIL, VERIFIED, SENDMAILS("FAIL"), false},
		{"not verified", POSTFIX, VERIFIED, SENDMAILS("FAIL"), false},
		{"no word of verification", SENDMAIL, VERIFIED, SENDMAILS(NULL), false},
		{"named", POSTFIX, "exempt_certificates={c.test}", {.certificate.subject = "c.test"}, true},
		{"named", SENDMAIL, "exempt_certificates={c.test}", SENDMAILS("OK"), true},
		{"named, not verified", SENDMAIL, "exempt_certificates={c.test}", SENDMAILS("FAIL"), false},
		{"another", POSTFIX, "exempt_certificates={c.test}", {.certificate.subject = "d.test"}, false},
		{"another", SENDMAIL, "exempt_certificates={d.test}", SENDMAILS("OK"), false},
		{"not exempt",
		 POSTFIX,
		 "exempt_authenticated=no",
		 {.auth_type = "PLAIN", .auth_authen = "bob", .certificate.verify = "OK"},
		 false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mail_event event = rows[i].event;
		struct session *session;
		enum verdict verdict;
		bool waited;

		start_over((const char *const[]){"stall_at={mail}", rows[i].set, NULL});
		has_offended("192.0.2.1", 5);
		session = session_open(&tarpit);
		assert_int_equal(connect_as(session, "192.0.2.1", rows[i].mta), VERDICT_CONTINUE);
		event.sender = "<bob@example.org>";
		verdict = session_mail(session, &event);
		waited = fake_clock_waited_ms() > 0;
		if (verdict != (rows[i].exempt ? VERDICT_ACCEPT : VERDICT_CONTINUE) ||
		    waited == rows[i].exempt)
			fail_msg("%s at %s", rows[i].label, rows[i].mta);
		session_close(session);
		finish();
	}
}

static void authenticated_session_is_left_alone_at_every_later_stage(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{LOGIN, .verdict = VERDICT_ACCEPT},
		{HELO},
		{LOGIN, .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	START("stall_at={helo, mail, rcpt, data}");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	finish();
}

static void exempt_clients_cost_nothing(void **state)
{
	static const struct {
		const char *label, *set, *address, *name, *resolve;
		bool exempt;
	} rows[] = {
		{"loopback", NULL, "127.0.0.1", NULL, NULL, true},
		{"IPv6 loopback", NULL, "::1", NULL, NULL, true},
		{"no address", NULL, NULL, NULL, NULL, true},
		{"someone", NULL, "192.0.2.1", NULL, NULL, false},
		{"listed", "exempt_clients={192.0.2.0/24}", "192.0.2.1", NULL, NULL, true},
		{"behind a translator", NULL, "64:ff9b::c000:201", NULL, NULL, false},
		{"listed, behind a translator", "exempt_clients={192.0.2.0/24}",
		 "64:ff9b::c000:201", NULL, NULL, true},
		{"the translator is listed", "exempt_clients={64:ff9b::/96}", "64:ff9b::c000:201",
		 NULL, NULL, true},
		{"loopback, says a translator's address", NULL, "64:ff9b::7f00:1", NULL, NULL,
		 false},
		{"the same, behind the site's own",
		 "nat64_prefixes={2001:db8:64::/96}", "2001:db8:64::7f00:1", NULL, NULL, false},
		{"private, says a translator's address", "exempt_clients={10.0.0.0/8}",
		 "64:ff9b::a00:1", NULL, NULL, false},
		{"private, says a local one", "exempt_clients={10.0.0.0/8}",
		 "64:ff9b:1::a00:1", NULL, NULL, false},
		{"not listed", "exempt_clients={192.0.2.0/24}", "192.0.3.1", NULL, NULL, false},
		{"verified name", "exempt_hosts={.example.net}", "192.0.2.1", "a.example.net", "OK",
		 true},
		{"forged name", "exempt_hosts={.example.net}", "192.0.2.1", "a.example.net",
		 "FORGED", false},
		{"failed name", "exempt_hosts={.example.net}", "192.0.2.1", "a.example.net", "FAIL",
		 false},
		{"no word of it", "exempt_hosts={.example.net}", "192.0.2.1", "a.example.net", NULL,
		 false},
		{"another name", "exempt_hosts={.example.net}", "192.0.2.1", "example.org", "OK",
		 false},
		{"name in xxfi_connect", "exempt_hosts={client.example.net}", "192.0.2.1", NULL,
		 "OK", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_in ipv4 = {.sin_family = AF_INET};
		struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
		struct connect_event event = {.host = "client.example.net",
					      .mta = signs_of(POSTFIX),
					      .client_name = rows[i].name,
					      .client_resolve = rows[i].resolve};
		struct session *session;
		enum verdict verdict;

		start_over((const char *const[]){rows[i].set, NULL});
		if (rows[i].address != NULL && inet_pton(AF_INET, rows[i].address, &ipv4.sin_addr))
			event.address = (const struct sockaddr *)&ipv4;
		else if (rows[i].address != NULL) {
			assert_int_equal(inet_pton(AF_INET6, rows[i].address, &ipv6.sin6_addr), 1);
			event.address = (const struct sockaddr *)&ipv6;
		}
		if (rows[i].address != NULL)
			has_offended(rows[i].address, 5);
		session = session_open(&tarpit);
		verdict = session_connect(session, &event);
		if (verdict != (rows[i].exempt ? VERDICT_ACCEPT : VERDICT_CONTINUE))
			fail_msg("%s", rows[i].label);
		assert_int_equal(counting.lookups, rows[i].exempt ? 0 : 1);
		assert_int_equal(fake_clock_waits(), rows[i].exempt ? 0 : 1);
		session_close(session);
		finish();
	}
}

static void callbacks_that_should_not_come_do_no_harm(void **state)
{
	static const struct step exempt[] = {
		{CONNECT, "127.0.0.1", .verdict = VERDICT_ACCEPT},
		{HELO},
		{MAIL, "<x@example.net>", .verdict = VERDICT_ACCEPT},
		{RCPT, "<a@example.org>", "5.1.1", .verdict = VERDICT_ACCEPT},
		{DATA, .bad_count = "100", .verdict = VERDICT_ACCEPT},
	};
	struct session *session;

	(void)state;
	START();
	PLAY(POSTFIX, exempt);
	assert_int_equal(counting.records, 0);
	/* One that was never told of its client. */
	session = session_open(&tarpit);
	assert_int_equal(tarpit.open_sessions, 1);
	session_helo(session);
	mail_from(session, "<x@example.net>");
	rcpt_to(session, "<a@example.org>", "5.1.1", NULL);
	session_data(session, NULL);
	session_close(session);
	session_close(NULL);
	assert_int_equal(counting.lookups + counting.records, 0);
	finish();
}

static void exempt_recipients_neither_wait_nor_count(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1", .events = "flag"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<postmaster@example.org>", "good"},
		{RCPT, "<PostMaster>", "good"},
		{RCPT, "<abuse@example.org>", "5.1.1"},
		{RCPT, "<vip@example.org>", "5.1.1"},
		{RCPT, "<vip@example.com>", "good", .waited_ms = 5000, .events = STALLED},
		{RCPT, "<postmaster2@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = REJECTED_STALLED},
		{DATA, .verdict = VERDICT_ACCEPT},
	};

	(void)state;
	START("stall_at={rcpt}", "exempt_recipients={postmaster, abuse, vip@example.org}",
	      "good_credit=0");
	has_offended("192.0.2.1", 5);
	PLAY(POSTFIX, steps);
	assert_int_equal(counted("192.0.2.1").bad_now, 600);
	assert_int_equal(counted("192.0.2.1").good_now, 100);
	finish();
}

static void what_only_looks_like_an_exempt_recipient_counts(void **state)
{
	static const struct step steps[] = {
		{CONNECT, "192.0.2.1"},
		{MAIL, "<x@example.net>"},
		{RCPT, "<@(:postmaster@)x.test:adam>", "5.1.1", .events = "reject",
		 .detail = "rcpt=adam "},
		{RCPT, "<@[1:postmaster@2]:adam>", "5.1.1", .events = "reject"},
		{RCPT, "<@\"a:postmaster@b\":adam>", "5.1.1", .events = "reject"},
		{RCPT, "<postmaster@x@example.org>", "5.1.1", .events = "reject"},
		{RCPT, "<postmaster+1@example.org>", "5.1.1", .waited_ms = 5000,
		 .events = "flag reject stall release"},
		{RCPT, "<(1)\"Post\\master\"@example.org.>", "5.1.1"},
	};

	(void)state;
	START("stall_at={rcpt}");
	PLAY(POSTFIX, steps);
	assert_int_equal(counted("192.0.2.1").bad_now, 500);
	finish();
}

static void mailbox_gives_credit_once_however_it_is_spelled(void **state)
{
	static const struct {
		const char *argument;
		unsigned good; /* so many by now */
	} rows[] = {
		{"<a@example.org>", 1},
		{"<(1)a@example.org>", 1},
		{"<\"a\"@example.org>", 1},
		{"<\"\\a\"@example.org.>", 1},
		{"<@relay.test:A@example.org>", 1},
		{"<a+1@example.org>", 1},
		{"<\"a+2\"@example.org>", 1},
		{"<b+1@example.org>", 2},
		{"<b@example.org>", 2},
		{"<c@example.org>", 3},
		/* an exempt mailbox */
		{"<postmaster@example.org>", 3},
		{"<(1)postmaster@example.org>", 3},
		{"<postmaster+1@example.org>", 3},
		/* whose mailbox it is nobody can say */
		{"<d%example.org@example.org>", 3},
		{"<example.org!d@example.org>", 3},
		{"<d\\d@example.org>", 3},
		{"<Name<d@example.org>", 3},
		{"<d@example.org,>", 3},
		{"<d@[IPv6:0::1]>", 3},
		{"<\xc5\xbf@example.org>", 3},
	};
	struct session *session;

	(void)state;
	START("exempt_recipients={postmaster}");
	has_offended("192.0.2.1", 4);
	session = session_open(&tarpit);
	connect_as(session, "192.0.2.1", POSTFIX);
	for (size_t i = 0; i < COUNT(rows); i++) {
		mail_from(session, "<x@example.net>");
		rcpt_to(session, rows[i].argument, "good", NULL);
		if (session_data(session, NULL) == VERDICT_CONTINUE)
			session_end_of_message(session);
		if (counted("192.0.2.1").good_now != rows[i].good * 100)
			fail_msg("%s", rows[i].argument);
	}
	session_close(session);
	finish();
}

static void recipient_that_was_cut_is_never_an_old_one(void **state)
{
	static const struct {
		const char *argument; /* with so many x for the % */
		unsigned padding;
		uint64_t bad;
	} rows[] = {
		{"<a%sa@example.org>", 490, 100},
		{"<a%sa@example.org>", 520, 200},
		{"<\"a%s a\"@example.org>", 520, 200},
		{"<(%s)a@example.org>", 520, 100},
	};
	char padding[521], argument[600];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct session *session;
		const char *rest = strchr(rows[i].argument, '%') + 2;

		START();
		session = session_open(&tarpit);
		connect_as(session, "192.0.2.1", POSTFIX);
		mail_from(session, "<x@example.net>");
		memset(padding, 'x', sizeof(padding));
		snprintf(argument, sizeof(argument), "%.*s%.*s%s",
			 (int)(rest - 2 - rows[i].argument), rows[i].argument,
			 (int)rows[i].padding, padding, rest);
		rcpt_to(session, argument, "5.1.1", NULL);
		rcpt_to(session, argument, "5.1.1", NULL);
		assert_int_equal(counted("192.0.2.1").bad_now, rows[i].bad);
		session_close(session);
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(authenticated_sessions_are_left_alone),
		TEST(authenticated_session_is_left_alone_at_every_later_stage),
		TEST(exempt_clients_cost_nothing),
		TEST(callbacks_that_should_not_come_do_no_harm),
		TEST(exempt_recipients_neither_wait_nor_count),
		TEST(what_only_looks_like_an_exempt_recipient_counts),
		TEST(mailbox_gives_credit_once_however_it_is_spelled),
		TEST(recipient_that_was_cut_is_never_an_old_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
