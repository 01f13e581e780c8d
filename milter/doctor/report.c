/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps findings, in text that can harm no terminal, and puts the worst first. */
#include "doctor/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/printable.h"

static void put(char text[REPORT_TEXT_MAX], const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void put(char text[REPORT_TEXT_MAX], const char *format, va_list arguments)
{
	char raw[REPORT_TEXT_MAX];

	vsnprintf(raw, sizeof(raw), format, arguments);
	printable_escape(raw, "", PRINTABLE_LOWER_HEX, text, REPORT_TEXT_MAX);
}

void report_find(struct report *report, enum report_level level, const char *id, const char *format,
		 ...)
{
	struct report_finding *finding;
	va_list arguments;

	if (report->findings_count == REPORT_FINDINGS_MAX)
		return;
	finding = &report->findings[report->findings_count++];
	finding->level = level;
	finding->id = id;
	finding->mend[0] = '\0';
	va_start(arguments, format);
	put(finding->text, format, arguments);
	va_end(arguments);
}

void report_mend(struct report *report, const char *format, ...)
{
	va_list arguments;

	if (report->findings_count == 0)
		return;
	va_start(arguments, format);
	put(report->findings[report->findings_count - 1].mend, format, arguments);
	va_end(arguments);
}

void report_not_checked(struct report *report, const char *format, ...)
{
	va_list arguments;

	if (report->not_checked_count == REPORT_PLACES_MAX)
		return;
	va_start(arguments, format);
	put(report->not_checked[report->not_checked_count++], format, arguments);
	va_end(arguments);
}

void report_looked_at(struct report *report, const char *format, ...)
{
	va_list arguments;

	if (report->looked_at_count == REPORT_PLACES_MAX)
		return;
	va_start(arguments, format);
	put(report->looked_at[report->looked_at_count++], format, arguments);
	va_end(arguments);
}

const struct report_finding *report_worst(const struct report *report)
{
	const struct report_finding *worst = NULL;

	for (size_t i = 0; i < report->findings_count; i++) {
		const struct report_finding *finding = &report->findings[i];

		if (finding->level != REPORT_OK && (worst == NULL || finding->level > worst->level))
			worst = finding;
	}
	return worst;
}

enum report_level report_status(const struct report *report)
{
	const struct report_finding *worst = report_worst(report);

	if (worst != NULL)
		return worst->level;
	return report->not_checked_count > 0 ? REPORT_WARNING : REPORT_OK;
}

const char *report_level_name(enum report_level level)
{
	static const char *const names[] = {"OK", "WARNING", "CRITICAL"};

	return names[level];
}
