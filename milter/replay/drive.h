/* SPDX-License-Identifier: BSD-2-Clause */
/* Plays what a log tells to one or more scenarios, as an MTA would have told their filters. For one thread. */
#ifndef TARPIT_REPLAY_DRIVE_H
#define TARPIT_REPLAY_DRIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "maillog/line.h"
#include "scenario.h"
#include "config/config.h"

struct replay_drive;

/* NULL if out of memory. */
struct replay_drive *replay_drive_new(void);
void replay_drive_free(struct replay_drive *drive);
/* Before the first line: takes config's reference; name is kept. False if out of memory. */
bool replay_drive_add(struct replay_drive *drive, const char *name, struct config *config);
size_t replay_drive_scenarios(const struct replay_drive *drive);
struct replay_scenario *replay_drive_scenario(struct replay_drive *drive, size_t index);

/* A line that was logged then; moments before an earlier line's count as that one's. */
void replay_drive_take(struct replay_drive *drive, const struct maillog_line *line, int64_t wall_ms);
void replay_drive_finish(struct replay_drive *drive);
/* Of the first line and the last; 0 if there was none. */
int64_t replay_drive_first_ms(const struct replay_drive *drive);
int64_t replay_drive_last_ms(const struct replay_drive *drive);
/* Rejections of sessions whose client no line tells. */
uint64_t replay_drive_lost(const struct replay_drive *drive);

#endif
