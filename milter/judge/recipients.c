/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds a recipient in a list by its address, or by its local part alone. */
#include "judge/recipients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "names.h"

struct recipients {
	struct names names;
};

struct recipients *recipients_new(void)
{
	return calloc(1, sizeof(struct recipients));
}

void recipients_free(struct recipients *recipients)
{
	if (recipients == NULL)
		return;
	names_free(&recipients->names);
	free(recipients);
}

bool recipients_add(struct recipients *recipients, const char *text, char *error, size_t size)
{
	const char *reason = "out of memory";
	struct address address;

	address_parse(text, &address);
	if (!address.is_whole)
		reason = "too long";
	else if (!address.is_plain || strpbrk(text, " <>") != NULL)
		reason = "neither a local part nor an address";
	else if (names_add(&recipients->names, address.text))
		return true;
	return error_set(error, size, reason);
}

void recipients_seal(struct recipients *recipients)
{
	names_sort(&recipients->names);
}

const char *recipients_rule(const struct recipients *recipients, const struct address *address)
{
	char local[ADDRESS_TEXT_MAX];
	const char *rule;

	if (!address->is_plain)
		return NULL;
	rule = names_find(&recipients->names, address->text);
	if (rule != NULL)
		return rule;
	snprintf(local, sizeof(local), "%.*s", (int)strcspn(address->text, "@"), address->text);
	return names_find(&recipients->names, local);
}
