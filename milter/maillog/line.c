/* SPDX-License-Identifier: BSD-2-Clause */
#include "maillog/line.h"

#include "span.h"

/* Host name, and what some put before or after it: "<mail.info>", "mail.info". */
#define WORDS_BEFORE_TAG 3
#define QUEUE_ID_MIN 5
#define QUEUE_ID_MAX 32

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool is_alphanumeric(char c)
{
	return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool cut_at(struct span *span, const char *found, size_t length, struct span *before)
{
	if (found == NULL)
		return false;
	*before = span_upto(*span, (size_t)(found - span->text));
	*span = span_from(*span, before->length + length);
	return true;
}

bool span_cut(struct span *span, const char *word, struct span *before)
{
	size_t length = strlen(word);

	return cut_at(span, memmem(span->text, span->length, word, length), length, before);
}

bool span_cut_last(struct span *span, const char *word, struct span *before)
{
	size_t length = strlen(word);
	size_t end = span->length;
	const char *found = NULL;

	while (found == NULL && end >= length) {
		const char *first = memrchr(span->text, word[0], end - length + 1);

		if (first == NULL)
			return false;
		end = (size_t)(first - span->text) + length - 1;
		if (memcmp(first, word, length) == 0)
			found = first;
	}
	return cut_at(span, found, length, before);
}

bool span_number(struct span *span, uint32_t *number)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < span->length && is_digit(span->text[i]); i++) {
		value = value * 10 + (unsigned)(span->text[i] - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)value;
	*span = span_from(*span, i);
	return i > 0;
}

static bool skip_digits(struct span *span, size_t max)
{
	size_t i = 0;

	while (i < max && i < span->length && is_digit(span->text[i]))
		i++;
	*span = span_from(*span, i);
	return i > 0;
}

struct span span_code(struct span reply)
{
	struct span rest = reply;
	struct span code;

	if (reply.length < 4 || reply.text[3] != ' ' || !skip_digits(&rest, 3) ||
	    !span_skip(&rest, " "))
		return (struct span){0};
	code = rest;
	if (rest.length == 0 || (rest.text[0] != '4' && rest.text[0] != '5'))
		return (struct span){0};
	if (!skip_digits(&rest, 1) || !span_skip(&rest, ".") || !skip_digits(&rest, 3) ||
	    !span_skip(&rest, ".") || !skip_digits(&rest, 3))
		return (struct span){0};
	if (rest.length > 0 && rest.text[0] != ' ')
		return (struct span){0};
	return span_upto(code, code.length - rest.length);
}

bool span_address(struct span *span, struct span *address)
{
	bool quoted = false;

	if (span->length == 0 || span->text[0] != '<')
		return false;
	for (size_t i = 1; i < span->length; i++) {
		char c = span->text[i];

		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' && quoted)
			i++;
		else if (c == '>' && !quoted) {
			*address = (struct span){span->text + 1, i - 1};
			*span = span_from(*span, i + 1);
			return true;
		}
	}
	return false;
}

bool span_id(struct span *span, struct span *id)
{
	size_t length = 0;

	while (length < span->length && length <= QUEUE_ID_MAX &&
	       is_alphanumeric(span->text[length]))
		length++;
	if (length < QUEUE_ID_MIN || length > QUEUE_ID_MAX)
		return false;
	*id = span_upto(*span, length);
	*span = span_from(*span, length);
	return true;
}

struct span span_queue_id(struct span *span)
{
	struct span rest = *span;
	struct span id;

	if (!span_id(&rest, &id) || !span_skip(&rest, ": "))
		return (struct span){0};
	*span = rest;
	return span_is(id, "NOQUEUE") ? (struct span){0} : id;
}

/* Takes a word and the blank after it off. */
static bool take_word(struct span *rest, struct span *word)
{
	if (rest->length == 0)
		return false;
	if (!span_cut(rest, " ", word)) {
		*word = *rest;
		*rest = span_from(*rest, rest->length);
	}
	return true;
}

/* "program[pid]:", what stands before it, and Solaris' "[ID 197553 mail.info]" after it. */
static bool take_tag(struct span *rest, struct span *program, struct maillog_line *parsed)
{
	struct span number, inside;

	for (int i = 0; take_word(rest, program); i++) {
		if (program->length > 1 && program->text[program->length - 1] == ':')
			break;
		if (i == WORDS_BEFORE_TAG)
			return false;
		if (parsed->host_name.text == NULL && program->length > 0 &&
		    program->text[0] != '<')
			parsed->host_name = *program;
	}
	if (program->length < 2 || program->text[program->length - 1] != ':')
		return false;
	program->length--;
	number = *program;
	if (program->text[program->length - 1] == ']' && span_cut_last(&number, "[", program) &&
	    (!span_number(&number, &parsed->pid) || number.length != 1))
		parsed->pid = 0;
	if (span_skip(rest, "[ID ") && !span_cut(rest, "] ", &inside))
		return false;
	return true;
}

/* Whether its version comes first, perhaps behind a priority. */
static bool is_rfc5424(const char *line, size_t stamp_length)
{
	struct span stamp = {line, stamp_length};
	struct span priority;

	if (span_skip(&stamp, "<") && !span_cut(&stamp, ">", &priority))
		return false;
	return span_skip(&stamp, "1 ");
}

/* "host program pid message-id data text", where "-" stands for nothing. */
static bool take_header(struct span *rest, struct span *program, struct maillog_line *parsed)
{
	struct span pid, ignored;

	if (!take_word(rest, &parsed->host_name) || !take_word(rest, program) ||
	    !take_word(rest, &pid) || !take_word(rest, &ignored))
		return false;
	if (!span_number(&pid, &parsed->pid) || pid.length > 0)
		parsed->pid = 0;
	return span_skip(rest, "- ") || span_cut(rest, "] ", &ignored);
}

static bool tells_repetition(struct span rest)
{
	struct span before;

	return span_cut(&rest, "last message repeated ", &before);
}

static bool is_sendmail(struct span program)
{
	return span_skip(&program, "sendmail") || span_skip(&program, "sm-");
}

void maillog_line_parse(const char *line, size_t length, size_t stamp_length,
			struct maillog_line *parsed)
{
	struct span rest = {line + stamp_length, length - stamp_length};
	struct span program = {0};
	bool found;

	*parsed = (struct maillog_line){.kind = MAILLOG_OTHER};
	if (is_rfc5424(line, stamp_length))
		found = take_header(&rest, &program, parsed);
	else
		found = take_tag(&rest, &program, parsed);
	if (!found) {
		rest = (struct span){line + stamp_length, length - stamp_length};
		if (!tells_repetition(rest))
			parsed->kind = MAILLOG_UNREADABLE;
	} else if (memchr(program.text, '/', program.length) != NULL) {
		maillog_postfix_read(program, rest, parsed);
	} else if (is_sendmail(program)) {
		parsed->mta = MAILLOG_SENDMAIL;
		maillog_sendmail_read(rest, parsed);
	}
}

bool maillog_line_next_recipient(struct span *others, struct span *recipient)
{
	struct span before;

	if (others->text == NULL || others->length == 0)
		return false;
	if (span_address(others, recipient)) {
		span_skip(others, ",");
		return true;
	}
	if (!span_cut(others, ",", &before)) {
		before = *others;
		*others = span_from(*others, others->length);
	}
	*recipient = before;
	return true;
}
