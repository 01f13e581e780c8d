/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps names in lower case, sorted. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

char names_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool names_add(struct names *names, const char *text)
{
	if (!string_list_add(&names->list, text))
		return false;
	for (char *p = names->list.items[names->list.count - 1]; *p != '\0'; p++)
		*p = names_lower(*p);
	return true;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(struct names *names)
{
	if (names->list.count > 1)
		qsort(names->list.items, names->list.count, sizeof(*names->list.items), compare);
}

const char *names_find(const struct names *names, const char *text)
{
	char *const *found = NULL;

	if (names->list.count > 0)
		found = bsearch(&text, names->list.items, names->list.count, sizeof(*names->list.items), compare);
	return found != NULL ? *found : NULL;
}

void names_free(struct names *names)
{
	string_list_free(&names->list);
}
