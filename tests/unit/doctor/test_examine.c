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
#include "doctor/listeners.h"
#include "doctor/postfix_settings.h"
#include "doctor/report.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POSTFIX_UID 100
#define POSTFIX_GID 101
#define OUR_UID 200
#define OUR_GID 201

/* What a sound Postfix says. A planted fault comes behind it: the last line of a name counts. */
#define MAIN_CF                                                                                    \
	"compatibility_level = 3.6\n"                                                              \
	"config_directory = /etc/postfix\n"                                                        \
	"default_process_limit = 100\n"                                                            \
	"disable_vrfy_command = yes\n"                                                             \
	"local_recipient_maps = hash:/etc/aliases\n"                                               \
	"mail_owner = postfix\n"                                                                   \
	"milter_command_timeout = 30s\n"                                                           \
	"milter_connect_timeout = 30s\n"                                                           \
	"milter_default_action = tempfail\n"                                                       \
	"milter_protocol = 6\n"                                                                    \
	"mydestination = example.org\n"                                                            \
	"mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\n"                              \
	"queue_directory = /var/spool/postfix\n"                                                   \
	"recipient_delimiter = +\n"                                                                \
	"relay_domains =\n"                                                                        \
	"relay_recipient_maps =\n"                                                                 \
	"smtpd_delay_reject = yes\n"                                                               \
	"smtpd_milters = inet:127.0.0.1:11332, { unix:tarpit/milter.sock, "                        \
	"default_action=accept, { command_timeout = 30s } }\n"                                     \
	"smtpd_reject_unlisted_recipient = yes\n"                                                  \
	"soft_bounce = no\n"                                                                       \
	"unknown_local_recipient_reject_code = 550\n"                                              \
	"unverified_recipient_reject_code = 450\n"
#define MASTER_CF                                                                                  \
	"smtp       inet  n       -       y       -       -       smtpd\n"                         \
	"submission inet  n       -       y       -       -       smtpd -o smtpd_milters=\n"       \
	"cleanup    unix  n       -       y       -       0       cleanup\n"
#define OPTIONS "submission/inet/smtpd_milters = \n"
#define OURS "/var/spool/postfix/tarpit/milter.sock"

static const char *const sound_sets[] = {("socket=unix:" OURS), "control_socket=/run/x.sock",
					 "memory_clients=1000"};

/* A case: what differs from sound facts, and the ids that are to be found, separated by blanks. */
struct plant {
	const char *what, *found;
	const char *main_cf, *master_cf, *options; /* further lines */
	const char *sets[2]; /* of our configuration */
	void (*change)(struct doctor_facts *facts);
};

static bool is_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void set_step(struct doctor_step *step, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	*step = (struct doctor_step){.mode = mode, .uid = uid, .gid = gid};
	snprintf(step->path, sizeof(step->path), "%s", path);
}

static void make_sound(struct doctor_facts *facts)
{
	*facts = (struct doctor_facts){
		.version = "1.0",
		.daemon = {.state = DAEMON_ANSWERS,
			   .version = "1.0",
			   .mode = "enforce",
			   .store = "memory",
			   .store_state = "up",
			   .uptime_s = 100000,
			   .sessions = 3,
			   .max_sessions = 100,
			   .sessions_opened = 500},
		.postfix_directory = "/etc/postfix",
		.user = {.name = "postfix",
			 .exists = true,
			 .uid = POSTFIX_UID,
			 .groups = {POSTFIX_GID, OUR_GID},
			 .groups_count = 2},
		.knows_listeners = true,
		.is_same_path = is_same,
	};
	set_step(&facts->socket.steps[0], "/", 0755, 0, 0);
	set_step(&facts->socket.steps[1], "/var/spool/postfix/tarpit", 0750, OUR_UID, OUR_GID);
	set_step(&facts->socket.steps[2], OURS, 0660, OUR_UID, OUR_GID);
	facts->socket.steps_count = 3;
}

static char *join(const char *sound, const char *more)
{
	char *text;

	assert_true(asprintf(&text, "%s%s", sound, more != NULL ? more : "") >= 0);
	return text;
}

static struct postfix_settings *parse(const struct plant *plant)
{
	char *main_cf = join(MAIN_CF, plant->main_cf);
	char *master_cf = join(MASTER_CF, plant->master_cf);
	char *options = join(OPTIONS, plant->options);
	struct postfix_settings *settings = postfix_settings_parse(main_cf, master_cf, options);

	free(main_cf);
	free(master_cf);
	free(options);
	assert_non_null(settings);
	return settings;
}

/* Fills report, for which there is room. */
static void examine(const struct plant *plant, struct report *report)
{
	struct doctor_facts *facts = malloc(sizeof(*facts));
	const char *sets[COUNT(sound_sets) + 2];
	struct config *config;
	struct faults faults = {0};
	size_t count = COUNT(sound_sets);

	assert_non_null(facts);
	memcpy(sets, sound_sets, sizeof(sound_sets));
	for (size_t i = 0; i < 2 && plant->sets[i] != NULL; i++)
		sets[count++] = plant->sets[i];
	config = config_load(NULL, false, sets, count, &faults);
	if (config == NULL)
		fail_msg("%s: %s", plant->what, faults.text);
	make_sound(facts);
	facts->config = config;
	facts->postfix = parse(plant);
	if (plant->change != NULL)
		plant->change(facts);
	memset(report, 0, sizeof(*report));
	doctor_examine(facts, report);
	doctor_facts_free(facts);
	config_release(config);
	free(facts);
}

static char *ids(const struct report *report, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < report->findings_count; i++) {
		size_t length = strlen(text);

		assert_true(report->findings[i].text[0] != '\0');
		assert_true(report->findings[i].mend[0] != '\0');
		snprintf(text + length, size - length, "%s%s", length > 0 ? " " : "",
			 report->findings[i].id);
	}
	return text;
}

/* Each of these alone finds what it is to find, and nothing else; unchecked: so many places. */
static void assert_found(const struct plant *plants, size_t count, size_t unchecked)
{
	struct report *report = malloc(sizeof(*report));
	char found[1000];

	assert_non_null(report);
	for (size_t i = 0; i < count; i++) {
		examine(&plants[i], report);
		if (strcmp(ids(report, found, sizeof(found)), plants[i].found) != 0)
			fail_msg("%s: found '%s', not '%s'", plants[i].what, found,
				 plants[i].found);
		if (report->not_checked_count != unchecked)
			fail_msg("%s: %zu not checked: %s", plants[i].what,
				 report->not_checked_count, report->not_checked[0]);
	}
	free(report);
}

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
		{.what = "observes",
		 .found = "observe",
		 .sets = {"mode=observe"},
		 .change = be_observing},
		{.what = "not reloaded", .found = "config-stale observe", .change = be_observing},
		{.what = "not restarted", .found = "config-stale", .sets = {"store=memcached"}},
		{.what = "full", .found = "sessions-full", .change = be_full},
		{.what = "not asked", .found = "no-sessions", .change = be_unasked},
		{.what = "new", .found = "", .change = be_new},
		{.what = "MTA's timeout", .found = "timeout-seen-short", .change = see_timeouts},
		{.what = "MTA's protocol",
		 .found = "rejects-not-offered",
		 .change = see_no_rejects},
		{.what = "log", .found = "log-lost", .change = lose_lines},
		{.what = "gateway", .found = "gateway", .change = see_gateway},
		{.what = "bridge", .found = "private-client", .change = see_private},
		{.what = "both are exempt now",
		 .found = "",
		 .sets = {"exempt_clients += {192.0.2.0/24, 172.16.0.0/12}"},
		 .change = see_both},
		{.what = "memcached down",
		 .found = "memcached-down",
		 .sets = {"store=memcached"},
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
		{.what = "not in the group", .found = "socket-denied", .change = leave_group},
		{.what = "folder's mode", .found = "socket-denied", .change = close_folder},
		{.what = "socket's mode", .found = "socket-denied", .change = close_socket},
		{.what = "owner's mode", .found = "socket-denied", .change = own_closed_socket},
		{.what = "others may", .found = "", .change = open_to_others},
		{.what = "removed", .found = "socket-missing", .change = remove_socket},
		{.what = "open", .found = "socket-open", .sets = {"socket_mode=0666"}},
		{.what = "loopback",
		 .found = "inet-local",
		 .sets = {"socket=inet:99@127.0.0.1"},
		 .main_cf = "smtpd_milters = { inet:localhost:99, default_action=accept }\n"},
		{.what = "loopback v6",
		 .found = "inet-local",
		 .sets = {"socket=inet6:99@[::1]"},
		 .main_cf = "smtpd_milters = { inet:[::1]:99, default_action=accept }\n"},
		{.what = "public",
		 .found = "inet-public",
		 .sets = {"socket=inet:99@0.0.0.0"},
		 .main_cf = "smtpd_milters = { inet:mx:99, default_action=accept }\n"},
		{.what = "memcached open",
		 .found = "memcached-open",
		 .sets = {"store=memcached"},
		 .change = listen_everywhere},
		{.what = "memcached open, by own address",
		 .found = "memcached-open",
		 .sets = {"store=memcached", "memcached_servers={10.1.2.3:11211}"},
		 .change = listen_everywhere},
		{.what = "another host's memcached",
		 .found = "",
		 .sets = {"store=memcached", "memcached_servers={10.1.2.4:11211}"},
		 .change = listen_everywhere},
		{.what = "memcached on loopback",
		 .found = "",
		 .sets = {"store=memcached"},
		 .change = listen_on_loopback},
		{.what = "memcached public",
		 .found = "memcached-public",
		 .sets = {"store=memcached", "memcached_servers={\"[2001:db8::1]:11211\"}"},
		 .change = listen_on_loopback},
	};

	(void)state;
	assert_found(plants, COUNT(plants), 0);
}

/* --- Postfix ------------------------------------------------------------------------------- */

#define MILTERS(options) "smtpd_milters = { unix:tarpit/milter.sock, " options " }\n"
/* Another service asks by the whole path. */
#define WITHOUT_SMTP                                                                               \
	"smtp/inet/smtpd_milters =\n"                                                              \
	"26/inet/smtpd_milters = { unix:" OURS ", default_action=accept }\n"

static void faults_of_how_postfix_asks(void **state)
{
	static const struct plant plants[] = {
		{.what = "no milter", .found = "milter-missing", .main_cf = "smtpd_milters =\n"},
		{.what = "another milter",
		 .found = "milter-missing",
		 .main_cf = "smtpd_milters = unix:opendkim/opendkim.sock\n"},
		{.what = "taken from smtp",
		 .found = "milter-missing",
		 .options = "smtp/inet/smtpd_milters =\n"},
		{.what = "another path",
		 .found = "socket-differs",
		 .main_cf = "smtpd_milters = unix:tarpit-milter/milter.sock\n"},
		{.what = "another kind",
		 .found = "socket-differs",
		 .main_cf = "smtpd_milters = unix:tarpit/milter.sock\n",
		 .sets = {"socket=unix:/run/x/milter.sock"}},
		{.what = "outside the chroot",
		 .found = "socket-outside-chroot",
		 .main_cf = "smtpd_milters = { unix:/run/x/milter.sock, default_action=accept }\n",
		 .sets = {"socket=unix:/run/x/milter.sock"}},
		{.what = "whole path in the chroot",
		 .found = "socket-outside-chroot",
		 .main_cf = "smtpd_milters = { unix:" OURS ", default_action=accept }\n"},
		{.what = "whole path without chroot",
		 .found = "",
		 .options = WITHOUT_SMTP,
		 .master_cf = "26 inet n - n - - smtpd\n"},
		{.what = "no chroot by default",
		 .found = "",
		 .options = WITHOUT_SMTP,
		 .master_cf = "26 inet n - - - - smtpd\n"},
		{.what = "a chroot by the default of old",
		 .found = "socket-outside-chroot",
		 .options = WITHOUT_SMTP,
		 .master_cf = "26 inet n - - - - smtpd\n",
		 .main_cf = "compatibility_level = 0\n"},
		{.what = "short timeout",
		 .found = "command-timeout",
		 .main_cf = MILTERS("default_action=accept, command_timeout=21s")},
		{.what = "long enough",
		 .found = "",
		 .main_cf = MILTERS("default_action=accept, command_timeout=22")},
		{.what = "short timeout for all",
		 .found = "command-timeout",
		 .main_cf = MILTERS("default_action=accept") "milter_command_timeout = 10s\n"},
		{.what = "delays beyond Postfix's default",
		 .found = "command-timeout",
		 .main_cf = MILTERS("default_action=accept"),
		 .sets = {"delay_max=50s", "mta_timeout=60s"}},
		{.what = "held below Postfix's default",
		 .found = "",
		 .main_cf = MILTERS("default_action=accept"),
		 .sets = {"delay_max=50s"}},
		{.what = "in minutes",
		 .found = "",
		 .main_cf = MILTERS("default_action=accept, command_timeout=1m"),
		 .sets = {"delay_max=50s", "mta_timeout=60s"}},
		{.what = "no time to connect",
		 .found = "connect-timeout",
		 .main_cf = MILTERS("default_action=accept, connect_timeout=1s")},
		{.what = "tempfail for all",
		 .found = "default-action",
		 .main_cf = "smtpd_milters = unix:tarpit/milter.sock\n"},
		{.what = "reject",
		 .found = "default-action",
		 .main_cf = MILTERS("default_action=reject")},
		{.what = "accept for all",
		 .found = "",
		 .main_cf = "smtpd_milters = unix:tarpit/milter.sock\n"
			    "milter_default_action = accept\n"},
		{.what = "old protocol",
		 .found = "milter-protocol",
		 .main_cf = "milter_protocol = 4\n"},
		{.what = "few processes",
		 .found = "max-stalls",
		 .main_cf = "default_process_limit = 79\n"},
		{.what = "enough processes",
		 .found = "",
		 .main_cf = "default_process_limit = 80\n"},
		{.what = "few for one service",
		 .found = "max-stalls",
		 .master_cf = "26 inet n - y - 20 smtpd\n"},
		{.what = "no limit", .found = "", .main_cf = "default_process_limit = 0\n"},
		{.what = "submission",
		 .found = "submission-served",
		 .options = "submission/inet/smtpd_milters = unix:tarpit/milter.sock\n"},
		{.what = "465",
		 .found = "submission-served",
		 .master_cf = "127.0.0.1:465 inet n - y - - smtpd\n"},
		{.what = "submission by its log's name",
		 .found = "submission-served",
		 .master_cf = "2525 inet n - y - - smtpd\n",
		 .options = "2525/inet/syslog_name = postfix/submission\n"},
		{.what = "submission by its mark",
		 .found = "submission-served",
		 .master_cf = "2525 inet n - y - - smtpd\n",
		 .options = "2525/inet/milter_macro_daemon_name = ORIGINATING\n"},
		{.what = "a name of the whole Postfix",
		 .found = "",
		 .main_cf = "syslog_name = postfix-submission\n"},
	};

	(void)state;
	assert_found(plants, COUNT(plants), 0);
}

static void faults_of_what_postfix_rejects(void **state)
{
	static const struct plant plants[] = {
		{.what = "VRFY", .found = "vrfy-on", .main_cf = "disable_vrfy_command = no\n"},
		{.what = "VRFY, for one service",
		 .found = "vrfy-on",
		 .options = "smtp/inet/disable_vrfy_command = No\n"},
		{.what = "VRFY of submission",
		 .found = "",
		 .options = "submission/inet/disable_vrfy_command = no\n"},
		{.what = "early", .found = "delay-reject", .main_cf = "smtpd_delay_reject = no\n"},
		{.what = "unlisted",
		 .found = "unlisted-recipient",
		 .main_cf = "smtpd_reject_unlisted_recipient = no\n"},
		{.what = "soft", .found = "soft-bounce", .main_cf = "soft_bounce = yes\n"},
		{.what = "local",
		 .found = "local-unchecked",
		 .main_cf = "local_recipient_maps = \n"},
		{.what = "relay",
		 .found = "relay-unchecked",
		 .main_cf = "relay_domains = example.com\n"},
		{.what = "relay of old", .found = "", .main_cf = "relay_domains = example.org\n"},
		{.what = "relay, listed",
		 .found = "",
		 .main_cf = "relay_domains = example.com\nrelay_recipient_maps = hash:/x\n"},
		{.what = "relay, verified with 450",
		 .found = "reject-code-4xx",
		 .main_cf = "relay_domains = example.com\n"
			    "smtpd_recipient_restrictions = reject_unverified_recipient\n"},
		{.what = "relay, verified",
		 .found = "",
		 .main_cf = "relay_domains = example.com\n"
			    "smtpd_recipient_restrictions = reject_unverified_recipient\n"
			    "unverified_recipient_reject_code = 550\n"},
		{.what = "virtual",
		 .found = "virtual-unchecked",
		 .main_cf = "virtual_mailbox_domains = example.com\n"},
		{.what = "450",
		 .found = "reject-code-4xx",
		 .main_cf = "unknown_local_recipient_reject_code = 450\n"},
		{.what = "delimiter",
		 .found = "recipient-delimiter",
		 .main_cf = "recipient_delimiter = -\n"},
		{.what = "no delimiter", .found = "", .main_cf = "recipient_delimiter =\n"},
		{.what = "ours is more",
		 .found = "recipient-delimiter",
		 .sets = {"recipient_delimiter=+-"}},
		{.what = "mynetworks",
		 .found = "mynetworks-not-exempt",
		 .main_cf = "mynetworks = 127.0.0.0/8, 192.0.2.0/24\n"},
		{.what = "mynetworks, v6",
		 .found = "mynetworks-not-exempt",
		 .main_cf = "mynetworks = [2001:db8::]/32\n"},
		{.what = "mynetworks, half",
		 .found = "mynetworks-not-exempt",
		 .main_cf = "mynetworks = 192.0.2.0/24\n",
		 .sets = {"exempt_clients += {192.0.2.0/25}"}},
		{.what = "mynetworks, exempt",
		 .found = "",
		 .main_cf = "mynetworks = !192.0.2.7, 192.0.2.0/24\n",
		 .sets = {"exempt_clients += {192.0.0.0/16}"}},
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
		{.what = "listeners",
		 .found = "",
		 .sets = {"store=memcached"},
		 .change = lose_listeners},
		{.what = "table", .found = "", .main_cf = "mynetworks = cidr:/etc/postfix/nets\n"},
		{.what = "no time",
		 .found = "",
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

/* --- Sendmail ------------------------------------------------------------------------------ */

#define X_LINE "Xtarpit-milter, S=unix:" OURS ", F=, T=C:30s;S:30s;R:30s;E:5m\n"
#define NOVRFY "O PrivacyOptions=authwarnings,novrfy\n"
#define FILTERS "O InputMailFilters=other, tarpit-milter\n"

static void faults_of_sendmail(void **state)
{
	static const struct {
		const char *cf, *found;
	} rows[] = {
		{"Xother, S=inet:1@localhost\n" X_LINE NOVRFY FILTERS, ""},
		{X_LINE FILTERS "O PrivacyOptions=goaway\n", ""},
		{"", "milter-missing vrfy-on"},
		{X_LINE FILTERS, "vrfy-on"},
		{X_LINE FILTERS "#O PrivacyOptions=novrfy\n", "vrfy-on"},
		{NOVRFY FILTERS, "milter-missing"},
		{X_LINE NOVRFY "O InputMailFilters=other\n", "milter-missing"},
		{X_LINE NOVRFY "O InputMailFilters=\n", "milter-missing"},
		{"Xtarpit-milter, S=unix:/x\n" NOVRFY FILTERS, "socket-differs"},
		{"Xtarpit-milter, S=unix:" OURS "\n" NOVRFY FILTERS, ""},
		{"Xtarpit-milter, S=unix:" OURS ", T=R:9s\n" NOVRFY FILTERS, "command-timeout"},
		{"Xtarpit-milter, S=local:" OURS ", F=T\n" NOVRFY FILTERS, "default-action"},
		{"X\nX,\nX, S=\nX=,,\nO\nO =\nO InputMailFilters\n" NOVRFY, "milter-missing"},
	};
	char found[200];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults faults = {0};
		struct config *config =
			config_load(NULL, false, sound_sets, COUNT(sound_sets), &faults);
		struct doctor_facts facts;
		struct report report = {0};

		assert_non_null(config);
		make_sound(&facts);
		facts.config = config;
		facts.sendmail_cf = strdup(rows[i].cf);
		doctor_examine(&facts, &report);
		if (strcmp(ids(&report, found, sizeof(found)), rows[i].found) != 0)
			fail_msg("'%s': found '%s', not '%s'", rows[i].cf, found, rows[i].found);
		doctor_facts_free(&facts);
		config_release(config);
	}
}

/* --- what may be hostile ------------------------------------------------------------------- */

static void hostile_values_are_escaped_and_cut(void **state)
{
	static char flood[20000];
	static const char *const values[] = {
		"unix:tarpit\033[2J\033]0;x\a",
		"{ unix:tarpit, default_action=\033[31m, command_timeout=\001 }",
		"{ { { unix:tarpit",
		"}}} {} { } {,} , tarpit}",
		flood,
		"{ unix:/tarpit\x9b, command_timeout=99999999999999999999s }",
	};
	struct report report;

	(void)state;
	memset(flood, '{', sizeof(flood) - 1);
	for (size_t i = 0; i < COUNT(values); i++) {
		struct plant plant = {.what = values[i]};
		char *line;

		assert_true(asprintf(&line,
				     "smtpd_milters = %s\nmynetworks = %s\n"
				     "recipient_delimiter = %s\n",
				     values[i], values[i], values[i]) >= 0);
		plant.main_cf = line;
		examine(&plant, &report);
		assert_int_not_equal(report.findings_count, 0);
		for (size_t j = 0; j < report.findings_count; j++)
			for (const char *p = report.findings[j].text; *p != '\0'; p++)
				assert_in_range(*p, ' ', '~');
		for (size_t j = 0; j < report.not_checked_count; j++)
			for (const char *p = report.not_checked[j]; *p != '\0'; p++)
				assert_in_range(*p, ' ', '~');
		free(line);
	}
}

static void reports_are_bounded(void **state)
{
	struct report report = {0};

	(void)state;
	report_mend(&report, "of nothing");
	for (size_t i = 0; i < 2 * REPORT_FINDINGS_MAX; i++) {
		report_find(&report, REPORT_WARNING, "x", "%01000d", 1);
		report_not_checked(&report, "%01000d", 1);
		report_looked_at(&report, "%01000d", 1);
	}
	assert_int_equal(report.findings_count, REPORT_FINDINGS_MAX);
	assert_int_equal(report.not_checked_count, REPORT_PLACES_MAX);
	assert_int_equal(strlen(report.findings[0].text), REPORT_TEXT_MAX - 1);
}

static void listeners_are_those_of_the_kernels_table(void **state)
{
	static const char table[] =
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   "
		"uid\n"
		"   0: 0100007F:2BCB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   0\n"
		"   1: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000   0\n"
		"   2: 00000000:1F90 0100007F:1234 01 00000000:00000000 00:00000000 00000000   0\n"
		"   3: 00000000000000000000000000000000:2BCB 00000000000000000000000000000000:0000 "
		"0A 00000000:00000000\n"
		"   4: zzzz\n   5: \n";
	struct doctor_facts facts = {0};

	(void)state;
	listeners_parse(table, &facts);
	assert_int_equal(facts.listeners_count, 3);
	assert_int_equal(facts.listeners[0].port, 11211);
	assert_false(facts.listeners[0].on_all);
	assert_int_equal(facts.listeners[1].port, 25);
	assert_true(facts.listeners[1].on_all);
	assert_int_equal(facts.listeners[2].port, 11211);
	assert_true(facts.listeners[2].on_all);
	for (size_t i = 0; i < DOCTOR_LISTENERS_MAX; i++)
		listeners_parse(table, &facts);
	assert_int_equal(facts.listeners_count, DOCTOR_LISTENERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_facts_have_no_finding),
		cmocka_unit_test(faults_of_the_daemon),
		cmocka_unit_test(faults_of_sockets),
		cmocka_unit_test(faults_of_how_postfix_asks),
		cmocka_unit_test(faults_of_what_postfix_rejects),
		cmocka_unit_test(what_is_not_seen_is_not_fine),
		cmocka_unit_test(no_control_socket_is_both),
		cmocka_unit_test(a_faulty_configuration_is_all_that_is_told),
		cmocka_unit_test(a_configuration_that_may_not_be_read_is_no_fault),
		cmocka_unit_test(faults_of_sendmail),
		cmocka_unit_test(hostile_values_are_escaped_and_cut),
		cmocka_unit_test(reports_are_bounded),
		cmocka_unit_test(listeners_are_those_of_the_kernels_table),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
