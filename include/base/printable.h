/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text from outside, made fit for a terminal or a log: nothing but printable ASCII is left. Pure.
 */
#ifndef TARPIT_BASE_PRINTABLE_H
#define TARPIT_BASE_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* The digits of an escape: log lines have the first, tarpitctl and the metrics page the second. */
#define PRINTABLE_UPPER_HEX "0123456789ABCDEF"
#define PRINTABLE_LOWER_HEX "0123456789abcdef"
/* Length of an escape, \xHH. */
#define PRINTABLE_ESCAPE 4

/* True from the blank to '~'. */
bool printable_is(char c);
/* Turns every byte that is not printable ASCII into '?', in place. Returns text. */
char *printable_mask(char *text);
/*
 * Copies from, with each byte that is not printable ASCII or stands in also as \xHH. What does not
 * fit into size bytes with the NUL is left out; an escape is never cut. size is above 0. Returns
 * the length.
 */
size_t printable_escape(const char *from, const char *also, const char *hex, char *to, size_t size);

#endif
