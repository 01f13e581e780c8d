/* SPDX-License-Identifier: BSD-2-Clause */
/* Plays what a log tells to one or more sites, as an MTA would have told their filters. For one thread. */
#ifndef TARPIT_REPLAY_DRIVE_H
#define TARPIT_REPLAY_DRIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "maillog/line.h"
#include "scenario.h"
#include "config/config.h"

struct player;

/* NULL if out of memory. */
struct player *player_new(void);
void player_free(struct player *player);
/* Before the first line: takes config's reference; name is kept. False if out of memory. */
bool player_add(struct player *player, const char *name, struct config *config);
size_t player_sites(const struct player *player);
struct site *player_site(struct player *player, size_t index);

/* A line that was logged then; moments before an earlier line's count as that one's. */
void player_take(struct player *player, const struct maillog_line *line, int64_t wall_ms);
void player_finish(struct player *player);
/* Of the first line and the last; 0 if there was none. */
int64_t player_first_ms(const struct player *player);
int64_t player_last_ms(const struct player *player);
/* Rejections of sessions whose client no line tells. */
uint64_t player_lost(const struct player *player);

#endif
