/* SPDX-License-Identifier: BSD-2-Clause */
/* Collects the faults of a configuration as lines of text. */
#include "config/faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/printable.h"

void faults_add(struct faults *faults, const char *format, ...)
{
	va_list arguments;
	char *line, *text;
	int length;

	faults->count++;
	va_start(arguments, format);
	length = vasprintf(&line, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	text = realloc(faults->text, faults->length + (size_t)length + 2);
	if (text != NULL) {
		faults->text = text;
		/* What a file says must not reach a terminal as it is. */
		snprintf(text + faults->length, (size_t)length + 2, "%s\n", printable_mask(line));
		faults->length += (size_t)length + 1;
	}
	free(line);
}

void faults_free(struct faults *faults)
{
	free(faults->text);
	*faults = (struct faults){0};
}
