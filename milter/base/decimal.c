/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a decimal number without floating point. */
#include "base/decimal.h"

#include <stddef.h>
#include <string.h>

#define DIGITS "0123456789"
#define DIGITS_MAX 12 /* before the point: what int64_t and double hold with the decimals */

const char *decimal_parse(const char *text, unsigned decimals, int64_t *value)
{
	size_t whole = strspn(text, DIGITS), fraction = 0;
	const char *end = text + whole;

	if (whole == 0 || whole > DIGITS_MAX)
		return NULL;
	if (*end == '.') {
		fraction = strspn(end + 1, DIGITS);
		if (fraction == 0 || fraction > decimals)
			return NULL;
		end += 1 + fraction;
	}
	*value = 0;
	for (; text < end; text++)
		if (*text != '.')
			*value = *value * 10 + (*text - '0');
	for (; fraction < decimals; fraction++)
		*value *= 10;
	return end;
}
