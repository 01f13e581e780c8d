/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/stats.h"
#include "tarpitctl/table.h"
#include "tarpitctl/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ENTRY(client, network, flag, hand, until, delay)                                           \
	"\"client\":\"" client "\",\"bad\":8.25,\"good\":1.0,\"score\":6.25,"                      \
	"\"effective_score\":6.25,\"network\":" network ",\"network_score\":7.5,\"flagged\":" flag \
	",\"by_hand\":" hand ",\"by_hand_until\":" until ",\"delay_ms\":" delay ",\"sessions\":2"
#define NOT_EXEMPT ",\"exempt\":null"
#define EXEMPT ",\"exempt\":{\"key\":\"exempt_clients\",\"rule\":\"192.0.0.0/8\"}"
#define SHOWN                                                                                      \
	",\"ok\":true,\"known\":true,\"address\":\"192.0.2.1\",\"window_s\":14400,"                \
	"\"threshold\":5.0,\"good_credit\":2.0,\"network_bad\":9.5,\"network_good\":1,"            \
	"\"network_threshold\":20,\"passed\":3.5,\"pass_limit\":100,\"delay_min_ms\":5000,\"delay_max_ms\":20000,\"stalls\":1,"      \
	"\"shared\":true,\"mode\":\"enforce\",\"explanation\":\"8.25 bad - 2 x 1.00 good = 6.25\","
#define STATUS_HEAD                                                                                \
	"\"ok\":true,\"version\":\"0.1.0\",\"uptime_s\":11520,\"mode\":\"enforce\",\"sessions\":3,"\
	"\"mta\":{\"kind\":\"postfix\",\"why\":\"it sends {x}\"},\"max_sessions\":4032,\"stalls\":1,\"max_stalls\":40,\"clients\":17,\"flagged\":2,"
#define QUIET "\"siege\":{\"on\":false,\"since\":null,\"score\":3.5,\"mean\":1.25},"
#define SIEGE "\"siege\":{\"on\":true,\"since\":1795226582,\"score\":45,\"mean\":2.126},"
#define COUNTERS                                                                                   \
	"\"sessions_opened\":9,\"sessions_closed\":6,\"sessions_exempt\":1,\"rejects\":12,"        \
	"\"flags\":2,\"sieges\":1,\"stalls_begun\":3,\"stalls_ended\":2,\"stalled_ms\":15200,\"stalls_stayed\":1,\"stalls_left\":1,\"deferred\":4,"   \
	"\"passed\":5,\"store_calls\":1234,\"store_failures\":0,\"forgiven\":1,"                   \
	"\"flagged_by_hand\":0,\"reloads\":1,\"reloads_failed\":0"
#define SINCE_THE_START \
	"\n" \
	"since the start\n" \
	"\n" \
	"  sessions  opened                    9\n" \
	"            closed                    6\n" \
	"            exempt                    1\n" \
	"  offences  rejected recipients      12\n" \
	"            clients flagged           2\n" \
	"            sieges                    1\n" \
	"  stalls    begun                     3\n" \
	"            ended                     2\n" \
	"            time waited          15.2 s\n" \
	"            client stayed             1\n" \
	"            client had left           1\n" \
	"  instead   deferred with 421         4\n" \
	"            passed                    5\n" \
	"  store     calls                  1234\n" \
	"            failures                  0\n" \
	"  by hand   forgiven                  1\n" \
	"            flagged                   0\n" \
	"  reloads   done                      1\n" \
	"            refused                   0\n"

static const struct {
	const char *command, *answer, *text;
} rows[] = {
	{"status",
	 "{" STATUS_HEAD QUIET "\"store\":\"memcached\",\"store_state\":\"degraded\",\"servers\":["
	 "{\"server\":\"127.0.0.1:11211\",\"state\":\"up\"},"
	 "{\"server\":\"/run/m.sock\",\"state\":\"down\"}],\"counters\":{" COUNTERS ",\"new\":7}}",
	 "tarpit-milter 0.1.0, up 3 h 12 min, mode enforce\n"
	 "\n"
	 "  mta       postfix: it sends {x}\n"
	 "  store     memcached, degraded\n"
	 "  servers   127.0.0.1:11211, up\n"
	 "            /run/m.sock, down\n"
	 "  sessions  3 of 4032\n"
	 "  stalls    1 of 40\n"
	 "  clients   17, 2 flagged\n"
	 "  siege     no, score 3.50, mean 1.25\n"
	 SINCE_THE_START
	 "  other     new                       7\n"},
	{"status",
	 "{" STATUS_HEAD SIEGE "\"store\":\"memory\",\"store_state\":\"up\",\"servers\":[],"
	 "\"counters\":{" COUNTERS "}}",
	 "tarpit-milter 0.1.0, up 3 h 12 min, mode enforce\n"
	 "\n"
	 "  mta       postfix: it sends {x}\n"
	 "  store     memory, up\n"
	 "  sessions  3 of 4032\n"
	 "  stalls    1 of 40\n"
	 "  clients   17, 2 flagged\n"
	 "  siege     since 2026-11-21 02:03:02, score 45.00, mean 2.13\n" SINCE_THE_START},
	{"stalls", "{\"ok\":true,\"active\":0,\"max_stalls\":40,\"stalls\":[]}",
	 "CLIENT  STAGE  WAITED  REMAINS  SCORE\n"
	 "0 of 40 stalls\n"},
	{"stalls", "{\"ok\":true,\"active\":0,\"max_stalls\":1,\"stalls\":[]}",
	 "CLIENT  STAGE  WAITED  REMAINS  SCORE\n"
	 "0 of 1 stall\n"},
	{"stalls",
	 "{\"ok\":true,\"active\":2,\"max_stalls\":40,\"stalls\":["
	 "{\"client\":\"192.0.2.1\",\"key\":\"192.0.2.1/32\",\"stage\":\"RCPT\",\"delay_ms\":5000,"
	 "\"waited_ms\":1200,\"remains_ms\":3800,\"score\":5.0},"
	 "{\"client\":\"2001:db8:1111:2222:3333:4444:5555:6666\",\"key\":\"2001:db8:1111:2222::/64\","
	 "\"stage\":\"CONNECT\",\"delay_ms\":20000,\"waited_ms\":0,\"remains_ms\":20000,\"score\":123}]}",
	 "CLIENT                                  STAGE    WAITED  REMAINS   SCORE\n"
	 "192.0.2.1                               RCPT      1.2 s    3.8 s    5.00\n"
	 "2001:db8:1111:2222:3333:4444:5555:6666  CONNECT     0 s     20 s  123.00\n"
	 "2 of 40 stalls\n"},
	{"list",
	 "{\"ok\":true,\"clients_total\":17,\"clients\":["
	 "{" ENTRY("2001:db8:1111:2222::/64", "\"2001:db8:1111::/48\"", "true", "true", "1795226582",
		   "20000") NOT_EXEMPT "},"
	 "{" ENTRY("192.0.2.9/32", "null", "true", "true", "null", "20000") NOT_EXEMPT "},"
	 "{" ENTRY("192.0.2.1/32", "\"192.0.2.0/24\"", "true", "false", "null", "5900") NOT_EXEMPT "},"
	 "{" ENTRY("192.0.2.2/32", "\"192.0.2.0/24\"", "false", "false", "null", "0") NOT_EXEMPT "},"
	 "{" ENTRY("192.0.2.3/32", "\"192.0.2.0/24\"", "false", "false", "null", "0") EXEMPT "},"
	 "{" ENTRY("192.0.2.4/32", "\"192.0.2.0/24\"", "false", "true", "1795226582", "0") EXEMPT
	 "}]}",
	 "CLIENT                   SCORE   BAD  GOOD  NETWORK  DELAY  SESSIONS  STATE\n"
	 "2001:db8:1111:2222::/64   6.25  8.25  1.00     7.50   20 s         2  by hand until "
	 "2026-11-21 02:03:02\n"
	 "192.0.2.9/32              6.25  8.25  1.00        -   20 s         2  by hand\n"
	 "192.0.2.1/32              6.25  8.25  1.00     7.50  5.9 s         2  flagged\n"
	 "192.0.2.2/32              6.25  8.25  1.00     7.50      -         2  -\n"
	 "192.0.2.3/32              6.25  8.25  1.00     7.50      -         2  exempt\n"
	 "192.0.2.4/32              6.25  8.25  1.00     7.50      -         2  exempt\n"
	 "6 of 17 clients\n"},
	{"list", "{\"ok\":true,\"clients_total\":1,\"clients\":[]}",
	 "CLIENT  SCORE  BAD  GOOD  NETWORK  DELAY  SESSIONS  STATE\n"
	 "0 of 1 client\n"},
	{"show",
	 "{" ENTRY("192.0.2.1/32", "\"192.0.2.0/24\"", "true", "false", "null", "5900")
	 SHOWN "\"network_dirty\":false" NOT_EXEMPT "}",
	 "8.25 bad - 2 x 1.00 good = 6.25\n"
	 "\n"
	 "  client    192.0.2.1/32\n"
	 "  exempt    no\n"
	 "  score     6.25: 8.25 bad, 1.00 good\n"
	 "  network   192.0.2.0/24: 9.50 bad, 1.00 good, score 7.50, dirty at 20\n"
	 "  flagged   yes\n"
	 "  passed    3.50 recipients without a wait, of 100\n"
	 "  delay     5.9 s\n"
	 "  sessions  2\n"
	 "  stalls    1\n"
	 "  mode      enforce\n"},
	{"show",
	 "{" ENTRY("192.0.2.1/32", "null", "false", "true", "1795226582", "0")
	 SHOWN "\"network_dirty\":false" EXEMPT "}",
	 "8.25 bad - 2 x 1.00 good = 6.25\n"
	 "\n"
	 "  client    192.0.2.1/32\n"
	 "  exempt    yes: 192.0.0.0/8 in exempt_clients\n"
	 "  score     6.25: 8.25 bad, 1.00 good\n"
	 "  network   does not matter\n"
	 "  flagged   no, though by hand until 2026-11-21 02:03:02\n"
	 "  passed    3.50 recipients without a wait, of 100\n"
	 "  delay     none\n"
	 "  sessions  2\n"
	 "  stalls    1\n"
	 "  mode      enforce\n"},
	{"show",
	 "{" ENTRY("192.0.2.1/32", "null", "true", "true", "1795226582", "20000")
	 SHOWN "\"network_dirty\":false" NOT_EXEMPT "}",
	 "8.25 bad - 2 x 1.00 good = 6.25\n"
	 "\n"
	 "  client    192.0.2.1/32\n"
	 "  exempt    no\n"
	 "  score     6.25: 8.25 bad, 1.00 good\n"
	 "  network   does not matter\n"
	 "  flagged   by hand until 2026-11-21 02:03:02\n"
	 "  passed    3.50 recipients without a wait, of 100\n"
	 "  delay     20 s\n"
	 "  sessions  2\n"
	 "  stalls    1\n"
	 "  mode      enforce\n"},
	{"flag",
	 "{\"ok\":true,\"client\":\"192.0.2.1/32\",\"until\":1795226582,\"sessions\":1,\"shared\":true}",
	 "192.0.2.1/32 is slowed until 2026-11-21 02:03:02, in 1 open session and in new ones\n"},
	{"forgive",
	 "{\"ok\":true,\"client\":\"192.0.2.1/32\",\"known\":true,\"released\":1,\"sessions\":2,"
	 "\"shared\":true}",
	 "192.0.2.1/32 is forgiven: 1 stall released, 2 open sessions\n"},
	{"reload", "{\"ok\":true,\"needs_restart\":[]}", "the configuration has been read again\n"},
	{"reload", "{\"ok\":true,\"needs_restart\":[\"socket\",\"user\"]}",
	 "the configuration has been read again\n"
	 "note: socket has changed, but needs a restart\n"
	 "note: user has changed, but needs a restart\n"},
};

/* What is shown; *shown is whether text_print says that it is right. The caller frees it. */
static char *show(const char *command, const json_t *answer, bool colour, bool *shown)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	*shown = text_print(command, answer, colour, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *answer = json_loads(text, 0, &error);

	if (answer == NULL)
		fail_msg("%s in %s", error.text, text);
	return answer;
}

static void answers_are_shown_as_aligned_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *answer = parse(rows[i].answer);
		bool shown;
		char *text = show(rows[i].command, answer, false, &shown);

		assert_true(shown);
		assert_string_equal(text, rows[i].text);
		free(text);
		json_decref(answer);
	}
}

/* What the text is without the sequences of colour. */
static char *without_colour(const char *text)
{
	char *plain = strdup(text), *end = plain;

	assert_non_null(plain);
	while (*text != '\0')
		if (*text == '\033')
			text += strcspn(text, "m") + 1;
		else
			*end++ = *text++;
	*end = '\0';
	return plain;
}

static void colour_changes_no_column(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *answer = parse(rows[i].answer);
		bool shown;
		char *text = show(rows[i].command, answer, true, &shown);
		char *plain = without_colour(text);

		assert_true(shown);
		assert_string_equal(plain, rows[i].text);
		if (strstr(rows[i].text, "flagged") != NULL)
			assert_non_null(strstr(text, "\033[1"));
		free(plain);
		free(text);
		json_decref(answer);
	}
}

static void every_counter_has_a_title(void **state)
{
	json_t *answer = parse("{" STATUS_HEAD QUIET "\"store\":\"memory\",\"store_state\":\"up\","
			       "\"servers\":[],\"counters\":{}}");
	json_t *counters = json_object_get(answer, "counters");
	bool shown;
	char *text;

	(void)state;
	for (enum stats_counter counter = 0; counter < STAT_COUNT; counter++)
		json_object_set_new(counters, stats_name(counter), json_integer(1));
	text = show("status", answer, false, &shown);
	assert_true(shown);
	assert_null(strstr(text, "other"));
	free(text);
	json_decref(answer);
}

/* Members that text has no need of: without them it is shown all the same. */
static bool is_spare(const char *command, const char *name)
{
	static const char *const names[] = {"ok",	   "key",	   "address",	   "window_s",
					    "threshold",   "good_credit",  "delay_min_ms", "delay_max_ms",
					    "new",	   "since",	  "pass_limit"};

	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return strcmp(command, "stalls") == 0 && strcmp(name, "delay_ms") == 0;
}

static void check_hostile(const char *command, const json_t *answer, bool must_fail,
			  const char *name)
{
	bool shown;
	char *text = show(command, answer, false, &shown);

	if (shown && must_fail)
		fail_msg("%s: a wrong '%s' is shown:\n%s", command, name, text);
	if (!shown && text[0] != '\0')
		fail_msg("%s: a wrong '%s' is half shown:\n%s", command, name, text);
	for (const char *p = text; *p != '\0'; p++)
		if (*p != '\n' && (*p < ' ' || *p > '~'))
			fail_msg("%s: '%s' sends byte %d to the terminal", command, name, *p);
	free(text);
}

static const char *const hostile_values[] = {
	"null",	  "true",   "-1",    "9223372036854775807", "-9223372036854775808",
	"1.5",	  "1e300",  "-1e300", "\"\"",		     "[]",
	"{}",	  "[[]]",   "[null]", "[{}]",		     "\"\\u001b[2J\\u0007\\u007f\\u009b\\n\"",
	"[\"\\u001b[2J\"]", "9007199254740992",
};

/* Each member in turn, at each depth, away or with each of those values. */
static void mutate(const char *command, const json_t *answer, json_t *part)
{
	json_t *copy = json_copy(part), *value;
	const char *name;

	if (json_is_array(part)) {
		for (size_t i = 0; i < json_array_size(part); i++)
			mutate(command, answer, json_array_get(part, i));
		for (size_t i = 0; i < json_array_size(part); i++) {
			json_t *old = json_incref(json_array_get(part, i));

			json_array_set_new(part, i, json_integer(5));
			check_hostile(command, answer, true, "item");
			json_array_set_new(part, i, old);
		}
	}
	json_object_foreach(copy, name, value) {
		mutate(command, answer, json_object_get(part, name));
		json_object_del(part, name);
		check_hostile(command, answer, !is_spare(command, name), name);
		for (size_t i = 0; i < COUNT(hostile_values); i++) {
			json_error_t error;

			json_object_set_new(part, name,
					    json_loads(hostile_values[i], JSON_DECODE_ANY, &error));
			check_hostile(command, answer,
				      json_is_object(json_object_get(part, name)) && !is_spare(command, name),
				      name);
		}
		json_object_set(part, name, value);
	}
	json_decref(copy);
}

static void hostile_answers_are_refused_or_made_harmless(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *answer = parse(rows[i].answer);

		mutate(rows[i].command, answer, answer);
		json_decref(answer);
	}
}

static void wrong_types_are_refused(void **state)
{
	static const struct {
		const char *command, *answer;
	} wrong[] = {
		{"stalls", "{\"active\":\"1\",\"max_stalls\":40,\"stalls\":[]}"},
		{"stalls", "{\"active\":-1,\"max_stalls\":40,\"stalls\":[]}"},
		{"stalls", "{\"active\":1,\"max_stalls\":9223372036854775807,\"stalls\":[]}"},
		{"stalls", "{\"active\":1,\"max_stalls\":40,\"stalls\":{}}"},
		{"stalls", "{\"active\":1,\"max_stalls\":40.5,\"stalls\":[]}"},
		{"stalls",
		 "{\"active\":1,\"max_stalls\":40,\"stalls\":[{\"client\":\"a\",\"stage\":\"b\","
		 "\"waited_ms\":1,\"remains_ms\":1,\"score\":1e13}]}"},
		{"reload", "{\"needs_restart\":[1]}"},
		{"reload", "{\"needs_restart\":\"socket\"}"},
		{"forgive",
		 "{\"client\":1,\"known\":true,\"released\":1,\"sessions\":2,\"shared\":true}"},
		{"unheard-of", "{}"},
		{"status", "{}"},
		{"status", "[]"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		json_t *answer = parse(wrong[i].answer);

		check_hostile(wrong[i].command, answer, true, wrong[i].answer);
		json_decref(answer);
	}
}

static void text_is_escaped(void **state)
{
	static const struct {
		const char *text, *escaped;
	} texts[] = {
		{"", ""},
		{"192.0.2.1 ~", "192.0.2.1 ~"},
		{"a\033[31mb\n\t\177", "a\\x1b[31mb\\x0a\\x09\\x7f"},
		{"\303\244\302\233", "\\xc3\\xa4\\xc2\\x9b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		char *escaped = table_escape(texts[i].text);

		assert_string_equal(escaped, texts[i].escaped);
		free(escaped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_shown_as_aligned_text),
		cmocka_unit_test(colour_changes_no_column),
		cmocka_unit_test(every_counter_has_a_title),
		cmocka_unit_test(hostile_answers_are_refused_or_made_harmless),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(text_is_escaped),
	};

	setenv("TZ", "UTC0", 1);
	tzset();
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
