/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/journal.h"
#include "session/site.h"
#include "metrics/http.h"
#include "metrics/page.h"
#include "session_bed.h"
#include "base/stats.h"

/* A store that has what the bed's has, and servers as a test says. */
static struct {
	const char *server;
	bool is_up;
} servers[3];
static unsigned walks;
static int64_t walk_ms;

static void show_servers(struct store *store, store_server_visit *visit, void *arg)
{
	(void)store;
	for (size_t i = 0; i < COUNT(servers) && servers[i].server != NULL; i++)
		visit(servers[i].server, servers[i].is_up, arg);
}

static void show_clients(struct store *store, const struct client_widths *widths,
			 const struct window *window, store_visit *visit, void *arg)
{
	(void)store;
	walks++;
	fake_clock_advance(walk_ms);
	store_each(counting.memory, widths, window, visit, arg);
}

static struct store_ops ops;
static struct store store = {.ops = &ops};
static struct metrics *metrics;
static char *page;

static int begin(void **state)
{
	set_up(state);
	START("max_stalls=7");
	ops = *counting.memory->ops;
	ops.servers = show_servers;
	ops.each = show_clients;
	tarpit.store = &store;
	memset(servers, 0, sizeof(servers));
	walks = 0;
	walk_ms = 0;
	metrics = metrics_page_new(&tarpit);
	assert_non_null(metrics);
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(page);
	page = NULL;
	metrics_page_free(metrics);
	finish();
	return 0;
}

static void scrape(enum metrics_format format)
{
	size_t length;

	free(page);
	page = metrics_page_text(metrics, format, &length);
	assert_non_null(page);
	assert_int_equal(strlen(page), length);
	assert_int_equal(page[length - 1], '\n');
}

static bool has_line(const char *line)
{
	size_t length = strlen(line);

	for (const char *p = page; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, line, length) == 0 && p[length] == '\n')
			return true;
	}
	return false;
}

static void assert_line(const char *line)
{
	if (!has_line(line))
		fail_msg("no line '%s' in\n%s", line, page);
}

/* --- its form --------------------------------------------------------------------------------- */

static const struct {
	const char *name, *type;
} families[] = {
	{"tarpit_build", "info"},
	{"tarpit_configuration", "info"},
	{"tarpit_start_time_seconds", "gauge"},
	{"tarpit_uptime_seconds", "gauge"},
	{"tarpit_sessions_open", "gauge"},
	{"tarpit_sessions_limit", "gauge"},
	{"tarpit_stalls_active", "gauge"},
	{"tarpit_stalls_budget", "gauge"},
	{"tarpit_clients", "gauge"},
	{"tarpit_clients_flagged", "gauge"},
	{"tarpit_siege", "gauge"},
	{"tarpit_siege_score", "gauge"},
	{"tarpit_siege_mean", "gauge"},
	{"tarpit_sessions", "counter"},
	{"tarpit_sessions_exempt", "counter"},
	{"tarpit_flags", "counter"},
	{"tarpit_flagged_by_hand", "counter"},
	{"tarpit_forgiven", "counter"},
	{"tarpit_sieges", "counter"},
	{"tarpit_store_calls", "counter"},
	{"tarpit_store_errors", "counter"},
	{"tarpit_offences", "counter"},
	{"tarpit_stalls", "counter"},
	{"tarpit_deferred", "counter"},
	{"tarpit_passed", "counter"},
	{"tarpit_mta_warnings", "counter"},
	{"tarpit_stall_seconds", "histogram"},
	{"tarpit_stayed_seconds", "histogram"},
	{"tarpit_left_seconds", "histogram"},
	{"tarpit_reloads", "counter"},
	{"tarpit_store_call_seconds", "histogram"},
	{"tarpit_store_up", "gauge"},
};

static unsigned occurrences(const char *text)
{
	unsigned count = 0;

	for (const char *p = page; (p = strstr(p, text)) != NULL; p++)
		count++;
	return count;
}

static void openmetrics_names_families_without_suffix(void **state)
{
	(void)state;
	scrape(METRICS_OPENMETRICS);
	assert_int_equal(occurrences("# TYPE "), COUNT(families));
	assert_int_equal(occurrences("# HELP "), COUNT(families));
	for (size_t i = 0; i < COUNT(families); i++) {
		char text[128];

		snprintf(text, sizeof(text), "# TYPE %s %s", families[i].name, families[i].type);
		assert_line(text);
		snprintf(text, sizeof(text), "# HELP %s ", families[i].name);
		assert_int_equal(occurrences(text), 1);
		snprintf(text, sizeof(text), "# UNIT %s seconds\n", families[i].name);
		assert_int_equal(occurrences(text), strstr(families[i].name, "_seconds") != NULL);
	}
	assert_int_equal(occurrences("# EOF"), 1);
	assert_string_equal(page + strlen(page) - strlen("\n# EOF\n"), "\n# EOF\n");
}

static void plain_text_names_families_as_their_samples(void **state)
{
	(void)state;
	scrape(METRICS_PLAIN);
	assert_int_equal(occurrences("# TYPE "), COUNT(families));
	for (size_t i = 0; i < COUNT(families); i++) {
		bool is_counter = strcmp(families[i].type, "counter") == 0;
		bool is_info = strcmp(families[i].type, "info") == 0;
		const char *suffix = is_counter ? "_total" : is_info ? "_info" : "";
		char text[128];

		snprintf(text, sizeof(text), "# TYPE %s%s %s", families[i].name, suffix,
			 is_info ? "gauge" : families[i].type);
		assert_line(text);
		snprintf(text, sizeof(text), "# HELP %s%s ", families[i].name, suffix);
		assert_int_equal(occurrences(text), 1);
	}
	assert_int_equal(occurrences("# UNIT"), 0);
	assert_int_equal(occurrences("# EOF"), 0);
}

/* The name of a sample's family, as this format has it. */
static bool is_of_family(const char *sample, const char *family, const char *type)
{
	static const char *const endings[][4] = {
		{"_total"}, {""}, {"_info"}, {"_bucket", "_count", "_sum"}};
	unsigned kind = type[0] == 'c' ? 0 : type[0] == 'g' ? 1 : type[0] == 'i' ? 2 : 3;
	size_t length = strlen(family), end = strcspn(sample, "{ ");

	if (strncmp(sample, family, length) != 0)
		return false;
	for (size_t i = 0; i < 4 && endings[kind][i] != NULL; i++)
		if (end == length + strlen(endings[kind][i]) &&
		    strncmp(sample + length, endings[kind][i], end - length) == 0)
			return true;
	return false;
}

static void samples_stand_below_their_family(void **state)
{
	char name[64] = "", type[16] = "";
	unsigned samples = 0;

	(void)state;
	scrape(METRICS_OPENMETRICS);
	for (char *line = strtok(page, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (strncmp(line, "# TYPE ", 7) == 0) {
			assert_int_equal(sscanf(line + 7, "%63s %15s", name, type), 2);
		} else if (line[0] != '#') {
			samples++;
			if (!is_of_family(line, name, type))
				fail_msg("'%s' below %s %s", line, name, type);
		}
	}
	assert_in_range(samples, 50, 100);
}

/* --- its numbers ------------------------------------------------------------------------------ */

static void labels_that_may_come_are_there_from_the_start(void **state)
{
	static const char *const lines[] = {
		"tarpit_sessions_total 0",
		"tarpit_stalls_total{stage=\"connect\"} 0",
		"tarpit_stalls_total{stage=\"helo\"} 0",
		"tarpit_stalls_total{stage=\"mail\"} 0",
		"tarpit_stalls_total{stage=\"rcpt\"} 0",
		"tarpit_stalls_total{stage=\"data\"} 0",
		"tarpit_deferred_total{reason=\"sessions\"} 0",
		"tarpit_deferred_total{reason=\"budget\"} 0",
		"tarpit_passed_total{reason=\"sessions\"} 0",
		"tarpit_passed_total{reason=\"budget\"} 0",
		"tarpit_passed_total{reason=\"transaction-limit\"} 0",
		"tarpit_passed_total{reason=\"session-limit\"} 0",
		"tarpit_passed_total{reason=\"observe\"} 0",
		"tarpit_mta_warnings_total{warning=\"timeout-too-short\"} 0",
		"tarpit_mta_warnings_total{warning=\"rejects-not-offered\"} 0",
		"tarpit_reloads_total{result=\"ok\"} 0",
		"tarpit_reloads_total{result=\"failed\"} 0",
		"tarpit_stall_seconds_count 0",
		"tarpit_stall_seconds_sum 0.000000",
	};

	(void)state;
	scrape(METRICS_PLAIN);
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_line(lines[i]);
	assert_int_equal(occurrences("tarpit_offences_total{"), 0);
	assert_int_equal(occurrences("tarpit_store_up{"), 0);
	assert_int_equal(occurrences("reason=\"\""), 0);
}

static void every_counter_arrives(void **state)
{
	static const struct {
		enum stats_counter counter;
		const char *line;
	} rows[] = {
		{STAT_SESSIONS_OPENED, "tarpit_sessions_total 101"},
		{STAT_SESSIONS_EXEMPT, "tarpit_sessions_exempt_total 102"},
		{STAT_FLAGS, "tarpit_flags_total 103"},
		{STAT_FLAGGED_BY_HAND, "tarpit_flagged_by_hand_total 104"},
		{STAT_FORGIVEN, "tarpit_forgiven_total 105"},
		{STAT_STORE_CALLS, "tarpit_store_calls_total 106"},
		{STAT_STORE_FAILURES, "tarpit_store_errors_total 107"},
		{STAT_RELOADS, "tarpit_reloads_total{result=\"ok\"} 108"},
		{STAT_RELOADS_FAILED, "tarpit_reloads_total{result=\"failed\"} 109"},
		{STAT_SIEGES, "tarpit_sieges_total 110"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		stats_add(rows[i].counter, 101 + i);
	stats_add_code("5.1.1", 3);
	stats_add_code("hidden", 4);
	stats_add_code("5.1.1", 2);
	stats_add_labelled(FAMILY_STALLS_BY_STAGE, STAGE_RCPT, 11);
	stats_add_labelled(FAMILY_DEFERRED_BY_REASON, REASON_BUDGET, 12);
	/* Nobody expects that, so it must be seen. */
	stats_add_labelled(FAMILY_DEFERRED_BY_REASON, REASON_SESSION_LIMIT, 1);
	stats_add_labelled(FAMILY_PASSED_BY_REASON, REASON_OBSERVE, 13);
	stats_add_labelled(FAMILY_MTA_WARNINGS, MTA_TIMEOUT_SHORT, 14);

	scrape(METRICS_OPENMETRICS);
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_line(rows[i].line);
	assert_line("tarpit_offences_total{code=\"5.1.1\"} 5");
	assert_line("tarpit_offences_total{code=\"hidden\"} 4");
	assert_line("tarpit_stalls_total{stage=\"rcpt\"} 11");
	assert_line("tarpit_stalls_total{stage=\"mail\"} 0");
	assert_line("tarpit_deferred_total{reason=\"budget\"} 12");
	assert_line("tarpit_deferred_total{reason=\"session-limit\"} 1");
	assert_line("tarpit_passed_total{reason=\"observe\"} 13");
	assert_line("tarpit_mta_warnings_total{warning=\"timeout-too-short\"} 14");
}

static void gauges_show_what_is(void **state)
{
	(void)state;
	tarpit.max_sessions = 4032;
	tarpit.open_sessions = 3;
	occupy(2);
	fake_clock_advance(90061);
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_start_time_seconds 1795219200.000");
	assert_line("tarpit_uptime_seconds 90.061");
	assert_line("tarpit_sessions_open 3");
	assert_line("tarpit_sessions_limit 4032");
	assert_line("tarpit_stalls_active 2");
	assert_line("tarpit_stalls_budget 7");
	vacate(2);
	tarpit.open_sessions = 0;
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_stalls_active 0");
	assert_line("tarpit_configuration_info{mode=\"enforce\",store=\"memory\"} 1");
	config_box_put(tarpit.config,
		       load((const char *const[]){"mode=observe", "store=memcached", NULL}));
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_configuration_info{mode=\"observe\",store=\"memcached\"} 1");
}

static void a_siege_shows(void **state)
{
	struct siege_settings settings = {30, 5, 600000};
	int64_t now_ms = fake_clock.wall_ms(&fake_clock);

	(void)state;
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_siege 0");
	assert_line("tarpit_siege_score 0.00");
	caught.count = 0;
	site_offence(tarpit.site, &settings, 3200, now_ms);
	assert_string_equal(caught_events(), "siege");
	assert_true(caught_text("siege: state=on score=32.00 mean=0.00"));
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_siege 1");
	assert_line("tarpit_siege_score 32.00");
	/* Nobody but the page asks: the siege is over all the same. */
	fake_clock_advance(600000);
	caught.count = 0;
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_siege 0");
	assert_line("tarpit_siege_score 16.00");
	assert_line("tarpit_siege_mean 3.85");
	assert_true(caught_text("siege: state=off score=16.00 mean=3.85"));
}

/* Values of all lines that begin so, in their order; how many. */
static size_t values_of(const char *start, unsigned long long *values, size_t max)
{
	size_t count = 0;

	for (const char *p = page; (p = strstr(p, start)) != NULL; p++) {
		const char *value = strchr(p, ' ');

		assert_true(count < max);
		values[count++] = strtoull(value, NULL, 10);
	}
	return count;
}

static void histogram_is_cumulative(void **state)
{
	static const int64_t stalls_ms[] = {50, 5001, 5002, 20001, 70000};
	unsigned long long buckets[20], count[2];
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(stalls_ms); i++)
		stats_observe(HISTOGRAM_STALL, stalls_ms[i] * 1000);
	scrape(METRICS_OPENMETRICS);
	n = values_of("tarpit_stall_seconds_bucket", buckets, COUNT(buckets));
	assert_int_equal(n, 13);
	for (size_t i = 1; i < n; i++)
		assert_true(buckets[i] >= buckets[i - 1]);
	assert_int_equal(values_of("tarpit_stall_seconds_count", count, COUNT(count)), 1);
	assert_int_equal(count[0], COUNT(stalls_ms));
	assert_int_equal(buckets[n - 1], count[0]);
	assert_line("tarpit_stall_seconds_bucket{le=\"0.1\"} 1");
	assert_line("tarpit_stall_seconds_bucket{le=\"3.3\"} 1");
	assert_line("tarpit_stall_seconds_bucket{le=\"5.5\"} 3");
	assert_line("tarpit_stall_seconds_bucket{le=\"16.0\"} 3");
	assert_line("tarpit_stall_seconds_bucket{le=\"21.0\"} 4");
	assert_line("tarpit_stall_seconds_bucket{le=\"61.0\"} 4");
	assert_line("tarpit_stall_seconds_bucket{le=\"+Inf\"} 5");
	assert_line("tarpit_stall_seconds_sum 100.054000");

	stats_observe(HISTOGRAM_STORE, 7);
	scrape(METRICS_PLAIN);
	assert_line("tarpit_store_call_seconds_bucket{le=\"0.0001\"} 1");
	assert_line("tarpit_store_call_seconds_bucket{le=\"0.00025\"} 1");
	assert_line("tarpit_store_call_seconds_bucket{le=\"1.0\"} 1");
	assert_line("tarpit_store_call_seconds_sum 0.000007");
	assert_line("tarpit_stall_seconds_bucket{le=\"21.0\"} 4");
}

static void labels_are_escaped(void **state)
{
	(void)state;
	servers[0].server = "127.0.0.1:11211";
	servers[0].is_up = true;
	servers[1].server = "/run/a \"b\"\\c\n\xc3\xa9\x01\xff";
	servers[2].server = "[::1]:11211";
	for (int format = 0; format < 2; format++) {
		scrape(format == 0 ? METRICS_PLAIN : METRICS_OPENMETRICS);
		assert_line("tarpit_store_up{server=\"127.0.0.1:11211\"} 1");
		assert_line("tarpit_store_up{server=\"[::1]:11211\"} 0");
		assert_line("tarpit_store_up{server=\"/run/a \\\"b\\\"\\\\c\\n"
			    "\\\\xc3\\\\xa9\\\\x01\\\\xff\"} 0");
	}
}

/*
 * --- how many clients there are -----------------------------------------------------------------
 */

static void flagged_clients_are_counted_as_of_now(void **state)
{
	struct store_query query = query_of("203.0.113.7");

	(void)state;
	has_offended("192.0.2.1", 4);
	has_offended("198.51.100.1", 5);
	has_offended("2001:db8::1", 9);
	store_flag(counting.memory, &query, MIDNIGHT / 1000 + 600);
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_clients 4");
	assert_line("tarpit_clients_flagged 3");

	/* Near the end of the next window hardly anything of it counts. */
	fake_clock_advance(2 * WINDOW_MS - 1000);
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_clients_flagged 0");
}

static void exempt_clients_are_not_counted_as_flagged(void **state)
{
	struct store_query query = query_of("203.0.113.7");

	(void)state;
	has_offended("192.0.2.1", 9);
	has_offended("198.51.100.1", 9);
	store_flag(counting.memory, &query, MIDNIGHT / 1000 + 600);
	config_box_put(tarpit.config,
		       load((const char *const[]){
			       "exempt_clients={\"192.0.2.0/24\", \"203.0.113.7\"}", NULL}));
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_clients 3");
	assert_line("tarpit_clients_flagged 1");
}

static void first_offence_in_a_dirty_network_counts_as_flagged(void **state)
{
	char address[32];

	(void)state;
	for (int i = 1; i <= 20; i++) {
		snprintf(address, sizeof(address), "203.0.113.%d", i);
		has_offended(address, 1);
	}
	has_offended("192.0.2.1", 1);
	scrape(METRICS_OPENMETRICS);
	assert_line("tarpit_clients 21");
	assert_line("tarpit_clients_flagged 20");
}

static void scraper_can_not_make_us_walk_all_the_time(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		scrape(METRICS_OPENMETRICS);
	assert_int_equal(walks, 1);
	has_offended("198.51.100.1", 5);
	fake_clock_advance(999);
	scrape(METRICS_PLAIN);
	assert_line("tarpit_clients_flagged 0");
	fake_clock_advance(1);
	scrape(METRICS_PLAIN);
	assert_line("tarpit_clients_flagged 1");
	assert_int_equal(walks, 2);

	/* One that takes long has a long rest after it. */
	walk_ms = 500;
	fake_clock_advance(1000);
	scrape(METRICS_PLAIN);
	assert_int_equal(walks, 3);
	fake_clock_advance(9999);
	scrape(METRICS_PLAIN);
	assert_int_equal(walks, 3);
	fake_clock_advance(1);
	scrape(METRICS_PLAIN);
	assert_int_equal(walks, 4);
}

/*
 * --- HTTP ---------------------------------------------------------------------------------------
 */

static void format_is_the_one_that_is_accepted(void **state)
{
	static const struct {
		const char *accept;
		bool is_openmetrics;
	} rows[] = {
		{NULL, false},
		{"", false},
		{"*/*", false},
		{"text/plain", false},
		{"application/openmetrics-text", true},
		{"application/openmetrics-text; version=1.0.0; charset=utf-8", true},
		{"Application/OpenMetrics-Text;Version=1.0.0", true},
		{"application/openmetrics-text; version=0.0.1", false},
		{"application/openmetrics-text; version=1.0.01", false},
		{"application/openmetrics-text; version=", false},
		/* Prometheus 2.42, 2.30, 3.0 */
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
		 "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 true},
		{"application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5", false},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain",
		 true},
		{"text/plain;q=0.5 , application/openmetrics-text ;q=0.1", true},
		{"application/openmetrics-text;q=0", false},
		{"application/openmetrics-text;q=0.000", false},
		{"application/openmetrics-text;q=0.001", true},
		{"application/openmetrics-text-not", false},
		{"application/openmetrics", false},
		{"text/plain;x=application/openmetrics-text", false},
		{";;;,,,;=;q=,\t ,", false},
		{",;application/openmetrics-text", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if ((metrics_page_negotiate(rows[i].accept) == METRICS_OPENMETRICS) !=
		    rows[i].is_openmetrics)
			fail_msg("%s", rows[i].accept);
	assert_string_equal(metrics_page_content_type(METRICS_OPENMETRICS),
			    "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_string_equal(metrics_page_content_type(METRICS_PLAIN),
			    "text/plain; version=0.0.4; charset=utf-8");
}

/* A socket that listens on 127.0.0.1. */
static int take_port(uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static void start_says_why_it_fails(void **state)
{
	char address[64], error[256] = "";
	uint16_t port;
	int fd;

	(void)state;
	if (metrics_http_version() == NULL) {
		assert_false(metrics_http_start("127.0.0.1:9810", &tarpit, error, sizeof(error)));
		assert_non_null(strstr(error, "libmicrohttpd"));
		return;
	}
	fd = take_port(&port);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_false(metrics_http_start(address, &tarpit, error, sizeof(error)));
	assert_non_null(strstr(error, address));
	assert_non_null(strstr(error, ": Address already in use"));
	close(fd);
	assert_false(metrics_http_start("nonsense", &tarpit, error, sizeof(error)));
	assert_string_equal(error, "nonsense: not HOST:PORT");
	assert_false(metrics_http_start("192.0.2.1:9810", &tarpit, error, sizeof(error)));
	assert_string_equal(error, "192.0.2.1:9810: Cannot assign requested address");
	assert_false(metrics_http_start("[127.0.0.1]:9810", &tarpit, error, sizeof(error)));
	assert_string_not_equal(error, "192.0.2.1:9810: Cannot assign requested address");
}

/* Descriptors suffice for the socket, but not for libmicrohttpd too. */
static void start_that_fails_leaves_no_socket(void **state)
{
	char address[64], error[256] = "";
	struct rlimit limit, few;
	uint16_t port;
	int fd;

	(void)state;
	if (metrics_http_version() == NULL)
		skip();
	fd = take_port(&port);
	close(fd);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = (struct rlimit){(rlim_t)fd + 1, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_false(metrics_http_start(address, &tarpit, error, sizeof(error)));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_string_equal(error, "libmicrohttpd does not start");
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: nothing has been counted yet. */
		METRICS_TEST(labels_that_may_come_are_there_from_the_start),
		METRICS_TEST(openmetrics_names_families_without_suffix),
		METRICS_TEST(plain_text_names_families_as_their_samples),
		METRICS_TEST(samples_stand_below_their_family),
		METRICS_TEST(histogram_is_cumulative),
		METRICS_TEST(gauges_show_what_is),
		METRICS_TEST(every_counter_arrives),
		METRICS_TEST(a_siege_shows),
		METRICS_TEST(labels_are_escaped),
		METRICS_TEST(flagged_clients_are_counted_as_of_now),
		METRICS_TEST(exempt_clients_are_not_counted_as_flagged),
		METRICS_TEST(first_offence_in_a_dirty_network_counts_as_flagged),
		METRICS_TEST(scraper_can_not_make_us_walk_all_the_time),
		METRICS_TEST(format_is_the_one_that_is_accepted),
		METRICS_TEST(start_says_why_it_fails),
		METRICS_TEST(start_that_fails_leaves_no_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
