/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What became of a RCPT: reads the MTA's {rcpt_mailer} and {rcpt_host}, weighs RFC 3463 codes.
 * Pure.
 */
#ifndef TARPIT_JUDGE_REJECTION_H
#define TARPIT_JUDGE_REJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 3463 enhanced status code: class 2, 4 or 5; subject and detail 0 to 999. */
struct dsn {
	uint16_t class, subject, detail;
};

/* "5.999.999" and its NUL. */
#define DSN_TEXT_MAX 12

enum rejection_outcome {
	RCPT_UNKNOWN,	/* the MTA does not say; neither good nor bad */
	RCPT_ACCEPTED,
	RCPT_REJECTED,	/* 5.x.x */
	RCPT_REFUSED,	/* 4.x.x, as of greylisting; neither good nor bad but for soft offences */
};

/* A pattern of RFC 3463 codes of one class; -1 in subject or detail matches any. */
struct offence {
	int16_t subject, detail;
	uint16_t weight;	/* hundredths, to OFFENCE_WEIGHT_MAX */
	bool is_soft;		/* of class 4, else of class 5 */
};

#define OFFENCE_WEIGHT_MAX 1000

char *dsn_format(const struct dsn *code, char *text);

/*
 * mailer and host are the macros' values, NULL if absent. Fills code for RCPT_REJECTED and
 * RCPT_REFUSED. As measured with Postfix 3.7 and 3.10 and Sendmail 8.17: a rejected recipient's
 * mailer is "error" and its host the code; an accepted address of a Postfix virtual alias domain
 * has that mailer, too, but text after the code. Sendmail 8.18 gives no code; as 8.17 it shows only
 * unknown users, 5.1.1.
 */
enum rejection_outcome rejection_classify(const char *mailer, const char *host, bool is_sendmail,
				struct dsn *code);

/* "5.1.1 1", "5.*.* 0.25"; "4.7.1 1" if it is to be soft. False with the reason in error. */
bool offence_parse(const char *text, bool is_soft, struct offence *offence, char *error,
		   size_t size);
/* The weight in hundredths of the first row that matches; 0 if none does. */
unsigned offence_weight(const struct offence *offences, size_t count, const struct dsn *code);

/*
 * Whether a rejection says that the domain has no such mailbox, and not that the sender,
 * the client or the form of the address will not do, which the client can bring about at will.
 */
bool rejection_is_of_mailbox(const struct dsn *code);

/* {nbadrcpts}: 0 to 100000; false for NULL, and for anything else. */
bool rejection_count_parse(const char *text, unsigned *count);

#endif
