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
#include "session/deferrals.h"
#include "session/site.h"
#include "store/memory.h"
#include "session_bed.h"
#include "base/stats.h"

#define UID 1234

/* What the daemon's reload would say. */
static struct {
	bool is_done;
	const char *needs_restart;
	unsigned faults;
} next_reload;

static bool fake_reload(void *arg, struct faults *faults, char *needs_restart, size_t size)
{
	assert_ptr_equal(arg, &next_reload);
	for (unsigned i = 1; i <= next_reload.faults; i++)
		faults_add(faults, "/etc/x.conf:%u: \x80: bad value", i);
	if (next_reload.is_done)
		snprintf(needs_restart, size, "%s", next_reload.needs_restart);
	return next_reload.is_done;
}

static const struct control_host host = {
	.tarpit = &tarpit, .started_ms = 1000000 - 61500, .arg = &next_reload, .reload = fake_reload};

#define BEGIN(...)                                                                                 \
	do {                                                                                       \
		START(__VA_ARGS__);                                                                \
		tarpit.store = counting.memory;                                                    \
	} while (0)

static json_t *ask_bytes(const char *request, size_t length)
{
	char *text = command_answer(&host, UID, request, length);
	json_t *answer;

	assert_non_null(text);
	answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_object(answer));
	free(text);
	return answer;
}

static json_t *ask(const char *request)
{
	return ask_bytes(request, strlen(request));
}

/* A member as JSON; the text lives until the next call. NULL if there is none. */
static const char *member(const json_t *object, const char *key)
{
	static char text[4096];
	const json_t *value = json_object_get(object, key);
	size_t length;

	if (value == NULL)
		return NULL;
	length = json_dumpb(value, text, sizeof(text) - 1,
			    JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
	assert_true(length > 0 && length < sizeof(text));
	text[length] = '\0';
	return text;
}

struct expected {
	const char *key, *value;
};

static void check(const json_t *object, const struct expected *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *value = member(object, rows[i].key);

		if (value == NULL || strcmp(value, rows[i].value) != 0)
			fail_msg("%s: %s, not %s", rows[i].key, value != NULL ? value : "missing",
				 rows[i].value);
	}
}

/* The answer to that request has these members among others. */
#define EXPECT(request, ...)                                                                       \
	do {                                                                                       \
		static const struct expected rows[] = {__VA_ARGS__};                               \
		json_t *told = ask(request);                                                       \
		check(told, rows, COUNT(rows));                                                    \
		json_decref(told);                                                                 \
	} while (0)

static void check_refusal(const char *request, size_t length, const char *status, const char *error)
{
	json_t *answer = ask_bytes(request, length);
	const char *said = json_string_value(json_object_get(answer, "error"));

	assert_string_equal(member(answer, "ok"), "false");
	if (strcmp(member(answer, "status"), status) != 0 || said == NULL ||
	    strstr(said, error) == NULL)
		fail_msg("'%.60s': %s, %s", request, member(answer, "status"), said);
	assert_int_equal(json_object_size(answer), 3);
	for (const char *p = said; *p != '\0'; p++)
		assert_in_range(*p, ' ', '~');
	json_decref(answer);
}

static void broken_requests_are_refused(void **state)
{
	static const struct {
		const char *request, *status, *error;
	} rows[] = {
		{"", "64", "no JSON"},
		{"x", "64", "no JSON"},
		{"{", "64", "no JSON"},
		{"{}x", "64", "no JSON"},
		{"[]", "64", "not an object"},
		{"\"status\"", "64", "no JSON"},
		{"{}", "64", "no command"},
		{"{\"command\":1}", "64", "no command"},
		{"{\"command\":null}", "64", "no command"},
		{"{\"command\":\"\"}", "64", "no such command"},
		{"{\"command\":\"Status\"}", "64", "Status: no such command"},
		{"{\"command\":\"\\u001b[2J\"}", "64", "?[2J: no such command"},
		{"{\"command\":\"status\",\"command\":\"status\"}", "64", "duplicate"},
		{"{\"command\":\"status\",\"x\":1}", "64", "x: no argument of status"},
		{"{\"command\":\"status\",\"\\u009b\":1}", "64", "??: no argument"},
		{"{\"command\":\"stat\\u0000us\"}", "64", "no JSON"},
		{"{\"command\":\"\xff\"}", "64", "no JSON"},
		{"{\"command\":\"\xc3\"}", "64", "no JSON"},
		{"{\"command\":\"list\",\"count\":0}", "64", "not an integer from 1 to 1000"},
		{"{\"command\":\"list\",\"count\":1001}", "64", "not an integer"},
		{"{\"command\":\"list\",\"count\":-1}", "64", "not an integer"},
		{"{\"command\":\"list\",\"count\":1.5}", "64", "not an integer"},
		{"{\"command\":\"list\",\"count\":\"5\"}", "64", "not an integer"},
		{"{\"command\":\"list\",\"count\":99999999999999999999}", "64", "no JSON"},
		{"{\"command\":\"show\"}", "64", "client is missing"},
		{"{\"command\":\"show\",\"client\":5}", "64", "not a string"},
		{"{\"command\":\"show\",\"client\":\"\"}", "64", "neither an address nor a prefix"},
		{"{\"command\":\"show\",\"client\":\"mail.example.com\"}", "64", "neither"},
		{"{\"command\":\"show\",\"client\":\"192.0.2.1/33\"}", "64", "neither"},
		{"{\"command\":\"show\",\"client\":\"fe80::1%eth0\"}", "64", "neither"},
		{"{\"command\":\"show\",\"client\":\"192.0.2.1/24\"}", "1",
		 "192.0.2.0/24 is wider than a client (ipv4_prefix = 32): name an address"},
		{"{\"command\":\"forgive\",\"client\":\"2001:db8::/48\"}", "1",
		 "2001:db8::/48 is wider than a client (ipv6_prefix = 64): name an address"},
		{"{\"command\":\"show\",\"client\":\"0.0.0.0/0\"}", "1", "wider"},
		{"{\"command\":\"show\",\"client\":\"::ffff:0:0/96\"}", "1", "0.0.0.0/0 is wider"},
		{"{\"command\":\"flag\",\"client\":\"192.0.2.1\",\"duration_s\":0}", "64", "duration_s"},
		{"{\"command\":\"flag\",\"client\":\"192.0.2.1\",\"duration_s\":2592001}", "64",
		 "from 1 to 2592000"},
		{"{\"command\":\"flag\",\"client\":\"127.0.0.1\"}", "1",
		 "127.0.0.1/32 is exempt: exempt_clients has 127.0.0.0/8"},
		{"{\"command\":\"flag\",\"client\":\"192.0.2.1\",\"count\":1}", "64", "no argument of flag"},
		{"{\"command\":\"reload\",\"client\":\"192.0.2.1\"}", "64", "no argument of reload"},
		{"{\"command\":\"forgive\",\"client\":\"192.0.2.1\"}", "1",
		 "no such client: 192.0.2.1/32"},
		{"{\"command\":[[[[[[[[1]]]]]]]]}", "64", "nested too deeply"},
		{"{\"command\":[[[[[[1]]]]]]}", "64", "no command"},
		{"{\"a[[[[[[[[[[[[[[\\\"[[[[\":1,\"command\":1}", "64", "no command"},
	};
	char deep[FRAME_REQUEST_MAX];

	(void)state;
	BEGIN();
	for (size_t i = 0; i < COUNT(rows); i++)
		check_refusal(rows[i].request, strlen(rows[i].request), rows[i].status,
			      rows[i].error);
	memset(deep, '[', sizeof(deep));
	check_refusal(deep, sizeof(deep), "64", "nested too deeply");
	check_refusal("{}\0", 3, "64", "no JSON");
	assert_int_equal(stats_get(STAT_FLAGGED_BY_HAND) + stats_get(STAT_FORGIVEN), 0);
	finish();
}

static void refusals_have_a_form(void **state)
{
	char *text = command_refusal(1, "no \"entry\"");

	(void)state;
	assert_string_equal(text, "{\"ok\":false,\"status\":1,\"error\":\"no \\\"entry\\\"\"}");
	free(text);
}

static void status_has_it_all(void **state)
{
	struct session *session;

	(void)state;
	BEGIN("max_stalls=7", "mode=observe");
	has_offended("192.0.2.1", 6);
	has_offended("192.0.2.2", 1);
	session = session_open(&tarpit);
	EXPECT("{\"command\":\"status\"}", {"ok", "true"}, {"uptime_s", "61"},
	       {"mode", "\"observe\""}, {"store", "\"memory\""}, {"store_state", "\"up\""},
	       {"servers", "[]"}, {"sessions", "1"}, {"max_sessions", "1000"}, {"stalls", "0"},
	       {"max_stalls", "7"}, {"clients", "2"}, {"flagged", "1"});
	session_close(session);
	for (enum stats_counter c = 0; c < STAT_COUNT; c++) {
		json_t *answer = ask("{\"command\":\"status\"}");

		assert_non_null(member(json_object_get(answer, "counters"), stats_name(c)));
		json_decref(answer);
	}
	finish();
}

static void status_tells_which_mta_the_last_session_came_from(void **state)
{
	static const struct {
		const char *v, *bad_count, *mta;
	} seen[] = {
		{POSTFIX, NULL, "{\"kind\":\"postfix\",\"why\":\"it sends {client_connections} "
				"without {client_rate}, and a name in {v}\"}"},
		{SENDMAIL, "1", "{\"kind\":\"sendmail\",\"why\":\"it sends {client_rate} or "
				"{daemon_family}, and no name in {v}\"}"},
		{NULL, NULL, "{\"kind\":\"unknown\",\"why\":\"it sends no macro that tells it from "
			     "others\"}"},
		{NULL, "1", "{\"kind\":\"sendmail\",\"why\":\"it sends {nbadrcpts}\"}"},
	};

	(void)state;
	BEGIN();
	EXPECT("{\"command\":\"status\"}",
	       {"mta", "{\"kind\":\"unknown\",\"why\":\"no session yet\"}"});
	for (size_t i = 0; i < COUNT(seen); i++) {
		struct session *session = session_open(&tarpit);
		json_t *answer;

		connect_as(session, "192.0.2.1", seen[i].v);
		mail_from(session, "<x@example.net>");
		rcpt_to(session, "<a@example.org>", "good", seen[i].bad_count);
		session_close(session);
		answer = ask("{\"command\":\"status\"}");
		assert_string_equal(member(answer, "mta"), seen[i].mta);
		json_decref(answer);
	}
	finish();
}

static void status_tells_of_a_siege(void **state)
{
	struct siege_settings settings = {30, 5, 600000};

	(void)state;
	BEGIN();
	EXPECT("{\"command\":\"status\"}",
	       {"siege", "{\"on\":false,\"since\":null,\"score\":0.0,\"mean\":0.0}"});
	fake_clock_reset(MIDNIGHT, 1000000);
	site_offence(tarpit.site, &settings, 3200, MIDNIGHT);
	EXPECT("{\"command\":\"status\"}",
	       {"siege", "{\"on\":true,\"since\":1795219200,\"score\":32.0,\"mean\":0.0}"});
	finish();
}

static void status_tells_of_gateways(void **state)
{
	static const char *const addresses[] = {"203.0.113.1", "203.0.113.2", "203.0.113.3"};
	struct session *session;

	(void)state;
	BEGIN("network_threshold=0");
	EXPECT("{\"command\":\"status\"}",
	       {"warnings", "{\"timeout_too_short\":0,\"rejects_not_offered\":0,\"log_lines_lost\":0,"
			    "\"private_client\":null,\"most_sessions_of\":null}"});
	has_offended("10.0.0.1", 6);
	session = session_open(&tarpit);
	connect_as(session, "10.0.0.1", POSTFIX);
	session_close(session);
	for (unsigned i = 0; i < GATEWAY_SESSIONS; i++) {
		session = session_open(&tarpit);
		connect_as(session, i % 3 != 0 ? "203.0.113.1" : "203.0.113.2", POSTFIX);
		session_close(session);
	}
	EXPECT("{\"command\":\"status\"}",
	       {"warnings", "{\"timeout_too_short\":0,\"rejects_not_offered\":0,\"log_lines_lost\":0,"
			    "\"private_client\":\"10.0.0.1\","
			    "\"most_sessions_of\":\"203.0.113.1\"}"});
	/* A majority that is none any more is forgotten. */
	for (unsigned i = 0; i < GATEWAY_SESSIONS; i++) {
		session = session_open(&tarpit);
		connect_as(session, addresses[i % COUNT(addresses)], POSTFIX);
		session_close(session);
	}
	EXPECT("{\"command\":\"status\"}",
	       {"warnings", "{\"timeout_too_short\":0,\"rejects_not_offered\":0,\"log_lines_lost\":0,"
			    "\"private_client\":\"10.0.0.1\",\"most_sessions_of\":null}"});
	finish();
}

static void stalls_are_listed(void **state)
{
	struct stall stall = {.stage = "RCPT", .delay_ms = 5000, .score = 5};
	int64_t waited_ms;

	(void)state;
	BEGIN();
	EXPECT("{\"command\":\"stalls\"}", {"active", "0"}, {"max_stalls", "40"}, {"stalls", "[]"});
	assert_true(prefix_parse("2001:db8:0:1::/64", &stall.client));
	assert_true(prefix_parse("2001:db8:0:1::25", &stall.address));
	assert_true(stall_begin(tarpit.stalls, &stall, STALL_RESERVE));
	fake_clock_advance(1200);
	EXPECT("{\"command\":\"stalls\"}", {"active", "1"},
	       {"stalls", "[{\"client\":\"2001:db8:0:1::25\",\"key\":\"2001:db8:0:1::/64\","
			  "\"stage\":\"RCPT\",\"delay_ms\":5000,\"waited_ms\":1200,"
			  "\"remains_ms\":3800,\"score\":5.0}]"});
	EXPECT("{\"command\":\"show\",\"client\":\"2001:db8:0:1::/64\"}", {"stalls", "1"});
	fake_clock_advance(9000);
	EXPECT("{\"command\":\"stalls\"}", {"active", "1"},
	       {"stalls", "[{\"client\":\"2001:db8:0:1::25\",\"key\":\"2001:db8:0:1::/64\","
			  "\"stage\":\"RCPT\",\"delay_ms\":5000,\"waited_ms\":10200,"
			  "\"remains_ms\":0,\"score\":5.0}]"});
	stall_wait(tarpit.stalls, &stall, &waited_ms);
	finish();
}

/* The clients of a list, in its order. */
static const char *listed(const char *request)
{
	static char text[2000];
	json_t *answer = ask(request), *row;
	size_t i, length = 0;

	text[0] = '\0';
	json_array_foreach(json_object_get(answer, "clients"), i, row)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
					   i > 0 ? " " : "",
					   json_string_value(json_object_get(row, "client")));
	json_decref(answer);
	return text;
}

static void worst_come_first(void **state)
{
	static const unsigned offences[] = {3, 9, 1, 7, 7, 2, 8, 5, 4, 6};
	char address[32];

	(void)state;
	BEGIN("network_threshold=0");
	assert_string_equal(listed("{\"command\":\"list\"}"), "");
	for (unsigned i = 0; i < COUNT(offences); i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		has_offended(address, offences[i]);
	}
	assert_string_equal(listed("{\"command\":\"list\"}"),
			    "192.0.2.1/32 192.0.2.6/32 192.0.2.3/32 192.0.2.4/32 192.0.2.9/32 "
			    "192.0.2.7/32 192.0.2.8/32 192.0.2.0/32 192.0.2.5/32 192.0.2.2/32");
	EXPECT("{\"command\":\"flag\",\"client\":\"192.0.2.2\"}", {"ok", "true"});
	EXPECT("{\"command\":\"flag\",\"client\":\"198.51.100.9\"}", {"ok", "true"});
	for (unsigned count = 1; count <= 5; count++) {
		static const char all[] =
			"192.0.2.2/32 198.51.100.9/32 192.0.2.1/32 192.0.2.6/32 192.0.2.3/32";
		const char *end = all;
		char request[64], wanted[sizeof(all)];

		for (unsigned i = 0; i < count; i++)
			end = strchrnul(end + 1, ' ');
		snprintf(wanted, sizeof(wanted), "%.*s", (int)(end - all), all);
		snprintf(request, sizeof(request), "{\"command\":\"list\",\"count\":%u}", count);
		assert_string_equal(listed(request), wanted);
	}
	EXPECT("{\"command\":\"list\",\"count\":1}", {"clients_total", "11"});
	finish();
}

static void list_is_as_long_as_wished(void **state)
{
	char address[32];
	json_t *answer;

	(void)state;
	BEGIN("network_threshold=0");
	for (unsigned i = 0; i < 1200; i++) {
		snprintf(address, sizeof(address), "10.0.%u.%u", i / 250, i % 250);
		has_offended(address, 1 + i * 7 % 1200);
	}
	answer = ask("{\"command\":\"list\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "clients")), 20);
	json_decref(answer);
	answer = ask("{\"command\":\"list\",\"count\":1000}");
	assert_string_equal(member(answer, "clients_total"), "1200");
	assert_int_equal(json_array_size(json_object_get(answer, "clients")), 1000);
	for (size_t i = 0; i < 1000; i++) {
		const json_t *row = json_array_get(json_object_get(answer, "clients"), i);

		assert_true(json_real_value(json_object_get(row, "score")) == (double)(1200 - i));
	}
	json_decref(answer);
	finish();
}

static void show_tells_a_standing(void **state)
{
	(void)state;
	BEGIN();
	has_offended("192.0.2.1", 6);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.1\"}", {"ok", "true"}, {"known", "true"},
	       {"client", "\"192.0.2.1/32\""}, {"address", "\"192.0.2.1\""}, {"bad", "6.0"},
	       {"good", "0.0"}, {"score", "6.0"}, {"effective_score", "6.0"},
	       {"network", "\"192.0.2.0/24\""}, {"network_score", "6.0"}, {"network_bad", "6.0"},
	       {"network_good", "0.0"}, {"network_threshold", "20.0"}, {"network_dirty", "false"},
	       {"flagged", "true"}, {"by_hand", "false"}, {"by_hand_until", "null"},
	       {"delay_ms", "5743"}, {"delay_min_ms", "5000"}, {"delay_max_ms", "20000"},
	       {"sessions", "0"}, {"stalls", "0"}, {"exempt", "null"}, {"window_s", "14400"},
	       {"threshold", "5.0"}, {"good_credit", "2.0"}, {"mode", "\"enforce\""},
	       {"explanation", "\"6.00 bad - 2 x 0.00 good = 6.00 in 4 h, threshold 5: flagged, next "
			       "delay 5.7 s\""});
	/* In the next window it fades. */
	fake_clock_advance(WINDOW_MS * 3 / 2);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.1/32\"}", {"bad", "3.0"},
	       {"flagged", "false"}, {"delay_ms", "0"}, {"network_bad", "3.0"});
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.2\"}", {"ok", "true"}, {"known", "false"},
	       {"status", "1"}, {"client", "\"192.0.2.2/32\""}, {"network_score", "3.0"});
	finish();
}

static void show_takes_what_people_type(void **state)
{
	static const struct {
		const char *typed, *client, *address;
	} rows[] = {
		{"::ffff:192.0.2.1", "\"192.0.2.1/32\"", "\"192.0.2.1\""},
		{"2001:DB8:0:1::25", "\"2001:db8:0:1::/64\"", "\"2001:db8:0:1::25\""},
		{"2001:db8:0:1::25/64", "\"2001:db8:0:1::/64\"", "\"2001:db8:0:1::\""},
		{"2001:db8:0:1:2::/80", "\"2001:db8:0:1::/64\"", "\"2001:db8:0:1:2::\""},
	};

	(void)state;
	BEGIN();
	for (size_t i = 0; i < COUNT(rows); i++) {
		char request[100];
		json_t *answer;

		snprintf(request, sizeof(request), "{\"command\":\"show\",\"client\":\"%s\"}",
			 rows[i].typed);
		answer = ask(request);
		assert_string_equal(member(answer, "client"), rows[i].client);
		assert_string_equal(member(answer, "address"), rows[i].address);
		assert_null(member(answer, "error"));
		json_decref(answer);
	}
	finish();
}

static void client_without_network_has_none(void **state)
{
	(void)state;
	BEGIN("ipv4_prefix=24", "ipv4_network=24");
	has_offended("192.0.2.1", 2);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.7\"}", {"client", "\"192.0.2.0/24\""},
	       {"known", "true"}, {"network", "null"}, {"network_score", "0.0"},
	       {"network_dirty", "false"}, {"bad", "2.0"});
	finish();
}

static void dirty_network_is_shown(void **state)
{
	(void)state;
	BEGIN();
	has_offended("192.0.2.1", 24);
	has_offended("192.0.2.2", 1);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.2\"}", {"flagged", "true"},
	       {"score", "1.0"}, {"effective_score", "6.25"}, {"network_dirty", "true"},
	       {"network_score", "25.0"}, {"delay_ms", "5946"});
	finish();
}

static void exempt_client_is_never_flagged(void **state)
{
	(void)state;
	BEGIN("exempt_clients={\"192.0.2.0/28\", \"2001:db8:0:1::25\"}");
	has_offended("192.0.2.1", 9);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.1\"}", {"known", "true"},
	       {"exempt", "{\"key\":\"exempt_clients\",\"rule\":\"192.0.2.0/28\"}"},
	       {"flagged", "false"}, {"delay_ms", "0"}, {"bad", "9.0"},
	       {"explanation", "\"exempt (exempt_clients has 192.0.2.0/28): never slowed\""});
	has_offended("192.0.2.16", 9);
	EXPECT("{\"command\":\"status\"}", {"clients", "2"}, {"flagged", "1"});
	/* An address of this client is exempt, the client as such is not. */
	EXPECT("{\"command\":\"show\",\"client\":\"2001:db8:0:1::25\"}",
	       {"exempt", "{\"key\":\"exempt_clients\",\"rule\":\"2001:db8:0:1::25/128\"}"});
	EXPECT("{\"command\":\"show\",\"client\":\"2001:db8:0:1::/64\"}", {"exempt", "null"});
	EXPECT("{\"command\":\"flag\",\"client\":\"2001:db8:0:1::/64\"}", {"ok", "true"});
	EXPECT("{\"command\":\"flag\",\"client\":\"2001:db8:0:1::25\"}", {"ok", "false"},
	       {"status", "1"});
	finish();
}

/* Its flag by hand may be older than the rule. */
static void exempt_client_is_listed_as_such(void **state)
{
	json_t *answer;
	const json_t *clients;

	(void)state;
	BEGIN("network_threshold=0");
	has_offended("192.0.2.1", 9);
	has_offended("198.51.100.1", 6);
	has_offended("198.51.100.2", 1);
	EXPECT("{\"command\":\"flag\",\"client\":\"192.0.2.2\"}", {"ok", "true"});
	config_box_put(tarpit.config, load((const char *const[]){
					      "exempt_clients={\"192.0.2.0/28\"}",
					      "network_threshold=0", NULL}));
	answer = ask("{\"command\":\"list\"}");
	clients = json_object_get(answer, "clients");
	check(json_array_get(clients, 0), (struct expected[]){{"client", "\"198.51.100.1/32\""},
							      {"exempt", "null"}}, 2);
	check(json_array_get(clients, 1),
	      (struct expected[]){
		      {"client", "\"192.0.2.1/32\""},
		      {"flagged", "false"},
		      {"exempt", "{\"key\":\"exempt_clients\",\"rule\":\"192.0.2.0/28\"}"}},
	      3);
	json_decref(answer);
	assert_string_equal(listed("{\"command\":\"list\"}"),
			    "198.51.100.1/32 192.0.2.1/32 198.51.100.2/32 192.0.2.2/32");
	EXPECT("{\"command\":\"status\"}", {"clients", "4"}, {"flagged", "1"});
	finish();
}

static void flag_lasts_as_long_as_asked(void **state)
{
	uint64_t before = stats_get(STAT_FLAGGED_BY_HAND);

	(void)state;
	BEGIN();
	EXPECT("{\"command\":\"flag\",\"client\":\"192.0.2.1\",\"duration_s\":60}", {"ok", "true"},
	       {"client", "\"192.0.2.1/32\""}, {"until", "1795219260"}, {"sessions", "0"},
	       {"shared", "true"});
	assert_true(caught_text("control: command=flag client=192.0.2.1/32 uid=1234 duration_s=60 "
				"shared=yes"));
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.1\"}", {"known", "true"},
	       {"flagged", "true"}, {"by_hand", "true"}, {"by_hand_until", "1795219260"},
	       {"delay_ms", "20000"});
	fake_clock_advance(60000);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.1\"}", {"flagged", "false"},
	       {"by_hand", "false"}, {"by_hand_until", "null"}, {"delay_ms", "0"});
	EXPECT("{\"command\":\"flag\",\"client\":\"192.0.2.1\"}", {"until", "1795233660"});
	assert_int_equal(stats_get(STAT_FLAGGED_BY_HAND) - before, 2);
	finish();
}

static void forgiven_client_is_forgotten(void **state)
{
	struct stall stall = {.stage = "RCPT", .delay_ms = 5000, .score = 9};
	uint64_t before = stats_get(STAT_FORGIVEN);
	int64_t waited_ms;

	(void)state;
	BEGIN();
	has_offended("192.0.2.1", 9);
	assert_true(prefix_parse("192.0.2.1", &stall.client));
	stall.address = stall.client;
	assert_true(stall_begin(tarpit.stalls, &stall, STALL_RESERVE));
	EXPECT("{\"command\":\"forgive\",\"client\":\"192.0.2.1\"}", {"ok", "true"},
	       {"client", "\"192.0.2.1/32\""}, {"known", "true"}, {"released", "1"},
	       {"sessions", "0"}, {"shared", "true"});
	assert_int_equal(stall_wait(tarpit.stalls, &stall, &waited_ms), STALL_FORGIVEN);
	assert_true(caught_text("control: command=forgive client=192.0.2.1/32 uid=1234 released=1"));
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.1\"}", {"known", "false"}, {"bad", "0.0"},
	       {"network_bad", "0.0"});
	EXPECT("{\"command\":\"forgive\",\"client\":\"192.0.2.1\"}", {"ok", "false"},
	       {"status", "1"});
	assert_int_equal(stats_get(STAT_FORGIVEN) - before, 1);
	finish();
}

static void forgiven_client_has_not_been_shut_out(void **state)
{
	static const char command[] = "{\"command\":\"forgive\",\"client\":\"192.0.2.1\"}";
	struct deferral deferral = {.decision.action = ACTION_DEFER};

	(void)state;
	BEGIN();
	assert_true(prefix_parse("192.0.2.1", &deferral.client));
	deferrals_note(tarpit.deferrals, &deferral, 0);
	assert_true(deferrals_let_in(tarpit.deferrals, &deferral.client, 60000, 60000));
	deferrals_note(tarpit.deferrals, &deferral, 120000);
	has_offended("192.0.2.1", 9);
	EXPECT(command, {"ok", "true"});
	assert_false(deferrals_let_in(tarpit.deferrals, &deferral.client, 180000, 60000));
	finish();
}

static void open_sessions_are_told(void **state)
{
	struct open_session peer = {0};
	struct prefix client;

	(void)state;
	BEGIN();
	assert_true(prefix_parse("192.0.2.1", &client));
	open_sessions_join(tarpit.peers, &peer, &client);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.1\"}", {"known", "true"},
	       {"sessions", "1"});
	assert_false(peer.is_marked);
	EXPECT("{\"command\":\"flag\",\"client\":\"192.0.2.1\"}", {"sessions", "1"});
	assert_true(peer.is_marked);
	peer.is_marked = false;
	EXPECT("{\"command\":\"forgive\",\"client\":\"192.0.2.1\"}", {"sessions", "1"},
	       {"known", "true"}, {"released", "0"});
	assert_true(peer.is_marked);
	open_sessions_leave(tarpit.peers, &peer);
	finish();
}

/* A memory store that says that it could tell nobody. */
static struct store_ops deaf_ops;
static struct {
	struct store store;
	struct store *memory;
} deaf;

static bool deaf_flag(struct store *store, const struct store_query *query, int64_t until_s)
{
	(void)store;
	(void)query;
	(void)until_s;
	return false;
}

static bool deaf_forgive(struct store *store, const struct store_query *query)
{
	(void)store;
	(void)query;
	return false;
}

static void deaf_lookup(struct store *store, const struct store_query *query,
			struct store_view *view)
{
	(void)store;
	store_lookup(deaf.memory, query, view);
	view->is_local = true;
}

static void deaf_each(struct store *store, const struct client_widths *widths,
		      const struct window *window, store_visit *visit, void *arg)
{
	(void)store;
	store_each(deaf.memory, widths, window, visit, arg);
}

static void deaf_servers(struct store *store, store_server_visit *visit, void *arg)
{
	(void)store;
	visit("127.0.0.1:11211", true, arg);
	visit("/run/\xff\x80.sock", false, arg);
}

static const char *deaf_state(struct store *store)
{
	(void)store;
	return "degraded";
}

static void begin_deaf(void)
{
	BEGIN("store=memcached");
	deaf_ops = (struct store_ops){.lookup = deaf_lookup,
				      .flag = deaf_flag,
				      .forgive = deaf_forgive,
				      .each = deaf_each,
				      .servers = deaf_servers,
				      .state = deaf_state};
	deaf.store.ops = &deaf_ops;
	deaf.memory = counting.memory;
	tarpit.store = &deaf.store;
}

static void servers_are_listed(void **state)
{
	(void)state;
	begin_deaf();
	EXPECT("{\"command\":\"status\"}", {"store", "\"memcached\""}, {"store_state", "\"degraded\""},
	       {"servers", "[{\"server\":\"127.0.0.1:11211\",\"state\":\"up\"},"
			   "{\"server\":\"/run/??.sock\",\"state\":\"down\"}]"});
	finish();
}

static void silence_of_memcached_is_told(void **state)
{
	(void)state;
	begin_deaf();
	EXPECT("{\"command\":\"flag\",\"client\":\"192.0.2.1\"}", {"ok", "true"}, {"status", "1"},
	       {"shared", "false"},
	       {"warning", "\"memcached could not be told: done on this host only\""});
	EXPECT("{\"command\":\"forgive\",\"client\":\"192.0.2.1\"}", {"ok", "true"},
	       {"status", "1"}, {"known", "false"}, {"shared", "false"});
	assert_true(caught_text("shared=no"));
	has_offended("192.0.2.2", 1);
	EXPECT("{\"command\":\"show\",\"client\":\"192.0.2.2\"}", {"ok", "true"}, {"status", "1"},
	       {"known", "true"}, {"shared", "false"},
	       {"warning", "\"memcached did not answer: this is what this host knows\""});
	finish();
}

static void reload_tells_what_came_of_it(void **state)
{
	json_t *answer;

	(void)state;
	BEGIN();
	next_reload.is_done = true;
	next_reload.needs_restart = "";
	EXPECT("{\"command\":\"reload\"}", {"ok", "true"}, {"needs_restart", "[]"});
	next_reload.needs_restart = "socket user";
	EXPECT("{\"command\":\"reload\"}", {"ok", "true"},
	       {"needs_restart", "[\"socket\",\"user\"]"});
	assert_true(caught_text("control: command=reload uid=1234 done=yes"));
	next_reload.is_done = false;
	EXPECT("{\"command\":\"reload\"}", {"ok", "false"}, {"status", "78"});
	next_reload.faults = 2;
	EXPECT("{\"command\":\"reload\"}", {"ok", "false"}, {"status", "78"},
	       {"error", "\"2 faults: the configuration stays as it was\""},
	       {"faults", "[\"/etc/x.conf:1: ?: bad value\",\"/etc/x.conf:2: ?: bad value\"]"});
	next_reload.faults = 5000;
	answer = ask("{\"command\":\"reload\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "faults")), 100);
	json_decref(answer);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(broken_requests_are_refused),
		TEST(refusals_have_a_form),
		TEST(status_has_it_all),
		TEST(status_tells_which_mta_the_last_session_came_from),
		TEST(status_tells_of_a_siege),
		TEST(status_tells_of_gateways),
		TEST(stalls_are_listed),
		TEST(worst_come_first),
		TEST(list_is_as_long_as_wished),
		TEST(show_tells_a_standing),
		TEST(show_takes_what_people_type),
		TEST(client_without_network_has_none),
		TEST(dirty_network_is_shown),
		TEST(exempt_client_is_never_flagged),
		TEST(exempt_client_is_listed_as_such),
		TEST(flag_lasts_as_long_as_asked),
		TEST(forgiven_client_is_forgotten),
		TEST(forgiven_client_has_not_been_shut_out),
		TEST(open_sessions_are_told),
		TEST(servers_are_listed),
		TEST(silence_of_memcached_is_told),
		TEST(reload_tells_what_came_of_it),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
