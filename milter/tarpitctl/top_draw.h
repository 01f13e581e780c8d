/* SPDX-License-Identifier: BSD-2-Clause */
/* Draws the model of the live screen into a grid of any size. Pure. */
#ifndef TARPIT_TARPITCTL_TOP_DRAW_H
#define TARPIT_TARPITCTL_TOP_DRAW_H

#include <stdbool.h>
#include <stdint.h>

#include "screen.h"
#include "top_model.h"

struct top_moment {
	int64_t now_ms;	     /* monotonic; stands still while the screen does */
	const char *clock;   /* the time of day */
	const char *trouble; /* why there are no new answers, or NULL */
	bool paused;
};

/* Draws every cell of the grid. */
void top_draw(const struct top_model *model, const struct top_moment *moment,
	      struct screen_grid *grid);

#endif
