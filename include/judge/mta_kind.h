/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which MTA this is, found by what it tells a filter, and what that MTA does with a filter's
 * answers. Pure.
 */
#ifndef TARPIT_JUDGE_MTA_KIND_H
#define TARPIT_JUDGE_MTA_KIND_H

#include <stdbool.h>
#include <stdint.h>

enum mta_kind { MTA_UNKNOWN, MTA_POSTFIX, MTA_SENDMAIL };

/* How the kind was found. */
enum mta_finding {
	MTA_NOT_SEEN,		/* no session yet */
	MTA_SILENT,		/* it tells nothing to go by */
	MTA_CONTRADICTORY,	/* it does as one of the two, and also as the other */
	MTA_LIKE_POSTFIX,
	MTA_LIKE_SENDMAIL,
	MTA_COUNTS_BAD,		/* {nbadrcpts}: Sendmail */
	MTA_SET_POSTFIX,	/* by the configuration */
	MTA_SET_SENDMAIL,
	MTA_FINDINGS
};

/* Macros at connect, of those that were asked for; NULL: not sent. */
struct mta_signs {
	const char *version;		/* {v} */
	const char *connections;	/* {client_connections} */
	const char *rate;		/* {client_rate} */
	const char *family;		/* {daemon_family} */
};

/* At connect. configured is MTA_UNKNOWN where the configuration leaves that open. */
enum mta_finding mta_find(enum mta_kind configured, const struct mta_signs *signs);
/* At a recipient: {nbadrcpts}, or NULL. */
enum mta_finding mta_find_more(enum mta_finding finding, const char *bad_count);

enum mta_kind mta_kind_of(enum mta_finding finding);
/* A sentence for people. */
const char *mta_finding_text(enum mta_finding finding);

/*
 * Whether a 421 at a recipient that the MTA rejects anyway closes the session. If in doubt it does
 * not.
 */
bool mta_heeds_421_at_rcpt(enum mta_kind kind);
/*
 * How long the MTA waits for a filter's answer to a command by default. If in doubt the shortest of
 * them.
 */
int64_t mta_default_timeout_ms(enum mta_kind kind);

/* "postfix", "sendmail"; MTA_UNKNOWN is "unknown". */
const char *mta_kind_name(enum mta_kind kind);
/* "auto" (MTA_UNKNOWN), "postfix", "sendmail"; -1: no such name. */
int mta_kind_named(const char *name);

#endif
