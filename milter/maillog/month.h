/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of months as journalctl writes them, in the language of its locale. Pure. */
#ifndef TARPIT_MAILLOG_MONTH_H
#define TARPIT_MAILLOG_MONTH_H

#include "maillog/span.h"

/*
 * 1 to 12; 0 for what is no month. Of a language with a name that is another month elsewhere (lip
 * and lis: July and November in Polish, June and October in Croatian) no name is known.
 */
int maillog_month(struct span name);

#endif
