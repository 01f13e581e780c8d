/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether logs have been understood well enough for a report. For one thread. */
#ifndef TARPIT_REPLAY_UNDERSTOOD_H
#define TARPIT_REPLAY_UNDERSTOOD_H

#include "read.h"

/*
 * REPLAY_NOTHING: no line is of an MTA, or of the service that was asked for, or there is none.
 * REPLAY_LITTLE: less than half of the lines have the form of a log's line, or some have a month in
 * a language that is not read. text says so, with a line that was not understood and what to do.
 */
enum replay_understood { REPLAY_MOST, REPLAY_LITTLE, REPLAY_NOTHING };

enum replay_understood replay_understood(const struct replay_lines *lines, char *text, size_t size);

#endif
