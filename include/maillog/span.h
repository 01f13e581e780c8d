/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of a log line, and what cuts a line into them. Pure; a caller may be on any thread. */
#ifndef TARPIT_MAILLOG_SPAN_H
#define TARPIT_MAILLOG_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Part of a line, not NUL-terminated; text is NULL where the line does not have that part. */
struct span {
	const char *text;
	size_t length;
};

static inline bool span_is(struct span span, const char *word)
{
	size_t length = strlen(word);

	return span.length == length && memcmp(span.text, word, length) == 0;
}

static inline struct span span_from(struct span span, size_t begin)
{
	return (struct span){span.text + begin, span.length - begin};
}

static inline struct span span_upto(struct span span, size_t length)
{
	return (struct span){span.text, length};
}

/* Takes word off the front of span; false, and nothing is taken, if span begins otherwise. */
static inline bool span_skip(struct span *span, const char *word)
{
	size_t length = strlen(word);

	if (span->length < length || memcmp(span->text, word, length) != 0)
		return false;
	*span = span_from(*span, length);
	return true;
}

/*
 * Cuts span at the first word: before is what stood in front of the word, span what follows. False,
 * and nothing changes, if span does not hold the word.
 */
bool span_cut(struct span *span, const char *word, struct span *before);
/* The same, at the last such word. */
bool span_cut_last(struct span *span, const char *word, struct span *before);
/* Takes all up to a blank, and the blank, off the front; false at the end of span. */
bool span_word(struct span *span, struct span *word);
/* Takes decimal digits off the front; false if there are none, or more than 32 bits hold. */
bool span_number(struct span *span, uint32_t *number);
/* Copies what fits into size bytes with the NUL; returns its length, 0 for a span without text. */
size_t span_copy(struct span span, char *text, size_t size);

/* The enhanced status code (RFC 3463) of a reply such as "550 5.1.1 text", if there is one. */
struct span span_code(struct span reply);
/*
 * Takes "<address>" off the front, with the quoting of RFC 5321: a ">" in quotes is part of the
 * address. False, and nothing is taken, if span does not begin so.
 */
bool span_address(struct span *span, struct span *address);
/* Takes what looks like a queue id off the front. False, and nothing is taken, without one. */
bool span_id(struct span *span, struct span *id);
/* Takes a queue id and ": " off the front, if they are there; no id for Postfix's NOQUEUE. */
struct span span_queue_id(struct span *span);

#endif
