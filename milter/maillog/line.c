/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells which MTA wrote a line, and has that MTA's reader read the message. */
#include "maillog/line.h"

#include "header.h"
#include "mta.h"

/* syslogd's own line, which has no tag. */
static bool tells_repetition(struct span text)
{
	struct span before;

	return span_cut(&text, "last message repeated ", &before);
}

/* Postfix logs as "postfix/smtpd": syslog_name, "/", and the program. */
static bool is_postfix(struct span program)
{
	return memchr(program.text, '/', program.length) != NULL;
}

static bool is_sendmail(struct span program)
{
	return span_skip(&program, "sendmail") || span_skip(&program, "sm-");
}

void maillog_line_parse(const char *text, size_t length, size_t stamp_length,
			struct maillog_line *line)
{
	struct span whole = {text, length};
	struct span rest = span_from(whole, stamp_length);
	struct maillog_header header;
	bool has_header = maillog_header_read(span_upto(whole, stamp_length), &rest, &header);

	*line = (struct maillog_line){
		.kind = MAILLOG_OTHER, .host_name = header.host_name, .pid = header.pid};
	if (!has_header) {
		if (!tells_repetition(span_from(whole, stamp_length)))
			line->kind = MAILLOG_UNREADABLE;
	} else if (is_postfix(header.program)) {
		line->mta = MAILLOG_POSTFIX;
		maillog_postfix_read(header.program, rest, line);
	} else if (is_sendmail(header.program)) {
		line->mta = MAILLOG_SENDMAIL;
		maillog_sendmail_read(rest, line);
	}
}

bool maillog_line_next_recipient(struct span *others, struct span *recipient)
{
	if (others->text == NULL || others->length == 0)
		return false;
	if (span_address(others, recipient)) {
		span_skip(others, ",");
	} else if (!span_cut(others, ",", recipient)) {
		*recipient = *others;
		*others = span_from(*others, others->length);
	}
	return true;
}
