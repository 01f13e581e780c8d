/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes entries of memcached_servers apart, and resolves their names. */
#include "endpoint.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	*port = (uint16_t)number;
	return *text >= '0' && *text <= '9' && *end == '\0' && number >= 1 && number <= UINT16_MAX;
}

bool endpoint_parse(const char *text, struct endpoint *endpoint)
{
	const char *colon = strrchr(text, ':');
	size_t length;

	*endpoint = (struct endpoint){0};
	if (strncmp(text, "unix:", 5) == 0)
		text += 5;
	if (*text == '/') {
		endpoint->host = strdup(text);
		return endpoint->host != NULL;
	}
	if (colon == NULL || colon == text || !parse_port(colon + 1, &endpoint->port))
		return false;
	length = (size_t)(colon - text);
	if (text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	endpoint->host = strndup(text, length);
	return endpoint->host != NULL;
}

void endpoint_free(struct endpoint *endpoint)
{
	free(endpoint->host);
	endpoint->host = NULL;
}

size_t endpoint_resolve(const struct endpoint *endpoint,
			char addresses[ENDPOINT_ADDRESSES_MAX][MESSAGE_HOST_MAX], char *error,
			size_t size)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	size_t count = 0;
	int code;

	if (endpoint->port == 0) {
		snprintf(addresses[0], MESSAGE_HOST_MAX, "%s", endpoint->host);
		return 1;
	}
	code = getaddrinfo(endpoint->host, NULL, &hints, &found);
	if (code != 0) {
		snprintf(error, size, "name look-up: %s", gai_strerror(code));
		return 0;
	}
	for (struct addrinfo *each = found; each != NULL && count < ENDPOINT_ADDRESSES_MAX;
	     each = each->ai_next)
		count += getnameinfo(each->ai_addr, each->ai_addrlen, addresses[count],
				     MESSAGE_HOST_MAX, NULL, 0, NI_NUMERICHOST) == 0;
	freeaddrinfo(found);
	if (count == 0)
		snprintf(error, size, "name look-up: no address");
	return count;
}
