/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells which MTA wrote a line, and has that MTA's reader read the message. */
#include "maillog/line.h"

#include "header.h"
#include "maillog/timestamp.h"
#include "mta.h"

static bool is_number(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.text[i] < '0' || text.text[i] > '9')
			return false;
	return text.length > 0;
}

/* "last message repeated 5 times", syslogd's own line; cut, it tells nothing. */
static bool read_repetition(struct span text, unsigned *times)
{
	struct span before, digits;
	uint32_t number;

	if (!span_cut(&text, "last message repeated ", &before) ||
	    !span_cut(&text, " time", &digits) || !is_number(digits))
		return false;
	*times = span_number(&digits, &number) && number < MAILLOG_TIMES_MAX ? number
									     : MAILLOG_TIMES_MAX;
	return true;
}

/* "message repeated 5 times: [ text]" of rsyslog, of which the text is left. */
static void open_repetition(struct span *text, unsigned *times)
{
	struct span rest = *text;
	uint32_t number;

	if (!span_skip(&rest, "message repeated ") || !span_number(&rest, &number) ||
	    !span_skip(&rest, " times: [ "))
		return;
	if (rest.length > 0 && rest.text[rest.length - 1] == ']')
		rest.length--;
	*text = rest;
	*times = number < MAILLOG_TIMES_MAX ? number : MAILLOG_TIMES_MAX;
}

/* Postfix logs as "postfix/smtpd": syslog_name, "/", and the program. */
static bool is_postfix(struct span program)
{
	return memchr(program.text, '/', program.length) != NULL;
}

/* "postfix@-.service", by which `journalctl -o with-unit` names them all. */
static bool is_unit_of_postfix(struct span program)
{
	struct span before;

	return span_cut_last(&program, ".service", &before) && program.length == 0 &&
	       span_cut(&before, "postfix", &program);
}

static bool is_sendmail(struct span program)
{
	return span_skip(&program, "sendmail") || span_skip(&program, "sm-");
}

/* Postfix's daemons, and those of its commands that log. */
static bool is_name_of_postfix(struct span name)
{
	static const char names[] =
		"anvil bounce cleanup discard dnsblog error flush lmtp local master nqmgr oqmgr "
		"pickup pipe post-install postalias postdrop postfix postfix-script "
		"postfix-tls-script postfix-wrapper postkick postlog postlogd postmap postmulti "
		"postqueue postscreen postsuper posttls-finger proxymap qmgr qmqpd scache sendmail "
		"showq smtp smtpd spawn tlsmgr tlsproxy trivial-rewrite verify virtual";
	struct span rest = {names, sizeof(names) - 1}, known;

	while (span_word(&rest, &known))
		if (known.length == name.length && memcmp(known.text, name.text, name.length) == 0)
			return true;
	return false;
}

/*
 * Whether none but an MTA logs under this name. cron may log as "/usr/sbin/cron", Cyrus as
 * "cyrus/master", the NFS status monitor as "sm-notify", Prometheus's exporter from a unit
 * "postfix_exporter.service".
 */
static bool is_name_of_mta(struct span program)
{
	struct span rest = program, before, found;

	if (span_cut_last(&rest, "/", &before))
		return span_cut(&before, "postfix", &found) && is_name_of_postfix(rest);
	if (span_skip(&rest, "postfix"))
		return span_is(rest, ".service") || span_skip(&rest, "@");
	return span_is(rest, "sendmail") || span_skip(&rest, "sm-mta") ||
	       span_skip(&rest, "sm-msp") || span_skip(&rest, "sm-que");
}

/* Docker's drivers for syslog and the journal log a container's line as a message of their own. */
static bool read_header(struct span stamp, struct span *text, struct maillog_header *header)
{
	struct maillog_header outer;
	size_t length;

	if (!maillog_header_read(stamp, text, header))
		return false;
	length = maillog_timestamp_length(text->text, text->length);
	if (length == 0)
		return true;
	outer = *header;
	stamp = span_upto(*text, length);
	*text = span_from(*text, length);
	if (maillog_header_read(stamp, text, header) && header->host_name.text != NULL)
		return true;
	header->host_name = outer.host_name;
	return header->program.text != NULL;
}

void maillog_line_parse(const char *text, size_t length, size_t stamp_length,
			struct maillog_line *line)
{
	maillog_line_parse_service(text, length, stamp_length, NULL, line);
}

void maillog_line_parse_service(const char *text, size_t length, size_t stamp_length,
				const char *service, struct maillog_line *line)
{
	struct span whole = {text, length};
	struct span rest = span_from(whole, stamp_length);
	struct maillog_header header;
	bool has_header = read_header(span_upto(whole, stamp_length), &rest, &header);

	*line = (struct maillog_line){.kind = MAILLOG_OTHER,
				      .host_name = header.host_name,
				      .pid = header.pid,
				      .times = 1};
	/* Where syslogd's own line has a tag, as on FreeBSD, that is "syslogd". */
	if (!has_header || span_is(header.program, "syslogd")) {
		line->is_repetition = read_repetition(span_from(whole, stamp_length), &line->times);
		if (!has_header && !line->is_repetition)
			line->kind = MAILLOG_UNREADABLE;
		return;
	}
	open_repetition(&rest, &line->times);
	if (is_unit_of_postfix(header.program)) {
		line->mta = MAILLOG_POSTFIX;
		maillog_postfix_unit_read(rest, service, line);
	} else if (is_postfix(header.program)) {
		line->mta = MAILLOG_POSTFIX;
		maillog_postfix_read(header.program, rest, service, line);
	} else if (is_sendmail(header.program)) {
		line->mta = MAILLOG_SENDMAIL;
		maillog_sendmail_read(rest, line);
	} else {
		return;
	}
	line->is_of_mta = line->kind != MAILLOG_OTHER || is_name_of_mta(header.program);
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
