/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "line_rows.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HOST LINE_ROWS_HOST
#define SENDMAIL HOST "sendmail[123]: "

static const struct line_row sendmail_rows[] = {
	{SENDMAIL "NOQUEUE: connect from a.example [192.0.2.1]",
	 "connect address=192.0.2.1 host=a.example"},
	{SENDMAIL "NOQUEUE: connect from [192.0.2.1]",
	 "connect address=192.0.2.1 host=[192.0.2.1]"},
	{SENDMAIL "NOQUEUE: connect from a.example [192.0.2.1] (may be forged)",
	 "connect address=192.0.2.1 host=[192.0.2.1]"},
	{SENDMAIL "NOQUEUE: connect from x@a.example [IPv6:2001:db8:0:0:0:0:0:1]",
	 "connect address=2001:db8:0:0:0:0:0:1 host=a.example"},
	{SENDMAIL "NOQUEUE: connect from root@localhost", "other"},
	{HOST "sm-mta[77]: m2QFKldb022438: a.example [192.0.2.1] did not issue MAIL/EXPN/VRFY/ETRN "
	      "during "
	      "connection to MTA-v4",
	 "disconnect id=m2QFKldb022438 address=192.0.2.1 host=a.example"},
	{HOST "sm-mta[77]: v6I4f33V011778: a.example [192.0.2.1] (may be forged) did not issue "
	      "MAIL/EXPN/VRFY/ETRN during connection to MTA",
	 "disconnect id=v6I4f33V011778 address=192.0.2.1 host=[192.0.2.1]"},
	{SENDMAIL "6AL3MJfA000021: lost input channel from [192.0.2.1] to MTA after rcpt",
	 "disconnect id=6AL3MJfA000021 address=192.0.2.1 host=[192.0.2.1] in-mail"},
	{SENDMAIL "6AL3MJfA000021: lost input channel from [192.0.2.1] to MTA after ehlo",
	 "disconnect id=6AL3MJfA000021 address=192.0.2.1 host=[192.0.2.1]"},
	{SENDMAIL "6AL3MJfA000021: lost input channel from a.example [192.0.2.1] to MTA",
	 "disconnect id=6AL3MJfA000021 address=192.0.2.1 host=a.example"},
	{SENDMAIL "6AL3MJfA000021: lost input channel fr", "other"},
	{SENDMAIL "6AL3MJgn000018: <n@b.example>... User unknown",
	 "rejected id=6AL3MJgn000018 code=5.1.1 to=n@b.example"},
	{SENDMAIL "6AL3MJgn000018: <\"q q\"@b.example>... User unknown",
	 "rejected id=6AL3MJgn000018 code=5.1.1 to=\"q q\"@b.example"},
	{SENDMAIL "6AL3MJgn000018: <\"a>... b\"@b.example>... User unknown",
	 "rejected id=6AL3MJgn000018 code=5.1.1 to=\"a>... b\"@b.example"},
	{SENDMAIL "6AL3MJgn000018: <\"q\\\\\"q\"@b.example>... User unknown",
	 "rejected id=6AL3MJgn000018 code=5.1.1 to=\"q\\\\\"q\"@b.example"},
	{SENDMAIL "6AL3MJgn000018: n@b.example... User unknown",
	 "rejected id=6AL3MJgn000018 code=5.1.1 to=n@b.example"},
	{SENDMAIL "6AL3MJgn000018: [ID 801593 mail.notice] x", "other"},
	{HOST
	 "sendmail[123]: [ID 801593 mail.notice] 6AL3MJgn000018: <n@b.example>... User unknown",
	 "rejected id=6AL3MJgn000018 code=5.1.1 to=n@b.example"},
	{SENDMAIL "6AL3MJgn000018: <u@x..y>... Invalid host name",
	 "hidden id=6AL3MJgn000018 to=u@x..y"},
	{SENDMAIL "6AL3MJgn000018: Too many recipients", "hidden id=6AL3MJgn000018"},
	{SENDMAIL "6AL3MJgn000018: <-- RCPT TO:<n@b.example>... User unknown", "other"},
	{SENDMAIL "6AL3MJgn000018: --- 550 5.1.1 <n@b.example>... User unknown", "other"},
	{SENDMAIL
	 "6AL3MJgn000018: ruleset=check_rcpt, arg1=<n@b.example>, relay=a.example [192.0.2.1], "
	 "reject=550 5.7.1 <n@b.example>... Relaying denied",
	 "hidden id=6AL3MJgn000018 address=192.0.2.1 host=a.example code=5.7.1 to=n@b.example"},
	{SENDMAIL
	 "6AL3MJgn000018: ruleset=check_rcpt, arg1=<n@b.example>, relay=a.example [192.0.2.1] (may "
	 "be "
	 "forged), reject=550 5.7.1 <n@b.example>... Relaying denied. IP name possibly forged "
	 "[192.0.2.1]",
	 "hidden id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1] code=5.7.1 to=n@b.example"},
	{SENDMAIL "6AL3MJgn000018: ruleset=check_rcpt, arg1=<\"a, relay=[198.51.100.1], "
		  "reject=550\"@b.example>, "
		  "relay=[192.0.2.1], reject=450 4.2.0 <x>... Greylisted",
	 "hidden id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1] code=4.2.0 "
	 "to=\"a, relay=[198.51.100.1], reject=550\"@b.example"},
	{SENDMAIL "6AL3MJgn000018: ruleset=check_rcpt, arg1=n@b.example, relay=[192.0.2.1], "
		  "reject=550 5.1.1 "
		  "n@b.example... no",
	 "hidden id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1] code=5.1.1 to=n@b.example"},
	{SENDMAIL
	 "6AL3MJgn000018: ruleset=check_rcpt, arg1=<n@b.example>, relay=[192.0.2.1], discard",
	 "other"},
	{SENDMAIL
	 "6AL3MJgn000018[1]: ruleset=check_rcpt, arg1=<n@b.example>, relay=[192.0.2.1], reject=550 "
	 "5.7.1 <n@b.example>... long ...",
	 "hidden id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1] code=5.7.1 to=n@b.example"},
	{SENDMAIL "6AL3MJgn000018[2]: ...n@b.example... User unknown", "other"},
	/* What a client says is no queue id. */
	{SENDMAIL "<x[1]: from=<a@b.example>, nrcpts=9, relay=[192.0.2.1]", "other"},
	{SENDMAIL "6AL3MJgn000018: ruleset=check_mail, arg1=<a@b.example>, relay=[192.0.2.1], "
		  "reject=553 5.1.8 "
		  "<a@b.example>... Domain of sender address a@b.example does not exist",
	 "client id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1]"},
	{SENDMAIL "AUTH=server, relay=a.example [192.0.2.1], authid=alice, mech=PLAIN, bits=0",
	 "client address=192.0.2.1 host=a.example authenticated"},
	{SENDMAIL "STARTTLS=server, relay=a.example [192.0.2.1], version=TLSv1.3, verify=NO, "
		  "cipher=x, bits=256/256",
	 "client address=192.0.2.1 host=a.example"},
	{SENDMAIL
	 "STARTTLS=client, relay=mx.example., version=TLSv1.3, verify=FAIL, cipher=x, bits=256/256",
	 "other"},
	{SENDMAIL
	 "6AL3MJgn000018: from=<a@b.example>, size=22, class=0, nrcpts=3, "
	 "msgid=<1@mx.example.test>, proto=ESMTP, daemon=MTA, relay=mail.b.example [192.0.2.1]",
	 "queued id=6AL3MJgn000018 address=192.0.2.1 host=mail.b.example from=a@b.example count=3"},
	{SENDMAIL "6AL3MJgn000018: from=<a@b.example>, size=22, class=0, nrcpts=1, msgid=<1@x>, "
		  "proto=ESMTPSA, daemon=MTA, relay=[192.0.2.1]",
	 "queued id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1] from=a@b.example count=1 "
	 "authenticated"},
	{SENDMAIL "6AL3MJgn000018: from=<>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, "
		  "relay=[192.0.2.1]",
	 "queued id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1] from= count=0"},
	{SENDMAIL
	 "6AL3MJgn000018: from=<a@b.example>, size=22, class=0, nrcpts=1, msgid=<x, proto=ESMTPA, "
	 "relay=[198.51.100.1]>, proto=ESMTP, daemon=MTA, relay=localhost [IPv6:0:0:0:0:0:0:0:1]",
	 "queued id=6AL3MJgn000018 address=0:0:0:0:0:0:0:1 host=localhost from=a@b.example "
	 "count=1"},
	{SENDMAIL
	 "6AL3MJgn000018: from=<\"a>, size=1, class=0, nrcpts=7, \"@b.example>, size=22, class=0, "
	 "nrcpts=1, relay=[192.0.2.1]",
	 "queued id=6AL3MJgn000018 address=192.0.2.1 host=[192.0.2.1] from=\"a>, size=1, class=0, "
	 "nrcpts=7, "
	 "\"@b.example count=1"},
	{SENDMAIL "k18IwuI5002124: from=root, size=26949, class=0, nrcpts=1, msgid=<x@tar>, "
		  "relay=root@localhost",
	 "queued id=k18IwuI5002124 from=root count=1"},
	{SENDMAIL "6AL3MJgn000018: from=<a@b.example>, si", "unreadable"},
	{SENDMAIL "6AL3MJgn000018: to=<a@b.example>, delay=00:00:00, xdelay=00:00:00, "
		  "mailer=local, pri=30306, "
		  "dsn=2.0.0, stat=Sent",
	 "recipient id=6AL3MJgn000018 to=a@b.example"},
	{SENDMAIL
	 "6AL3MJgn000018: to=<a@b.example>,<\"c, delay=d\"@b.example>, delay=00:00:01, "
	 "mailer=esmtp, "
	 "pri=60306, relay=mx.b.example. [192.0.2.9], dsn=4.0.0, stat=Deferred: Connection refused",
	 "recipient id=6AL3MJgn000018 to=a@b.example to=\"c, delay=d\"@b.example"},
	{SENDMAIL "6AL3MJgn000018: to=<a@b.example>,<c@b.example> [more], delay=00:00:01, "
		  "mailer=esmtp, stat=Sent",
	 "recipient id=6AL3MJgn000018 to=a@b.example to=c@b.example"},
	{SENDMAIL
	 "6AL3MJgn000018: to=<a@b.example>, ctladdr=<www@mx.example> (33/33), delay=00:00:01, "
	 "mailer=esmtp, pri=30306, relay=x. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)",
	 "recipient id=6AL3MJgn000018 to=a@b.example"},
	{SENDMAIL
	 "6AL3MJgn000018: to=/dev/null, ctladdr=<good1@b.example> (65534/0), delay=00:00:00, "
	 "mailer=*file*, pri=30306, dsn=2.0.0, stat=Sent",
	 "recipient id=6AL3MJgn000018 to=good1@b.example"},
	{SENDMAIL
	 "k18IwuI5002124: to=a@b.example,c, ctladdr=root (0/0), delay=00:00:00, mailer=relay, "
	 "pri=30127, relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, stat=Sent (ok)",
	 "recipient id=k18IwuI5002124 to=a@b.example to=c"},
	{SENDMAIL "6AL3MMTX000027: to=<a@b.example>, delay=00:00:00, pri=0, stat=aborted by sender",
	 "recipient id=6AL3MMTX000027 to=a@b.example"},
	{SENDMAIL "6AL3MMTX000027: to=<a@b.exam", "unreadable"},
	{SENDMAIL
	 "6AL3MMTX000027: Milter: to=<a@b.example>, reject=451 4.7.1 Greylisting in action",
	 "hidden id=6AL3MMTX000027 code=4.7.1 to=a@b.example"},
	{SENDMAIL "6AL3MMTX000027: Milter: to=<a@b.example>, reject=421 4.7.0 too many", "other"},
	{SENDMAIL "6AL3MMTX000027: 6AL3MMTY000027: DSN: User unknown", "other"},
	{SENDMAIL "6AL3MMTX000027: [192.0.2.1]: VRFY nobody... User unknown", "other"},
	{SENDMAIL "6AL3MMTX000027: alias <a@b.example> => /dev/null", "other"},
	{SENDMAIL "starting daemon (8.17.1.9): SMTP", "other"},
	{SENDMAIL, "unreadable"},
};

static void sendmail_lines_are_read(void **state)
{
	(void)state;
	line_rows_check(sendmail_rows, COUNT(sendmail_rows), MAILLOG_SENDMAIL);
}

static void mauled_sendmail_lines_are_harmless(void **state)
{
	(void)state;
	line_rows_maul(sendmail_rows, COUNT(sendmail_rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sendmail_lines_are_read),
		cmocka_unit_test(mauled_sendmail_lines_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
