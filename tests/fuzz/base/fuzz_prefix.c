/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses and networks: as the MTA's socket address, and as text. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "base/prefix.h"

static void check(const struct prefix *prefix)
{
	char text[PREFIX_TEXT_MAX], address[PREFIX_TEXT_MAX];
	struct prefix again;

	CHECK(prefix->family == 4 || prefix->family == 6);
	CHECK(prefix->bits <= (prefix->family == 4 ? 32 : 128));
	CHECK(strlen(prefix_format(prefix, text)) < PREFIX_TEXT_MAX && is_printable(text));
	CHECK(prefix_parse(text, &again) && prefix_equal(prefix, &again));
	prefix_format_address(prefix, address);
	CHECK(strncmp(text, address, strlen(address)) == 0);
	if (prefix->bits == (prefix->family == 4 ? 32 : 128))
		CHECK(prefix_parse(address, &again) && prefix_equal(prefix, &again));
}

static void identify(const struct prefix *address, struct input *input)
{
	struct prefix translator = prefix_cut(address, 96);
	struct client_widths widths = {
		.ipv4_prefix = (uint8_t)(8 + take_byte(input) % 25),
		.ipv6_prefix = (uint8_t)(16 + take_byte(input) % 113),
	};
	struct client client;

	widths.ipv4_network = (uint8_t)(8 + take_byte(input) % (widths.ipv4_prefix - 7U));
	widths.ipv6_network = (uint8_t)(16 + take_byte(input) % (widths.ipv6_prefix - 15U));
	widths.translators = &translator;
	widths.translators_count = take_byte(input) % 2;
	client_identify(address, &widths, &client);
	if (client.via.family != 0) {
		CHECK(prefix_equal(&client.via, address));
		CHECK(client.address.family == 4 && client.address.bits == 32);
		CHECK(memcmp(client.address.address, address->address + 12, 4) == 0);
		CHECK(client.address.address[0] != 127 && client.address.address[0] != 0);
	} else {
		CHECK(prefix_equal(&client.address, address));
	}
	check(&client.address);
	check(&client.key);
	check(&client.network);
	CHECK(client.network.bits <= client.key.bits && client.key.bits <= client.address.bits);
	CHECK(client_has_network(&client) == (client.network.bits < client.key.bits));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct sockaddr_storage storage = {0};
	struct prefix prefix, cut;
	char *text = take_text(&input, '\0');
	bool is_exact = prefix_parse(text, &prefix);

	if (is_exact)
		check(&prefix);
	if (prefix_parse_cut(text, &cut)) {
		check(&cut);
		CHECK(!is_exact || prefix_equal(&prefix, &cut));
	} else {
		CHECK(!is_exact);
	}
	free(text);

	storage.ss_family = (sa_family_t)(take_byte(&input) % 2 == 0 ? AF_INET6 : AF_INET);
	for (size_t i = sizeof(sa_family_t); i < sizeof(struct sockaddr_in6); i++)
		((uint8_t *)&storage)[i] = (uint8_t)take_byte(&input);
	CHECK(prefix_from_sockaddr((const struct sockaddr *)&storage, &prefix));
	check(&prefix);
	identify(&prefix, &input);
	storage.ss_family = (sa_family_t)(take_byte(&input) + 11);
	CHECK(!prefix_from_sockaddr((const struct sockaddr *)&storage, &prefix));
	CHECK(!prefix_from_sockaddr(NULL, &prefix));
	return 0;
}
