/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers of each MTA's messages. Pure. */
#ifndef TARPIT_MAILLOG_MTA_H
#define TARPIT_MAILLOG_MTA_H

#include "maillog/line.h"

/*
 * text follows the header of a line. line has host_name, pid and mta already; these set the rest,
 * of which the kind is MAILLOG_OTHER to begin with.
 */
/* service: as for maillog_line_parse_service. */
void maillog_postfix_read(struct span program, struct span text, const char *service,
			  struct maillog_line *line);
/* The line does not name the program: the message tells which it was, but not which service. */
void maillog_postfix_unit_read(struct span text, const char *service, struct maillog_line *line);
void maillog_sendmail_read(struct span text, struct maillog_line *line);

#endif
