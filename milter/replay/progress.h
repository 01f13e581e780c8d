/* SPDX-License-Identifier: BSD-2-Clause */
/* A bar on standard error, if that is a terminal, of how much of the logs has been read. */
#ifndef TARPIT_REPLAY_PROGRESS_H
#define TARPIT_REPLAY_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct replay_progress {
	int64_t total;		/* bytes of all logs, as they are stored; 0: not known */
	bool is_terminal;
	int64_t shown_ms;	/* on the monotonic clock; 0: never */
};

void replay_progress_begin(struct replay_progress *progress, int64_t total);
/* done of total bytes; ten times a second at most. */
void replay_progress_show(struct replay_progress *progress, int64_t done);
/* Makes room for a message, and for the report. */
void replay_progress_wipe(const struct replay_progress *progress);

#endif
