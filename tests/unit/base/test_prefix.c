/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/prefix.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void texts_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *canonical;	/* NULL: refused */
	} rows[] = {
		{"192.0.2.1", "192.0.2.1/32"},
		{"192.0.2.0/24", "192.0.2.0/24"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"192.0.2.128/25", "192.0.2.128/25"},
		{"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1/128"},
		{"2001:db8::/32", "2001:db8::/32"},
		{"::/0", "::/0"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.0/120", "192.0.2.0/24"},
		{"192.0.2.1/24", NULL},
		{"2001:db8::1/64", NULL},
		{"192.0.2.0/33", NULL},
		{"::/129", NULL},
		{"::/1000", NULL},
		{"192.0.2.0/", NULL},
		{"192.0.2.0/-1", NULL},
		{"192.0.2.0/2 ", NULL},
		{"192.0.2", NULL},
		{"192.0.2.256", NULL},
		{"", NULL},
		{"/8", NULL},
		{"fe80::1%lo", NULL},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefix prefix;
		char text[PREFIX_TEXT_MAX];
		bool valid = prefix_parse(rows[i].text, &prefix);

		if (valid != (rows[i].canonical != NULL))
			fail_msg("%s: %s", rows[i].text, valid ? "taken" : "refused");
		if (valid)
			assert_string_equal(prefix_format(&prefix, text), rows[i].canonical);
	}
}

static void host_bits_are_cut_off_on_request(void **state)
{
	struct prefix prefix;
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_true(prefix_parse_cut("192.0.2.77/25", &prefix));
	assert_string_equal(prefix_format(&prefix, text), "192.0.2.0/25");
	assert_true(prefix_parse_cut("2001:db8:1:2:3::/61", &prefix));
	assert_string_equal(prefix_format(&prefix, text), "2001:db8:1::/61");
	assert_false(prefix_parse_cut("192.0.2.77/99", &prefix));
}

static void sockaddrs_are_read(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr other = {.sa_family = AF_UNIX};
	struct prefix prefix;
	char text[PREFIX_TEXT_MAX];

	(void)state;
	in.sin_addr.s_addr = htonl(0xc0000201);
	assert_true(prefix_from_sockaddr((struct sockaddr *)&in, &prefix));
	assert_string_equal(prefix_format(&prefix, text), "192.0.2.1/32");
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr), 1);
	assert_true(prefix_from_sockaddr((struct sockaddr *)&in6, &prefix));
	assert_string_equal(prefix_format_address(&prefix, text), "192.0.2.9");
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::9", &in6.sin6_addr), 1);
	assert_true(prefix_from_sockaddr((struct sockaddr *)&in6, &prefix));
	assert_string_equal(prefix_format_address(&prefix, text), "2001:db8::9");
	assert_false(prefix_from_sockaddr(&other, &prefix));
	assert_false(prefix_from_sockaddr(NULL, &prefix));
}

static void clients_have_a_key_and_a_network(void **state)
{
	static const struct client_widths widths = {32, 24, 64, 48, NULL, 0};
	static const struct client_widths alone = {24, 24, 64, 64, NULL, 0};
	struct prefix address;
	struct client client;
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_true(prefix_parse("2001:db8:1:2:3:4:5:6", &address));
	client_identify(&address, &widths, &client);
	assert_string_equal(prefix_format(&client.key, text), "2001:db8:1:2::/64");
	assert_string_equal(prefix_format(&client.network, text), "2001:db8:1::/48");
	assert_true(client_has_network(&client));
	assert_true(prefix_parse("192.0.2.1", &address));
	client_identify(&address, &alone, &client);
	assert_string_equal(prefix_format(&client.key, text), "192.0.2.0/24");
	assert_false(client_has_network(&client));
}

static void translators_clients_are_the_ones_they_carry(void **state)
{
	struct prefix own[2];
	struct client_widths widths = {32, 24, 64, 48, own, COUNT(own)};
	static const struct {
		const char *address, *carried;	/* NULL: it stays what it is */
	} rows[] = {
		/* RFC 6052, RFC 8215, SIIT, and the site's own. */
		{"64:ff9b::c000:207", "192.0.2.7"},
		{"64:ff9b:1::c000:207", "192.0.2.7"},
		{"64:ff9b:1:abcd:ef:1:c000:207", "192.0.2.7"},
		{"::ffff:0:c000:207", "192.0.2.7"},
		{"2001:db8:64::c000:207", "192.0.2.7"},
		{"2001:db8:64:1:2:3:c000:207", "192.0.2.7"},
		/* Only the site's own carry private addresses, */
		{"64:ff9b::a00:1", NULL},
		{"64:ff9b::ac1f:ffff", NULL},
		{"64:ff9b::ac20:1", "172.32.0.1"},
		{"64:ff9b::c0a8:101", NULL},
		{"64:ff9b::6440:1", NULL},
		{"64:ff9b::c612:1", NULL},
		{"64:ff9b::c000:1", NULL},
		{"64:ff9b:1::a00:1", NULL},
		{"::ffff:0:a00:1", NULL},
		{"2001:db8:64::a00:1", "10.0.0.1"},
		{"2001:db8:64::c0a8:101", "192.168.1.1"},
		/* and nobody's the ones that no host can send from. */
		{"64:ff9b::7f00:1", NULL},
		{"64:ff9b:1::7f00:1", NULL},
		{"::ffff:0:7f00:1", NULL},
		{"2001:db8:64::7f00:1", NULL},
		{"2001:db8:64::", NULL},
		{"2001:db8:64::a9fe:1", NULL},
		{"2001:db8:64::e000:1", NULL},
		{"2001:db8:64::ffff:ffff", NULL},
		{"::1", NULL},
		/* A /48 and a /64 of 64:ff9b:1::/48 carry 203.0.113.9 elsewhere. */
		{"64:ff9b:1:cb00:71:900::", NULL},
		{"64:ff9b:1:1:cb:71:900:0", NULL},
		/* Neighbours, 6to4 and Teredo are hosts of their own. */
		{"64:ff9b::1:c000:207", NULL},
		{"64:ff9b:2::c000:207", NULL},
		{"2001:db8:64::1:c000:207", NULL},
		{"2002:c000:207::1", NULL},
		{"2001:0:c000:207::3fff:fdf8", NULL},
	};

	(void)state;
	assert_true(prefix_parse("2001:db8:64::/96", &own[0]));
	assert_true(prefix_parse("2001:db8:64:1:2:3::/96", &own[1]));
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *carried = rows[i].carried;
		char text[PREFIX_TEXT_MAX];
		struct prefix address;
		struct client client;

		assert_true(prefix_parse(rows[i].address, &address));
		client_identify(&address, &widths, &client);
		prefix_format_address(&client.address, text);
		if (strcmp(text, carried != NULL ? carried : rows[i].address) != 0)
			fail_msg("%s: %s", rows[i].address, text);
		assert_int_equal(client.key.bits, carried != NULL ? 32 : 64);
		if (carried != NULL)
			assert_true(prefix_equal(&client.via, &address));
		else
			assert_int_equal(client.via.family, 0);
		client_identify_plain(&address, &widths, &client);
		assert_true(prefix_equal(&client.address, &address));
		assert_int_equal(client.via.family, 0);
	}
}

static void prefixes_of_translators_clients_are_theirs_too(void **state)
{
	static const struct client_widths widths = {24, 24, 64, 48, NULL, 0};
	struct prefix prefix;
	char text[PREFIX_TEXT_MAX];

	(void)state;
	assert_true(prefix_parse("64:ff9b::c000:200/120", &prefix));
	assert_true(prefix_untranslate(&prefix, &widths));
	assert_string_equal(prefix_format(&prefix, text), "192.0.2.0/24");
	assert_true(prefix_parse("64:ff9b::/95", &prefix));
	assert_false(prefix_untranslate(&prefix, &widths));
	assert_string_equal(prefix_format(&prefix, text), "64:ff9b::/95");
	assert_true(prefix_parse("192.0.2.7", &prefix));
	assert_false(prefix_untranslate(&prefix, &widths));
}

static void private_ranges_are_known(void **state)
{
	static const struct {
		const char *text;
		bool is_private;
	} rows[] = {
		{"10.255.0.1", true},	 {"11.0.0.1", false},	 {"127.0.0.1", true},
		{"100.64.0.1", true},	 {"100.128.0.1", false}, {"172.31.9.9", true},
		{"172.32.0.1", false},	 {"169.254.1.1", true},	 {"192.168.0.1", true},
		{"192.0.2.1", false},	 {"::1", true},		 {"::2", false},
		{"fd00::1", true},	 {"fe80::1", true},	 {"2001:db8::1", false},
		{"10.0.0.0/8", true},	 {"10.0.0.0/7", false},	 {"fc00::/7", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefix prefix;

		if (!prefix_parse(rows[i].text, &prefix) ||
		    prefix_is_private(&prefix) != rows[i].is_private)
			fail_msg("%s", rows[i].text);
	}
}

static void addresses_come_in_order(void **state)
{
	static const char *const texts[] = {
		"9.0.0.0/8",	"10.0.0.0/8",	"10.0.0.0/24", "10.0.0.1/32", "192.0.2.1/32",
		"192.0.2.2/32", "::/0",		"::1/128",     "2001:db8::/32", "2001:db8::/64",
		"2001:db8:0:1::/64",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		for (size_t k = 0; k < COUNT(texts); k++) {
			struct prefix a, b;
			int order;

			assert_true(prefix_parse(texts[i], &a) && prefix_parse(texts[k], &b));
			order = prefix_compare(&a, &b);
			if ((order < 0) != (i < k) || (order > 0) != (i > k))
				fail_msg("%s, %s: %d", texts[i], texts[k], order);
		}
	}
}

static void a_network_has_what_is_in_it(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool has;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.1/32", true},	 {"192.0.2.0/24", "192.0.2.0/24", true},
		{"192.0.2.0/24", "192.0.2.128/25", true}, {"192.0.2.0/24", "192.0.3.0/24", false},
		{"192.0.2.1/32", "192.0.2.0/24", false},  {"192.0.2.0/25", "192.0.2.0/24", false},
		{"0.0.0.0/0", "192.0.2.1/32", true},	 {"0.0.0.0/0", "::/0", false},
		{"::/0", "192.0.2.1/32", false},	 {"2001:db8::/32", "2001:db8:1::/48", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefix outer, inner;

		assert_true(prefix_parse(rows[i].outer, &outer) &&
			    prefix_parse(rows[i].inner, &inner));
		if (prefix_has(&outer, &inner) != rows[i].has)
			fail_msg("%s, %s", rows[i].outer, rows[i].inner);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_ranges_are_known),
		cmocka_unit_test(texts_are_read_and_written),
		cmocka_unit_test(addresses_come_in_order),
		cmocka_unit_test(a_network_has_what_is_in_it),
		cmocka_unit_test(host_bits_are_cut_off_on_request),
		cmocka_unit_test(sockaddrs_are_read),
		cmocka_unit_test(clients_have_a_key_and_a_network),
		cmocka_unit_test(translators_clients_are_the_ones_they_carry),
		cmocka_unit_test(prefixes_of_translators_clients_are_theirs_too),
	};

	return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
