/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "doctor/facts.h"
#include "doctor/report.h"
#include "doctor_bed.h"

/* --- Postfix ------------------------------------------------------------------------------- */

/* Another service asks by the whole path. */
#define WITHOUT_SMTP                                                                               \
	"smtp/inet/smtpd_milters =\n"                                                              \
	"26/inet/smtpd_milters = { unix:" OURS ", default_action=accept }\n"

static void faults_of_how_postfix_asks(void **state)
{
	static const struct plant plants[] = {
		{.what = "no milter", .found = "milter-missing",
		 .says = "CRITICAL no smtpd of Postfix asks the milter: it sees no session: add { "
			"unix:tarpit/milter.sock, ", .main_cf = "smtpd_milters =\n"},
		{.what = "another milter", .found = "milter-missing",
		 .main_cf = "smtpd_milters = unix:opendkim/opendkim.sock\n"},
		{.what = "taken from smtp", .found = "milter-missing",
		 .options = "smtp/inet/smtpd_milters =\n"},
		{.what = "another path", .found = "socket-differs",
		 .says = "Postfix asks at unix:tarpit-milter/milter.sock, ",
		 .main_cf = "smtpd_milters = unix:tarpit-milter/milter.sock\n"},
		{.what = "another kind", .found = "socket-differs",
		 .says = "name unix:/run/x/milter.sock in",
		 .main_cf = "smtpd_milters = unix:tarpit/milter.sock\n",
		 .sets = {"socket=unix:/run/x/milter.sock"}},
		{.what = "outside the chroot", .found = "socket-outside-chroot",
		 .main_cf = "smtpd_milters = { unix:/run/x/milter.sock, default_action=accept }\n",
		 .sets = {"socket=unix:/run/x/milter.sock"}},
		{.what = "whole path in the chroot", .found = "socket-outside-chroot",
		 .main_cf = "smtpd_milters = { unix:" OURS ", default_action=accept }\n"},
		{.what = "whole path without chroot", .found = "", .options = WITHOUT_SMTP,
		 .master_cf = "26 inet n - n - - smtpd\n"},
		{.what = "no chroot by default", .found = "", .options = WITHOUT_SMTP,
		 .master_cf = "26 inet n - - - - smtpd\n"},
		{.what = "a chroot by the default of old", .found = "socket-outside-chroot",
		 .options = WITHOUT_SMTP, .master_cf = "26 inet n - - - - smtpd\n",
		 .main_cf = "compatibility_level = 0\n"},
		{.what = "short timeout", .found = "command-timeout", .says = "after 21s",
		 .main_cf = MILTERS("default_action=accept, command_timeout=21s")},
		{.what = "long enough", .found = "",
		 .main_cf = MILTERS("default_action=accept, command_timeout=22")},
		{.what = "short timeout for all", .found = "command-timeout",
		 .main_cf = MILTERS("default_action=accept") "milter_command_timeout = 10s\n"},
		{.what = "delays beyond Postfix's default", .found = "command-timeout",
		 .says = "set command_timeout=52s ", .main_cf = MILTERS("default_action=accept"),
		 .sets = {"delay_max=50s", "mta_timeout=60s"}},
		{.what = "held below Postfix's default", .found = "",
		 .main_cf = MILTERS("default_action=accept"), .sets = {"delay_max=50s"}},
		{.what = "in minutes", .found = "",
		 .main_cf = MILTERS("default_action=accept, command_timeout=1m"),
		 .sets = {"delay_max=50s", "mta_timeout=60s"}},
		{.what = "no time to connect", .found = "connect-timeout",
		 .main_cf = MILTERS("default_action=accept, connect_timeout=1s")},
		{.what = "tempfail for all", .found = "default-action", .says = "WARNING ",
		 .main_cf = "smtpd_milters = unix:tarpit/milter.sock\n"},
		{.what = "reject", .found = "default-action", .says = "CRITICAL ",
		 .main_cf = MILTERS("default_action=reject")},
		{.what = "accept for all", .found = "",
		 .main_cf = "smtpd_milters = unix:tarpit/milter.sock\n"
			"milter_default_action = accept\n"},
		{.what = "old protocol", .found = "milter-protocol",
		 .main_cf = "milter_protocol = 4\n"},
		{.what = "few processes", .found = "max-stalls", .says = "set max_stalls = 31, ",
		 .main_cf = "default_process_limit = 79\n"},
		{.what = "enough processes", .found = "",
		 .main_cf = "default_process_limit = 80\n"},
		{.what = "few for one service", .found = "max-stalls",
		 .says = "20 processes of service 26: set max_stalls = 8,",
		 .master_cf = "26 inet n - y - 20 smtpd\n"},
		{.what = "the fewest count", .found = "max-stalls",
		 .says = "20 processes of service 26",
		 .master_cf = "26 pass n - y - 20 smtpd\n27 inet n - y - 30 smtpd\n"},
		{.what = "another kind of port", .found = "inet-public socket-differs",
		 .says = "name inet:mx.example.org:99 in",
		 .main_cf = "smtpd_milters = inet:tarpit:98\n",
		 .sets = {"socket=inet:99@mx.example.org"}},
		{.what = "no limit", .found = "", .main_cf = "default_process_limit = 0\n"},
		{.what = "submission", .found = "submission-served",
		 .options = "submission/inet/smtpd_milters = unix:tarpit/milter.sock\n"},
		{.what = "465", .found = "submission-served",
		 .master_cf = "127.0.0.1:465 inet n - y - - smtpd\n"},
		{.what = "submission by its log's name", .found = "submission-served",
		 .master_cf = "2525 inet n - y - - smtpd\n",
		 .options = "2525/inet/syslog_name = postfix/submission\n"},
		{.what = "submission by its mark", .found = "submission-served",
		 .master_cf = "2525 inet n - y - - smtpd\n",
		 .options = "2525/inet/milter_macro_daemon_name = ORIGINATING\n"},
		{.what = "a name of the whole Postfix", .found = "",
		 .main_cf = "syslog_name = postfix-submission\n"},
	};

	(void)state;
	assert_found(plants, COUNT(plants), 0);
}

static void faults_of_what_postfix_rejects(void **state)
{
	static const struct plant plants[] = {
		{.what = "VRFY", .found = "vrfy-on",
		 .says = "WARNING Postfix answers VRFY: a harvester asks there, and no milter sees "
			"it: set disable_vrfy_command = yes in",
		 .main_cf = "disable_vrfy_command = no\n"},
		{.what = "VRFY, for one service", .found = "vrfy-on",
		 .options = "smtp/inet/disable_vrfy_command = No\n"},
		{.what = "VRFY of submission", .found = "",
		 .options = "submission/inet/disable_vrfy_command = no\n"},
		{.what = "early", .found = "delay-reject", .main_cf = "smtpd_delay_reject = no\n"},
		{.what = "unlisted", .found = "unlisted-recipient",
		 .main_cf = "smtpd_reject_unlisted_recipient = no\n"},
		{.what = "soft", .found = "soft-bounce", .says = "set soft_bounce = no in",
		 .main_cf = "soft_bounce = yes\n"},
		{.what = "local", .found = "local-unchecked",
		 .main_cf = "local_recipient_maps = \n"},
		{.what = "relay", .found = "relay-unchecked",
		 .main_cf = "relay_domains = example.com\n"},
		{.what = "relay of old", .found = "", .main_cf = "relay_domains = example.org\n"},
		{.what = "relay, listed", .found = "",
		 .main_cf = "relay_domains = example.com\nrelay_recipient_maps = hash:/x\n"},
		{.what = "relay, verified with 450", .found = "reject-code-4xx",
		 .main_cf = "relay_domains = example.com\n"
			"smtpd_recipient_restrictions = reject_unverified_recipient\n"},
		{.what = "relay, verified", .found = "", .main_cf = "relay_domains = example.com\n"
			"smtpd_recipient_restrictions = reject_unverified_recipient\n"
			"unverified_recipient_reject_code = 550\n"},
		{.what = "virtual", .found = "virtual-unchecked",
		 .main_cf = "virtual_mailbox_domains = example.com\n"},
		{.what = "450", .found = "reject-code-4xx",
		 .main_cf = "unknown_local_recipient_reject_code = 450\n"},
		{.what = "delimiter", .found = "recipient-delimiter",
		 .main_cf = "recipient_delimiter = -\n"},
		{.what = "no delimiter", .found = "", .main_cf = "recipient_delimiter =\n"},
		{.what = "ours is more", .found = "recipient-delimiter",
		 .sets = {"recipient_delimiter=+-"}},
		{.what = "mynetworks", .found = "mynetworks-not-exempt",
		 .says = "192.0.2.0/24 of mynetworks is not exempt: set",
		 .main_cf = "mynetworks = 127.0.0.0/8, 192.0.2.0/24\n"},
		{.what = "mynetworks, two", .found = "mynetworks-not-exempt",
		 .says = "192.0.2.0/24 of mynetworks is not exempt, nor are others: set "
			"exempt_clients += {\"192.0.2.0/24\"}",
		 .main_cf = "mynetworks = 127.0.0.0/8, 192.0.2.0/24 198.51.100.1\n"},
		{.what = "mynetworks, v6", .found = "mynetworks-not-exempt",
		 .main_cf = "mynetworks = [2001:db8::]/32\n"},
		{.what = "mynetworks, half", .found = "mynetworks-not-exempt",
		 .main_cf = "mynetworks = 192.0.2.0/24\n",
		 .sets = {"exempt_clients += {192.0.2.0/25}"}},
		{.what = "mynetworks, exempt", .found = "",
		 .main_cf = "mynetworks = !192.0.2.7, 192.0.2.0/24\n",
		 .sets = {"exempt_clients += {192.0.0.0/16}"}},
	};

	(void)state;
	assert_found(plants, COUNT(plants), 0);
}

/* --- Sendmail ------------------------------------------------------------------------------ */

#define X_LINE "Xtarpit-milter, S=unix:" OURS ", F=, T=C:30s;S:30s;R:30s;E:5m\n"
#define NOVRFY "O PrivacyOptions=authwarnings,novrfy\n"
#define FILTERS "O InputMailFilters=other, tarpit-milter\n"

static void faults_of_sendmail(void **state)
{
	static const struct {
		const char *cf, *found, *socket;
	} rows[] = {
		{"Xother, S=inet:1@localhost\n" X_LINE NOVRFY FILTERS, "", NULL},
		{X_LINE FILTERS "O PrivacyOptions=goaway\n", "", NULL},
		{"", "milter-missing vrfy-on", NULL},
		{X_LINE FILTERS, "vrfy-on", NULL},
		{X_LINE FILTERS "#O PrivacyOptions=novrfy\n", "vrfy-on", NULL},
		{NOVRFY FILTERS, "milter-missing", NULL},
		{"Xother, S=unix:/x\nO InputMailFilters=other\n" NOVRFY, "milter-missing", NULL},
		{X_LINE NOVRFY "O InputMailFilters=other\n", "milter-missing", NULL},
		{X_LINE NOVRFY "O InputMailFilters=\n", "milter-missing", NULL},
		{X_LINE NOVRFY "O InputMailFilters=tarpit\n", "milter-missing", NULL},
		{X_LINE FILTERS "O PrivacyOptions=nobrfy\n", "vrfy-on", NULL},
		{"Xtarpit-milter, S=inet:/x\n" NOVRFY FILTERS, "socket-differs", NULL},
		{"Xtarpit-milter, S=unix:/x\n" NOVRFY FILTERS, "socket-differs", NULL},
		{"Xtarpit-milter, S=unix:" OURS "\n" NOVRFY FILTERS, "", NULL},
		{"Xtarpit-milter, S=unix:" OURS ", T=R:9s\n" NOVRFY FILTERS, "command-timeout",
		 NULL},
		{"Xtarpit-milter, S=local:" OURS ", F=T\n" NOVRFY FILTERS, "default-action", NULL},
		{"X\nX,\nX, S=\nX=,,\nO\nO =\nO InputMailFilters\n" NOVRFY, "milter-missing", NULL},
		{"Xa, S=inet:99@localhost\nO InputMailFilters=a\n" NOVRFY, "inet-local",
		 "socket=inet:99@127.0.0.1"},
		{"Xtarpit, S=inet:990@localhost\nO InputMailFilters=tarpit\n" NOVRFY,
		 "inet-local socket-differs", "socket=inet:99@127.0.0.1"},
		{"Xtarpit, S=unix:/99\nO InputMailFilters=tarpit\n" NOVRFY,
		 "inet-local socket-differs", "socket=inet:99@127.0.0.1"},
	};
	char found[200];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults faults = {0};
		const char *sets[SOUND_SETS + 1];
		struct config *config;
		struct doctor_facts facts;
		struct report report = {0};

		memcpy(sets, sound_sets, sizeof(sound_sets));
		sets[SOUND_SETS] = rows[i].socket;
		config = config_load(NULL, false, sets,
				     SOUND_SETS + (rows[i].socket != NULL), &faults);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_of_how_postfix_asks),
		cmocka_unit_test(faults_of_what_postfix_rejects),
		cmocka_unit_test(faults_of_sendmail),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
