/* SPDX-License-Identifier: BSD-2-Clause */
#include "span.h"

#define UNKNOWN_USER "5.1.1"

/* "name [address]", "user@name [IPv6:address] (may be forged)" or "[address]". False if it has no address. */
static bool read_relay(struct span relay, struct maillog_line *parsed)
{
	struct span rest = relay;
	struct span name, address, user;

	if (!span_cut(&rest, "[", &name) || !span_cut(&rest, "]", &address))
		return false;
	parsed->host = span_upto(span_from(relay, name.length), address.length + 2);
	span_skip(&address, "IPv6:");
	parsed->address = address;
	if (name.length < 2 || name.text[name.length - 1] != ' ' ||
	    span_skip(&rest, " (may be forged)"))
		return address.length > 0;
	name.length--;
	/* The user's name is the client's own word (RFC 1413). */
	span_cut_last(&name, "@", &user);
	parsed->host = name;
	return address.length > 0;
}

/* A relay that ends with the line or before what follows it. */
static bool read_relay_upto(struct span text, const char *end, struct maillog_line *parsed)
{
	struct span relay;

	if (!span_cut(&text, end, &relay))
		relay = text;
	return read_relay(relay, parsed);
}

/* For what span_address does not see the end of: the log has each backslash twice. */
static struct span without_brackets(struct span address)
{
	if (span_skip(&address, "<") && address.length > 0 &&
	    address.text[address.length - 1] == '>')
		address.length--;
	return address;
}

/* "<user@example.com>, relay=name [address], reject=550 5.7.1 text" of check_rcpt. */
static enum maillog_kind read_check_rcpt(struct span text, struct maillog_line *parsed)
{
	struct span rest = text;
	struct span relay, argument;

	if (!span_address(&rest, &parsed->recipient) || !span_skip(&rest, ", ")) {
		rest = text;
		if (!span_cut(&rest, ", ", &argument))
			return MAILLOG_UNREADABLE;
		parsed->recipient = without_brackets(argument);
	}
	if (span_skip(&rest, "relay=")) {
		if (!span_cut(&rest, ", ", &relay))
			return MAILLOG_UNREADABLE;
		read_relay(relay, parsed);
	}
	/* "tempfail=" is Sendmail 8.18's; what is left is "discard" and "quarantine=". */
	if (!span_skip(&rest, "reject=") && !span_skip(&rest, "tempfail="))
		return MAILLOG_OTHER;
	parsed->code = span_code(rest);
	return MAILLOG_HIDDEN;
}

static enum maillog_kind read_ruleset(struct span text, struct maillog_line *parsed)
{
	struct span before;

	if (span_skip(&text, "check_rcpt, arg1="))
		return read_check_rcpt(text, parsed);
	if (span_cut_last(&text, ", relay=", &before) && read_relay_upto(text, ", ", parsed))
		return MAILLOG_CLIENT;
	return MAILLOG_OTHER;
}

/* RFC 3848: ESMTPA and ESMTPSA are with AUTH; RFC 6531: UTF8SMTPA and UTF8SMTPSA. */
static bool ends_in_a(struct span protocol)
{
	return protocol.length > 0 && protocol.text[protocol.length - 1] == 'A';
}

/* "<sender>, size=22, class=0, nrcpts=3, msgid=<...>, proto=ESMTP, relay=name [address]" */
static enum maillog_kind read_transaction(struct span text, struct maillog_line *parsed)
{
	struct span rest = text;
	struct span before;
	uint32_t size;

	if (!span_address(&rest, &parsed->sender) || !span_skip(&rest, ", size=")) {
		rest = text;
		if (!span_cut(&rest, ", size=", &parsed->sender))
			return MAILLOG_UNREADABLE;
		parsed->sender = without_brackets(parsed->sender);
	}
	/* An empty message that did come has an id of Sendmail's making. */
	parsed->aborted = span_number(&rest, &size) && size == 0 &&
			  memmem(rest.text, rest.length, ", msgid=", 8) == NULL;
	if (!span_cut(&rest, ", nrcpts=", &before) || !span_number(&rest, &parsed->count))
		return MAILLOG_UNREADABLE;
	if (span_cut_last(&rest, ", relay=", &before)) {
		read_relay(rest, parsed);
		parsed->authenticated = span_cut_last(&before, ", proto=", &rest) &&
					span_cut(&before, ",", &rest) && ends_in_a(rest);
	}
	return MAILLOG_QUEUED;
}

/* "<a@example.com>,<b@example.com>, ctladdr=<alias@example.com> (1/1), delay=00:00:00, ..., stat=Sent" */
static enum maillog_kind read_delivery(struct span text, struct maillog_line *parsed)
{
	struct span rest = text;
	struct span controlling, before;

	while (span_address(&rest, &before) && rest.length > 1 && rest.text[1] == '<')
		span_skip(&rest, ",");
	if (!span_cut(&rest, ", delay=", &before))
		return MAILLOG_UNREADABLE;
	parsed->others = span_upto(text, (size_t)(before.text - text.text) + before.length);
	controlling = parsed->others;
	if (span_cut(&controlling, ", ctladdr=", &before))
		parsed->others = before;
	else
		controlling = (struct span){0};
	/*
	 * What an alias leads to has no brackets; the alias itself is there then. Beside an address in
	 * brackets it may be the sender as well.
	 */
	if (text.text[0] != '<' && span_address(&controlling, &parsed->recipient)) {
		parsed->others = (struct span){0};
		return MAILLOG_RECIPIENT;
	}
	if (span_cut(&parsed->others, " [more]", &before))
		parsed->others = before;
	return maillog_line_next_recipient(&parsed->others, &parsed->recipient)
		       ? MAILLOG_RECIPIENT
		       : MAILLOG_UNREADABLE;
}

/*
 * Another filter's word, "<user@example.com>, reject=451 4.7.1 text": {nbadrcpts} counts it too. A 421
 * ends the session.
 */
static enum maillog_kind read_filter(struct span text, struct maillog_line *parsed)
{
	if (!span_address(&text, &parsed->recipient) || !span_skip(&text, ", reject=") ||
	    span_skip(&text, "421 "))
		return MAILLOG_OTHER;
	parsed->code = span_code(text);
	return MAILLOG_HIDDEN;
}

/* "<address>... User unknown", or another reason. In the SMTP server only RCPT logs such. */
static enum maillog_kind read_error(struct span text, struct maillog_line *parsed)
{
	struct span rest = text;

	if (span_is(text, "Too many recipients"))
		return MAILLOG_HIDDEN;
	if (!span_address(&rest, &parsed->recipient) || !span_skip(&rest, "... ")) {
		rest = text;
		if (!span_cut_last(&rest, "... ", &parsed->recipient))
			return MAILLOG_OTHER;
		if (text.text[0] != '<' &&
		    (!span_is(rest, "User unknown") ||
		     memchr(parsed->recipient.text, ' ', parsed->recipient.length) != NULL))
			return MAILLOG_OTHER;
		parsed->recipient = without_brackets(parsed->recipient);
	}
	if (!span_is(rest, "User unknown"))
		return MAILLOG_HIDDEN;
	parsed->code = (struct span){UNKNOWN_USER, sizeof(UNKNOWN_USER) - 1};
	return MAILLOG_REJECTED;
}

static enum maillog_kind read_end(struct span text, struct maillog_line *parsed)
{
	struct span relay;

	if (span_skip(&text, "lost input channel from "))
		return span_cut(&text, " to ", &relay) && read_relay(relay, parsed)
			       ? MAILLOG_DISCONNECT
			       : MAILLOG_UNREADABLE;
	if (!span_cut(&text, " did not issue MAIL/EXPN/VRFY/ETRN during connection to ", &relay))
		return MAILLOG_OTHER;
	read_relay(relay, parsed);
	return MAILLOG_DISCONNECT;
}

static enum maillog_kind read_session(struct span text, struct maillog_line *parsed)
{
	if (span_skip(&text, "connect from "))
		return read_relay(text, parsed) ? MAILLOG_CONNECT : MAILLOG_OTHER;
	if (span_skip(&text, "AUTH=server, relay=")) {
		parsed->authenticated = true;
		return read_relay_upto(text, ", authid=", parsed) ? MAILLOG_CLIENT
								  : MAILLOG_UNREADABLE;
	}
	if (span_skip(&text, "Milter: to="))
		return read_filter(text, parsed);
	if (span_skip(&text, "STARTTLS=server, relay="))
		return read_relay_upto(text, ", version=", parsed) ? MAILLOG_CLIENT : MAILLOG_OTHER;
	return read_end(text, parsed);
}

/*
 * A long message is logged in parts, "id[1]: text ..." and "id[2]: ...text": takes the id and the part's
 * number off. False if it is not the first part.
 */
static bool take_queue_id(struct span *text, struct maillog_line *parsed)
{
	struct span rest = *text;
	struct span id;
	uint32_t part;

	parsed->queue_id = span_queue_id(text);
	if (rest.text != text->text || !span_id(&rest, &id) || !span_skip(&rest, "[") ||
	    !span_number(&rest, &part) || !span_skip(&rest, "]: "))
		return true;
	parsed->queue_id = id;
	*text = rest;
	return part == 1;
}

void maillog_sendmail_read(struct span text, struct maillog_line *parsed)
{
	if (!take_queue_id(&text, parsed))
		return;
	if (text.length == 0) {
		parsed->kind = MAILLOG_UNREADABLE;
	} else if (span_skip(&text, "from=")) {
		parsed->kind = read_transaction(text, parsed);
	} else if (span_skip(&text, "to=")) {
		parsed->kind = read_delivery(text, parsed);
	} else if (span_skip(&text, "ruleset=")) {
		parsed->kind = read_ruleset(text, parsed);
	} else if (text.text[0] == '<') {
		/* At LogLevel 15 all that the client says is there, after "<-- ". */
		if (!span_skip(&text, "<-- "))
			parsed->kind = read_error(text, parsed);
	} else {
		parsed->kind = read_session(text, parsed);
		if (parsed->kind == MAILLOG_OTHER)
			parsed->kind = read_error(text, parsed);
	}
}
