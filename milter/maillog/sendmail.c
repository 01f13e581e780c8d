/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what Sendmail logs of sessions, transactions and deliveries. */
#include "mta.h"

/* RFC 3463: bad destination mailbox address. */
#define UNKNOWN_USER "5.1.1"

/*
 * "name [address]", "user@name [IPv6:address] (may be forged)" or "[address]". False if there is no
 * address in it.
 */
static bool read_relay(struct span relay, struct maillog_line *line)
{
	struct span rest = relay;
	struct span name, address, user;

	if (!span_cut(&rest, "[", &name) || !span_cut(&rest, "]", &address))
		return false;
	line->host = span_upto(span_from(relay, name.length), address.length + 2);
	span_skip(&address, "IPv6:");
	line->address = address;
	if (name.length < 2 || name.text[name.length - 1] != ' ' ||
	    span_skip(&rest, " (may be forged)"))
		return address.length > 0;
	name.length--;
	/* The user is what the client's own ident server says (RFC 1413), and may hold any "@". */
	span_cut_last(&name, "@", &user);
	line->host = name;
	return address.length > 0;
}

/* A relay that ends where end begins, or with the line. */
static bool read_relay_upto(struct span text, const char *end, struct maillog_line *line)
{
	struct span relay;

	if (!span_cut(&text, end, &relay))
		relay = text;
	return read_relay(relay, line);
}

/*
 * For an address of which span_address does not see the end, since Sendmail writes each backslash
 * twice.
 */
static struct span without_brackets(struct span address)
{
	if (span_skip(&address, "<") && address.length > 0 &&
	    address.text[address.length - 1] == '>')
		address.length--;
	return address;
}

/* "<user@example.com>, relay=name [address], reject=550 5.7.1 text" of check_rcpt. */
static enum maillog_kind read_check_rcpt(struct span text, struct maillog_line *line)
{
	struct span rest = text;
	struct span relay, argument;

	if (!span_address(&rest, &line->recipient) || !span_skip(&rest, ", ")) {
		rest = text;
		if (!span_cut(&rest, ", ", &argument))
			return MAILLOG_UNREADABLE;
		line->recipient = without_brackets(argument);
	}
	if (span_skip(&rest, "relay=")) {
		if (!span_cut(&rest, ", ", &relay))
			return MAILLOG_UNREADABLE;
		read_relay(relay, line);
	}
	/* Sendmail 8.18 writes "tempfail=" for 4xx. "discard" and "quarantine=" refuse nothing. */
	if (!span_skip(&rest, "reject=") && !span_skip(&rest, "tempfail="))
		return MAILLOG_OTHER;
	line->code = span_code(rest);
	return MAILLOG_HIDDEN;
}

static enum maillog_kind read_ruleset(struct span text, struct maillog_line *line)
{
	struct span before;

	if (span_skip(&text, "check_rcpt, arg1="))
		return read_check_rcpt(text, line);
	if (span_cut_last(&text, ", relay=", &before) && read_relay_upto(text, ", ", line))
		return MAILLOG_CLIENT;
	return MAILLOG_OTHER;
}

/* RFC 3848: ESMTPA and ESMTPSA are with AUTH; RFC 6531: UTF8SMTPA and UTF8SMTPSA. */
static bool ends_in_a(struct span protocol)
{
	return protocol.length > 0 && protocol.text[protocol.length - 1] == 'A';
}

/* "<sender>, size=22, class=0, nrcpts=3, msgid=<...>, proto=ESMTP, relay=name [address]" */
static enum maillog_kind read_transaction(struct span text, struct maillog_line *line)
{
	struct span rest = text;
	struct span before;
	uint32_t size;

	if (!span_address(&rest, &line->sender) || !span_skip(&rest, ", size=")) {
		rest = text;
		if (!span_cut(&rest, ", size=", &line->sender))
			return MAILLOG_UNREADABLE;
		line->sender = without_brackets(line->sender);
	}
	/* A message that came, though empty, has a message id of Sendmail's own making. */
	line->aborted = span_number(&rest, &size) && size == 0 &&
			memmem(rest.text, rest.length, ", msgid=", 8) == NULL;
	if (!span_cut(&rest, ", nrcpts=", &before) || !span_number(&rest, &line->count))
		return MAILLOG_UNREADABLE;
	if (span_cut_last(&rest, ", relay=", &before)) {
		read_relay(rest, line);
		line->authenticated = span_cut_last(&before, ", proto=", &rest) &&
				      span_cut(&before, ",", &rest) && ends_in_a(rest);
	}
	return MAILLOG_QUEUED;
}

/*
 * "<a@example.com>,<b@example.com>, ctladdr=<c@example.com> (1/1), delay=00:00:00, ..., stat=Sent"
 */
static enum maillog_kind read_delivery(struct span text, struct maillog_line *line)
{
	struct span rest = text;
	struct span controlling, before;

	while (span_address(&rest, &before) && rest.length > 1 && rest.text[1] == '<')
		span_skip(&rest, ",");
	if (!span_cut(&rest, ", delay=", &before))
		return MAILLOG_UNREADABLE;
	line->others = span_upto(text, (size_t)(before.text - text.text) + before.length);
	controlling = line->others;
	if (span_cut(&controlling, ", ctladdr=", &before))
		line->others = before;
	else
		controlling = (struct span){0};
	/*
	 * What an alias expands to is logged without brackets, and ctladdr is then the alias, which
	 * the client wrote. Beside an address in brackets ctladdr may be the sender.
	 */
	if (text.text[0] != '<' && span_address(&controlling, &line->recipient)) {
		line->others = (struct span){0};
		return MAILLOG_RECIPIENT;
	}
	if (span_cut(&line->others, " [more]", &before))
		line->others = before;
	return maillog_line_next_recipient(&line->others, &line->recipient) ? MAILLOG_RECIPIENT
									    : MAILLOG_UNREADABLE;
}

/*
 * "<user@example.com>, reject=451 4.7.1 text": another milter's refusal, which {nbadrcpts} counts
 * too, unless it is a 421, which ends the session.
 */
static enum maillog_kind read_filter(struct span text, struct maillog_line *line)
{
	if (!span_address(&text, &line->recipient) || !span_skip(&text, ", reject=") ||
	    span_skip(&text, "421 "))
		return MAILLOG_OTHER;
	line->code = span_code(text);
	return MAILLOG_HIDDEN;
}

/* "<address>... User unknown", or another reason: Sendmail's server logs such at RCPT only. */
static enum maillog_kind read_error(struct span text, struct maillog_line *line)
{
	struct span rest = text;

	if (span_is(text, "Too many recipients"))
		return MAILLOG_HIDDEN;
	if (!span_address(&rest, &line->recipient) || !span_skip(&rest, "... ")) {
		rest = text;
		if (!span_cut_last(&rest, "... ", &line->recipient))
			return MAILLOG_OTHER;
		if (text.text[0] != '<' &&
		    (!span_is(rest, "User unknown") ||
		     memchr(line->recipient.text, ' ', line->recipient.length) != NULL))
			return MAILLOG_OTHER;
		line->recipient = without_brackets(line->recipient);
	}
	if (!span_is(rest, "User unknown"))
		return MAILLOG_HIDDEN;
	line->code = (struct span){UNKNOWN_USER, sizeof(UNKNOWN_USER) - 1};
	return MAILLOG_REJECTED;
}

/* "name [address] to MTA after rcpt" */
static enum maillog_kind read_loss(struct span text, struct maillog_line *line)
{
	struct span relay, before;

	if (!span_cut(&text, " to ", &relay) || !read_relay(relay, line))
		return MAILLOG_UNREADABLE;
	line->in_mail = span_cut_last(&text, " after ", &before) &&
			(span_is(text, "mail") || span_is(text, "rcpt") || span_is(text, "data"));
	return MAILLOG_DISCONNECT;
}

static enum maillog_kind read_end(struct span text, struct maillog_line *line)
{
	struct span relay;

	if (span_skip(&text, "lost input channel from "))
		return read_loss(text, line);
	if (!span_cut(&text, " did not issue MAIL/EXPN/VRFY/ETRN during connection to ", &relay))
		return MAILLOG_OTHER;
	read_relay(relay, line);
	return MAILLOG_DISCONNECT;
}

static enum maillog_kind read_session(struct span text, struct maillog_line *line)
{
	if (span_skip(&text, "connect from "))
		return read_relay(text, line) ? MAILLOG_CONNECT : MAILLOG_OTHER;
	if (span_skip(&text, "AUTH=server, relay=")) {
		line->authenticated = true;
		return read_relay_upto(text, ", authid=", line) ? MAILLOG_CLIENT
								: MAILLOG_UNREADABLE;
	}
	if (span_skip(&text, "Milter: to="))
		return read_filter(text, line);
	if (span_skip(&text, "STARTTLS=server, relay="))
		return read_relay_upto(text, ", version=", line) ? MAILLOG_CLIENT : MAILLOG_OTHER;
	return read_end(text, line);
}

/*
 * Takes the queue id off, and the number of the part: what is too long for syslog is logged as
 * "id[1]: text ..." and "id[2]: ...text". False if this is not the first part.
 */
static bool take_queue_id(struct span *text, struct maillog_line *line)
{
	struct span rest = *text;
	struct span id;
	uint32_t part;

	line->queue_id = span_queue_id(text);
	if (rest.text != text->text || !span_id(&rest, &id) || !span_skip(&rest, "[") ||
	    !span_number(&rest, &part) || !span_skip(&rest, "]: "))
		return true;
	line->queue_id = id;
	*text = rest;
	return part == 1;
}

void maillog_sendmail_read(struct span text, struct maillog_line *line)
{
	if (!take_queue_id(&text, line))
		return;
	if (text.length == 0) {
		line->kind = MAILLOG_UNREADABLE;
	} else if (span_skip(&text, "from=")) {
		line->kind = read_transaction(text, line);
	} else if (span_skip(&text, "to=")) {
		line->kind = read_delivery(text, line);
	} else if (span_skip(&text, "ruleset=")) {
		line->kind = read_ruleset(text, line);
	} else if (text.text[0] == '<') {
		/* At LogLevel 15 Sendmail logs each command of the client, after "<-- ". */
		if (!span_skip(&text, "<-- "))
			line->kind = read_error(text, line);
	} else {
		line->kind = read_session(text, line);
		if (line->kind == MAILLOG_OTHER)
			line->kind = read_error(text, line);
	}
}
