/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs another program, as tarpitctl runs postconf: no shell, nothing on its standard input, and the
 * C locale. Blocks. Not for the daemon.
 */
#ifndef TARPIT_BASE_PROGRAM_H
#define TARPIT_BASE_PROGRAM_H

#include <stddef.h>

/* What a program may say at most, in bytes; beyond that it is ended. */
#define PROGRAM_OUTPUT_MAX ((size_t)4 << 20)

struct program_result {
	int status;	/* its exit status; -1: it could not be run, did not end in time, or crashed */
	char *output;	/* what it said on standard output; ends in a NUL */
	char *error;	/* on standard error; with status -1, why */
};

/*
 * argv[0] is looked for in PATH and in the directories of sbin; argv ends with NULL. Ends the program
 * after timeout_ms. Afterwards program_result_free, whatever came of it.
 */
void program_run(const char *const *argv, int timeout_ms, struct program_result *result);
void program_result_free(struct program_result *result);

#endif
