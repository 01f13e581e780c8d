/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells Postfix from Sendmail by the macros that each sends, whatever name it goes by. */
#include "judge/mta_kind.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct {
	enum mta_kind kind;
	const char *text;
} findings[MTA_FINDINGS] = {
	[MTA_NOT_SEEN] = {MTA_UNKNOWN, "no session yet"},
	[MTA_SILENT] = {MTA_UNKNOWN, "it sends no macro that tells it from others"},
	[MTA_CONTRADICTORY] = {MTA_UNKNOWN, "its macros are partly Postfix's, partly Sendmail's"},
	[MTA_LIKE_POSTFIX] = {MTA_POSTFIX, "it sends {client_connections} without {client_rate}, "
					   "and a name in {v}"},
	[MTA_LIKE_SENDMAIL] = {MTA_SENDMAIL, "it sends {client_rate} or {daemon_family}, and no "
					     "name in {v}"},
	[MTA_COUNTS_BAD] = {MTA_SENDMAIL, "it sends {nbadrcpts}"},
	[MTA_SET_POSTFIX] = {MTA_POSTFIX, "the configuration says so"},
	[MTA_SET_SENDMAIL] = {MTA_SENDMAIL, "the configuration says so"},
};

static bool is_told(const char *macro)
{
	return macro != NULL && *macro != '\0';
}

/*
 * Sendmail's {v} is "8.17.1.9"; Postfix's is "NAME VERSION", and either may have been changed, or
 * left out.
 */
static bool is_bare_version(const char *text)
{
	return *text >= '0' && *text <= '9' && strchr(text, ' ') == NULL;
}

/*
 * Of these macros, all of which are asked for, Postfix (3.7, 3.10) has {client_connections} alone,
 * and Sendmail (8.17, 8.18) all. Postfix's milter_macro_v and milter_macro_defaults can change what
 * it sends: so what does not fit together is nobody's.
 */
enum mta_finding mta_find(enum mta_kind configured, const struct mta_signs *signs)
{
	bool has_version = is_told(signs->version);
	bool is_bare = has_version && is_bare_version(signs->version);

	if (configured != MTA_UNKNOWN)
		return configured == MTA_POSTFIX ? MTA_SET_POSTFIX : MTA_SET_SENDMAIL;
	if (is_told(signs->rate) || is_told(signs->family))
		return has_version && !is_bare ? MTA_CONTRADICTORY : MTA_LIKE_SENDMAIL;
	if (!has_version || !is_told(signs->connections))
		return MTA_SILENT;
	return is_bare ? MTA_CONTRADICTORY : MTA_LIKE_POSTFIX;
}

enum mta_finding mta_find_more(enum mta_finding finding, const char *bad_count)
{
	if (!is_told(bad_count))
		return finding;
	if (finding == MTA_SILENT)
		return MTA_COUNTS_BAD;
	return finding == MTA_LIKE_POSTFIX ? MTA_CONTRADICTORY : finding;
}

enum mta_kind mta_kind_of(enum mta_finding finding)
{
	return findings[finding].kind;
}

const char *mta_finding_text(enum mta_finding finding)
{
	return findings[finding].text;
}

/*
 * Postfix ignores it. Were it sent where it is ignored, a harvester beyond the limits would go on
 * at full speed, and the 421 that its accepted recipients get would tell them from the others; a
 * wait in its place costs little.
 */
bool mta_heeds_421_at_rcpt(enum mta_kind kind)
{
	return kind == MTA_SENDMAIL;
}

int64_t mta_default_timeout_ms(enum mta_kind kind)
{
	return kind == MTA_POSTFIX ? 30000 : 10000;
}

const char *mta_kind_name(enum mta_kind kind)
{
	return kind == MTA_UNKNOWN ? "unknown" : kind == MTA_POSTFIX ? "postfix" : "sendmail";
}

int mta_kind_named(const char *name)
{
	static const char *const names[] = {"auto", "postfix", "sendmail"};

	for (int kind = MTA_UNKNOWN; kind <= MTA_SENDMAIL; kind++)
		if (strcasecmp(name, names[kind]) == 0)
			return kind;
	return -1;
}
