/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "doctor/facts.h"
#include "doctor/postfix_settings.h"
#include "doctor/report.h"
#include "doctor_bed.h"

static void sound_facts_have_no_finding(void **state)
{
	static const struct plant sound = {.what = "sound", .found = ""};
	struct report report;

	(void)state;
	assert_found(&sound, 1, 0);
	examine(&sound, &report);
	assert_int_equal(report_status(&report), REPORT_OK);
	assert_null(report_worst(&report));
	assert_int_equal(report.looked_at_count, 4);
	assert_string_equal(report.looked_at[3], "Postfix in /etc/postfix");
}

/* --- the daemon ---------------------------------------------------------------------------- */

static void be_down(struct doctor_facts *facts)
{
	facts->daemon = (struct doctor_daemon){.state = DAEMON_DOWN, .why = "nobody listens"};
	facts->socket.error = ENOENT;
	facts->socket.steps_count = 2;
}

static void be_old(struct doctor_facts *facts)
{
	strcpy(facts->daemon.version, "0.9");
}

static void be_observing(struct doctor_facts *facts)
{
	strcpy(facts->daemon.mode, "observe");
}

static void be_full(struct doctor_facts *facts)
{
	facts->daemon.sessions = facts->daemon.max_sessions;
}

static void be_unasked(struct doctor_facts *facts)
{
	facts->daemon.sessions_opened = 0;
}

static void be_new(struct doctor_facts *facts)
{
	facts->daemon.sessions_opened = 0;
	facts->daemon.uptime_s = 60;
}

static void see_timeouts(struct doctor_facts *facts)
{
	facts->daemon.timeout_too_short = 1;
}

static void see_no_rejects(struct doctor_facts *facts)
{
	facts->daemon.rejects_not_offered = 1;
}

static void lose_lines(struct doctor_facts *facts)
{
	facts->daemon.log_lines_lost = 7;
}

static void see_gateway(struct doctor_facts *facts)
{
	strcpy(facts->daemon.most_sessions_of, "192.0.2.1");
}

static void see_private(struct doctor_facts *facts)
{
	strcpy(facts->daemon.private_client, "172.17.0.1");
}

static void see_both(struct doctor_facts *facts)
{
	see_gateway(facts);
	see_private(facts);
}

static void lose_memcached(struct doctor_facts *facts)
{
	strcpy(facts->daemon.store, "memcached");
	strcpy(facts->daemon.store_state, "down");
}

static void faults_of_the_daemon(void **state)
{
	static const struct plant plants[] = {
		{.what = "down", .found = "daemon-down", .change = be_down},
		{.what = "another version", .found = "version-skew", .change = be_old},
		{.what = "observes", .found = "observe", .sets = {"mode=observe"},
		 .change = be_observing},
		{.what = "not reloaded", .found = "config-stale observe", .change = be_observing},
		{.what = "not restarted", .found = "config-stale", .sets = {"store=memcached"}},
		{.what = "full", .found = "sessions-full", .change = be_full},
		{.what = "not asked", .found = "no-sessions", .change = be_unasked},
		{.what = "new", .found = "", .change = be_new},
		{.what = "MTA's timeout", .found = "timeout-seen-short", .change = see_timeouts},
		{.what = "MTA's protocol", .found = "rejects-not-offered",
		 .change = see_no_rejects},
		{.what = "log", .found = "log-lost", .change = lose_lines},
		{.what = "gateway", .found = "gateway", .says = "192.0.2.1 makes most",
		 .change = see_gateway},
		{.what = "bridge", .found = "private-client", .change = see_private},
		{.what = "both are exempt now", .found = "",
		 .sets = {"exempt_clients += {192.0.2.0/24, 172.16.0.0/12}"},
		 .change = see_both},
		{.what = "memcached down", .found = "memcached-down", .sets = {"store=memcached"},
		 .change = lose_memcached},
	};

	(void)state;
	assert_found(plants, COUNT(plants), 0);
}

/* --- the sockets --------------------------------------------------------------------------- */

static void leave_group(struct doctor_facts *facts)
{
	facts->user.groups_count = 1;
}

static void close_folder(struct doctor_facts *facts)
{
	facts->socket.steps[1].mode = 0700;
}

static void close_socket(struct doctor_facts *facts)
{
	facts->socket.steps[2].mode = 0640;
}

/* The owner's rights count for the owner, even where the group has more. */
static void own_closed_socket(struct doctor_facts *facts)
{
	set_step(&facts->socket.steps[2], OURS, 0460, POSTFIX_UID, OUR_GID);
}

static void be_root(struct doctor_facts *facts)
{
	facts->user.uid = 0;
	facts->socket.steps[1].mode = 0700;
}

static void open_to_others(struct doctor_facts *facts)
{
	facts->user.groups_count = 1;
	facts->socket.steps[1].mode = 0751;
	facts->socket.steps[2].mode = 0662;
}

static void remove_socket(struct doctor_facts *facts)
{
	facts->socket.error = ENOENT;
	facts->socket.steps_count = 2;
}

static void listen_everywhere(struct doctor_facts *facts)
{
	strcpy(facts->daemon.store, "memcached");
	facts->listeners[0] = (struct doctor_listener){.port = 25, .on_all = true};
	facts->listeners[1] = (struct doctor_listener){.port = 11211, .on_all = true};
	facts->listeners_count = 2;
	assert_true(prefix_parse("10.1.2.3", &facts->addresses[0]));
	facts->addresses_count = 1;
}

static void listen_on_loopback(struct doctor_facts *facts)
{
	listen_everywhere(facts);
	facts->listeners[1].on_all = false;
}

static void faults_of_sockets(void **state)
{
	static const struct plant plants[] = {
		{.what = "not in the group", .found = "socket-denied",
		 .says = "may not enter /var/spool/postfix/tarpit (mode 0750)",
		 .change = leave_group},
		{.what = "folder's mode", .found = "socket-denied", .change = close_folder},
		{.what = "socket's mode", .found = "socket-denied",
		 .says = "may not write to /var/spool/postfix/tarpit/milter.sock (mode 0640)",
		 .change = close_socket},
		{.what = "owner's mode", .found = "socket-denied", .change = own_closed_socket},
		{.what = "others may", .found = "", .change = open_to_others},
		{.what = "root may", .found = "", .change = be_root},
		{.what = "removed", .found = "socket-missing", .change = remove_socket},
		{.what = "open", .found = "socket-open", .sets = {"socket_mode=0666"}},
		{.what = "loopback", .found = "inet-local", .sets = {"socket=inet:99@127.0.0.1"},
		 .main_cf = "smtpd_milters = { inet:localhost:99, default_action=accept }\n"},
		{.what = "loopback v6", .found = "inet-local", .sets = {"socket=inet6:99@[::1]"},
		 .main_cf = "smtpd_milters = { inet:[::1]:99, default_action=accept }\n"},
		{.what = "loopback by name", .found = "inet-local",
		 .sets = {"socket=inet:99@localhost"},
		 .main_cf = "smtpd_milters = { inet:localhost:99, default_action=accept }\n"},
		{.what = "public", .found = "inet-public", .sets = {"socket=inet:99@0.0.0.0"},
		 .main_cf = "smtpd_milters = { inet:mx:99, default_action=accept }\n"},
		{.what = "memcached open", .found = "memcached-open", .sets = {"store=memcached"},
		 .change = listen_everywhere},
		{.what = "memcached open, by own address", .found = "memcached-open",
		 .sets = {"store=memcached", "memcached_servers={10.1.2.3:11211}"},
		 .change = listen_everywhere},
		{.what = "memcached open, by name", .found = "memcached-open",
		 .sets = {"store=memcached", "memcached_servers={localhost:11211}"},
		 .change = listen_everywhere},
		{.what = "memcached by a path", .found = "",
		 .sets = {"store=memcached", "memcached_servers={/run/memcached.sock}"},
		 .change = listen_everywhere},
		{.what = "memcached by a name", .found = "",
		 .sets = {"store=memcached", "memcached_servers={cache.example.org:11211}"},
		 .change = listen_everywhere},
		{.what = "another host's memcached", .found = "", .sets = {"store=memcached",
			"memcached_servers={10.1.2.4:11211}"},
		 .change = listen_everywhere},
		{.what = "memcached on loopback", .found = "", .sets = {"store=memcached"},
		 .change = listen_on_loopback},
		{.what = "memcached public", .found = "memcached-public",
		 .sets = {"store=memcached", "memcached_servers={\"[2001:db8::1]:11211\"}"},
		 .change = listen_on_loopback},
	};

	(void)state;
	assert_found(plants, COUNT(plants), 0);
}

/* --- what can't be looked at --------------------------------------------------------------- */

static void have_acl(struct doctor_facts *facts)
{
	facts->socket.steps[1].has_acl = true;
	facts->user.groups_count = 1;
}

static void hide_socket(struct doctor_facts *facts)
{
	facts->socket.error = EACCES;
	facts->socket.steps_count = 2;
	strcpy(facts->socket.at, OURS);
}

static void refuse(struct doctor_facts *facts)
{
	facts->daemon.state = DAEMON_REFUSES;
	strcpy(facts->daemon.why, "permission denied");
}

static void lose_postfix(struct doctor_facts *facts)
{
	postfix_settings_free(facts->postfix);
	facts->postfix = NULL;
	strcpy(facts->mta_why, "postconf: No such file or directory");
}

static void lose_user(struct doctor_facts *facts)
{
	facts->user.exists = false;
}

static void lose_listeners(struct doctor_facts *facts)
{
	strcpy(facts->daemon.store, "memcached");
	facts->knows_listeners = false;
}

static void what_is_not_seen_is_not_fine(void **state)
{
	static const struct plant plants[] = {
		{.what = "ACL", .found = "", .change = have_acl},
		{.what = "socket", .found = "", .change = hide_socket},
		{.what = "daemon", .found = "", .change = refuse},
		{.what = "Postfix", .found = "", .change = lose_postfix},
		{.what = "user", .found = "", .change = lose_user},
		{.what = "listeners", .found = "", .sets = {"store=memcached"},
		 .change = lose_listeners},
		{.what = "table", .found = "", .main_cf = "mynetworks = cidr:/etc/postfix/nets\n"},
		{.what = "no time", .found = "",
		 .main_cf = MILTERS("default_action=accept, command_timeout=soon")},
	};
	struct report report;

	(void)state;
	assert_found(plants, COUNT(plants), 1);
	examine(&plants[0], &report);
	assert_int_equal(report_status(&report), REPORT_WARNING);
}

static void control_off(struct doctor_facts *facts)
{
	facts->daemon = (struct doctor_daemon){.state = DAEMON_NOT_ASKED};
}

static void no_control_socket_is_both(void **state)
{
	static const struct plant plant = {
		.what = "no control socket", .found = "control-off", .change = control_off};

	(void)state;
	assert_found(&plant, 1, 1);
}

static void a_faulty_configuration_is_all_that_is_told(void **state)
{
	struct doctor_facts facts = {.faults = "x.conf:1: foo: no such key\nx.conf:2: bar\n"};
	struct report report = {0};

	(void)state;
	doctor_examine(&facts, &report);
	assert_int_equal(report.findings_count, 1);
	assert_int_equal(report_status(&report), REPORT_CRITICAL);
	assert_string_equal(report_worst(&report)->id, "config-faulty");
	assert_string_equal(report_worst(&report)->text, "x.conf:1: foo: no such key (and more)");
	memset(&report, 0, sizeof(report));
	facts.faults = "x.conf:1: foo: no such key\n";
	doctor_examine(&facts, &report);
	assert_string_equal(report_worst(&report)->text, "x.conf:1: foo: no such key");
}

static void a_configuration_that_may_not_be_read_is_no_fault(void **state)
{
	struct doctor_facts facts = {.faults = "x: denied\n", .config_denied = "/x"};
	struct report report = {0};

	(void)state;
	doctor_examine(&facts, &report);
	assert_int_equal(report.findings_count, 0);
	assert_int_equal(report.not_checked_count, 2);
	assert_string_equal(report.not_checked[0], "configuration: /x: permission denied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_facts_have_no_finding),
		cmocka_unit_test(faults_of_the_daemon),
		cmocka_unit_test(faults_of_sockets),
		cmocka_unit_test(what_is_not_seen_is_not_fine),
		cmocka_unit_test(no_control_socket_is_both),
		cmocka_unit_test(a_faulty_configuration_is_all_that_is_told),
		cmocka_unit_test(a_configuration_that_may_not_be_read_is_no_fault),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
