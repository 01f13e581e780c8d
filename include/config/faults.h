/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong with a configuration, told all at once. For one thread. */
#ifndef TARPIT_CONFIG_FAULTS_H
#define TARPIT_CONFIG_FAULTS_H

#include <stddef.h>

/*
 * Every fault found, a line each: FILE:LINE: key: reason (what is allowed). Zero it before the
 * first.
 */
struct faults {
	char *text;	/* NULL: none yet, or out of memory */
	size_t length, count;
};

/*
 * Adds a line, in which every byte that is not printable ASCII is '?'. Out of memory, it is counted
 * only.
 */
void faults_add(struct faults *faults, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void faults_free(struct faults *faults);

#endif
