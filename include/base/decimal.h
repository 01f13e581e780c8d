/* SPDX-License-Identifier: BSD-2-Clause */
/* Decimal numbers as whole multiples of their last decimal. Pure. */
#ifndef TARPIT_BASE_DECIMAL_H
#define TARPIT_BASE_DECIMAL_H

#include <stdint.h>

/*
 * Reads digits, and perhaps a point and `decimals` more at most: times 10^decimals, that is *value.
 * No sign, no exponent, 12 digits before the point at most. Returns what follows the number, or
 * NULL if there is none.
 */
const char *decimal_parse(const char *text, unsigned decimals, int64_t *value);

#endif
