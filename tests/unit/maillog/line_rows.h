/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of log lines and of what is to be found in them. */
#ifndef TARPIT_LINE_ROWS_H
#define TARPIT_LINE_ROWS_H

#include <stddef.h>

#include "maillog/line.h"

/* What each line begins with, and how long its time stamp is. */
#define LINE_ROWS_HOST "Nov 20 12:34:56 mx "
#define LINE_ROWS_STAMP 16

/* found: "kind id=... address=... host=... code=... from=... to=... count=N authenticated". */
struct line_row {
	const char *line, *found;
};

void line_rows_check(const struct line_row *rows, size_t count, enum maillog_mta mta);
/* Nothing of what is found may lie outside, however a line is cut or garbled. */
void line_rows_maul(const struct line_row *rows, size_t count);

#endif
