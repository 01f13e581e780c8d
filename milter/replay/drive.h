/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives scenarios with a log: events as an MTA would have told its filter. For one thread. */
#ifndef TARPIT_REPLAY_DRIVE_H
#define TARPIT_REPLAY_DRIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "maillog/line.h"
#include "scenario.h"
#include "config/config.h"

struct replay_drive {
	struct clock clock;		/* first: tells now_ms, as wall and as monotonic time */
	int64_t now_ms;			/* since the epoch, of the event that is being driven */
	int64_t first_ms, last_ms;	/* since the epoch, of the log; 0: it has no line */
	uint64_t clients_unknown;	/* rejections of sessions whose client no line tells */
	struct replay_scenario **scenarios;
	size_t scenarios_count;
	struct replay_sessions *sessions;
};

/* NULL if out of memory. */
struct replay_drive *replay_drive_new(void);
void replay_drive_free(struct replay_drive *drive);
/*
 * Before the first line: takes config's reference; name stays the caller's. False if out of memory.
 */
bool replay_drive_add(struct replay_drive *drive, const char *name, struct config *config);
/*
 * A line that was logged at wall_ms since the epoch, or at the last line's time if that is later.
 */
void replay_drive_take(struct replay_drive *drive, const struct maillog_line *line,
		       int64_t wall_ms);
/* The log is at its end: what waits for further lines is driven now, and all sessions end. */
void replay_drive_finish(struct replay_drive *drive);

#endif
