/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a line of a mail log of Postfix (2.6 to 3.10) or Sendmail (8.14 to 8.18). Pure. */
#ifndef TARPIT_MAILLOG_LINE_H
#define TARPIT_MAILLOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of a line, not NUL-terminated; text is NULL where the line does not have it. */
struct span {
	const char *text;
	size_t length;
};

enum maillog_mta { MAILLOG_POSTFIX, MAILLOG_SENDMAIL };

/*
 * "address" below is always with host. Where a line has one it is the truth for that line: XCLIENT
 * changes it within a Postfix session without a line of its own.
 *
 * A Sendmail session at its usual LogLevel 9 looks like this: no line as it begins; REJECTED (no
 * address), HIDDEN and CLIENT under its process id; QUEUED, with the address, as each transaction
 * ends, be it by RSET or a hang-up; none as it ends after a mail. At LogLevel 10 it begins with
 * CONNECT.
 */
enum maillog_kind {
	MAILLOG_OTHER,		/* a log's line that says nothing to us */
	MAILLOG_UNREADABLE,	/* no log's line, or a mail program's that is cut or garbled */
	MAILLOG_SUBMISSION,	/* of a service of Postfix's for the site's own users */
	MAILLOG_CONNECT,	/* address */
	/*
	 * Of the process's session: address. Postfix: authenticated since 3.0. Sendmail: QUEUED may
	 * follow.
	 */
	MAILLOG_DISCONNECT,
	/*
	 * A milter sees it at RCPT: recipient, code. Postfix: sender, address, and authenticated
	 * since 3.10.
	 */
	MAILLOG_REJECTED,
	/*
	 * The same, but Sendmail's milters only see a number: code, 4.x.x too, which {nbadrcpts}
	 * counts as well; recipient and address, some or all of which may be missing.
	 */
	MAILLOG_HIDDEN,
	/*
	 * Who the client is: address, authenticated. With queue_id of that message (Postfix), or
	 * of its first (Sendmail); without one (Sendmail, and Postfix with a smtpd_proxy_filter)
	 * of the process's session.
	 */
	MAILLOG_CLIENT,
	/*
	 * sender, count recipients accepted. Postfix: again at each attempt to deliver, and
	 * aliases are counted expanded. Sendmail: address, none for mail that did not come by
	 * SMTP, and authenticated; once a transaction, 0 too.
	 */
	MAILLOG_QUEUED,
	/*
	 * A recipient that was accepted: delivered, deferred (again and again) or bounced later.
	 * The address is what the client wrote, if the line tells. others: more of them, for
	 * maillog_line_next_recipient.
	 */
	MAILLOG_RECIPIENT,
	MAILLOG_REMOVED,	/* queue_id has left the queue; Postfix only */
};

/*
 * Spans point into the line, but for a code that is implied. Of OTHER, UNREADABLE and SUBMISSION
 * nothing but the kind counts.
 */
struct maillog_line {
	enum maillog_kind kind;
	enum maillog_mta mta;
	struct span host_name;	/* the machine that logged it */
	uint32_t pid;		/* 0: the line has none */
	struct span queue_id;	/* none for NOQUEUE */
	struct span address;	/* the client's, without brackets and "IPv6:"; none for "unknown" */
	struct span host;	/* its verified name; else "unknown" or (Sendmail) "[address]" */
	struct span code;	/* enhanced status code; "5.1.1" */
	struct span sender, recipient;	/* without brackets; a null sender has text and length 0 */
	struct span others;
	unsigned count;
	bool authenticated;
	bool aborted;		/* of a QUEUED of Sendmail: the message never came */	/* SMTP AUTH; a client certificate is not told */
};

/*
 * line is without its line end, may hold any bytes, and may be cut anywhere. The time stamp,
 * already read by stamps, is its first stamp_length bytes.
 */
void maillog_line_parse(const char *line, size_t length, size_t stamp_length, struct maillog_line *parsed);
/* Takes the next one off others. False if there is none. */
bool maillog_line_next_recipient(struct span *others, struct span *recipient);

#endif
