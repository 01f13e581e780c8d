/* SPDX-License-Identifier: BSD-2-Clause */
/* What the readers of Postfix's and of Sendmail's lines share. */
#ifndef TARPIT_MAILLOG_SPAN_H
#define TARPIT_MAILLOG_SPAN_H

#include <string.h>

#include "maillog/line.h"

/* text: what follows the program's tag. parsed has pid and host_name; kind is MAILLOG_OTHER. */
void maillog_postfix_read(struct span program, struct span text, struct maillog_line *parsed);
void maillog_sendmail_read(struct span text, struct maillog_line *parsed);

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

/* Takes word off the beginning of span; false if it does not begin so. */
static inline bool span_skip(struct span *span, const char *word)
{
	size_t length = strlen(word);

	if (span->length < length || memcmp(span->text, word, length) != 0)
		return false;
	*span = span_from(*span, length);
	return true;
}

/* Cuts span at the first word: before is what stood before it, span what follows. */
bool span_cut(struct span *span, const char *word, struct span *before);
/* The same, at the last one. */
bool span_cut_last(struct span *span, const char *word, struct span *before);
/* Digits; false if there are none or too many. */
bool span_number(struct span *span, uint32_t *number);
/* An enhanced status code, as in "550 5.1.1 text", if there is one. */
struct span span_code(struct span reply);
/*
 * "<address>" with the quoting of RFC 5321, so that a ">" in quotes is part of it; takes it off.
 * False, and nothing is taken, if span does not begin so.
 */
bool span_address(struct span *span, struct span *address);
/* What looks like a queue id; takes it off. False, and nothing is taken, if span does not begin so. */
bool span_id(struct span *span, struct span *id);
/* The queue id and ": ", if span begins so; takes them off. No id for NOQUEUE. */
struct span span_queue_id(struct span *span);

#endif
