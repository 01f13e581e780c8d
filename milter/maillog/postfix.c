/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what Postfix's smtpd, qmgr and delivery agents log. */
#include "mta.h"

/*
 * A rejection is searched for the begin of its envelope so often: a client may have written what
 * looks like one into an address.
 */
#define ENVELOPE_TRIES 8

/* Takes "name[address]", and the ":port" of smtpd_client_port_logging, off the front of text. */
static bool take_client(struct span *text, struct maillog_line *line)
{
	struct span port;
	uint32_t number;

	if (!span_cut(text, "[", &line->host) || !span_cut(text, "]", &line->address))
		return false;
	span_skip(&line->address, "IPv6:");
	if (span_is(line->address, "unknown"))
		line->address = (struct span){0};
	port = *text;
	if (span_skip(&port, ":") && span_number(&port, &number))
		*text = port;
	return true;
}

static bool take_brackets_off(struct span *address)
{
	if (address->length < 2 || address->text[0] != '<' ||
	    address->text[address->length - 1] != '>')
		return false;
	*address = (struct span){address->text + 1, address->length - 2};
	return true;
}

/*
 * " proto=ESMTP helo=<name>", and since Postfix 3.10 " sasl_method=PLAIN sasl_username=name".
 * Postfix lets neither a blank nor a bracket into the name.
 */
static bool ends_envelope(struct span text, struct maillog_line *line)
{
	struct span protocol, name;

	if (!span_skip(&text, " proto="))
		return false;
	if (!span_cut(&text, " helo=", &protocol))
		return memchr(text.text, ' ', text.length) == NULL;
	if (memchr(protocol.text, ' ', protocol.length) != NULL || !span_address(&text, &name))
		return false;
	line->authenticated = span_skip(&text, " sasl_method=");
	return true;
}

/* Postfix 3.5 and later write addresses as in the SMTP command, with quotes. */
static bool read_quoted_envelope(struct span text, struct maillog_line *line)
{
	struct span before;

	for (int i = 0; i < ENVELOPE_TRIES && span_cut(&text, "; from=", &before); i++) {
		struct span rest = text;

		if (span_address(&rest, &line->sender) && span_skip(&rest, " to=") &&
		    span_address(&rest, &line->recipient) && ends_envelope(rest, line))
			return true;
	}
	return false;
}

/* Older Postfix leaves quotes out, so "> to=<" may be part of an address: the last one counts. */
static bool read_bare_envelope(struct span text, struct maillog_line *line)
{
	struct span rest = text;
	struct span envelope, reply;

	if (!span_cut_last(&rest, " proto=", &envelope))
		return false;
	rest = envelope;
	if (!span_cut_last(&rest, " to=", &envelope))
		return false;
	line->recipient = rest;
	rest = envelope;
	if (!span_cut_last(&rest, "; from=", &reply))
		return false;
	line->sender = rest;
	return take_brackets_off(&line->sender) && take_brackets_off(&line->recipient);
}

static enum maillog_kind read_rejection(struct span text, struct maillog_line *line)
{
	if (!span_skip(&text, "RCPT from "))
		return MAILLOG_OTHER;
	if (!take_client(&text, line) || !span_skip(&text, ": "))
		return MAILLOG_UNREADABLE;
	line->code = span_code(text);
	if (!read_quoted_envelope(text, line) && !read_bare_envelope(text, line))
		return MAILLOG_UNREADABLE;
	return MAILLOG_REJECTED;
}

static enum maillog_kind read_client(struct span text, struct maillog_line *line)
{
	struct span before;

	if (!take_client(&text, line))
		return MAILLOG_UNREADABLE;
	line->authenticated = span_cut(&text, ", sasl_username=", &before);
	return MAILLOG_CLIENT;
}

/* "name[address] ehlo=1 auth=0/2 mail=1 quit=1 commands=3/5": successes, and tries if more. */
static enum maillog_kind read_disconnect(struct span text, struct maillog_line *line)
{
	struct span before;
	uint32_t successes;

	if (!take_client(&text, line))
		return MAILLOG_UNREADABLE;
	line->authenticated = span_cut(&text, " auth=", &before) &&
			      span_number(&text, &successes) && successes > 0;
	return MAILLOG_DISCONNECT;
}

/* "RCPT from name[address]", "DATA (4711 bytes) from name[address]" */
static enum maillog_kind read_loss(struct span text, struct maillog_line *line)
{
	struct span command;

	if (!span_cut(&text, " from ", &command) || !take_client(&text, line))
		return MAILLOG_UNREADABLE;
	line->in_mail = span_skip(&command, "MAIL") || span_skip(&command, "RCPT") ||
			span_skip(&command, "DATA") || span_skip(&command, "BDAT");
	return MAILLOG_LOST;
}

static enum maillog_kind read_smtpd(struct span text, struct maillog_line *line)
{
	if (span_skip(&text, "connect from "))
		return take_client(&text, line) ? MAILLOG_CONNECT : MAILLOG_UNREADABLE;
	if (span_skip(&text, "disconnect from "))
		return read_disconnect(text, line);
	line->queue_id = span_queue_id(&text);
	if (span_skip(&text, "reject: "))
		return read_rejection(text, line);
	if (span_skip(&text, "client="))
		return read_client(text, line);
	if (span_skip(&text, "lost connection after ") || span_skip(&text, "timeout after "))
		return read_loss(text, line);
	return MAILLOG_OTHER;
}

/* "<sender>, size=310, nrcpt=2 (queue active)" */
static bool read_active(struct span text, struct maillog_line *line)
{
	struct span rest = text;
	uint32_t size;

	if (!span_address(&rest, &line->sender) || !span_skip(&rest, ", size=")) {
		rest = text;
		if (!span_cut_last(&rest, ", size=", &line->sender) ||
		    !take_brackets_off(&line->sender))
			return false;
	}
	return span_number(&rest, &size) && span_skip(&rest, ", nrcpt=") &&
	       span_number(&rest, &line->count);
}

static enum maillog_kind read_qmgr(struct span text, struct maillog_line *line)
{
	struct span before;

	line->queue_id = span_queue_id(&text);
	if (line->queue_id.text == NULL)
		return MAILLOG_OTHER;
	if (span_is(text, "removed"))
		return MAILLOG_REMOVED;
	if (!span_skip(&text, "from="))
		return MAILLOG_OTHER;
	if (read_active(text, line))
		return MAILLOG_QUEUED;
	/* "from=<>, status=expired, returned to sender" */
	return span_cut(&text, ", status=", &before) ? MAILLOG_OTHER : MAILLOG_UNREADABLE;
}

/* "to=<new>, orig_to=<as the client wrote it>, relay=": without quotes before Postfix 3.5. */
static bool read_recipient(struct span text, struct maillog_line *line)
{
	struct span rest = text;
	struct span before;

	if (span_address(&rest, &line->recipient) &&
	    (!span_skip(&rest, ", orig_to=") || span_address(&rest, &line->recipient)) &&
	    span_skip(&rest, ", relay="))
		return true;
	if (!span_cut(&text, ", relay=", &rest))
		return false;
	span_cut(&rest, ", orig_to=", &before);
	line->recipient = rest;
	return take_brackets_off(&line->recipient);
}

static enum maillog_kind read_delivery(struct span text, struct maillog_line *line)
{
	struct span before;

	line->queue_id = span_queue_id(&text);
	if (line->queue_id.text == NULL || !span_skip(&text, "to="))
		return MAILLOG_OTHER;
	if (!read_recipient(text, line) || !span_cut(&text, ", status=", &before))
		return MAILLOG_UNREADABLE;
	return MAILLOG_RECIPIENT;
}

/* The last part of a service's name: all of "postfix", "submission" of "postfix/submission". */
static struct span last_part(struct span name)
{
	struct span before;

	span_cut_last(&name, "/", &before);
	return name;
}

/*
 * "postfix/submission": what `-o syslog_name=` is in Postfix's own master.cf. Administrators make
 * postfix/submission-haproxy of it, or postfix-submission.
 */
static bool is_submission(struct span name)
{
	name = last_part(name);
	span_skip(&name, "postfix-");
	return span_skip(&name, "submission") || span_skip(&name, "smtps");
}

static bool is_wanted(struct span name, const char *service)
{
	if (service == NULL)
		return !is_submission(name);
	return span_is(name, service) || span_is(last_part(name), service);
}

void maillog_postfix_read(struct span program, struct span text, const char *service,
			  struct maillog_line *line)
{
	struct span before;

	span_cut_last(&program, "/", &before);
	if (span_is(program, "smtpd") && !is_wanted(before, service))
		line->kind = MAILLOG_SUBMISSION;
	else if (span_is(program, "smtpd"))
		line->kind = read_smtpd(text, line);
	else if (span_is(program, "qmgr") || span_is(program, "nqmgr"))
		line->kind = read_qmgr(text, line);
	else
		line->kind = read_delivery(text, line);
}

/* Of which service it is such a line does not tell, so none that is asked for has its session. */
static enum maillog_kind read_session(struct span text, const char *service,
				      struct maillog_line *line)
{
	enum maillog_kind kind = read_smtpd(text, line);

	return service != NULL && kind != MAILLOG_OTHER ? MAILLOG_SUBMISSION : kind;
}

void maillog_postfix_unit_read(struct span text, const char *service, struct maillog_line *line)
{
	struct span rest = text;
	struct span id = span_queue_id(&rest);

	/* postscreen rejects recipients too, but no milter sees those, and they have no name. */
	if (id.text != NULL && span_skip(&rest, "to="))
		line->kind = read_delivery(text, line);
	else if (id.text != NULL && (span_skip(&rest, "from=") || span_is(rest, "removed")))
		line->kind = read_qmgr(text, line);
	else if (!span_skip(&rest, "reject: RCPT from ["))
		line->kind = read_session(text, service, line);
}
