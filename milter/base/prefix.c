/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads, writes and cuts IP addresses and network prefixes. */
#include "base/prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Where an IPv4 address stands in an IPv4-mapped IPv6 one (RFC 4291 2.5.5.2). */
#define MAPPED_BITS 96
#define MAPPED_BYTES (MAPPED_BITS / 8)

static uint8_t full_length(const struct prefix *prefix)
{
	return prefix->family == 4 ? 32 : 128;
}

static void unmap(struct prefix *prefix)
{
	static const uint8_t mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

	if (prefix->family != 6 || prefix->bits < MAPPED_BITS ||
	    memcmp(prefix->address, mapped, sizeof(mapped)) != 0)
		return;
	prefix->family = 4;
	prefix->bits = (uint8_t)(prefix->bits - MAPPED_BITS);
	memmove(prefix->address, prefix->address + MAPPED_BYTES, 4);
	memset(prefix->address + 4, 0, sizeof(prefix->address) - 4);
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

bool prefix_is_private(const struct prefix *prefix)
{
	static const struct prefix ranges[] = {
		{4, 8, {10}},	    {4, 8, {127}},	   {4, 10, {100, 64}},
		{4, 12, {172, 16}}, {4, 16, {169, 254}},   {4, 16, {192, 168}},
		{6, 7, {0xfc}},	    {6, 10, {0xfe, 0x80}}, {6, 128, {[15] = 1}},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct prefix cut;

		if (prefix->family != ranges[i].family || prefix->bits < ranges[i].bits)
			continue;
		cut = prefix_cut(prefix, ranges[i].bits);
		if (prefix_equal(&cut, &ranges[i]))
			return true;
	}
	return false;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
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

void client_identify(const struct prefix *address, const struct client_widths *widths,
		     struct client *client)
{
	bool is_ipv4 = address->family == 4;

	client->address = *address;
	client->key = prefix_cut(address, is_ipv4 ? widths->ipv4_prefix : widths->ipv6_prefix);
	client->network =
		prefix_cut(&client->key, is_ipv4 ? widths->ipv4_network : widths->ipv6_network);
}

bool client_has_network(const struct client *client)
{
	return !prefix_equal(&client->key, &client->network);
}
