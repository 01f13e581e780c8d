/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What postconf prints of main.cf, after a NUL master.cf's services, after another one their
 * options, then sendmail.cf, and /proc/net/tcp.
 */
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "doctor/facts.h"
#include "doctor/listeners.h"
#include "doctor/postfix_settings.h"
#include "doctor/report.h"
#include "fuzz.h"

static bool is_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void check_text(const char *text)
{
	CHECK(strnlen(text, REPORT_TEXT_MAX) < REPORT_TEXT_MAX);
	for (; *text != '\0'; text++)
		CHECK(printable_is(*text));
}

static void examine(const struct doctor_facts *facts)
{
	static struct report report;

	memset(&report, 0, sizeof(report));
	doctor_examine(facts, &report);
	CHECK(report.findings_count <= REPORT_FINDINGS_MAX);
	for (size_t i = 0; i < report.findings_count; i++) {
		check_text(report.findings[i].text);
		check_text(report.findings[i].mend);
		CHECK(report.findings[i].mend[0] != '\0');
	}
	for (size_t i = 0; i < report.not_checked_count; i++)
		check_text(report.not_checked[i]);
	for (size_t i = 0; i < report.looked_at_count; i++)
		check_text(report.looked_at[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sets[] = {"socket=unix:/var/spool/postfix/tarpit/milter.sock",
					   "memory_clients=1000", "store=memcached"};
	static struct config *config;
	static struct doctor_facts facts;
	struct input input = {data, size};
	char *texts[4], *table;

	if (config == NULL) {
		struct faults faults = {0};

		fuzz_begin();
		config = config_load(NULL, false, sets, 3, &faults);
		CHECK(config != NULL);
	}
	for (size_t i = 0; i < 4; i++)
		texts[i] = take_text(&input, '\0');
	table = take_text(&input, '\0');
	facts = (struct doctor_facts){.config = config,
				      .version = "1",
				      .knows_listeners = true,
				      .is_same_path = is_same};
	listeners_parse(table, &facts);
	facts.postfix = postfix_settings_parse(texts[0], texts[1], texts[2]);
	CHECK(facts.postfix != NULL);
	examine(&facts);
	postfix_settings_free(facts.postfix);
	facts.postfix = NULL;
	facts.sendmail_cf = texts[3];
	examine(&facts);
	for (size_t i = 0; i < 4; i++)
		free(texts[i]);
	free(table);
	return 0;
}
