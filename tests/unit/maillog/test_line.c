/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "maillog/line.h"
#include "line_rows.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HOST LINE_ROWS_HOST
#define SMTPD HOST "postfix/smtpd[123]: "
#define QMGR HOST "postfix/qmgr[44]: "
#define RFC5424_LENGTH 27

static const struct line_row tag_rows[] = {
	{SMTPD "connect from a.example[192.0.2.1]", "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix-in/smtpd[1]: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix/submission/smtpd[12]: connect from a.example[192.0.2.1]", "submission"},
	{HOST "postfix-out/submissions/smtpd[12]: connect from a.example[192.0.2.1]", "submission"},
	{HOST "postfix/smtps/smtpd[12]: nonsense", "submission"},
	{HOST "postfix/inbound/smtpd[12]: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix/smtpd: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "mail.info postfix/smtpd[1]: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{"Nov 20 12:34:56 <mail.info> mx postfix/smtpd[1]: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix/smtpd[1]: [ID 197553 mail.info] connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{"Nov 20 12:34:56 postfix/smtpd[1]: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix/postscreen[1]: CONNECT from [192.0.2.1]:1234 to [192.0.2.9]:25", "other"},
	{HOST
	 "postfix/postscreen[2]: NOQUEUE: reject: RCPT from [192.0.2.1]:47407: 550 5.7.1 Service "
	 "unavailable; client [192.0.2.1] blocked using bl.example; from=<a@b.example>, "
	 "to=<c@d.example>, proto=ESMTP, helo=<x>",
	 "other"},
	{HOST "dovecot: imap-login: Login: user=<a>", "other"},
	{HOST "smtpd[1]: connect from a.example[192.0.2.1]", "other"},
	{HOST "last message repeated 3 times", "other"},
	{HOST "last message repeated 3", "unreadable"},
	{"Nov 20 12:34:56 --- last message repeated 3 times ---", "other"},
	{HOST "postfix/smtpd[123]: message repeated 2 times: [ connect from a.example[192.0.2.1]]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix/smtpd[123]: message repeated 2 times: [ connect from a.example[192.0.2",
	 "unreadable"},
	{HOST "postfix/smtpd[123]: message repeated many times: [ connect from a[192.0.2.1]]",
	 "other"},
	{HOST "postfix/submission-haproxy/smtpd[12]: connect from a[192.0.2.1]", "submission"},
	{HOST "postfix-submission/smtpd[12]: connect from a[192.0.2.1]", "submission"},
	{HOST "smtps/smtpd[12]: connect from a[192.0.2.1]", "submission"},
	{HOST "postfix/mx-submission/smtpd[12]: connect from a[192.0.2.1]",
	 "connect address=192.0.2.1 host=a"},
	{"Nov 20 12:34:56 INFO    postfix/smtpd[1]: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix@-.service[1]: connect from a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "postfix.service[1]: 4ABCDE: removed", "removed id=4ABCDE"},
	{HOST "postfix@mx.service[1]: 4ABCDE: to=<a@b>, relay=local, delay=1, status=sent (ok)",
	 "recipient id=4ABCDE to=a@b"},
	{HOST "postfix@-.service[1]: 4ABCDE: from=<a@b>, size=1, nrcpt=1 (queue active)",
	 "queued id=4ABCDE from=a@b count=1"},
	{HOST "postfix@-.service[1]: NOQUEUE: reject: RCPT from [192.0.2.1]:47407: 550 5.7.1 "
	      "Service unavailable; from=<a@b.example>, to=<c@d.example>, proto=ESMTP, helo=<x>",
	 "other"},
	{HOST "postfix-in.socket[1]: connect from a.example[192.0.2.1]", "other"},
	{HOST "3f2a1b77c0de[990]: Nov 20 12:34:56 mail postfix/smtpd[1]: connect from "
	      "a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "docker/mail[990]: 2026-11-20T12:34:56.5+01:00 INFO postfix/smtpd[1]: connect from "
	      "a.example[192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{HOST "3f2a1b77c0de[990]: Nov 20 12:34:56", "unreadable"},
	{HOST "text without any program", "unreadable"},
	{HOST "postfix/smtpd[123]", "unreadable"},
	{HOST, "unreadable"},
	{"Nov 20 12:34:56 ", "unreadable"},
};

static const struct line_row session_rows[] = {
	{SMTPD "connect from unknown[unknown]", "connect host=unknown"},
	{SMTPD "connect from unknown[2001:db8::1]", "connect address=2001:db8::1 host=unknown"},
	{SMTPD "connect from a.example[192.0.2.1]:54321",
	 "connect address=192.0.2.1 host=a.example"},
	{SMTPD "connect from localhost[127.0.0.1]", "connect address=127.0.0.1 host=localhost"},
	{SMTPD "connect from a.example[192.0.2", "unreadable"},
	{SMTPD "connect from a.exam", "unreadable"},
	{SMTPD "disconnect from unknown[192.0.2.1]", "disconnect address=192.0.2.1 host=unknown"},
	{SMTPD "disconnect from unknown[192.0.2.1] ehlo=1 mail=1 rcpt=0/3 quit=1 commands=3/6",
	 "disconnect address=192.0.2.1 host=unknown"},
	{SMTPD "disconnect from unknown[192.0.2.1]:1234 ehlo=1 quit=1 commands=2",
	 "disconnect address=192.0.2.1 host=unknown"},
	{SMTPD "disconnect from unknown[192.0.2.1] ehlo=1 auth=1/2 mail=1 quit=1 commands=4/5",
	 "disconnect address=192.0.2.1 host=unknown authenticated"},
	{SMTPD "disconnect from unknown[192.0.2.1] ehlo=1 auth=0/2 quit=1 commands=2/4",
	 "disconnect address=192.0.2.1 host=unknown"},
	{SMTPD "lost connection after RCPT from unknown[192.0.2.1]",
	 "lost address=192.0.2.1 host=unknown in-mail"},
	{SMTPD "NOQUEUE: lost connection after MAIL from a.example[2001:db8::1]:2525",
	 "lost address=2001:db8::1 host=a.example in-mail"},
	{SMTPD "853B6122C074: lost connection after DATA (4711 bytes) from unknown[192.0.2.1]",
	 "lost id=853B6122C074 address=192.0.2.1 host=unknown in-mail"},
	{SMTPD "timeout after RCPT from unknown[192.0.2.1]",
	 "lost address=192.0.2.1 host=unknown in-mail"},
	{SMTPD "timeout after BDAT (9 bytes) from unknown[192.0.2.1]",
	 "lost address=192.0.2.1 host=unknown in-mail"},
	{SMTPD "lost connection after EHLO from unknown[192.0.2.1]",
	 "lost address=192.0.2.1 host=unknown"},
	{SMTPD "lost connection after CONNECT from unknown[unknown]", "lost host=unknown"},
	{SMTPD "timeout after END-OF-MESSAGE from unknown[192.0.2.1]",
	 "lost address=192.0.2.1 host=unknown"},
	{SMTPD "lost connection after RCPT from unknown[192", "unreadable"},
	{SMTPD "lost connection after RC", "unreadable"},
	{SMTPD "too many errors after RCPT from unknown[192.0.2.1]", "other"},
	{SMTPD
	 "Trusted TLS connection established from a.example[192.0.2.1]: TLSv1.3 with cipher x",
	 "other"},
	{SMTPD "warning: hostname a.example does not resolve to address 192.0.2.1", "other"},
	{SMTPD
	 "warning: Illegal address syntax from unknown[192.0.2.1] in RCPT command: <a b@c.example>",
	 "other"},
	{SMTPD "2229C4002B: client=unknown[192.0.2.1]",
	 "client id=2229C4002B address=192.0.2.1 host=unknown"},
	{SMTPD "4XYZbC1n2dz9K: client=a.example[2001:db8::1]:4567",
	 "client id=4XYZbC1n2dz9K address=2001:db8::1 host=a.example"},
	{SMTPD "853B6122C074: client=a.example[192.0.2.1], sasl_method=PLAIN, "
	       "sasl_username=alice@example.com",
	 "client id=853B6122C074 address=192.0.2.1 host=a.example authenticated"},
	{SMTPD "853B6122C074: client=a.example[192.0.2.1], sasl_username=alice",
	 "client id=853B6122C074 address=192.0.2.1 host=a.example authenticated"},
	{SMTPD "853B6122C074: client=localhost[127.0.0.1], orig_queue_id=4XYZbC, "
	       "orig_client=a.example[192.0.2.1]",
	 "client id=853B6122C074 address=127.0.0.1 host=localhost"},
	{SMTPD "NOQUEUE: client=a.example[192.0.2.1]", "client address=192.0.2.1 host=a.example"},
	{SMTPD "853B6122C074: client=a.example[192", "unreadable"},
};

#define FROM_192 "RCPT from unknown[192.0.2.1]: "
#define REJECTED_192 "rejected address=192.0.2.1 host=unknown "

static const struct line_row rejection_rows[] = {
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <a@b.example>: Recipient address rejected: User unknown "
	       "in local recipient table; from=<c@d.example> to=<a@b.example> proto=ESMTP "
	       "helo=<x.example>",
	 REJECTED_192 "code=5.1.1 from=c@d.example to=a@b.example"},
	{SMTPD "23FA6A7AAB1: reject: RCPT from h-1.example[2001:db8::5]:61000: 554 5.7.1 "
	       "<a@b.example>: Relay "
	       "access denied; from=<> to=<a@b.example> proto=SMTP helo=<[192.0.2.1]>",
	 "rejected id=23FA6A7AAB1 address=2001:db8::5 host=h-1.example code=5.7.1 from= "
	 "to=a@b.example"},
	{SMTPD
	 "NOQUEUE: reject: " FROM_192
	 "450 4.2.0 <a@b.example>: Recipient address rejected: Greylisted, "
	 "see http://g.example/help; from=<c@d.example> to=<a@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=4.2.0 from=c@d.example to=a@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked "
	       "using bl.example; see http://bl.example/?ip; from=<c@d.example> to=<a@b.example> "
	       "proto=ESMTP "
	       "helo=<x>",
	 REJECTED_192 "code=5.7.1 from=c@d.example to=a@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192 "450 4.7.1 <x>: Helo command rejected: Host not found; "
	       "from=<c@d.example> to=<a@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=4.7.1 from=c@d.example to=a@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <a@b.example>: Recipient address rejected: no; "
	       "from=<c@d.example> to=<a@b.example> proto=SMTP",
	 REJECTED_192 "code=5.1.1 from=c@d.example to=a@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "553 5.7.1 <c@d.example>: Sender address rejected: not owned by "
	       "user x; from=<c@d.example> to=<a@b.example> proto=ESMTP helo=<x> sasl_method=PLAIN "
	       "sasl_username=x",
	 REJECTED_192 "code=5.7.1 from=c@d.example to=a@b.example authenticated"},
	{SMTPD
	 "NOQUEUE: reject: RCPT from unknown[unknown]: 550 5.1.1 <a@b.example>: Recipient address "
	 "rejected: no; from=<> to=<a@b.example> proto=ESMTP helo=<x>",
	 "rejected host=unknown code=5.1.1 from= to=a@b.example"},
	/* without enhanced status codes, before Postfix 2.3 */
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 <a@b.example>: Recipient address rejected: User unknown in "
	       "virtual mailbox table; from=<c@d.example> to=<a@b.example> proto=SMTP helo=<x>",
	 REJECTED_192 "from=c@d.example to=a@b.example"},
	/* quoted, as Postfix logs since 3.5 */
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <q q@b.example>: Recipient address rejected: no; "
	       "from=<c@d.example> to=<\"q q\"@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=5.1.1 from=c@d.example to=\"q q\"@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <a>b@b.example>: Recipient address rejected: no; "
	       "from=<c@d.example> to=<\"a>b\"@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=5.1.1 from=c@d.example to=\"a>b\"@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <n@b.example>: Recipient address rejected: no; "
	       "from=<\"a> to=<b\"@x> to=<n@b.example> proto=ESMTP helo=<x?from=?evil?x??to=?y?z?>",
	 REJECTED_192 "code=5.1.1 from=\"a> to=<b\"@x to=n@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <q\"q@b.example>: Recipient address rejected: no; "
	       "from=<c@d.example> to=<\"q\\\"q\"@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=5.1.1 from=c@d.example to=\"q\\\"q\"@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <a; from=<x@y> to=<postmaster@z> proto=ESMTP "
	       "helo=<h>@b.example>: Recipient address rejected: no; from=<c@d.example> "
	       "to=<\"a; from=<x@y> to=<postmaster@z> proto=ESMTP helo=<h>\"@b.example> "
	       "proto=ESMTP helo=<x>",
	 REJECTED_192 "code=5.1.1 from=x@y to=postmaster@z"},
	/* without quotes, before 3.5 */
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <a>b@b.example>: Recipient address rejected: no; "
	       "from=<c@d.example> to=<a>b@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=5.1.1 from=c@d.example to=a>b@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <q\"q@b.example>: Recipient address rejected: no; "
	       "from=<c@d.example> to=<q\"q@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=5.1.1 from=c@d.example to=q\"q@b.example"},
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <q q@b.example>: Recipient address rejected: no; "
	       "from=<c c@d.example> to=<q q@b.example> proto=ESMTP helo=<x>",
	 REJECTED_192 "code=5.1.1 from=c c@d.example to=q q@b.example"},
	/* what a milter is not shown at RCPT, or is not refused */
	{SMTPD "NOQUEUE: reject: VRFY from unknown[192.0.2.1]: 554 5.7.1 <n>: Relay access denied; "
	       "from=<a@b> "
	       "to=<n> proto=ESMTP helo=<x>",
	 "other"},
	{SMTPD "NOQUEUE: reject: CONNECT from unknown[192.0.2.1]: 554 5.7.1 <unknown[192.0.2.1]>: "
	       "Client host "
	       "rejected: Access denied; proto=SMTP",
	 "other"},
	{SMTPD "NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 552 5.3.4 Message size exceeds "
	       "fixed limit; "
	       "proto=ESMTP helo=<x>",
	 "other"},
	{SMTPD "853B6122C074: reject: DATA from unknown[192.0.2.1]: 550 5.5.3 <DATA>: Data command "
	       "rejected: x; "
	       "from=<a@b> proto=ESMTP helo=<x>",
	 "other"},
	{SMTPD "NOQUEUE: reject_warning: " FROM_192
	       "550 5.1.1 <a@b>: Recipient address rejected: no; "
	       "from=<c@d> to=<a@b> proto=ESMTP helo=<x>",
	 "other"},
	{SMTPD "NOQUEUE: milter-reject: " FROM_192
	       "550 5.7.1 no; from=<c@d> to=<a@b> proto=ESMTP helo=<x>",
	 "other"},
	/* cut */
	{SMTPD "NOQUEUE: reject: " FROM_192
	       "550 5.1.1 <a@b>: Recipient address rejected: no; from=<c@d> to=<a",
	 "unreadable"},
	{SMTPD "NOQUEUE: reject: RCPT from unknown[192.0.2.1", "unreadable"},
};

static const struct line_row queue_rows[] = {
	{QMGR "23FA6A7AAB1: from=<a@b.example>, size=310, nrcpt=2 (queue active)",
	 "queued id=23FA6A7AAB1 from=a@b.example count=2"},
	{QMGR "23FA6A7AAB1: from=<>, size=310, nrcpt=1 (queue active)",
	 "queued id=23FA6A7AAB1 from= count=1"},
	{HOST "postfix-out/nqmgr[4]: 4XYZbC1n2dz9K: from=<\"a>, size=1, nrcpt=9 (\"@b.example>, "
	      "size=310, nrcpt=2 "
	      "(queue active)",
	 "queued id=4XYZbC1n2dz9K from=\"a>, size=1, nrcpt=9 (\"@b.example count=2"},
	{QMGR "23FA6A7AAB1: from=<a\"b@b.example>, size=310, nrcpt=2 (queue active)",
	 "queued id=23FA6A7AAB1 from=a\"b@b.example count=2"},
	{QMGR "23FA6A7AAB1: from=<a@b.example>, status=expired, returned to sender", "other"},
	{QMGR "23FA6A7AAB1: from=<a@b.exam", "unreadable"},
	{QMGR "23FA6A7AAB1: removed", "removed id=23FA6A7AAB1"},
	{QMGR "warning: premature end-of-input on private/smtp socket", "other"},
	{HOST "postfix/smtp[5]: 23FA6A7AAB1: to=<a@b.example>, relay=mx.b.example[192.0.2.9]:25, "
	      "delay=1.5, "
	      "delays=0.1/0/1/0.4, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
	 "recipient id=23FA6A7AAB1 to=a@b.example"},
	{HOST
	 "postfix/local[5]: 23FA6A7AAB1: to=<a@b.example>, orig_to=<info@b.example>, relay=local, "
	 "delay=0.1, delays=0.1/0/0/0, dsn=2.0.0, status=sent (delivered to mailbox)",
	 "recipient id=23FA6A7AAB1 to=info@b.example"},
	{HOST "postfix/lmtp[5]: 23FA6A7AAB1: to=<a@b.example>, relay=none, delay=9, "
	      "delays=9/0/0/0, dsn=4.4.1, "
	      "status=deferred (connect to b.example[192.0.2.9]:24: Connection refused)",
	 "recipient id=23FA6A7AAB1 to=a@b.example"},
	{HOST "postfix/pipe[5]: 23FA6A7AAB1: to=<\"a\\\">, relay=x\"@b.example>, relay=spamfilter, "
	      "delay=0.1, "
	      "delays=0.1/0/0/0, dsn=5.1.1, status=bounced (user unknown)",
	 "recipient id=23FA6A7AAB1 to=\"a\\\">, relay=x\"@b.example"},
	{HOST "postfix/virtual[5]: 23FA6A7AAB1: to=<\"a>, relay=x\"@b.example>, "
	      "orig_to=<\"c>\"@b.example>, "
	      "relay=virtual, delay=0.1, delays=0.1/0/0/0, dsn=2.0.0, status=sent (delivered to "
	      "maildir)",
	 "recipient id=23FA6A7AAB1 to=\"c>\"@b.example"},
	{HOST "postfix/virtual[5]: 23FA6A7AAB1: to=<a\"b@b.example>, orig_to=<c>d@b.example>, "
	      "relay=virtual, "
	      "delay=0.1, delays=0.1/0/0/0, dsn=2.0.0, status=sent (delivered to maildir)",
	 "recipient id=23FA6A7AAB1 to=c>d@b.example"},
	{HOST "postfix/smtp[5]: 23FA6A7AAB1: to=<a@b.example>, relay=mx.b.exam", "unreadable"},
	{HOST "postfix/smtp[5]: 23FA6A7AAB1: host mx.b.example[192.0.2.9] said: 450 4.2.0 later",
	 "other"},
	{HOST "postfix/bounce[5]: 23FA6A7AAB1: sender non-delivery notification: 853B6122C074",
	 "other"},
	{HOST "postfix/cleanup[5]: 23FA6A7AAB1: message-id=<to=<a@b>, relay=x, status=y@z>",
	 "other"},
	{HOST "postfix/pickup[5]: 23FA6A7AAB1: uid=0 from=<root>", "other"},
};

static void tags_are_found(void **state)
{
	(void)state;
	line_rows_check(tag_rows, COUNT(tag_rows), MAILLOG_POSTFIX);
}

static void postfix_sessions_are_read(void **state)
{
	(void)state;
	line_rows_check(session_rows, COUNT(session_rows), MAILLOG_POSTFIX);
}

static void postfix_rejections_are_read(void **state)
{
	(void)state;
	line_rows_check(rejection_rows, COUNT(rejection_rows), MAILLOG_POSTFIX);
}

static void postfix_queues_are_read(void **state)
{
	(void)state;
	line_rows_check(queue_rows, COUNT(queue_rows), MAILLOG_POSTFIX);
}

static void mauled_lines_are_harmless(void **state)
{
	(void)state;
	line_rows_maul(tag_rows, COUNT(tag_rows));
	line_rows_maul(session_rows, COUNT(session_rows));
	line_rows_maul(rejection_rows, COUNT(rejection_rows));
	line_rows_maul(queue_rows, COUNT(queue_rows));
}

static void process_and_machine_are_found(void **state)
{
	static const struct {
		const char *line, *host_name;
		uint32_t pid;
	} rows[] = {
		{SMTPD "connect from a.example[192.0.2.1]", "mx", 123},
		{HOST "postfix/smtpd[4294967295]: x", "mx", UINT32_MAX},
		{HOST "postfix/smtpd[4294967296]: x", "mx", 0},
		{HOST "postfix/smtpd[12x]: x", "mx", 0},
		{HOST "postfix/smtpd: x", "mx", 0},
		{HOST "mail.info sendmail[7]: x", "mx", 7},
		{"Nov 20 12:34:56 <2.6> mx sendmail[7]: x", "mx", 7},
		{"Nov 20 12:34:56 sendmail[7]: x", NULL, 7},
		{"<22>1 2026-11-20T12:34:56Z mx sendmail 7 - - x", "mx", 7},
		{"<22>1 2026-11-20T12:34:56Z mx sendmail - - [a b=\"c\"] x", "mx", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct maillog_line parsed;

		maillog_line_parse(rows[i].line, strlen(rows[i].line),
				   rows[i].line[0] == '<' ? RFC5424_LENGTH : LINE_ROWS_STAMP,
				   &parsed);
		assert_int_equal(parsed.pid, rows[i].pid);
		if (rows[i].host_name == NULL) {
			assert_null(parsed.host_name.text);
			continue;
		}
		assert_int_equal(parsed.host_name.length, strlen(rows[i].host_name));
		assert_memory_equal(parsed.host_name.text, rows[i].host_name,
				    parsed.host_name.length);
	}
}

static const struct {
	const char *line;
	const char *host_name;
	unsigned times;
	bool is_repetition, is_of_mta;
} header_rows[] = {
	{HOST "postfix/smtpd[1]: x", "mx", 1, false, true},
	{HOST "sendmail[1]: x", "mx", 1, false, true},
	{HOST "dovecot: x", "mx", 1, false, false},
	{HOST "postfix/trivial-rewrite[1]: x", "mx", 1, false, true},
	{HOST "postfix-in/submission/smtpd[1]: x", "mx", 1, false, true},
	{HOST "postfix/postfix-script[1]: x", "mx", 1, false, true},
	{HOST "mx1/smtpd[1]: x", "mx", 1, false, false},
	{HOST "mx1/smtpd[1]: connect from a.example[192.0.2.1]", "mx", 1, false, true},
	{HOST "postfix@-.service[1]: x", "mx", 1, false, true},
	{HOST "postfix.service[1]: x", "mx", 1, false, true},
	{HOST "mx-postfix.service[1]: connect from a.example[192.0.2.1]", "mx", 1, false, true},
	{HOST "sm-mta[1]: x", "mx", 1, false, true},
	{HOST "sm-msp-queue[1]: x", "mx", 1, false, true},
	{HOST "sendmail-in[1]: NOQUEUE: connect from a.example [192.0.2.1]", "mx", 1, false, true},
	{HOST "/usr/sbin/cron[1]: (root) CMD (true)", "mx", 1, false, false},
	{HOST "cyrus/master[1]: ready for work", "mx", 1, false, false},
	{HOST "postfix/exporter[1]: x", "mx", 1, false, false},
	{HOST "postfix_exporter.service[1]: x", "mx", 1, false, false},
	{HOST "postfix-exporter.service[1]: x", "mx", 1, false, false},
	{HOST "postfix@.service[1]: x", "mx", 1, false, true},
	{HOST "sm-notify[1]: Version 2.6.2 starting", "mx", 1, false, false},
	{HOST "sendmail_exporter[1]: x", "mx", 1, false, false},
	{"Nov 20 12:34:56 INFO    postfix/smtpd[1]: x", "", 1, false, true},
	{"Nov 20 12:34:56 [Notice] mx postfix/smtpd[1]: x", "mx", 1, false, true},
	{"Nov 20 12:34:56 mail.warning mx postfix/smtpd[1]: x", "mx", 1, false, true},
	{"Nov 20 12:34:56 mx.example.info postfix/smtpd[1]: x", "mx.example.info", 1, false, true},
	{HOST "postfix/smtpd[1]: message repeated 5 times: [ x]", "mx", 5, false, true},
	{HOST "postfix/smtpd[1]: message repeated 4294967295 times: [ x]", "mx", 1000, false, true},
	{HOST "postfix/smtpd[1]: message repeated 0 times: [ x]", "mx", 0, false, true},
	{HOST "last message repeated 7 times", "mx", 7, true, false},
	{HOST "syslogd: last message repeated 7 times", "mx", 7, true, false},
	{HOST "syslogd[12]: last message repeated 1 time", "mx", 1, true, false},
	{HOST "syslogd: last message repeated 7", "mx", 1, false, false},
	{HOST "dovecot: last message repeated 7 times", "mx", 1, false, false},
	{HOST "last message repeated 99999999999 times", "mx", 1000, true, false},
	{HOST "last message repeated 1 time", "mx", 1, true, false},
	{HOST "last message repeated 1000", "mx", 1, false, false},
	{HOST "last message repeated ", "mx", 1, false, false},
	{HOST "last message repeated  times", "mx", 1, false, false},
	{HOST "last message repeated many times", "mx", 1, false, false},
	{HOST "last message repeated 4x times", "mx", 1, false, false},
	{HOST "c0de[990]: Nov 20 12:34:56 mail postfix/smtpd[1]: x", "mail", 1, false, true},
	{HOST "c0de[990]: Nov 20 12:34:56 info postfix/smtpd[1]: x", "mx", 1, false, true},
};

static void header_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(header_rows); i++) {
		struct maillog_line parsed;
		char host_name[64];

		maillog_line_parse(header_rows[i].line, strlen(header_rows[i].line),
				   LINE_ROWS_STAMP, &parsed);
		span_copy(parsed.host_name, host_name, sizeof(host_name));
		if (strcmp(host_name, header_rows[i].host_name) != 0 ||
		    parsed.times != header_rows[i].times ||
		    parsed.is_repetition != header_rows[i].is_repetition ||
		    parsed.is_of_mta != header_rows[i].is_of_mta)
			fail_msg("%s: host %s, %u times", header_rows[i].line, host_name,
				 parsed.times);
	}
}

static void one_service_is_read(void **state)
{
	static const struct {
		const char *program, *service;
		enum maillog_kind kind;
	} rows[] = {
		{"postfix/smtpd", "postfix", MAILLOG_CONNECT},
		{"postfix/smtpd", "submission", MAILLOG_SUBMISSION},
		{"postfix/submission/smtpd", "submission", MAILLOG_CONNECT},
		{"postfix/submission/smtpd", "postfix/submission", MAILLOG_CONNECT},
		{"postfix/submission-haproxy/smtpd", "submission", MAILLOG_SUBMISSION},
		{"postfix/submission-haproxy/smtpd", "submission-haproxy", MAILLOG_CONNECT},
		{"postfix/submission/smtpd", "postfix", MAILLOG_SUBMISSION},
		{"postfix-mx/smtpd", "postfix-mx", MAILLOG_CONNECT},
		{"postfix/qmgr", "submission", MAILLOG_OTHER},
		{"postfix@-.service", NULL, MAILLOG_CONNECT},
		{"postfix@-.service", "postfix", MAILLOG_SUBMISSION},
		{"postfix.service", "submission", MAILLOG_SUBMISSION},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct maillog_line parsed;
		char line[128];

		snprintf(line, sizeof(line), HOST "%s[1]: connect from a[192.0.2.1]",
			 rows[i].program);
		maillog_line_parse_service(line, strlen(line), LINE_ROWS_STAMP, rows[i].service,
					   &parsed);
		if (parsed.kind != rows[i].kind)
			fail_msg("%s, service %s", rows[i].program, rows[i].service);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_read),
		cmocka_unit_test(one_service_is_read),
		cmocka_unit_test(tags_are_found),
		cmocka_unit_test(postfix_sessions_are_read),
		cmocka_unit_test(postfix_rejections_are_read),
		cmocka_unit_test(postfix_queues_are_read),
		cmocka_unit_test(process_and_machine_are_found),
		cmocka_unit_test(mauled_lines_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
