/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of clients and hosts that are left alone, sorted to be searched. */
#include "judge/exempt.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "names.h"

#define HOST_MAX 255 /* RFC 1035 2.3.4 */
#define LABEL_MAX 63

struct exempt {
	struct prefix *clients;
	size_t clients_count, clients_room;
	bool ipv4_has[33], ipv6_has[129]; /* is there a rule of this length? */
	struct names hosts;
};

struct exempt *exempt_new(void)
{
	return calloc(1, sizeof(struct exempt));
}

void exempt_free(struct exempt *exempt)
{
	if (exempt == NULL)
		return;
	free(exempt->clients);
	names_free(&exempt->hosts);
	free(exempt);
}

/* Letters, digits, '-' and '_' in labels of 1 to 63, with dots between. */
static bool is_host_name(const char *text)
{
	size_t label = 0;

	if (strlen(text) > HOST_MAX)
		return false;
	for (; *text != '\0'; text++) {
		if (*text == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (isalnum((unsigned char)*text) || *text == '-' || *text == '_') {
			if (++label > LABEL_MAX)
				return false;
		} else {
			return false;
		}
	}
	return label > 0;
}

static bool has_letter(const char *text)
{
	while (*text != '\0' && !isalpha((unsigned char)*text))
		text++;
	return *text != '\0';
}

bool exempt_add_client(struct exempt *exempt, const char *text, char *error, size_t size)
{
	struct prefix prefix;
	char meant[PREFIX_TEXT_MAX];

	if (!prefix_parse(text, &prefix)) {
		if (!prefix_parse_cut(text, &prefix))
			return error_set(error, size,
				    has_letter(text) && is_host_name(*text == '.' ? text + 1 : text)
					    ? "a host name: exempt_hosts is for those"
					    : "neither an address nor a network");
		snprintf(error, size, "host bits are set: was %s meant?",
			 prefix_format(&prefix, meant));
		return false;
	}
	if (exempt->clients_count == exempt->clients_room) {
		size_t room = exempt->clients_room == 0 ? 16 : exempt->clients_room * 2;
		struct prefix *clients = reallocarray(exempt->clients, room, sizeof(*clients));

		if (clients == NULL)
			return error_set(error, size, "out of memory");
		exempt->clients = clients;
		exempt->clients_room = room;
	}
	exempt->clients[exempt->clients_count++] = prefix;
	return true;
}

bool exempt_add_host(struct exempt *exempt, const char *text, char *error, size_t size)
{
	if (!is_host_name(*text == '.' ? text + 1 : text))
		return error_set(error, size, "not a host name");
	return names_add(&exempt->hosts, text) || error_set(error, size, "out of memory");
}

static int compare_prefixes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct prefix));
}

void exempt_seal(struct exempt *exempt)
{
	if (exempt->clients_count > 1)
		qsort(exempt->clients, exempt->clients_count, sizeof(*exempt->clients),
		      compare_prefixes);
	for (size_t i = 0; i < exempt->clients_count; i++) {
		const struct prefix *client = &exempt->clients[i];

		(client->family == 4 ? exempt->ipv4_has : exempt->ipv6_has)[client->bits] = true;
	}
	names_sort(&exempt->hosts);
}

bool exempt_has_client(const struct exempt *exempt, const struct prefix *address,
		       struct prefix *rule)
{
	const bool *has = address->family == 4 ? exempt->ipv4_has : exempt->ipv6_has;

	for (int bits = address->bits; bits >= 0; bits--) {
		struct prefix network;

		if (!has[bits])
			continue;
		network = prefix_cut(address, (uint8_t)bits);
		if (bsearch(&network, exempt->clients, exempt->clients_count, sizeof(network),
			    compare_prefixes) == NULL)
			continue;
		if (rule != NULL)
			*rule = network;
		return true;
	}
	return false;
}

/* Whether a network of exactly so many bits is in the prefix: the first that is not before it. */
static bool has_within(const struct exempt *exempt, const struct prefix *prefix, uint8_t bits)
{
	struct prefix first = *prefix;
	size_t low = 0, high = exempt->clients_count;

	first.bits = bits;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_prefixes(&exempt->clients[middle], &first) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < exempt->clients_count && exempt->clients[low].bits == bits &&
	       prefix_has(prefix, &exempt->clients[low]);
}

bool exempt_touches(const struct exempt *exempt, const struct prefix *prefix)
{
	const bool *has = prefix->family == 4 ? exempt->ipv4_has : exempt->ipv6_has;
	unsigned longest = prefix->family == 4 ? 32 : 128;

	if (exempt_has_client(exempt, prefix, NULL))
		return true;
	for (unsigned bits = prefix->bits + 1U; bits <= longest; bits++)
		if (has[bits] && has_within(exempt, prefix, (uint8_t)bits))
			return true;
	return false;
}

const char *exempt_host_rule(const struct exempt *exempt, const char *name)
{
	char text[HOST_MAX + 2];
	size_t length = 0;
	const char *rule;

	for (; *name != '\0'; name++) {
		if (length == sizeof(text) - 1)
			return NULL;
		text[length++] = names_lower(*name);
	}
	if (length > 0 && text[length - 1] == '.')
		length--;
	text[length] = '\0';
	if (text[0] == '.')
		return NULL;
	rule = names_find(&exempt->hosts, text);
	for (const char *dot = strchr(text, '.'); rule == NULL && dot != NULL;
	     dot = strchr(dot + 1, '.'))
		rule = names_find(&exempt->hosts, dot);
	return rule;
}
