/* SPDX-License-Identifier: BSD-2-Clause */
/* IP addresses and network prefixes, and their canonical text. Pure. */
#ifndef TARPIT_BASE_PREFIX_H
#define TARPIT_BASE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/* Where an IPv4 address stands in an IPv6 one that carries it. */
#define TRANSLATOR_BITS 96

/* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128" and its NUL. */
#define PREFIX_TEXT_MAX 52

/*
 * Host bits are zero and there is no padding, so that prefixes may be compared and hashed as bytes.
 */
struct prefix {
	uint8_t family;		/* 4 or 6 */
	uint8_t bits;		/* 0 to 32 or 128 */
	uint8_t address[16];	/* network order; IPv4 in the first four */
};

/* A session's client, as it is counted. */
struct client {
	struct prefix address;	/* of full length; IPv4 where a translator's address carries it */
	struct prefix via;	/* then that IPv6 address, as the MTA has it; else family is 0 */
	struct prefix key;	/* what counts as one client */
	struct prefix network;	/* the wider network; equal to key where there is none */
};

/* What makes one client and one network. */
struct client_widths {
	uint8_t ipv4_prefix, ipv4_network, ipv6_prefix, ipv6_network;	/* bits */
	struct prefix *translators;	/* the site's own, IPv6 and TRANSLATOR_BITS each */
	size_t translators_count;
};

/* False for NULL and for what is neither AF_INET nor AF_INET6. ::ffff:a.b.c.d becomes a.b.c.d. */
bool prefix_from_sockaddr(const struct sockaddr *address, struct prefix *prefix);
/*
 * "192.0.2.1", "192.0.2.0/24", "2001:db8::/32"; false if it is none of these, or has host bits set.
 */
bool prefix_parse(const char *text, struct prefix *prefix);
/* The same, but host bits are cut off, which is what their writer probably meant. */
bool prefix_parse_cut(const char *text, struct prefix *prefix);
struct prefix prefix_cut(const struct prefix *prefix, uint8_t bits);
/*
 * Whether all of it is loopback, link-local, private (RFC 1918, RFC 4193) or shared by a provider
 * (RFC 6598).
 */
bool prefix_is_private(const struct prefix *prefix);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
/* As qsort has it: IPv4 first, then by address, the wider one of two that begin alike first. */
int prefix_compare(const struct prefix *a, const struct prefix *b);
/* Whether all of the inner one is in the outer one. */
bool prefix_has(const struct prefix *outer, const struct prefix *inner);
/* Writes "192.0.2.1/32", or RFC 5952's form for IPv6. text holds PREFIX_TEXT_MAX; returned too. */
char *prefix_format(const struct prefix *prefix, char *text);
/* The same without the length. */
char *prefix_format_address(const struct prefix *prefix, char *text);

/*
 * Turns the address, or a prefix of 96 bits or more, of an IPv4 client behind a translator into the
 * IPv4 one that it carries: in 64:ff9b::/96, 64:ff9b:1::/48, ::ffff:0:0:0/96 and the site's own.
 * Nobody behind a translator is loopback, link-local or multicast, and private only behind the
 * site's own: such an address stays what it is, for otherwise it might be taken for one that is
 * exempt. False if it does.
 */
bool prefix_untranslate(struct prefix *prefix, const struct client_widths *widths);

/* Fills client in from the address that the MTA has of it, of full length. */
void client_identify(const struct prefix *address, const struct client_widths *widths,
		     struct client *client);
/* The same of an address that is not to be untranslated. */
void client_identify_plain(const struct prefix *address, const struct client_widths *widths,
			   struct client *client);
/* False if a client and its network are the same prefix. */
bool client_has_network(const struct client *client);

#endif
