/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of strings that owns its items. */
#include "base/string_list.h"

#include <stdlib.h>
#include <string.h>

bool string_list_add(struct string_list *list, const char *text)
{
	char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

	if (items == NULL)
		return false;
	list->items = items;
	items[list->count] = strdup(text);
	if (items[list->count] == NULL)
		return false;
	list->count++;
	return true;
}

void string_list_free(struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	memset(list, 0, sizeof(*list));
}
