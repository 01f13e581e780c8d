/* SPDX-License-Identifier: BSD-2-Clause */
/* Puts reasons of failures into their callers' buffers. */
#include "base/error.h"

#include <stdio.h>

bool error_set(char *error, size_t size, const char *reason)
{
	snprintf(error, size, "%s", reason);
	return false;
}
