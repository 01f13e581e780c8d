/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of strings, as the configuration has them. */
#ifndef TARPIT_BASE_STRING_LIST_H
#define TARPIT_BASE_STRING_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Items may be NULL if count is 0. */
struct string_list {
	char **items;
	size_t count;
};

/* Copies text. False if out of memory: the list is as it was. */
bool string_list_add(struct string_list *list, const char *text);
/* Frees all items; the list is empty then. */
void string_list_free(struct string_list *list);

#endif
