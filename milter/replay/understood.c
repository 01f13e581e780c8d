/* SPDX-License-Identifier: BSD-2-Clause */
/* Says which line could not be understood, and what to do about such lines. */
#include "understood.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "maillog/timestamp.h"
#include "source.h"

#define PLAIN_LOG "give it as `LC_ALL=C journalctl -o short-iso | tarpitctl replay -`"

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *hint_for(const struct replay_lines *lines)
{
	const char *sample = lines->sample;

	if (maillog_timestamp_length(sample, strlen(sample)) > 0)
		return "it has a time stamp, but is cut, or not of Postfix (as postfix/smtpd) or "
		       "Sendmail";
	if (lines->sample_kind == REPLAY_SAMPLE_FOREIGN)
		return "the month is in a language that is not read: " PLAIN_LOG;
	if (sample[0] == '{' || sample[0] == '}')
		return "JSON is read as `journalctl -o json` and Docker's json-file write it, an "
		       "entry "
		       "a line";
	if (sample[0] == '[')
		return "it counts seconds from the start of the machine: " PLAIN_LOG;
	if (begins(sample, "__CURSOR=") || begins(sample, "connect from ") ||
	    begins(sample, "NOQUEUE: "))
		return "it has no time stamp: " PLAIN_LOG;
	return "no time stamp that is known; of a journal " PLAIN_LOG;
}

enum replay_understood replay_understood(const struct replay_lines *lines, char *text, size_t size)
{
	uint64_t filled = lines->read - lines->blank;

	if (filled == 0) {
		snprintf(text, size, "the log is empty: there is nothing in it%s",
			 lines->blank > 0 ? " but blank lines and remarks of journalctl" : "");
		return REPLAY_NOTHING;
	}
	if (lines->of_mta == 0) {
		snprintf(text, size,
			 "none of %" PRIu64 " line%s could be understood; %s:%" PRIu64
			 ": \"%s\": %s",
			 filled, filled == 1 ? "" : "s", replay_source_name(lines->sample_path),
			 lines->sample_number, lines->sample, hint_for(lines));
		return REPLAY_NOTHING;
	}
	if (lines->service != NULL && lines->of_service == 0) {
		snprintf(text, size,
			 "no session is of the service %s; the log has it before \"/smtpd\"",
			 lines->service);
		return REPLAY_NOTHING;
	}
	if (lines->unreadable <= filled / 2 && lines->sample_kind != REPLAY_SAMPLE_FOREIGN)
		return REPLAY_MOST;
	snprintf(text, size,
		 "warning: only %" PRIu64 " of %" PRIu64 " lines could be understood; %s:%" PRIu64
		 ": \"%s\": %s",
		 filled - lines->unreadable, filled, replay_source_name(lines->sample_path),
		 lines->sample_number, lines->sample, hint_for(lines));
	return REPLAY_LITTLE;
}
