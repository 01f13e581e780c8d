/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the checks that the facts are there for, and says which are not made. */
#include <string.h>

#include "checks.h"
#include "doctor/facts.h"
#include "doctor/report.h"
#include "judge/mta_kind.h"

/* A delay ends 2 s before mta_timeout. */
#define MARGIN_MS 2000

int64_t needed_timeout_s(const struct doctor_facts *facts, bool is_postfix)
{
	const struct config *config = facts->config;
	int64_t timeout_ms = config->mta_timeout_ms;
	int64_t longest_ms = config->policy.delay_max_ms;

	if (timeout_ms == 0)
		timeout_ms = mta_default_timeout_ms(is_postfix ? MTA_POSTFIX : MTA_SENDMAIL);
	if (longest_ms > timeout_ms - MARGIN_MS)
		longest_ms = timeout_ms - MARGIN_MS;
	return (longest_ms + MARGIN_MS + 999) / 1000;
}

static void examine_faulty(const struct doctor_facts *facts, struct report *report)
{
	const char *faults = facts->faults != NULL ? facts->faults : "out of memory";
	const char *more = strchr(faults, '\n');

	if (facts->config_denied != NULL) {
		report_not_checked(report, "configuration: %s: permission denied",
				   facts->config_denied);
	} else {
		report_find(report, REPORT_CRITICAL, "config-faulty", "%.*s%s",
			    (int)strcspn(faults, "\n"), faults,
			    more != NULL && more[1] != '\0' ? " (and more)" : "");
		report_mend(report, "tarpit-milter --check-config names every fault");
	}
	report_not_checked(report, "all that depends on the configuration");
}

static void examine_mta(const struct doctor_facts *facts, struct report *report)
{
	if (facts->postfix != NULL) {
		report_looked_at(report, "Postfix in %s", facts->postfix_directory);
		check_postfix_milter(facts, report);
		check_postfix_recipients(facts, report);
	} else if (facts->sendmail_cf != NULL) {
		report_looked_at(report, "Sendmail's %s", facts->sendmail_path);
		check_sendmail(facts, report);
	} else {
		report_not_checked(report, "MTA: %s", facts->mta_why);
	}
}

void doctor_examine(const struct doctor_facts *facts, struct report *report)
{
	if (facts->config == NULL) {
		examine_faulty(facts, report);
		return;
	}
	report_looked_at(report, "configuration");
	check_daemon(facts, report);
	check_socket(facts, report);
	check_memcached(facts, report);
	examine_mta(facts, report);
}
