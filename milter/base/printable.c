/* SPDX-License-Identifier: BSD-2-Clause */
/* Masks and escapes the bytes of a text that are not printable ASCII. */
#include "base/printable.h"

#include <string.h>

bool printable_is(char c)
{
	return c >= ' ' && c <= '~';
}

char *printable_mask(char *text)
{
	for (char *p = text; *p != '\0'; p++)
		if (!printable_is(*p))
			*p = '?';
	return text;
}

size_t printable_escape(const char *from, const char *also, const char *hex, char *to, size_t size)
{
	size_t length = 0;

	for (; *from != '\0'; from++) {
		bool is_plain = printable_is(*from) && strchr(also, *from) == NULL;
		size_t width = is_plain ? 1 : PRINTABLE_ESCAPE;

		if (length + width >= size)
			break;
		if (is_plain)
			to[length] = *from;
		else
			memcpy(to + length,
			       (char[]){'\\', 'x', hex[(unsigned char)*from >> 4], hex[*from & 15]},
			       PRINTABLE_ESCAPE);
		length += width;
	}
	to[length] = '\0';
	return length;
}
