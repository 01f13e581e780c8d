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
	char **items = realloc(names->items, (names->count + 1) * sizeof(*items));
	char *copy;

	if (items == NULL)
		return false;
	names->items = items;
	copy = strdup(text);
	if (copy == NULL)
		return false;
	for (char *p = copy; *p != '\0'; p++)
		*p = names_lower(*p);
	items[names->count++] = copy;
	return true;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(struct names *names)
{
	if (names->count > 1)
		qsort(names->items, names->count, sizeof(*names->items), compare);
}

const char *names_find(const struct names *names, const char *text)
{
	char *const *found = NULL;

	if (names->count > 0)
		found = bsearch(&text, names->items, names->count, sizeof(*names->items), compare);
	return found != NULL ? *found : NULL;
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
}
