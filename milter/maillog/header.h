/* SPDX-License-Identifier: BSD-2-Clause */
/* What syslog or the journal put between the time stamp and the message of a program. Pure. */
#ifndef TARPIT_MAILLOG_HEADER_H
#define TARPIT_MAILLOG_HEADER_H

#include "maillog/span.h"

struct maillog_header {
	struct span host_name;	/* the machine that logged the line */
	struct span program;	/* "postfix/smtpd" */
	uint32_t pid;		/* 0: the line has none */
};

/*
 * stamp is the line's time stamp with all before it, and text what follows the stamp: the header is
 * taken off text. False if there is no header, and then text is no longer of use.
 */
bool maillog_header_read(struct span stamp, struct span *text, struct maillog_header *header);

#endif
