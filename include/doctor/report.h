/* SPDX-License-Identifier: BSD-2-Clause */
/* What `tarpitctl doctor` finds, and what it could not look at. All text is printable ASCII. */
#ifndef TARPIT_DOCTOR_REPORT_H
#define TARPIT_DOCTOR_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define REPORT_TEXT_MAX 400
#define REPORT_FINDINGS_MAX 64
#define REPORT_PLACES_MAX 16

struct doctor_facts;

/* Its numbers are the exit statuses that Nagios gives them. */
enum report_level { REPORT_OK, REPORT_WARNING, REPORT_CRITICAL };

struct report_finding {
	enum report_level level;	/* REPORT_OK: worth knowing, no fault */
	const char *id;
	char text[REPORT_TEXT_MAX], mend[REPORT_TEXT_MAX];
};

struct report {
	struct report_finding findings[REPORT_FINDINGS_MAX];	/* as they were found */
	size_t findings_count;
	char not_checked[REPORT_PLACES_MAX][REPORT_TEXT_MAX];
	size_t not_checked_count;
	char looked_at[REPORT_PLACES_MAX][REPORT_TEXT_MAX];
	size_t looked_at_count;
};

/* For checks. What is beyond the room is left out, and texts are cut. */
void report_find(struct report *report, enum report_level level, const char *id,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* How the last finding is mended. */
void report_mend(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void report_not_checked(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void report_looked_at(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Makes all checks, on a report that is zeroed. Pure. */
void doctor_examine(const struct doctor_facts *facts, struct report *report);
/* The worst level; REPORT_WARNING at least if something could not be looked at. */
enum report_level report_status(const struct report *report);
/* The finding to tell of where there is room for one; NULL: none that is a fault. */
const struct report_finding *report_worst(const struct report *report);
/* "OK", "WARNING", "CRITICAL". */
const char *report_level_name(enum report_level level);

#endif
