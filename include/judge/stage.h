/* SPDX-License-Identifier: BSD-2-Clause */
/* The stages of an SMTP session at which a client may be stalled. */
#ifndef TARPIT_JUDGE_STAGE_H
#define TARPIT_JUDGE_STAGE_H

enum stage { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT, STAGE_DATA, STAGE_COUNT };

/* "connect", "mail" ...; and as the log has it, "CONNECT". */
const char *stage_name(enum stage stage);
const char *stage_log_name(enum stage stage);

#endif
