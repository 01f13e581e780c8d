/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's answers as text for a person. */
#ifndef TARPIT_TARPITCTL_TEXT_H
#define TARPIT_TARPITCTL_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Prints the answer to a command; nothing in the answer can control the terminal. False, with
 * nothing printed, if the answer is not as the daemon of this version promises, or memory ran out.
 */
bool text_print(const char *command, const json_t *answer, bool colour, FILE *out);

#endif
