/* SPDX-License-Identifier: BSD-2-Clause */
/* Gathers from postconf(1) what setup has to know. */
#include "facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

#define BLANKS " \t"

/* The columns of a line of master.cf that matter here. */
enum { SERVICE, TYPE, PRIVATE, UNPRIVILEGED, CHROOT, WAKEUP, PROCESSES, PROGRAM, COLUMNS };

bool facts_is_recent(const char *version)
{
	return strtol(version, NULL, 10) >= 3;
}

/* Where a host stands before the port's name, `[::1]:587`, that is cut off. */
static bool is_submission(const char *service)
{
	static const char *const begins[] = {"submission", "smtps"};
	const char *port = strrchr(service, ':');

	if (port != NULL)
		service = port + 1;
	for (size_t i = 0; i < 2; i++)
		if (strncmp(service, begins[i], strlen(begins[i])) == 0)
			return true;
	return strcmp(service, "587") == 0 || strcmp(service, "465") == 0;
}

static bool runs_smtpd(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strcmp(slash != NULL ? slash + 1 : program, "smtpd") == 0;
}

/* milters: what master.cf has for all services. */
static void take_service(struct facts *facts, char *line, const char *milters,
			 bool is_chrooted_by_default)
{
	char *columns[COLUMNS], *rest, *parameter;
	struct facts_service *service;

	for (size_t i = 0; i < COLUMNS; i++) {
		columns[i] = strtok_r(i == 0 ? line : NULL, BLANKS, &rest);
		if (columns[i] == NULL)
			return;
	}
	if (!runs_smtpd(columns[PROGRAM]))
		return;
	facts->services =
		reallocarray(facts->services, facts->services_count + 1, sizeof(*facts->services));
	if (facts->services == NULL)
		abort();
	service = &facts->services[facts->services_count++];
	*service = (struct facts_service){
		.name = say_format("%s/%s", columns[SERVICE], columns[TYPE]),
		.is_submission = is_submission(columns[SERVICE]),
		.is_chrooted = *columns[CHROOT] == 'y' ||
			       (*columns[CHROOT] == '-' && is_chrooted_by_default),
	};
	parameter = say_format("%s/smtpd_milters", service->name);
	service->milters = postconf_value_in(milters, parameter);
	free(parameter);
}

static bool read_services(struct facts *facts, struct postconf *postconf)
{
	char *level = postconf_ask(postconf, "-h", "compatibility_level");
	char *milters = level != NULL ? postconf_ask(postconf, "-P", "*/*/smtpd_milters") : NULL;
	char *lines = milters != NULL ? postconf_ask(postconf, "-M", NULL) : NULL, *rest = NULL;
	bool is_read = lines != NULL;

	for (char *line = is_read ? strtok_r(lines, "\n", &rest) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &rest))
		take_service(facts, line, milters, strtol(level, NULL, 10) < 1);
	free(level);
	free(milters);
	free(lines);
	return is_read;
}

bool facts_read(struct facts *facts, struct postconf *postconf)
{
	const struct {
		char **value;
		const char *option, *name;
	} asked[] =
		{
			{&facts->version, "-dh", "mail_version"},
			{&facts->directory, "-h", "config_directory"},
			{&facts->instances, "-h", "multi_instance_directories"},
			{&facts->queue_directory, "-xh", "queue_directory"},
			{&facts->mail_owner, "-xh", "mail_owner"},
			{&facts->milters, "-xh", "smtpd_milters"},
			{&facts->mynetworks, "-xh", "mynetworks"},
			{&facts->recipient_delimiter, "-xh", "recipient_delimiter"},
		},
	  set[] = {
		  {&facts->own_milters, NULL, "smtpd_milters"},
		  {&facts->own_non_smtpd, NULL, "non_smtpd_milters"},
		  {&facts->own_sleep, NULL, "smtpd_error_sleep_time"},
		  {&facts->own_hard_limit, NULL, "smtpd_hard_error_limit"},
		  {&facts->own_vrfy, NULL, "disable_vrfy_command"},
	  };

	*facts = (struct facts){0};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		*asked[i].value = postconf_ask(postconf, asked[i].option, asked[i].name);
		if (*asked[i].value == NULL)
			return false;
	}
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		if (!postconf_own(postconf, set[i].name, set[i].value))
			return false;
	return read_services(facts, postconf);
}

void facts_free(struct facts *facts)
{
	char *const texts[] = {
		facts->version,	      facts->directory,		  facts->queue_directory,
		facts->mail_owner,    facts->instances,		  facts->mynetworks,
		facts->milters,	      facts->recipient_delimiter, facts->own_milters,
		facts->own_non_smtpd, facts->own_sleep,		  facts->own_hard_limit,
		facts->own_vrfy,
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	for (size_t i = 0; i < facts->services_count; i++) {
		free(facts->services[i].name);
		free(facts->services[i].milters);
	}
	free(facts->services);
	*facts = (struct facts){0};
}
