/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads what the MTA says of a recipient, and what weight the configuration gives its RFC 3463
 * code.
 */
#include "judge/rejection.h"

#include <stdio.h>
#include <string.h>

#define BAD_COUNT_MAX 100000

/* Reads one to three digits. Returns what follows them, or NULL. */
static const char *parse_part(const char *text, uint16_t *part)
{
	unsigned value = 0;
	int digits = 0;

	for (; *text >= '0' && *text <= '9'; text++, digits++) {
		if (digits == 3)
			return NULL;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*part = (uint16_t)value;
	return digits > 0 ? text : NULL;
}

/* Reads a code at the start of text. Returns what follows it, or NULL. */
static const char *parse_code(const char *text, struct dsn *code)
{
	if (*text != '2' && *text != '4' && *text != '5')
		return NULL;
	text = parse_part(text, &code->class);
	if (text == NULL || code->class > 5 || *text != '.')
		return NULL;
	text = parse_part(text + 1, &code->subject);
	if (text == NULL || *text != '.')
		return NULL;
	return parse_part(text + 1, &code->detail);
}

char *dsn_format(const struct dsn *code, char *text)
{
	snprintf(text, DSN_TEXT_MAX, "%u.%u.%u", code->class % 10U, code->subject % 1000U,
		 code->detail % 1000U);
	return text;
}

enum rejection_outcome rejection_classify(const char *mailer, const char *host, bool is_sendmail,
					  struct dsn *code)
{
	const char *rest;

	if (mailer == NULL || *mailer == '\0')
		return RCPT_UNKNOWN;
	if (strcmp(mailer, "error") != 0)
		return RCPT_ACCEPTED;
	if (is_sendmail && (host == NULL || *host == '\0')) {
		*code = (struct dsn){5, 1, 1};
		return RCPT_REJECTED;
	}
	rest = host != NULL ? parse_code(host, code) : NULL;
	if (rest == NULL || code->class == 2)
		return RCPT_UNKNOWN;
	if (*rest == ' ')
		return RCPT_ACCEPTED;
	if (*rest != '\0')
		return RCPT_UNKNOWN;
	return code->class == 5 ? RCPT_REJECTED : RCPT_REFUSED;
}

/* Reads a number or "*" that `end` follows. Returns what comes after that, or NULL. */
static const char *parse_pattern_part(const char *text, char end, int16_t *part)
{
	uint16_t value;

	if (*text == '*') {
		*part = -1;
		text++;
	} else {
		text = parse_part(text, &value);
		if (text == NULL)
			return NULL;
		*part = (int16_t)value;
	}
	return *text == end ? text + 1 : NULL;
}

/* A number with at most two decimals, in hundredths, not above OFFENCE_WEIGHT_MAX. */
static bool parse_weight(const char *text, uint16_t *weight)
{
	unsigned value = 0;
	int decimals = -1;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text != '\0'; text++) {
		if (*text == '.' && decimals < 0) {
			decimals = 0;
			continue;
		}
		if (*text < '0' || *text > '9' || decimals == 2)
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > OFFENCE_WEIGHT_MAX)
			return false;
		if (decimals >= 0)
			decimals++;
	}
	for (int i = decimals < 0 ? 0 : decimals; i < 2; i++)
		value *= 10;
	*weight = (uint16_t)value;
	return decimals != 0 && value <= OFFENCE_WEIGHT_MAX;
}

bool offence_parse(const char *text, bool is_soft, struct offence *offence, char *error,
		   size_t size)
{
	const char *rest;

	if (text[0] != (is_soft ? '4' : '5') || text[1] != '.') {
		snprintf(error, size, "not a pattern of %s",
			 is_soft	  ? "temporary errors, 4.x.x"
			 : text[0] == '4' ? "permanent errors: 4.x.x counts in soft_offences only"
					  : "permanent errors");
		return false;
	}
	offence->is_soft = is_soft;
	rest = parse_pattern_part(text + 2, '.', &offence->subject);
	if (rest != NULL)
		rest = parse_pattern_part(rest, ' ', &offence->detail);
	if (rest == NULL) {
		snprintf(error, size, "not an enhanced status code pattern and a weight");
		return false;
	}
	rest += strspn(rest, " ");
	if (!parse_weight(rest, &offence->weight)) {
		snprintf(error, size, "not a weight from 0 to 10 with at most two decimals");
		return false;
	}
	return true;
}

unsigned offence_weight(const struct offence *offences, size_t count, const struct dsn *code)
{
	for (size_t i = 0; i < count; i++) {
		const struct offence *o = &offences[i];

		if (code->class == (o->is_soft ? 4 : 5) &&
		    (o->subject < 0 || o->subject == code->subject) &&
		    (o->detail < 0 || o->detail == code->detail))
			return o->weight;
	}
	return 0;
}

/* RFC 3463 3.2 and 3.3; 5.1.10 is of RFC 7505. */
bool rejection_is_of_mailbox(const struct dsn *code)
{
	if (code->subject == 2)
		return code->detail == 1;
	return code->subject == 1 && code->detail != 3 && code->detail != 7 && code->detail != 8 &&
	       code->detail <= 10;
}

bool rejection_count_parse(const char *text, unsigned *count)
{
	unsigned value = 0;

	if (text == NULL || *text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > BAD_COUNT_MAX)
			return false;
	}
	*count = value;
	return true;
}
