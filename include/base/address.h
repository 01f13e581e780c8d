/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Envelope addresses as a client may spell them, and the one form that they are compared in. Pure.
 */
#ifndef TARPIT_BASE_ADDRESS_H
#define TARPIT_BASE_ADDRESS_H

#include <stdbool.h>

/* Longest address that RFC 5321 4.5.3.1 allows and then some, and its NUL; longer ones are cut. */
#define ADDRESS_TEXT_MAX 512

struct address {
	/*
	 * In lower case. Of a plain address the normal form: without angle brackets, comments,
	 * blanks, source route, quotes and the last dot of the domain. Of any other address what
	 * the client wrote, but for a pair of angle brackets: MTAs read such an address in
	 * different ways.
	 */
	char text[ADDRESS_TEXT_MAX];
	/*
	 * The address is a local part, alone or with a host name or an [address literal], and
	 * nothing in them that an MTA would interpret: no %, no !, once unquoted no special
	 * character and no blank. Its text is whole.
	 */
	bool is_plain;
	bool is_whole; /* text is the whole address */
};

/* argument is that of MAIL or RCPT, or an address without angle brackets. */
void address_parse(const char *argument, struct address *address);
/*
 * The mailbox that an address names: its local part ends before the first of these delimiters,
 * unless one begins it. False if the same mailbox may have spellings that are not known here: a
 * client must gain nothing by spelling it in many ways.
 */
bool address_mailbox(const struct address *address, const char *delimiters, struct address *mailbox);
/* The domain of an address: empty if it has none. */
const char *address_domain(const struct address *address);

#endif
