/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads, writes and cuts IP addresses and network prefixes. */
#include "base/prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 4291 2.5.5.2, RFC 6052 2.2 */
#define CARRIER_BYTES (TRANSLATOR_BITS / 8)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t full_length(const struct prefix *prefix)
{
	return prefix->family == 4 ? 32 : 128;
}

static bool has_prefix(const struct prefix *prefix, const uint8_t *bytes, size_t count)
{
	return prefix->family == 6 && prefix->bits >= TRANSLATOR_BITS &&
	       memcmp(prefix->address, bytes, count) == 0;
}

static void take_carried(struct prefix *prefix)
{
	prefix->family = 4;
	prefix->bits = (uint8_t)(prefix->bits - TRANSLATOR_BITS);
	memmove(prefix->address, prefix->address + CARRIER_BYTES, 4);
	memset(prefix->address + 4, 0, sizeof(prefix->address) - 4);
}

static void unmap(struct prefix *prefix)
{
	static const uint8_t mapped[CARRIER_BYTES] = {[10] = 0xff, [11] = 0xff};

	if (has_prefix(prefix, mapped, sizeof(mapped)))
		take_carried(prefix);
}

bool prefix_from_sockaddr(const struct sockaddr *address, struct prefix *prefix)
{
	memset(prefix, 0, sizeof(*prefix));
	if (address == NULL)
		return false;
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		prefix->family = 4;
		memcpy(prefix->address, &in.sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		prefix->family = 6;
		memcpy(prefix->address, &in6.sin6_addr, 16);
	} else {
		return false;
	}
	prefix->bits = full_length(prefix);
	unmap(prefix);
	return true;
}

/* One to three digits and nothing else. */
static bool parse_bits(const char *text, unsigned max, uint8_t *bits)
{
	unsigned value = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] != '\0')
		return false;
	for (; *text != '\0'; text++)
		value = value * 10 + (unsigned)(*text - '0');
	*bits = (uint8_t)value;
	return value <= max;
}

/* Reads any prefix, host bits and all. */
static bool parse(const char *text, struct prefix *prefix)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);

	memset(prefix, 0, sizeof(*prefix));
	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(AF_INET, address, prefix->address) == 1)
		prefix->family = 4;
	else if (inet_pton(AF_INET6, address, prefix->address) == 1)
		prefix->family = 6;
	else
		return false;
	prefix->bits = full_length(prefix);
	if (slash != NULL && !parse_bits(slash + 1, prefix->bits, &prefix->bits))
		return false;
	unmap(prefix);
	return true;
}

bool prefix_parse(const char *text, struct prefix *prefix)
{
	struct prefix cut;

	if (!parse(text, prefix))
		return false;
	cut = prefix_cut(prefix, prefix->bits);
	return prefix_equal(prefix, &cut);
}

bool prefix_parse_cut(const char *text, struct prefix *prefix)
{
	if (!parse(text, prefix))
		return false;
	*prefix = prefix_cut(prefix, prefix->bits);
	return true;
}

struct prefix prefix_cut(const struct prefix *prefix, uint8_t bits)
{
	struct prefix cut = {.family = prefix->family};
	size_t bytes;

	cut.bits = bits < prefix->bits ? bits : prefix->bits;
	bytes = cut.bits / 8U;
	memcpy(cut.address, prefix->address, bytes);
	if (cut.bits % 8 != 0)
		cut.address[bytes] =
			(uint8_t)(prefix->address[bytes] & (0xff00U >> (cut.bits % 8)));
	return cut;
}

bool prefix_has(const struct prefix *outer, const struct prefix *inner)
{
	struct prefix cut = prefix_cut(inner, outer->bits);

	return prefix_equal(&cut, outer);
}

/* Whether all of the prefix is in one of the networks. */
static bool is_in(const struct prefix *prefix, const struct prefix *networks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_has(&networks[i], prefix))
			return true;
	return false;
}

bool prefix_is_private(const struct prefix *prefix)
{
	static const struct prefix ranges[] = {
		{4, 8, {10}},	    {4, 8, {127}},	   {4, 10, {100, 64}},
		{4, 12, {172, 16}}, {4, 16, {169, 254}},   {4, 16, {192, 168}},
		{6, 7, {0xfc}},	    {6, 10, {0xfe, 0x80}}, {6, 128, {[15] = 1}},
	};

	return is_in(prefix, ranges, COUNT(ranges));
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order = a->family - b->family;

	if (order == 0)
		order = memcmp(a->address, b->address, sizeof(a->address));
	return order != 0 ? order : a->bits - b->bits;
}

char *prefix_format_address(const struct prefix *prefix, char *text)
{
	if (inet_ntop(prefix->family == 4 ? AF_INET : AF_INET6, prefix->address, text,
		      PREFIX_TEXT_MAX) == NULL)
		text[0] = '\0';
	return text;
}

char *prefix_format(const struct prefix *prefix, char *text)
{
	size_t length = strlen(prefix_format_address(prefix, text));

	snprintf(text + length, PREFIX_TEXT_MAX - length, "/%u", prefix->bits);
	return text;
}

/* How far an IPv4 address that a translator's carries is believed. */
enum belief {
	BELIEVE_NONE,
	BELIEVE_PUBLIC, /* RFC 6052 3.1: the well-known prefix carries no others */
	BELIEVE_PRIVATE
};

/* Of RFC 6890's, no host sends from the first, and only hosts of the site do from the others. */
static bool is_believed(const uint8_t *ipv4, enum belief belief)
{
	static const struct prefix nobodys[] = {
		{4, 8, {0}}, {4, 8, {127}}, {4, 16, {169, 254}}, {4, 3, {224}},
	};
	static const struct prefix further[] = {{4, 24, {192, 0, 0}}, {4, 15, {198, 18}}};
	struct prefix address = {.family = 4, .bits = 32};

	memcpy(address.address, ipv4, 4);
	if (belief == BELIEVE_NONE || is_in(&address, nobodys, COUNT(nobodys)))
		return false;
	return belief == BELIEVE_PRIVATE ||
	       (!prefix_is_private(&address) && !is_in(&address, further, COUNT(further)));
}

static enum belief belief_in(const struct prefix *prefix, const struct client_widths *widths)
{
	static const uint8_t well_known[CARRIER_BYTES] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8_t siit[CARRIER_BYTES] = {[8] = 0xff, [9] = 0xff}; /* RFC 2765 2.1 */
	static const uint8_t local_use[] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
	static const uint8_t zeros[3] = {0};

	if (has_prefix(prefix, well_known, sizeof(well_known)) ||
	    has_prefix(prefix, siit, sizeof(siit)))
		return BELIEVE_PUBLIC;
	for (size_t i = 0; i < widths->translators_count; i++)
		if (has_prefix(prefix, widths->translators[i].address, CARRIER_BYTES))
			return BELIEVE_PRIVATE;
	/* A /48, /56 or /64 of it carries the address further left, and has zeros here. */
	if (has_prefix(prefix, local_use, sizeof(local_use)) &&
	    memcmp(prefix->address + CARRIER_BYTES + 1, zeros, sizeof(zeros)) != 0)
		return BELIEVE_PUBLIC;
	return BELIEVE_NONE;
}

bool prefix_untranslate(struct prefix *prefix, const struct client_widths *widths)
{
	if (!is_believed(prefix->address + CARRIER_BYTES, belief_in(prefix, widths)))
		return false;
	take_carried(prefix);
	return true;
}

void client_identify_plain(const struct prefix *address, const struct client_widths *widths,
			   struct client *client)
{
	bool is_ipv4 = address->family == 4;

	client->address = *address;
	client->via = (struct prefix){0};
	client->key = prefix_cut(address, is_ipv4 ? widths->ipv4_prefix : widths->ipv6_prefix);
	client->network =
		prefix_cut(&client->key, is_ipv4 ? widths->ipv4_network : widths->ipv6_network);
}

void client_identify(const struct prefix *address, const struct client_widths *widths,
		     struct client *client)
{
	struct prefix carried = *address;
	bool is_translated = prefix_untranslate(&carried, widths);

	client_identify_plain(&carried, widths, client);
	if (is_translated)
		client->via = *address;
}

bool client_has_network(const struct client *client)
{
	return !prefix_equal(&client->key, &client->network);
}
