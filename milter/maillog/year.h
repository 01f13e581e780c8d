/* SPDX-License-Identifier: BSD-2-Clause */
/* The year of a stamp that has none, from the order of the lines and from the file's time. */
#ifndef TARPIT_MAILLOG_YEAR_H
#define TARPIT_MAILLOG_YEAR_H

#include "calendar.h"

/* Sets date->year. */
void maillog_year_guess(struct maillog_years *years, struct maillog_date *date);
/* What the year of the first stamp must be, so that the last one is not later than the file. */
int maillog_year_first(const struct maillog_years *years);

#endif
