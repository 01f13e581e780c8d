/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "session_bed.h"

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
		{"trusted certificate", POSTFIX, NULL, {.cert_subject = "client.test"}, true},
		{"nothing verified", POSTFIX, NULL, {.verify = "", .cert_subject = "c"}, true},
		{"empty subject", POSTFIX, NULL, {.cert_subject = ""}, false},
		{"verified", SENDMAIL, NULL, {.verify = "OK", .cert_subject = "/CN=client"}, true},
		{"no certificate", SENDMAIL, NULL, {.verify = "NO", .cert_subject = ""}, false},
		{"not verified",
		 SENDMAIL,
		 NULL,
		 {.verify = "FAIL", .cert_subject = "/CN=c"},
		 false},
		{"no word of verification", SENDMAIL, NULL, {.cert_subject = "/CN=c"}, false},
		{"not verified", POSTFIX, NULL, {.verify = "FAIL", .cert_subject = "/CN=c"}, false},
		{"not exempt",
		 POSTFIX,
		 "exempt_authenticated=no",
		 {.auth_type = "PLAIN", .auth_authen = "bob", .verify = "OK"},
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
					      .mta_version = POSTFIX,
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(authenticated_sessions_are_left_alone),
		TEST(authenticated_session_is_left_alone_at_every_later_stage),
		TEST(exempt_clients_cost_nothing),
		TEST(callbacks_that_should_not_come_do_no_harm),
		TEST(exempt_recipients_neither_wait_nor_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
