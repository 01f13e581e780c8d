/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tarpitctl/export.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct export_client clients[] = {
	{{4, 32, {192, 0, 2, 1}}, 600, true, 0},
	{{4, 24, {198, 51, 100}}, 2419200, false, 12.346},
	{{6, 64, {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2}}, 1, false, 5},
};

static const char *written(const char *format, const struct export_list *list)
{
	static char text[2000];
	export_writer *write = export_writer_find(format);
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(write);
	assert_non_null(out);
	text[0] = '\0'; /* fmemopen touches nothing where nothing is written */
	write(list, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

#define NFT_SET(number, type)                                                                      \
	"add set inet tarpit_milter flagged" number " { type " type "; flags interval, timeout; }\n"\
	"flush set inet tarpit_milter flagged" number "\n"
#define IPSET_BEGIN(number, family)                                                                \
	"create -exist tarpit_milter" number " hash:net family " family                            \
	" maxelem 10000000 timeout 60\n"                                                           \
	"create -exist tarpit_milter" number "_new hash:net family " family                        \
	" maxelem 10000000 timeout 60\n"                                                           \
	"flush tarpit_milter" number "_new\n"
#define IPSET_END(number)                                                                          \
	"swap tarpit_milter" number "_new tarpit_milter" number "\n"                               \
	"destroy tarpit_milter" number "_new\n"
#define DATASET(number)                                                                            \
	"$DATASET ip" number "trie:flagged" number " @\n:127.0.0.2:flagged by tarpit-milter\n"

static void each_format_is_what_its_reader_takes(void **state)
{
	static const struct {
		const char *format, *empty, *full;
	} rows[] = {
		{"cidr", "", "192.0.2.1/32\n198.51.100.0/24\n2001:db8:1:2::/64\n"},
		{"postscreen", "",
		 "192.0.2.1/32 reject\n198.51.100.0/24 reject\n2001:db8:1:2::/64 reject\n"},
		{"nft",
		 "add table inet tarpit_milter\n" NFT_SET("4", "ipv4_addr") NFT_SET("6", "ipv6_addr"),
		 "add table inet tarpit_milter\n" NFT_SET("4", "ipv4_addr")
		 "add element inet tarpit_milter flagged4 {\n"
		 "\t192.0.2.1/32 timeout 600s,\n\t198.51.100.0/24 timeout 2419200s,\n}\n"
		 NFT_SET("6", "ipv6_addr")
		 "add element inet tarpit_milter flagged6 {\n\t2001:db8:1:2::/64 timeout 1s,\n}\n"},
		{"ipset",
		 IPSET_BEGIN("4", "inet") IPSET_END("4") IPSET_BEGIN("6", "inet6") IPSET_END("6"),
		 IPSET_BEGIN("4", "inet")
		 "add tarpit_milter4_new 192.0.2.1/32 timeout 600\n"
		 "add tarpit_milter4_new 198.51.100.0/24 timeout 2147483\n" /* its greatest */
		 IPSET_END("4") IPSET_BEGIN("6", "inet6")
		 "add tarpit_milter6_new 2001:db8:1:2::/64 timeout 1\n" IPSET_END("6")},
		{"rbldnsd", "$TTL 60\n" DATASET("4") DATASET("6"),
		 "$TTL 60\n" DATASET("4") "192.0.2.1/32\n198.51.100.0/24\n" DATASET("6")
		 "2001:db8:1:2::/64\n"},
		{"json", "{\"ok\": true, \"mode\": \"enforce\", \"clients\": []}\n",
		 "{\"ok\": true, \"mode\": \"enforce\", \"clients\": ["
		 "{\"client\": \"192.0.2.1/32\", \"remains_s\": 600, \"by_hand\": true, \"score\": 0.00}, "
		 "{\"client\": \"198.51.100.0/24\", \"remains_s\": 2419200, \"by_hand\": false, "
		 "\"score\": 12.35}, "
		 "{\"client\": \"2001:db8:1:2::/64\", \"remains_s\": 1, \"by_hand\": false, "
		 "\"score\": 5.00}]}\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct export_list full = {.clients = clients, .count = COUNT(clients)};

		assert_string_equal(written(rows[i].format, &full), rows[i].full);
		assert_string_equal(written(rows[i].format, &(struct export_list){0}), rows[i].empty);
	}
	assert_null(export_writer_find("xml"));
	assert_null(export_writer_find(""));
}

static void a_zone_may_expire(void **state)
{
	const struct export_list list = {.expires_s = 1795219261};

	(void)state;
	assert_string_equal(written("rbldnsd", &list),
			    "$TTL 60\n$TIMESTAMP - 2026:11:21:00:01:01\n" DATASET("4") DATASET("6"));
}

#define ROW(client) "{\"client\":\"" client "\",\"remains_s\":5,\"by_hand\":false,\"score\":5}"
#define ANSWER(rows) "{\"mode\":\"enforce\",\"more\":false,\"clients\":[" rows "]}"

static bool take(struct export_list *list, const char *text, bool *is_more)
{
	json_t *answer = json_loads(text, 0, NULL);
	bool is_taken;

	assert_non_null(answer);
	is_taken = export_take(list, answer, is_more);
	json_decref(answer);
	return is_taken;
}

static void pages_are_put_together(void **state)
{
	struct export_list list = {0};
	bool is_more = false;

	(void)state;
	assert_true(take(&list, "{\"mode\":\"observe\",\"more\":true,\"clients\":[" ROW("192.0.2.0/24") "]}",
			 &is_more));
	assert_true(is_more);
	assert_true(take(&list, ANSWER(ROW("192.0.3.0/24") "," ROW("::/64")), &is_more));
	assert_false(is_more);
	assert_true(take(&list, ANSWER(""), &is_more));
	assert_true(list.observe);
	assert_string_equal(written("cidr", &list), "192.0.2.0/24\n192.0.3.0/24\n::/64\n");
	free(list.clients);
}

static void lies_are_not_taken(void **state)
{
	static const char *const lies[] = {
		"{}",
		"{\"mode\":\"enforce\",\"more\":false}",
		"{\"mode\":\"enforce\",\"clients\":[]}",
		"{\"more\":false,\"clients\":[]}",
		"{\"mode\":\"sleep\",\"more\":false,\"clients\":[]}",
		"{\"mode\":\"enforce\",\"more\":1,\"clients\":[]}",
		"{\"mode\":\"enforce\",\"more\":false,\"clients\":{}}",
		"{\"mode\":\"enforce\",\"more\":true,\"clients\":[]}", /* for ever */
		ANSWER("1"),
		ANSWER("null"),
		ANSWER(ROW("192.0.2.1/24")),
		ANSWER(ROW("192.0.2.1/32 timeout 5d }; flush ruleset #")),
		ANSWER(ROW("192.0.2.1/32\\nflush ruleset")),
		ANSWER(ROW("")),
		ANSWER(ROW("192.0.2.1/32") "," ROW("192.0.2.1/32")),
		ANSWER(ROW("192.0.2.2/32") "," ROW("192.0.2.1/32")),
		ANSWER(ROW("192.0.2.0/24") "," ROW("192.0.2.1/32")), /* a part */
		ANSWER(ROW("192.0.0.0/16") "," ROW("192.0.1.0/24")),
		ANSWER("{\"client\":5,\"remains_s\":5,\"by_hand\":false,\"score\":5}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"by_hand\":false,\"score\":5}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":0,\"by_hand\":false,\"score\":5}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":-5,\"by_hand\":false,\"score\":5}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":5.5,\"by_hand\":false,\"score\":5}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":2419201,\"by_hand\":false,\"score\":5}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":5,\"by_hand\":0,\"score\":5}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":5,\"by_hand\":false,\"score\":\"5\"}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":5,\"by_hand\":false,\"score\":1e300}"),
		ANSWER("{\"client\":\"192.0.2.1/32\",\"remains_s\":5,\"by_hand\":false}"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		struct export_list list = {0};
		bool is_more;

		if (take(&list, lies[i], &is_more))
			fail_msg("%s", lies[i]);
		free(list.clients);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_is_what_its_reader_takes),
		cmocka_unit_test(a_zone_may_expire),
		cmocka_unit_test(pages_are_put_together),
		cmocka_unit_test(lies_are_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
