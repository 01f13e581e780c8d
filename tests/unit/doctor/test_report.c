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
#include "doctor/listeners.h"
#include "doctor/report.h"
#include "doctor_bed.h"

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
		cmocka_unit_test(hostile_values_are_escaped_and_cut),
		cmocka_unit_test(reports_are_bounded),
		cmocka_unit_test(listeners_are_those_of_the_kernels_table),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
