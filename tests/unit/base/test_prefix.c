/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
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
	static const struct client_widths widths = {32, 24, 64, 48}, alone = {24, 24, 64, 64};
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_ranges_are_known),
		cmocka_unit_test(texts_are_read_and_written),
		cmocka_unit_test(host_bits_are_cut_off_on_request),
		cmocka_unit_test(sockaddrs_are_read),
		cmocka_unit_test(clients_have_a_key_and_a_network),
	};

	return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
