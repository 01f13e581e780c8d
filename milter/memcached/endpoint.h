/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a memcached server is: an entry of memcached_servers taken apart, and its numeric
 * addresses.
 */
#ifndef TARPIT_MEMCACHED_ENDPOINT_H
#define TARPIT_MEMCACHED_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

/* More addresses of one name are not tried. */
#define ENDPOINT_ADDRESSES_MAX 8

/* "host:port", "[v6]:port", "/path" or "unix:/path". */
struct endpoint {
	char *host;	/* or path */
	uint16_t port;	/* 0: host is a path */
};

/* False if text is none of these, or there is no memory. endpoint_free frees what it holds. */
bool endpoint_parse(const char *text, struct endpoint *endpoint);
void endpoint_free(struct endpoint *endpoint);
/*
 * The numeric addresses of the host, or its path; returns how many. 0 with the reason in error.
 * Takes as long as the resolver does.
 */
size_t endpoint_resolve(const struct endpoint *endpoint,
			char addresses[ENDPOINT_ADDRESSES_MAX][MESSAGE_HOST_MAX], char *error,
			size_t size);

#endif
