/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a line of a mail log of Postfix (2.6 to 3.10) or Sendmail (8.14 to 8.18). Pure. */
#ifndef TARPIT_MAILLOG_LINE_H
#define TARPIT_MAILLOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maillog/span.h"

/* How many repetitions one line may tell of at most: no session has more recipients refused. */
#define MAILLOG_TIMES_MAX 1000

enum maillog_mta { MAILLOG_POSTFIX, MAILLOG_SENDMAIL };

/*
 * What a line tells, and which members of struct maillog_line have it. Where a kind has "address"
 * it has host too, and that address is the client's at this line: XCLIENT changes the client within
 * a Postfix session, and Postfix logs no line for it.
 *
 * A Sendmail session at the usual LogLevel 9 logs no line as it begins; REJECTED (without address),
 * HIDDEN and CLIENT under its process id; QUEUED, with the address, as each transaction ends, be it
 * by RSET or as the client hangs up; and none as the session ends after a mail. At LogLevel 10 the
 * session begins with CONNECT.
 */
enum maillog_kind {
	MAILLOG_OTHER,		/* a log's line of which a milter would have seen nothing */
	MAILLOG_UNREADABLE,	/* no log's line, or an MTA's line that is cut or garbled */
	/* of a Postfix service for the site's own users, or not asked for */
	MAILLOG_SUBMISSION,
	MAILLOG_CONNECT,	/* address */
	/*
	 * The process's session has ended: address. Postfix: authenticated since 3.0. Sendmail:
	 * QUEUED may follow, and in_mail tells what it does of LOST.
	 */
	MAILLOG_DISCONNECT,
	/*
	 * Postfix only: the client hung up without QUIT, or was silent for too long: address,
	 * in_mail. DISCONNECT follows.
	 */
	MAILLOG_LOST,
	/*
	 * A recipient was refused, and a milter saw it at RCPT: recipient, code. Postfix: sender,
	 * address, and authenticated since 3.10.
	 */
	MAILLOG_REJECTED,
	/*
	 * A recipient was refused before Sendmail told its milters, who only see {nbadrcpts}, the
	 * number of these and of REJECTED: code, which may be 4.x.x; recipient and address, each of
	 * which may be missing.
	 */
	MAILLOG_HIDDEN,
	/*
	 * The client: address, authenticated. With a queue_id the client of that message (Postfix),
	 * or of the session's first message (Sendmail); without one (Sendmail, and Postfix with a
	 * smtpd_proxy_filter) the client of the process's session.
	 */
	MAILLOG_CLIENT,
	/*
	 * A message was queued: sender, count recipients accepted. Postfix logs it again at each
	 * attempt to deliver, and counts what aliases expand to. Sendmail logs it once a
	 * transaction, with count 0 too: address, which mail that did not come by SMTP has none of,
	 * and authenticated.
	 */
	MAILLOG_QUEUED,
	/*
	 * A recipient that was accepted, now delivered, deferred (again and again) or bounced: the
	 * address as the client wrote it, if the line tells. others: further recipients, for
	 * maillog_line_next_recipient.
	 */
	MAILLOG_RECIPIENT,
	MAILLOG_REMOVED,	/* Postfix only: queue_id has left the queue */
};

/*
 * Spans point into the line, but for a code that the line only implies. Of OTHER, UNREADABLE and
 * SUBMISSION nothing but the kind and the last three members has a meaning.
 */
struct maillog_line {
	enum maillog_kind kind;
	enum maillog_mta mta;
	struct span host_name;	/* the machine that logged the line */
	uint32_t pid;		/* 0: the line has none */
	struct span queue_id;	/* none for NOQUEUE */
	struct span address;	/* the client's, without brackets, "IPv6:"; none for "unknown" */
	struct span host;	/* its verified name; else "unknown" or (Sendmail) "[address]" */
	struct span code;	/* enhanced status code (RFC 3463): "5.1.1" */
	struct span sender, recipient;	/* without brackets; a null sender has text and length 0 */
	struct span others;
	unsigned count;
	bool authenticated;	/* by SMTP AUTH; a client certificate is not told */
	bool aborted;		/* a QUEUED of Sendmail whose message never came */
	/* lost after MAIL, RCPT or DATA (BDAT), the last command that came */
	bool in_mail;
	/* Postfix or Sendmail has logged it: of OTHER, only where the program's name says so. */
	bool is_of_mta;
	/* OTHER, syslogd's line: the one before it in the file was logged `times` more times. */
	bool is_repetition;
	unsigned times;		/* else 1, or as often as rsyslog says that it was logged */
};

/*
 * text is a line without its end, of any bytes, and may be cut anywhere. The time stamp, which
 * maillog_timestamp_read has read already, is its first stamp_length bytes.
 */
void maillog_line_parse(const char *text, size_t length, size_t stamp_length,
			struct maillog_line *line);
/*
 * The same, with those sessions of Postfix only whose service is so named: "submission-haproxy" and
 * "postfix/submission-haproxy" log as postfix/submission-haproxy/smtpd, "postfix" as postfix/smtpd.
 * A line that names Postfix's unit, and no program, is of none of them. NULL: of all but those for
 * the site's own users.
 */
void maillog_line_parse_service(const char *text, size_t length, size_t stamp_length,
				const char *service, struct maillog_line *line);
/* Takes the first recipient off others. False if there is none left. */
bool maillog_line_next_recipient(struct span *others, struct span *recipient);

#endif
