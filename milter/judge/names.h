/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of names, searched without regard to upper case. Immutable once sorted. */
#ifndef TARPIT_JUDGE_NAMES_H
#define TARPIT_JUDGE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/string_list.h"

/* Zero it to begin with. */
struct names {
	struct string_list list;	/* in lower case */
};

char names_lower(char c);
/* Adds a copy in lower case; false if out of memory. */
bool names_add(struct names *names, const char *text);
/* Once all names are there, and before the first search. */
void names_sort(struct names *names);
/* text is in lower case. The name, owned by names, or NULL. */
const char *names_find(const struct names *names, const char *text);
void names_free(struct names *names);

#endif
