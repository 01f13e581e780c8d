/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes up the facts of a sound installation, and plants a fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "doctor/facts.h"
#include "doctor/postfix_settings.h"
#include "doctor/report.h"
#include "doctor_bed.h"

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

const char *const sound_sets[SOUND_SETS] = {("socket=unix:" OURS), "control_socket=/run/x.sock",
					 "memory_clients=1000"};

static bool is_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

void set_step(struct doctor_step *step, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	*step = (struct doctor_step){.mode = mode, .uid = uid, .gid = gid};
	snprintf(step->path, sizeof(step->path), "%s", path);
}

void make_sound(struct doctor_facts *facts)
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

void examine(const struct plant *plant, struct report *report)
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

char *ids(const struct report *report, char *text, size_t size)
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

static void assert_says(const struct plant *plant, const struct report *report)
{
	char said[3 * REPORT_TEXT_MAX] = "";

	for (size_t i = 0; i < report->findings_count; i++) {
		const struct report_finding *finding = &report->findings[i];

		snprintf(said, sizeof(said), "%s %s: %s", report_level_name(finding->level),
			 finding->text, finding->mend);
		if (strstr(said, plant->says) != NULL)
			return;
	}
	fail_msg("%s: '%s' is not in '%s'", plant->what, plant->says, said);
}

void assert_found(const struct plant *plants, size_t count, size_t unchecked)
{
	struct report *report = malloc(sizeof(*report));
	char found[1000];

	assert_non_null(report);
	for (size_t i = 0; i < count; i++) {
		examine(&plants[i], report);
		if (strcmp(ids(report, found, sizeof(found)), plants[i].found) != 0)
			fail_msg("%s: found '%s', not '%s'", plants[i].what, found,
				 plants[i].found);
		if (plants[i].says != NULL)
			assert_says(&plants[i], report);
		if (report->not_checked_count != unchecked)
			fail_msg("%s: %zu not checked: %s", plants[i].what,
				 report->not_checked_count, report->not_checked[0]);
	}
	free(report);
}
