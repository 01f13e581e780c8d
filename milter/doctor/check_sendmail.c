/* SPDX-License-Identifier: BSD-2-Clause */
/* What sendmail.cf says of this milter, and of VRFY. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "checks.h"
#include "doctor/facts.h"
#include "doctor/report.h"
#include "milters.h"

#define LINE_LENGTH 2048
#define TIMEOUT_LENGTH 100
/* What Sendmail waits for an answer if T= does not say. */
#define SENDMAIL_TIMEOUT_S 10

/* Takes the next line; false: there are no more. A longer one is cut. */
static bool next_line(const char **text, char line[LINE_LENGTH])
{
	size_t length = strcspn(*text, "\n");

	if (**text == '\0')
		return false;
	snprintf(line, LINE_LENGTH, "%.*s", (int)(length < LINE_LENGTH ? length : LINE_LENGTH - 1),
		 *text);
	*text += length + ((*text)[length] == '\n');
	return true;
}

/* The value of "O Name=value"; the last one counts. False: there is none. */
static bool find_option(const char *text, const char *name, char value[LINE_LENGTH])
{
	char line[LINE_LENGTH];
	bool found = false;

	while (next_line(&text, line)) {
		char *equals = strchr(line, '=');

		if (line[0] != 'O' || line[1] != ' ' || equals == NULL)
			continue;
		*equals = '\0';
		if (strcasecmp(line + 2, name) != 0)
			continue;
		snprintf(value, LINE_LENGTH, "%s", equals + 1);
		found = true;
	}
	return found;
}

static bool has_word(const char *list, const char *word)
{
	while (*(list += strspn(list, " \t,")) != '\0') {
		size_t length = strcspn(list, " \t,;");

		if (strlen(word) == length && strncasecmp(list, word, length) == 0)
			return true;
		list += length + (list[length] == ';');
	}
	return false;
}

/* A line "Xname, S=..., F=..., T=..."; the values are cut out of it, or empty. */
struct filter {
	char line[LINE_LENGTH];
	const char *name, *socket, *flags, *timeouts;
};

static void take_apart(struct filter *filter)
{
	char *rest = NULL;

	filter->socket = filter->flags = filter->timeouts = "";
	filter->name = strtok_r(filter->line + 1, ", \t", &rest);
	for (char *word = strtok_r(NULL, ", \t", &rest); word != NULL;
	     word = strtok_r(NULL, ", \t", &rest)) {
		if (strncmp(word, "S=", 2) == 0)
			filter->socket = word + 2;
		else if (strncmp(word, "F=", 2) == 0)
			filter->flags = word + 2;
		else if (strncmp(word, "T=", 2) == 0)
			filter->timeouts = word + 2;
	}
	if (filter->name == NULL)
		filter->name = "";
}

/* Sendmail and libmilter write sockets alike. */
static bool is_ours(const struct doctor_facts *facts, const char *socket)
{
	const char *ours = strchr(facts->config->socket, ':'), *theirs = strchr(socket, ':');
	size_t digits;

	if (ours == NULL || theirs == NULL)
		return false;
	if (ours[1] == '/' && theirs[1] == '/')
		return facts->is_same_path(ours + 1, theirs + 1);
	/* By port alone: a host has many names. */
	digits = 1 + strspn(ours + 1, "0123456789");
	return digits > 1 && strncmp(ours, theirs, digits) == 0 &&
	       (theirs[digits] == '@' || theirs[digits] == '\0');
}

/* The filter that is ours, or else one of our program's name. */
static bool find_filter(const struct doctor_facts *facts, struct filter *filter, bool *is_exact)
{
	const char *text = facts->sendmail_cf;
	struct filter one;
	bool found = false;

	*is_exact = false;
	while (!*is_exact && next_line(&text, one.line)) {
		if (one.line[0] != 'X')
			continue;
		take_apart(&one);
		*is_exact = is_ours(facts, one.socket);
		if (!*is_exact && strstr(one.name, "tarpit") == NULL)
			continue;
		/* Its texts point into its own line. */
		*filter = one;
		filter->name = filter->line + (one.name - one.line);
		filter->socket = *one.socket ? filter->line + (one.socket - one.line) : "";
		filter->flags = *one.flags ? filter->line + (one.flags - one.line) : "";
		filter->timeouts = *one.timeouts ? filter->line + (one.timeouts - one.line) : "";
		found = true;
	}
	return found;
}

/* Of "C:5m;S:10s;R:10s;E:5m" what R says. */
static int64_t answer_timeout_s(const char *timeouts)
{
	int64_t seconds = SENDMAIL_TIMEOUT_S;

	while (*timeouts != '\0') {
		size_t length = strcspn(timeouts, ";");
		char text[TIMEOUT_LENGTH];

		snprintf(text, sizeof(text), "%.*s", (int)(length < TIMEOUT_LENGTH ? length : 0),
			 timeouts);
		if (strncmp(text, "R:", 2) == 0)
			milter_time(text + 2, &seconds);
		timeouts += length + (timeouts[length] == ';');
	}
	return seconds;
}

static void check_filter(const struct doctor_facts *facts, struct report *report,
			 const struct filter *filter)
{
	int64_t needed_s = needed_timeout_s(facts, false);
	int64_t given_s = answer_timeout_s(filter->timeouts);

	if (given_s < needed_s) {
		report_find(report, REPORT_WARNING, "command-timeout",
			    "Sendmail gives the milter up after %" PRId64
			    " s, which its delays may exceed",
			    given_s);
		report_mend(report, "set T=R:%" PRId64 "s for it in sendmail.mc", needed_s);
	}
	if (strpbrk(filter->flags, "RT4") != NULL) {
		report_find(report, REPORT_WARNING, "default-action",
			    "Sendmail does not take mail while the milter is down (F=%s)",
			    filter->flags);
		report_mend(report, "leave F= empty for it in sendmail.mc");
	}
}

void check_sendmail(const struct doctor_facts *facts, struct report *report)
{
	char filters[LINE_LENGTH] = "", privacy[LINE_LENGTH] = "";
	struct filter filter;
	bool is_exact;

	find_option(facts->sendmail_cf, "InputMailFilters", filters);
	find_option(facts->sendmail_cf, "PrivacyOptions", privacy);
	if (!find_filter(facts, &filter, &is_exact) || !has_word(filters, filter.name)) {
		report_find(report, REPORT_CRITICAL, "milter-missing",
			    "InputMailFilters of Sendmail does not name the milter");
		report_mend(report,
			    "add INPUT_MAIL_FILTER(`tarpit-milter', `S=%s, T=S:30s;R:30s') to "
			    "sendmail.mc",
			    facts->config->socket);
	} else if (!is_exact) {
		report_find(report, REPORT_CRITICAL, "socket-differs",
			    "Sendmail asks at %s, the milter listens at %s", filter.socket,
			    facts->config->socket);
		report_mend(report, "name S=%s in sendmail.mc", facts->config->socket);
	} else {
		check_filter(facts, report, &filter);
	}
	if (has_word(privacy, "novrfy") || has_word(privacy, "goaway"))
		return;
	report_find(report, REPORT_WARNING, "vrfy-on",
		    "Sendmail answers VRFY: a harvester asks there, and no milter sees it");
	report_mend(report, "add novrfy, noexpn to confPRIVACY_FLAGS in sendmail.mc");
}
