/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of log lines and of what is to be found in them. */
#ifndef TARPIT_LOGLINE_BED_H
#define TARPIT_LOGLINE_BED_H

#include <stddef.h>

#include "maillog/line.h"

/* What each line begins with, and how long its time stamp is. */
#define LOGLINE_BED_HOST "Nov 20 12:34:56 mx "
#define LOGLINE_BED_STAMP 16

/* found: "kind id=... address=... host=... code=... from=... to=... count=N authenticated". */
struct logline_row {
	const char *line, *found;
};

void logline_bed_check(const struct logline_row *rows, size_t count, enum logline_mta mta);
/* Nothing of what is found may lie outside, however a line is cut or garbled. */
void logline_bed_maul(const struct logline_row *rows, size_t count);

#endif
