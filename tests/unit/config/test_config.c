/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "judge/recipients.h"
#include "config/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char place_of_tests[] = "/tmp/test_snapshot.XXXXXX";

/* A directory of the test's own, and the names of two files in it. */
struct place {
	char directory[sizeof(place_of_tests)];
	char config[sizeof(place_of_tests) + 16], other[sizeof(place_of_tests) + 16];
};

static int begin(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (place == NULL)
		return -1;
	memcpy(place->directory, place_of_tests, sizeof(place_of_tests));
	if (mkdtemp(place->directory) == NULL)
		return -1;
	snprintf(place->config, sizeof(place->config), "%s/config", place->directory);
	snprintf(place->other, sizeof(place->other), "%s/other", place->directory);
	*state = place;
	return 0;
}

static int end(void **state)
{
	struct place *place = *state;

	unlink(place->config);
	unlink(place->other);
	rmdir(place->directory);
	free(place);
	return 0;
}

static void write_bytes(const char *path, const char *text, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void write_text(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

static struct config *load(const char *file, const char *set)
{
	struct faults faults = {NULL, 0, 0};
	struct config *config = config_load(file, true, &set, set != NULL ? 1 : 0, &faults);

	if (config == NULL)
		fail_msg("%s", faults.text);
	assert_int_equal(faults.count, 0);
	return config;
}

static char *printed(const struct config *config)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	config_print(config, out);
	fclose(out);
	return text;
}

static void defaults_are_those_of_the_contract(void **state)
{
	struct config *c = load(NULL, NULL);
	struct address recipient;

	(void)state;
	assert_string_equal(c->socket, "unix:/run/tarpit-milter/milter.sock");
	assert_int_equal(c->socket_mode, 0660);
	assert_false(c->observe);
	assert_false(c->use_memcached);
	assert_int_equal(c->memcached_timeout_ms, 50);
	assert_int_equal(c->memory_clients, 100000);
	assert_string_equal(c->memory_file, DEFAULT_MEMORY_FILE);
	assert_int_equal(c->window_s, 4 * 3600);
	assert_true(c->policy.threshold == 5);
	assert_int_equal(c->offences_count, 3);
	assert_int_equal(c->policy.hidden_weight, 50);
	assert_int_equal(c->policy.delay_max_ms, 20000);
	assert_true(c->stall_at[STAGE_CONNECT] && !c->stall_at[STAGE_HELO]);
	assert_int_equal(c->mta_timeout_ms, 0);
	assert_true(c->defer_when_full);
	assert_int_equal(c->widths.ipv6_network, 48);
	address_parse("abuse@example.com", &recipient);
	assert_non_null(recipients_rule(c->exempt_mailboxes, &recipient));
	assert_int_equal(c->syslog_facility, LOG_MAIL);
	assert_int_equal(c->log_level, LOG_INFO);
	config_release(c);
}

static void a_print_reads_back_to_the_same_print(void **state)
{
	static const char *const sets[] = {
		NULL, "offences=5.1.1 0.25, \"5.*.* 1\"", "pid_file=/a b$x\"c\\d", "delay_min=1.5s",
		"stall_at=", "exempt_clients+={10.0.0.0/8, 2001:db8::/32}", "window=90s",
		"mta_timeout=1h", "metrics_listen=[::1]:9100", "memcached_servers=a:1,/b,[::1]:2",
		"network_threshold=0", "threshold=0.01", "null_sender_weight=0.000001",
		"good_credit=0.00001", "threshold=9999.999999", "log_level=err", "syslog_facility=local7",
	};
	struct place *place = *state;

	for (size_t i = 0; i < COUNT(sets); i++) {
		struct config *config = load(NULL, sets[i]);
		char *first = printed(config), *second;

		config_release(config);
		write_text(place->config, first);
		config = load(place->config, NULL);
		second = printed(config);
		assert_string_equal(first, second);
		config_release(config);
		free(first);
		free(second);
	}
}

static void good_values_are_taken(void **state)
{
	static const struct {
		const char *text, *line;	/* and how it is printed */
	} rows[] = {
		{"delay_max = 500ms\ndelay_min = 0.5", "delay_max = 500ms\n"},
		{"delay_max = 120", "delay_max = 2m\n"},
		{"window = 14d", "window = 14d\n"},
		{"count_distinct = off", "count_distinct = no\n"},
		{"count_distinct = TRUE", "count_distinct = yes\n"},
		{"hidden_weight = 0.05", "hidden_weight = 0.05\n"},
		{"good_credit = 0.00001", "good_credit = 0.00001\n"},
		{"null_sender_weight = 0.000001", "null_sender_weight = 0.000001\n"},
		{"network_threshold = 99999.999999", "network_threshold = 99999.999999\n"},
		{"network_threshold = 100000.0", "network_threshold = 100000\n"},
		{"good_credit = 0.0", "good_credit = 0\n"},
		{"threshold = 4\nthreshold = 6", "threshold = 6\n"},
		{"delay_min = 8s\ndelay_max = 4s\ndelay_max = 9s", "delay_max = 9s\n"},
		{"stall_at = {mail}\nstall_at = {mail, rcpt}", "stall_at = {\"mail\", \"rcpt\"}\n"},
		{"stall_at = {mail}\nstall_at = {}\nstall_at += {rcpt}", "stall_at = {\"rcpt\"}\n"},
		{"exempt_hosts += {a.b} # x\nexempt_hosts += {c.d, # y\n\".e\"}",
		 "exempt_hosts = {\"a.b\", \"c.d\", \".e\"}\n"},
		{"exempt_recipients = {}", "exempt_recipients = {}\n"},
		{"exempt_recipients += {}\nexempt_recipients += {root}",
		 "exempt_recipients = {\"postmaster\", \"abuse\", \"root\"}\n"},
		{"socket_mode = 600", "socket_mode = 0600\n"},
		{"key_prefix = 'a.b_c-1'", "key_prefix = a.b_c-1\n"},
		{"socket = \"inet:9@127.0.0.1\"\nmetrics_listen = 127.0.0.2:9",
		 "metrics_listen = 127.0.0.2:9\n"},
		{"socket = \"inet:9@127.0.0.1\"\nmetrics_listen = 127.0.0.1:8",
		 "metrics_listen = 127.0.0.1:8\n"},
		{"socket = \"inet:9@mx\"\nmetrics_listen = [::1]:9",
		 "metrics_listen = \"[::1]:9\"\n"},
		{"socket = unix:/mx\nmetrics_listen = mx:9", "metrics_listen = mx:9\n"},
		{"/* x\n*/ // y\nmax_stalls = 7", "max_stalls = 7\n"},
	};
	struct place *place = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config *config;
		char *text;

		write_text(place->config, rows[i].text);
		config = load(place->config, NULL);
		text = printed(config);
		if (strstr(text, rows[i].line) == NULL)
			fail_msg("%s", rows[i].text);
		free(text);
		config_release(config);
	}
}

/* Expects exactly one fault, `LINE: key: ...` with reason in it. */
static void expect_fault(const struct place *place, const char *text, const char *start, const char *reason)
{
	struct faults faults = {NULL, 0, 0};
	struct config *config;
	size_t length = strlen(place->config);

	write_text(place->config, text);
	config = config_load(place->config, true, NULL, 0, &faults);
	if (config != NULL)
		fail_msg("taken: %s", text);
	if (faults.count != 1 || strncmp(faults.text, place->config, length) != 0 ||
	    strncmp(faults.text + length + 1, start, strlen(start)) != 0 ||
	    strstr(faults.text, reason) == NULL || strchr(faults.text, '(') == NULL)
		fail_msg("%s\nwanted %s ... %s\ngot %s", text, start, reason, faults.text);
	faults_free(&faults);
}

static void faults_have_place_key_and_reason(void **state)
{
	static const struct {
		const char *text, *start, *reason;
	} rows[] = {
		{"\nfoo = 1", "2: foo:", "unknown key"},
		{"# a\n# b\nfoo = {1, 2}\n", "3: foo:", "unknown key"},
		{"threshold 5", "1: syntax:", "equal sign"},
		{"\n}", "2: syntax:", "brace"},
		{"\"\" = 5", "1: syntax:", "empty"},
		{"user = \"x", "1: syntax:", "never ends"},
		{"/* x", "1: syntax:", "never ends"},
		{"a|b = 5", "1: syntax:", "'|'"},
		{"include(\"/nonexistent/x\")", "1: include:", "No such file"},
		{"threshold = {1, 2}", "1: threshold:", "not a list"},
		{"threshold += 1", "1: threshold:", "nothing can be added"},
		{"threshold += {1, 2}", "1: threshold:", "nothing can be added"},
		{"threshold = 5\nthreshold += 6", "1: threshold:", "not a list"},
		{"threshold = {}", "0: threshold:", "no value"},
		{"\"foo\" = 1", "1: foo:", "unknown key"},
		{"threshold = 0", "1: threshold:", "out of range"},
		{"threshold = 10001", "1: threshold:", "out of range"},
		{"threshold = 1e3", "1: threshold:", "not a number"},
		{"threshold = -1", "1: threshold:", "not a number"},
		{"threshold = nan", "1: threshold:", "not a number"},
		{"good_credit = 101", "1: good_credit:", "out of range"},
		{"hidden_weight = 0.125", "1: hidden_weight:", "two decimals"},
		{"null_sender_weight = 11", "1: null_sender_weight:", "out of range"},
		{"network_threshold = 0.5", "1: network_threshold:", "out of range"},
		{"window = 59s", "1: window:", "out of range"},
		{"window = 15d", "1: window:", "out of range"},
		{"window = 90500ms", "1: window:", "whole seconds"},
		{"window = \"4 h\"", "1: window:", "not a duration"},
		{"delay_min = 5x", "1: delay_min:", "not a duration"},
		{"delay_min = 99ms", "1: delay_min:", "out of range"},
		{"delay_max = 999999999999d", "1: delay_max:", "out of range"},
		{"delay_max = 99999999999999999999s", "1: delay_max:", "not a duration"},
		{"jitter = 51", "1: jitter:", "out of range"},
		{"jitter = 5.0", "1: jitter:", "not an integer"},
		{"mta_timeout = 2s", "1: mta_timeout:", "out of range"},
		{"max_stalls = 0", "1: max_stalls:", "out of range"},
		{"max_flagged_sessions = 10001", "1: max_flagged_sessions:", "out of range"},
		{"memory_clients = 99", "1: memory_clients:", "out of range"},
		{"ipv4_prefix = 33", "1: ipv4_prefix:", "out of range"},
		{"ipv6_network = 256", "1: ipv6_network:", "out of range"},
		{"memcached_timeout = 4ms", "1: memcached_timeout:", "out of range"},
		{"memcached_servers = {localhost}", "1: memcached_servers:", "not HOST:PORT"},
		{"memcached_servers = {a:1, A:1}", "1: memcached_servers:", "named twice"},
		{"mode = obey", "1: mode:", "no such choice"},
		{"count_distinct = maybe", "1: count_distinct:", "no such choice"},
		{"stall_at = {mail, mail}", "1: stall_at:", "named twice"},
		{"stall_at = {\nmail,\nquit}", "3: stall_at:", "no such stage"},
		{"offences = {\"4.1.1 1\"}", "1: offences:", "soft_offences"},
		{"offences = {\"5.1.1 11\"}", "1: offences:", "weight"},
		{"socket = /run/x", "1: socket:", "kind"},
		{"socket_mode = 0999", "1: socket_mode:", "octal"},
		{"socket_mode = 0060", "1: socket_mode:", "out of range"},
		{"user = \"\"", "1: user:", "name"},
		{"key_prefix = \"a b\"", "1: key_prefix:", "not allowed"},
		{"key_prefix = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "1: key_prefix:", "too long"},
		{"pid_file = x", "1: pid_file:", "absolute"},
		{"pid_file = \"/a\\nb\"", "1: pid_file:", "control character"},
		{"memory_file = x", "1: memory_file:", "absolute"},
		{"control_socket = x", "1: control_socket:", "absolute"},
		{"metrics_listen = 9100", "1: metrics_listen:", "HOST:PORT"},
		{"syslog_facility = kern", "1: syslog_facility:", "no such"},
		{"log_level = loud", "1: log_level:", "no such"},
		{"exempt_clients = {10.0.0.1/8}", "1: exempt_clients:", "was 10.0.0.0/8 meant?"},
		{"exempt_clients = {\"@/nonexistent/x\"}", "1: exempt_clients:", "No such file"},
		{"exempt_hosts = {a..b}", "1: exempt_hosts:", "host name"},
		{"exempt_recipients = {\"@b\"}", "1: exempt_recipients:", "local part"},
		{"delay_max = 4s", "1: delay_max:", "delay_min is longer"},
		{"delay_max = 5m\n\ndelay_min = 6m", "3: delay_min:", "delay_min is longer"},
		{"ipv4_network = 25\nipv4_prefix = 24", "2: ipv4_prefix:", "narrower"},
		{"ipv6_network = 65", "1: ipv6_network:", "narrower"},
		{"memcached_servers = {}\nstore = memcached", "2: store:", "no server"},
		{"store = memcached\nmemcached_servers = {}", "1: store:", "no server"},
		{"memcached_timeout = 2s", "1: memcached_timeout:", "not shorter"},
		{"control_socket = /a\nsocket = unix:/a", "2: socket:", "the same"},
		{"socket = local:/a\n\ncontrol_socket = /a", "3: control_socket:", "the same"},
		{"pid_file = /a\nsocket = unix:/a", "2: socket:", "socket and pid_file are the same"},
		{"socket = local:/a\npid_file = /a", "2: pid_file:", "the same"},
		{"control_socket = /a\npid_file = /a", "2: pid_file:",
		 "control_socket and pid_file are the same"},
		{"pid_file = /a\ncontrol_socket = /a", "2: control_socket:", "the same"},
		{"memory_file = /a\nsocket = unix:/a", "2: socket:",
		 "socket and memory_file are the same"},
		{"memory_file = /a\ncontrol_socket = /a", "2: control_socket:", "the same"},
		{"pid_file = /a\nmemory_file = /a", "2: memory_file:", "the same"},
		{"metrics_listen = 127.0.0.1:9\nsocket = \"inet:9@127.0.0.1\"", "2: socket:",
		 "the same port"},
		{"socket = \"inet6:9@::1\"\nmetrics_listen = [::1]:9", "2: metrics_listen:",
		 "the same port"},
		{"socket = \"inet:09@MX\"\nmetrics_listen = mx:9", "2: metrics_listen:",
		 "the same port"},
		{"socket = \"inet:9@0.0.0.0\"\nmetrics_listen = mx:9", "2: metrics_listen:",
		 "the same port"},
		{"socket = \"inet6:9@[::2]\"\nmetrics_listen = [0::0]:9", "2: metrics_listen:",
		 "the same port"},
		{"metrics_listen = nonsense\nsocket = \"inet:9@mx\"", "1: metrics_listen:",
		 "HOST:PORT"},
		{"metrics_listen = mx:9\nsocket = nonsense", "2: socket:", "kind"},
		/* and of what a later one replaces */
		{"threshold = x\nthreshold = 5", "1: threshold:", "not a number"},
		{"threshold = 5\n\nthreshold = 0 threshold = 6", "3: threshold:", "out of range"},
		{"threshold = {1, 2}\nthreshold = 5", "1: threshold:", "not a list"},
		{"threshold += 1\nthreshold = 5", "1: threshold:", "nothing can be added"},
		{"exempt_hosts += {a.b, c..d}\nexempt_hosts = {e}", "1: exempt_hosts:", "'c..d'"},
		{"exempt_hosts = {e, c..d}\nexempt_hosts = {}", "1: exempt_hosts:", "'c..d'"},
		{"exempt_hosts = {c..d}\nexempt_hosts = {}\nexempt_hosts += {e}",
		 "1: exempt_hosts:", "'c..d'"},
		{"stall_at = {mail, quit}\nstall_at = {mail}", "1: stall_at:", "no such stage"},
		{"exempt_clients = {\"@/nonexistent/x\"}\nexempt_clients = {}", "1: exempt_clients:",
		 "No such file"},
		{"delay_max = 4s delay_min = 8s", "1: delay_min:", "delay_min is longer"},
		{"delay_min = 8s delay_max = 4s", "1: delay_max:", "delay_min is longer"},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		expect_fault(*state, rows[i].text, rows[i].start, rows[i].reason);
}

static void servers_are_counted(void **state)
{
	struct place *place = *state;
	struct faults faults = {NULL, 0, 0};
	struct config *config;
	char text[2000] = "memcached_servers = {\n", wanted[100];
	size_t length = strlen(text);

	for (int i = 0; i < MEMCACHED_SERVERS_MAX; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "a:%d%s", i + 1,
					   i < MEMCACHED_SERVERS_MAX - 1 ? ",\n" : "}\n");
	write_text(place->config, text);
	config = load(place->config, NULL);
	assert_int_equal(config->memcached_servers.count, MEMCACHED_SERVERS_MAX);
	config_release(config);
	snprintf(text + length - 2, sizeof(text) - length, ",\nb:1}\n");
	write_text(place->config, text);
	assert_null(config_load(place->config, true, NULL, 0, &faults));
	assert_int_equal(faults.count, 1);
	snprintf(wanted, sizeof(wanted), "%s:%d: memcached_servers: 'b:1': one too many (",
		 place->config, MEMCACHED_SERVERS_MAX + 2);
	assert_non_null(strstr(faults.text, wanted));
	assert_non_null(strstr(faults.text, "64 at most)"));
	faults_free(&faults);
}

static void every_fault_is_told_once(void **state)
{
	struct place *place = *state;
	struct faults faults = {NULL, 0, 0};

	write_text(place->config, "foo = 1\nbar = {2}\nthreshold = x\n\njitter = 99\nbaz = 3\n"
				  "threshold = y\nthreshold = 5\njitter = 98");
	assert_null(config_load(place->config, true, NULL, 0, &faults));
	assert_int_equal(faults.count, 7);
	faults_free(&faults);
}

static void a_missing_include_hides_no_other_fault(void **state)
{
	struct place *place = *state;
	struct faults faults = {NULL, 0, 0};

	write_text(place->config, "include(\"none\")\nthreshold = x\nfoo = 1\ninclude(\"gone\")\n"
				  "bar = 2\njitter = 99\n}");
	assert_null(config_load(place->config, true, NULL, 0, &faults));
	assert_int_equal(faults.count, 7);
	assert_non_null(strstr(faults.text, "/config:1: include: none: No such file"));
	assert_non_null(strstr(faults.text, "/config:4: include: gone: No such file"));
	assert_non_null(strstr(faults.text, "/config:6: jitter:"));
	assert_non_null(strstr(faults.text, "/config:7: syntax:"));
	faults_free(&faults);
}

static void faults_of_other_files_are_placed_there(void **state)
{
	struct place *place = *state;
	static const char *const others[] = {"\n# x\njitter = 99\n", "::1 # x\n\n10.0.0.1/8\n"};

	for (size_t i = 0; i < COUNT(others); i++) {
		struct faults faults = {NULL, 0, 0};
		char text[200], wanted[100];
		FILE *file;

		file = fopen(place->config, "w");
		assert_non_null(file);
		if (i == 0)
			fprintf(file, "include(\"other\")\n");
		else
			fprintf(file, "exempt_clients = {\"@%s\"}\n", place->other);
		fclose(file);
		write_text(place->other, others[i]);
		snprintf(wanted, sizeof(wanted), "%s:3: ", place->other);
		assert_null(config_load(place->config, true, NULL, 0, &faults));
		snprintf(text, sizeof(text), "%.*s", (int)strlen(wanted), faults.text);
		assert_string_equal(text, wanted);
		assert_int_equal(faults.count, 1);
		faults_free(&faults);
	}
}

static void contradictions_across_files_are_placed_at_the_later(void **state)
{
	static const struct {
		const char *config, *other, *set, *place, *start;
	} rows[] = {
		{"delay_max = 4s\ninclude(\"other\")", "\ndelay_min = 8s", NULL, "other",
		 ":2: delay_min:"},
		{"\ndelay_min = 8s\ninclude(\"other\")", "delay_max = 4s", NULL, "other",
		 ":1: delay_max:"},
		{"include(\"other\")\n\ndelay_max = 4s", "\n\n\n\ndelay_min = 8s", NULL, "config",
		 ":3: delay_max:"},
		{"include(\"other\")\n\ndelay_min = 8s", "\n\n\n\ndelay_max = 4s", NULL, "config",
		 ":3: delay_min:"},
		{"include(\"other\")\ndelay_min = 3s", "delay_max = 4s", "delay_min=8s", "--set",
		 ":1: delay_min:"},
		{"include(\"other\")\ndelay_min = 8s", "delay_max = 9s", "delay_max=4s", "--set",
		 ":1: delay_max:"},
	};
	struct place *place = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults faults = {NULL, 0, 0};
		const char *found;

		write_text(place->config, rows[i].config);
		write_text(place->other, rows[i].other);
		assert_null(config_load(place->config, true, &rows[i].set, rows[i].set != NULL, &faults));
		assert_int_equal(faults.count, 1);
		found = strstr(faults.text, rows[i].place);
		if (found == NULL ||
		    strncmp(found + strlen(rows[i].place), rows[i].start, strlen(rows[i].start)) != 0)
			fail_msg("row %zu: %s", i, faults.text);
		faults_free(&faults);
	}
}

static void sets_win_and_their_faults_are_numbered(void **state)
{
	static const char *const good[] = {"jitter=5", " stall_at = {rcpt}", "jitter=6"};
	static const char *const bad[] = {"jitter=5", "jitter=99", "foo=1", "jitter", "jitter=4"};
	struct faults faults = {NULL, 0, 0};
	struct place *place = *state;
	struct config *config;

	write_text(place->config, "jitter = 4");
	config = config_load(place->config, true, good, COUNT(good), &faults);
	assert_non_null(config);
	assert_int_equal(config->policy.jitter, 6);
	assert_true(config->stall_at[STAGE_RCPT] && !config->stall_at[STAGE_MAIL]);
	config_release(config);
	assert_null(config_load(NULL, false, bad, COUNT(bad), &faults));
	assert_int_equal(faults.count, 3);
	assert_non_null(strstr(faults.text, "--set:2: jitter: '99': out of range"));
	assert_non_null(strstr(faults.text, "--set:3: foo: unknown key"));
	assert_non_null(strstr(faults.text, "--set:4: jitter: no value"));
	faults_free(&faults);
	write_text(place->config, "jitter = x");
	assert_null(config_load(place->config, true, good, COUNT(good), &faults));
	assert_int_equal(faults.count, 1);
	assert_non_null(strstr(faults.text, "/config:1: jitter: 'x': not an integer"));
	faults_free(&faults);
}

static void junk_is_refused_unharmed(void **state)
{
	struct place *place = *state;
	char junk[5000];
	unsigned seed = 1;

	for (int round = 0; round < 200; round++) {
		struct faults faults = {NULL, 0, 0};

		for (size_t i = 0; i < sizeof(junk); i++) {
			seed = seed * 1103515245U + 12345U;
			junk[i] = (char)(seed >> 16);
			if (round % 2 == 0)
				junk[i] = "a={}\"'\\/*#\n,$+| 1"[(unsigned char)junk[i] % 17];
		}
		write_bytes(place->config, junk, sizeof(junk));
		config_release(config_load(place->config, true, NULL, 0, &faults));
		assert_true(faults.count > 0);
		faults_free(&faults);
	}
}

static void missing_files_matter_only_if_named(void **state)
{
	struct place *place = *state;
	struct faults faults = {NULL, 0, 0};
	struct config *config = config_load(place->config, false, NULL, 0, &faults);

	assert_non_null(config);
	config_release(config);
	assert_null(config_load(place->config, true, NULL, 0, &faults));
	assert_null(config_load(place->directory, false, NULL, 0, &faults));
	assert_int_equal(faults.count, 2);
	faults_free(&faults);
}

static void fixed_keys_keep_their_values(void **state)
{
	struct config *old = load(NULL, NULL), *fresh;
	char keys[200];

	(void)state;
	fresh = load(NULL, "memcached_servers={a:1, b:2}");
	assert_true(config_keep_fixed(fresh, old, keys, sizeof(keys)));
	assert_string_equal(keys, "memcached_servers");
	assert_int_equal(fresh->memcached_servers.count, 1);
	config_release(fresh);
	fresh = load(NULL, "jitter=3");
	assert_true(config_keep_fixed(fresh, old, keys, sizeof(keys)));
	assert_string_equal(keys, "");
	assert_int_equal(fresh->policy.jitter, 3);
	config_release(fresh);
	config_release(old);
}

static void a_box_holds_the_current_snapshot(void **state)
{
	struct config_box *box = config_box_new(load(NULL, "jitter=1"));
	struct config *first, *second;

	(void)state;
	assert_non_null(box);
	first = config_box_get(box);
	config_box_put(box, load(NULL, "jitter=2"));
	second = config_box_get(box);
	assert_int_equal(first->policy.jitter, 1);
	assert_int_equal(second->policy.jitter, 2);
	config_release(first);
	config_release(second);
	config_box_free(box);
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_contract),
		WITH_PLACE(a_print_reads_back_to_the_same_print),
		WITH_PLACE(good_values_are_taken),
		WITH_PLACE(faults_have_place_key_and_reason),
		WITH_PLACE(servers_are_counted),
		WITH_PLACE(every_fault_is_told_once),
		WITH_PLACE(a_missing_include_hides_no_other_fault),
		WITH_PLACE(faults_of_other_files_are_placed_there),
		WITH_PLACE(contradictions_across_files_are_placed_at_the_later),
		WITH_PLACE(sets_win_and_their_faults_are_numbered),
		WITH_PLACE(junk_is_refused_unharmed),
		WITH_PLACE(missing_files_matter_only_if_named),
		cmocka_unit_test(fixed_keys_keep_their_values),
		cmocka_unit_test(a_box_holds_the_current_snapshot),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
