/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the header of a log line in each form that loggers write. */
#include "header.h"

#include <strings.h>

/* A host name, and the facility that some loggers put on either side of it: "mail.info". */
#define WORDS_BEFORE_TAG 3

/*
 * RFC 5424: the version "1" stands in front of the stamp, perhaps behind a priority, and then
 * perhaps behind what is of a container.
 */
static bool is_rfc5424(struct span stamp)
{
	struct span before;

	return span_skip(&stamp, "1 ") || span_cut(&stamp, ">1 ", &before);
}

static bool is_one_of(struct span word, const char *const *names)
{
	for (; *names != NULL; names++)
		if (word.length == strlen(*names) &&
		    strncasecmp(word.text, *names, word.length) == 0)
			return true;
	return false;
}

/* "INFO", "[notice]", "mail.info", "<mail.info>"; but mx.example.info is a host. */
static bool is_level(struct span word)
{
	static const char *const levels[] = {"debug", "info",  "notice", "warn",  "warning", "err",
					     "error", "fatal", "crit",	 "alert", "emerg",   NULL};
	static const char *const facilities[] = {"mail",   "daemon", "user",   "syslog", "local0",
						 "local1", "local2", "local3", "local4", "local5",
						 "local6", "local7", NULL};
	struct span facility;

	if (word.text[0] == '<')
		return true;
	if (word.text[0] == '[')
		word = span_from(word, 1);
	if (word.length > 0 && word.text[word.length - 1] == ']')
		word.length--;
	if (span_cut_last(&word, ".", &facility) && !is_one_of(facility, facilities))
		return false;
	return is_one_of(word, levels);
}

/* "host program pid message-id data text", where "-" stands for nothing. */
static bool read_rfc5424(struct span *text, struct maillog_header *header)
{
	struct span pid, ignored;

	if (!span_word(text, &header->host_name) || !span_word(text, &header->program) ||
	    !span_word(text, &pid) || !span_word(text, &ignored))
		return false;
	if (!span_number(&pid, &header->pid) || pid.length > 0)
		header->pid = 0;
	return span_skip(text, "- ") || span_cut(text, "] ", &ignored);
}

/* "program[pid]" and "program", from which the process id is taken off. */
static void cut_pid(struct maillog_header *header)
{
	struct span number = header->program;

	if (number.text[number.length - 1] == ']' &&
	    span_cut_last(&number, "[", &header->program) &&
	    (!span_number(&number, &header->pid) || number.length != 1))
		header->pid = 0;
}

/*
 * RFC 3164 and the journal: "host program[pid]: text". Solaris writes "[ID 197553 mail.info]" in
 * front of the text.
 */
static bool read_tagged(struct span *text, struct maillog_header *header)
{
	struct span word, inside;

	for (int i = 0;; i++) {
		do
			if (!span_word(text, &word))
				return false;
		while (word.length == 0);
		if (word.length > 1 && word.text[word.length - 1] == ':')
			break;
		if (i == WORDS_BEFORE_TAG)
			return false;
		if (header->host_name.text == NULL && !is_level(word))
			header->host_name = word;
	}
	header->program = span_upto(word, word.length - 1);
	cut_pid(header);
	return !span_skip(text, "[ID ") || span_cut(text, "] ", &inside);
}

bool maillog_header_read(struct span stamp, struct span *text, struct maillog_header *header)
{
	*header = (struct maillog_header){0};
	if (is_rfc5424(stamp))
		return read_rfc5424(text, header);
	return read_tagged(text, header);
}
