/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What setup prints: commands that a shell would take, and remarks behind `# `. No byte of it can
 * control the terminal.
 */
#ifndef TARPIT_SETUP_SAY_H
#define TARPIT_SETUP_SAY_H

#include <stdbool.h>

/* What vprintf would print, to be freed. Ends the program where there is no memory for it. */
char *say_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A remark on standard output; a text with new lines is several. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* `tarpitctl: text` on standard error. Returns status. */
int say_fault(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, for who returns whether it could be done. Always false. */
bool say_refusal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The words of a command, each quoted as bash needs it, on a line of standard output. */
void say_command(const char *const *argv);
/* One word as bash reads it back, to be freed. Pure. */
char *say_quote(const char *word);

#endif
