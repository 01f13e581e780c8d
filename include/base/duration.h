/* SPDX-License-Identifier: BSD-2-Clause */
/* Durations as the configuration writes them, and as people read them. Pure. */
#ifndef TARPIT_BASE_DURATION_H
#define TARPIT_BASE_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* Longest text of a duration, and its NUL. */
#define DURATION_TEXT_MAX 64

/*
 * Milliseconds of a duration as the configuration has it: 500ms 20s 5m 4h 2d; a bare number is
 * seconds. False if it is none. One that is beyond all ranges is a large number.
 */
bool duration_parse(const char *text, int64_t *ms);
/*
 * In that form, in the largest unit that is exact: "90s", "4h". text holds DURATION_TEXT_MAX;
 * returned too.
 */
char *duration_format(int64_t ms, char *text);
/*
 * For people, rounded: "500 ms", "5.9 s", "4 h", "1 d 2 h". text holds DURATION_TEXT_MAX; returned
 * too.
 */
char *duration_describe(int64_t ms, char *text);

#endif
