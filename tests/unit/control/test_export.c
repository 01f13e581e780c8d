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

#include "control/command.h"
#include "control/frame.h"
#include "session/site.h"
#include "session_bed.h"

static const struct control_host host = {.tarpit = &tarpit};

#define BEGIN(...)                                                                                 \
	do {                                                                                       \
		START(__VA_ARGS__);                                                                \
		tarpit.store = counting.memory;                                                    \
	} while (0)

static json_t *ask(const char *request)
{
	char *text = command_answer(&host, 1234, request, strlen(request));
	json_t *answer;

	assert_non_null(text);
	assert_true(strlen(text) <= FRAME_REPLY_MAX);
	answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_object(answer));
	free(text);
	return answer;
}

/* The rows of an answer as CLIENT=SECONDS, and "..." where there are more. */
static const char *exported(const char *request)
{
	static char text[2000];
	json_t *answer = ask(request), *row;
	size_t i, length = 0;

	text[0] = '\0';
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_array_foreach(json_object_get(answer, "clients"), i, row)
		length += (size_t)snprintf(
			text + length, sizeof(text) - length, "%s%s=%d", i > 0 ? " " : "",
			json_string_value(json_object_get(row, "client")),
			(int)json_integer_value(json_object_get(row, "remains_s")));
	if (json_is_true(json_object_get(answer, "more")))
		snprintf(text + length, sizeof(text) - length, " ...");
	json_decref(answer);
	return text;
}

#define ALL "{\"command\":\"export\"}"

static void has_delivered(const char *address, unsigned recipients)
{
	const struct store_query query = query_of(address);
	const struct store_event event = {.side = SIDE_GOOD, .amount = 100};
	struct store_view view;

	for (unsigned i = 0; i < recipients; i++)
		store_record(counting.memory, &query, &event, &view);
}

static void flag(const char *client, unsigned duration_s)
{
	char request[120];

	snprintf(request, sizeof(request),
		 "{\"command\":\"flag\",\"client\":\"%s\",\"duration_s\":%u}", client, duration_s);
	json_decref(ask(request));
}

static void the_flagged_are_named_in_order(void **state)
{
	json_t *answer, *by_hand;

	(void)state;
	BEGIN("network_threshold=0");
	assert_string_equal(exported(ALL), "");
	has_offended("2001:db8:0:2::25", 5);
	has_offended("198.51.100.9", 10);
	has_offended("192.0.2.1", 4);
	has_offended("9.0.0.1", 5);
	flag("192.0.2.77", 600);
	fake_clock_advance(1000);
	assert_string_equal(exported(ALL), "9.0.0.1/32=14399 192.0.2.77/32=599 "
					   "198.51.100.9/32=21599 2001:db8:0:2::/64=14399");
	answer = ask(ALL);
	assert_string_equal(json_string_value(json_object_get(answer, "mode")), "enforce");
	by_hand = json_array_get(json_object_get(answer, "clients"), 1);
	assert_true(json_is_true(json_object_get(by_hand, "by_hand")));
	assert_true(json_is_number(json_object_get(by_hand, "score")));
	json_decref(answer);
	fake_clock_advance(WINDOW_MS - 1500);
	assert_string_equal(exported(ALL), "198.51.100.9/32=7200");
	fake_clock_advance(1500);
	assert_string_equal(exported(ALL), "198.51.100.9/32=7199");
	finish();
}

static void who_a_session_would_not_refuse_is_left_out(void **state)
{
	(void)state;
	BEGIN("exempt_clients={192.0.2.1, 2001:db8:0:1::7}", "network_threshold=0");
	has_offended("192.0.2.1", 9);		/* exempt now */
	has_offended("2001:db8:0:1::8", 9);	/* its neighbour in the /64 is */
	has_offended("192.0.2.2", 9);
	has_offended("192.0.2.3", 9);		/* has credit */
	has_delivered("192.0.2.3", 1);
	has_delivered("192.0.2.4", 1);		/* has credit, but was flagged by hand */
	flag("192.0.2.4", 60);
	flag("192.0.2.1", 60);
	assert_string_equal(exported(ALL), "192.0.2.2/32=20800 192.0.2.4/32=60");
	finish();
}

static void a_siege_alone_names_nobody(void **state)
{
	struct siege_settings settings = {30, 5, 600000};
	json_t *answer;

	(void)state;
	BEGIN();
	has_offended("192.0.2.1", 1);
	has_offended("198.51.100.2", 5);
	site_offence(tarpit.site, &settings, 3200, MIDNIGHT);
	answer = ask("{\"command\":\"status\"}");
	assert_int_equal(json_integer_value(json_object_get(answer, "flagged")), 2);
	json_decref(answer);
	assert_string_equal(exported(ALL), "198.51.100.2/32=14400");
	finish();
}

static void what_no_session_is_judged_by_is_left_out(void **state)
{
	(void)state;
	BEGIN("network_threshold=0");
	has_offended("192.0.2.1", 9);
	has_offended("2001:db8:0:1::8", 9);
	config_box_put(tarpit.config, load((const char *const[]){
					      "ipv4_prefix=24", "network_threshold=0", NULL}));
	assert_string_equal(exported(ALL), "2001:db8:0:1::/64=20800");
	finish();
}

static void pages_follow_each_other(void **state)
{
	char address[32];

	(void)state;
	BEGIN("network_threshold=0");
	for (unsigned i = 0; i < 5; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i * 7 % 5);
		has_offended(address, 5);
	}
	has_offended("2001:db8::1", 5);
#define PAGE(after) "{\"command\":\"export\",\"count\":2,\"after\":\"" after "\"}"
	assert_string_equal(exported("{\"command\":\"export\",\"count\":2}"),
			    "192.0.2.0/32=14400 192.0.2.1/32=14400 ...");
	assert_string_equal(exported(PAGE("192.0.2.1/32")),
			    "192.0.2.2/32=14400 192.0.2.3/32=14400 ...");
	assert_string_equal(exported(PAGE("192.0.2.3/32")),
			    "192.0.2.4/32=14400 2001:db8::/64=14400");
	assert_string_equal(exported(PAGE("2001:db8::/64")), "");
	assert_string_equal(exported("{\"command\":\"export\",\"count\":1}"),
			    "192.0.2.0/32=14400 ...");
	finish();
}

static void a_full_page_fits_into_an_answer(void **state)
{
	json_t *answer, *rows, *last;
	char address[64];

	(void)state;
	BEGIN("network_threshold=0", "memory_clients=60000", "ipv6_prefix=128");
	for (unsigned i = 0; i < 50100; i++) {
		snprintf(address, sizeof(address), "2001:1111:2222:3333:4444:5555:%x:%x",
			 0x1000 + i / 0x1000, 0x1000 + i % 0x1000);
		has_offended(address, 7);
	}
	answer = ask(ALL);
	rows = json_object_get(answer, "clients");
	assert_int_equal(json_array_size(rows), 50000);
	assert_true(json_is_true(json_object_get(answer, "more")));
	last = json_array_get(rows, 49999);
	snprintf(address, sizeof(address), "2001:1111:2222:3333:4444:5555:%x:%x/128",
		 0x1000 + 49999 / 0x1000, 0x1000 + 49999 % 0x1000);
	assert_string_equal(json_string_value(json_object_get(last, "client")), address);
	json_decref(answer);
	finish();
}

static void wrong_arguments_are_refused(void **state)
{
	static const char *const requests[] = {
		"{\"command\":\"export\",\"after\":5}",
		"{\"command\":\"export\",\"after\":\"x\"}",
		"{\"command\":\"export\",\"after\":\"192.0.2.1/24\"}",
		"{\"command\":\"export\",\"count\":0}",
		"{\"command\":\"export\",\"count\":50001}",
		"{\"command\":\"export\",\"client\":\"192.0.2.1\"}",
	};

	(void)state;
	BEGIN();
	for (size_t i = 0; i < COUNT(requests); i++) {
		json_t *answer = ask(requests[i]);

		if (json_integer_value(json_object_get(answer, "status")) != 64)
			fail_msg("%s", requests[i]);
		json_decref(answer);
	}
	finish();
}

static void the_mode_is_told(void **state)
{
	json_t *answer;

	(void)state;
	BEGIN("mode=observe");
	answer = ask(ALL);
	assert_string_equal(json_string_value(json_object_get(answer, "mode")), "observe");
	json_decref(answer);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_flagged_are_named_in_order),
		TEST(who_a_session_would_not_refuse_is_left_out),
		TEST(a_siege_alone_names_nobody),
		TEST(what_no_session_is_judged_by_is_left_out),
		TEST(pages_follow_each_other),
		TEST(a_full_page_fits_into_an_answer),
		TEST(wrong_arguments_are_refused),
		TEST(the_mode_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
