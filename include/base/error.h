/* SPDX-License-Identifier: BSD-2-Clause */
/* The reason why a function failed, in its caller's buffer. */
#ifndef TARPIT_BASE_ERROR_H
#define TARPIT_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Puts reason into error, cut to size bytes with the NUL. Always false, for the caller to return.
 * Thread-safe.
 */
bool error_set(char *error, size_t size, const char *reason);

#endif
