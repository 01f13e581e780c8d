/* SPDX-License-Identifier: BSD-2-Clause */
/* Cuts a log line into words, numbers, addresses, queue ids and status codes. */
#include "maillog/span.h"

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

bool span_word(struct span *span, struct span *word)
{
	if (span->length == 0)
		return false;
	if (!span_cut(span, " ", word)) {
		*word = *span;
		*span = span_from(*span, span->length);
	}
	return true;
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

size_t span_copy(struct span span, char *text, size_t size)
{
	size_t length = span.length < size ? span.length : size - 1;

	if (length > 0)
		memcpy(text, span.text, length);
	text[length] = '\0';
	return length;
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
