/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the header of a log line in each form that loggers write. */
#include "header.h"

/* A host name, and the facility that some loggers put on either side of it: "mail.info". */
#define WORDS_BEFORE_TAG 3

/* RFC 5424: the version "1" stands in front of the stamp, perhaps behind a priority. */
static bool is_rfc5424(struct span stamp)
{
	struct span priority;

	if (span_skip(&stamp, "<") && !span_cut(&stamp, ">", &priority))
		return false;
	return span_skip(&stamp, "1 ");
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
		if (!span_word(text, &word))
			return false;
		if (word.length > 1 && word.text[word.length - 1] == ':')
			break;
		if (i == WORDS_BEFORE_TAG)
			return false;
		if (header->host_name.text == NULL && word.length > 0 && word.text[0] != '<')
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
