/* SPDX-License-Identifier: BSD-2-Clause */
/* How Postfix asks the milter: where, for whom, for how long, and what if there is no answer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/listen.h"
#include "checks.h"
#include "doctor/facts.h"
#include "doctor/report.h"
#include "milters.h"
#include "postfix_settings.h"

/* A busy machine may take as long until the daemon has taken a connection. */
#define CONNECT_TIMEOUT_S 5
/* The version of the protocol that rejected recipients are offered from on. */
#define PROTOCOL_LEAST 6

static bool is_smtpd(const struct postfix_service *service)
{
	return strcmp(service->command, "smtpd") == 0 &&
	       (strcmp(service->type, "inet") == 0 || strcmp(service->type, "pass") == 0);
}

/* Whether a service is for the site's own users, by its port, its name in the log, or its mark. */
static bool is_submission(const struct doctor_facts *facts, const struct postfix_service *service)
{
	static const char *const names[] = {"submission", "submissions", "smtps",
					    "ssmtp",	  "587",	 "465"};
	const char *colon = strrchr(service->name, ':');
	const char *port = colon != NULL ? colon + 1 : service->name;
	const char *log = postfix_service_option(facts->postfix, service, "syslog_name");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(port, names[i]) == 0)
			return true;
	return strstr(log, "submission") != NULL || strstr(log, "smtps") != NULL ||
	       strcmp(postfix_service_option(facts->postfix, service, "milter_macro_daemon_name"),
		      "ORIGINATING") == 0;
}

const struct postfix_service *next_served(const struct doctor_facts *facts, size_t *number)
{
	const struct postfix_service *service;
	struct milter milter;

	while ((service = postfix_service(facts->postfix, (*number)++)) != NULL)
		if (is_smtpd(service) && !is_submission(facts, service) &&
		    milter_find(facts, service, &milter) != MILTER_OTHER)
			return service;
	return NULL;
}

void socket_in_main_cf(const struct doctor_facts *facts, char *text, size_t size)
{
	const char *queue = postfix_setting(facts->postfix, "queue_directory");
	const char *ours = strchr(facts->config->socket, ':');
	size_t length = strlen(queue);
	const char *at = strchr(facts->config->socket, '@');

	ours = ours != NULL ? ours + 1 : "";
	if (*ours != '/')
		snprintf(text, size, "inet:%s:%.*s", at != NULL ? at + 1 : "127.0.0.1",
			 (int)strspn(ours, "0123456789"), ours);
	else if (length > 0 && strncmp(ours, queue, length) == 0 && ours[length] == '/')
		snprintf(text, size, "unix:%s", ours + length + 1);
	else
		snprintf(text, size, "unix:%s", ours);
}

/* --- is it asked at all -------------------------------------------------------------------- */

/* A milter of a public service that is not ours, but has our program's name. */
static bool find_namesake(const struct doctor_facts *facts, struct milter *milter)
{
	const struct postfix_service *service;

	for (size_t i = 0; (service = postfix_service(facts->postfix, i)) != NULL; i++) {
		const char *list =
			postfix_service_setting(facts->postfix, service, "smtpd_milters");

		if (!is_smtpd(service) || is_submission(facts, service))
			continue;
		while (milter_next(&list, milter))
			if (strstr(milter->address, "tarpit") != NULL)
				return true;
	}
	return false;
}

static bool check_asked(const struct doctor_facts *facts, struct report *report)
{
	char socket[DOCTOR_PATH_MAX];
	struct milter milter;
	size_t number = 0;

	if (next_served(facts, &number) != NULL)
		return true;
	socket_in_main_cf(facts, socket, sizeof(socket));
	if (find_namesake(facts, &milter)) {
		report_find(report, REPORT_CRITICAL, "socket-differs",
			    "Postfix asks at %s, the milter listens at %s", milter.address,
			    facts->config->socket);
		report_mend(report, "name %s in smtpd_milters in main.cf", socket);
	} else {
		report_find(report, REPORT_CRITICAL, "milter-missing",
			    "no smtpd of Postfix asks the milter: it sees no session");
		report_mend(report, "add { %s, default_action=accept } to smtpd_milters in main.cf",
			    socket);
	}
	return false;
}

static void check_chroot(const struct doctor_facts *facts, struct report *report)
{
	const char *queue = postfix_setting(facts->postfix, "queue_directory");
	const struct postfix_service *service;
	struct milter milter;

	for (size_t number = 0; (service = next_served(facts, &number)) != NULL;) {
		if (milter_find(facts, service, &milter) != MILTER_UNSEEN)
			continue;
		report_find(report, REPORT_CRITICAL, "socket-outside-chroot",
			    "service %s is chrooted in %s and does not see %s", service->name,
			    queue, milter.address);
		report_mend(report,
			    "set socket = unix:%s/tarpit-milter/milter.sock, and "
			    "unix:tarpit-milter/milter.sock in smtpd_milters in main.cf",
			    queue);
		return;
	}
}

static void check_submission(const struct doctor_facts *facts, struct report *report)
{
	const struct postfix_service *service;
	struct milter milter;

	for (size_t i = 0; (service = postfix_service(facts->postfix, i)) != NULL; i++) {
		if (!is_smtpd(service) || !is_submission(facts, service) ||
		    milter_find(facts, service, &milter) == MILTER_OTHER)
			continue;
		report_find(report, REPORT_WARNING, "submission-served",
			    "service %s, for your own users, asks the milter too", service->name);
		report_mend(report, "set -o smtpd_milters= for it in master.cf");
		return;
	}
}

/* --- for how long, and what then ----------------------------------------------------------- */

/* The milter's own option, else the parameter for all milters. */
static const char *choose(const struct doctor_facts *facts, const struct postfix_service *service,
			  const char *own, const char *parameter)
{
	return *own != '\0' ? own : postfix_service_setting(facts->postfix, service, parameter);
}

static void check_timeouts(const struct doctor_facts *facts, struct report *report,
			   const struct postfix_service *service, const struct milter *milter)
{
	const char *command =
		choose(facts, service, milter->command_timeout, "milter_command_timeout");
	const char *connect =
		choose(facts, service, milter->connect_timeout, "milter_connect_timeout");
	int64_t needed_s = needed_timeout_s(facts, true), command_s, connect_s;

	if (!milter_time(command, &command_s) || !milter_time(connect, &connect_s)) {
		report_not_checked(report, "timeouts: '%s', '%s' is no time", command, connect);
		return;
	}
	if (command_s < needed_s) {
		report_find(report, REPORT_WARNING, "command-timeout",
			    "Postfix gives the milter up after %s, which its delays may exceed",
			    command);
		report_mend(report, "set command_timeout=%" PRId64 "s for it in smtpd_milters",
			    needed_s > 30 ? needed_s : 30);
	}
	if (connect_s < CONNECT_TIMEOUT_S) {
		report_find(
			report, REPORT_WARNING, "connect-timeout",
			"Postfix gives the milter %s to take a connection: a busy machine needs "
			"more",
			connect);
		report_mend(report, "set connect_timeout=30s for it in smtpd_milters");
	}
}

static void check_default_action(const struct doctor_facts *facts, struct report *report,
				 const struct postfix_service *service, const struct milter *milter)
{
	const char *action =
		choose(facts, service, milter->default_action, "milter_default_action");

	if (strcmp(action, "accept") == 0)
		return;
	report_find(report, strcmp(action, "reject") == 0 ? REPORT_CRITICAL : REPORT_WARNING,
		    "default-action", "Postfix does not take mail while the milter is down (%s)",
		    action);
	report_mend(report, "set default_action=accept for it in smtpd_milters");
}

static void check_protocol(const struct doctor_facts *facts, struct report *report,
			   const struct postfix_service *service)
{
	const char *protocol = postfix_service_setting(facts->postfix, service, "milter_protocol");

	if (*protocol == '\0' || strtol(protocol, NULL, 10) >= PROTOCOL_LEAST)
		return;
	report_find(report, REPORT_CRITICAL, "milter-protocol",
		    "milter_protocol is %s: Postfix does not show rejected recipients", protocol);
	report_mend(report, "remove milter_protocol from main.cf (its default is 6)");
}

/* The service with the fewest processes says how many stalls Postfix can bear. */
static void check_processes(const struct doctor_facts *facts, struct report *report)
{
	const char *common = postfix_setting(facts->postfix, "default_process_limit");
	const struct postfix_service *service, *smallest = NULL;
	unsigned long least = 0;

	for (size_t number = 0; (service = next_served(facts, &number)) != NULL;) {
		const char *own = strcmp(service->maxproc, "-") == 0 ? common : service->maxproc;
		unsigned long processes = strtoul(own, NULL, 10);

		/* 0 is no limit. */
		if (processes == 0 || (smallest != NULL && processes >= least))
			continue;
		smallest = service;
		least = processes;
	}
	if (smallest == NULL || facts->config->max_stalls <= least / 2)
		return;
	report_find(report, REPORT_WARNING, "max-stalls",
		    "max_stalls = %u is more than half of the %lu processes of service %s",
		    facts->config->max_stalls, least, smallest->name);
	report_mend(report, "set max_stalls = %lu, or a higher process limit in Postfix",
		    least * 2 / 5 > 0 ? least * 2 / 5 : 1);
}

void check_postfix_milter(const struct doctor_facts *facts, struct report *report)
{
	const struct postfix_service *service;
	struct milter milter;
	size_t number = 0;

	check_submission(facts, report);
	if (!check_asked(facts, report))
		return;
	check_chroot(facts, report);
	check_processes(facts, report);
	service = next_served(facts, &number);
	milter_find(facts, service, &milter);
	check_timeouts(facts, report, service, &milter);
	check_default_action(facts, report, service, &milter);
	check_protocol(facts, report, service);
}
