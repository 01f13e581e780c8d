/* SPDX-License-Identifier: BSD-2-Clause */
/* Draws a bar that fits into the terminal's line, over and over. */
#include "progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define EVERY_MS 100
#define BAR_MAX 40
/* Columns of what stands beside the bar, and of the percentage where there is no bar. */
#define TEXT_WIDTH 24
#define BARE_WIDTH 9

void replay_progress_begin(struct replay_progress *progress, int64_t total)
{
	*progress =
		(struct replay_progress){.total = total, .is_terminal = isatty(STDERR_FILENO) == 1};
}

/* A bar wider than the terminal would break the line, and each new bar would stand below it. */
static int bar_width(void)
{
	struct winsize size = {0};

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
	    size.ws_col >= BAR_MAX + TEXT_WIDTH)
		return BAR_MAX;
	return size.ws_col > TEXT_WIDTH ? size.ws_col - TEXT_WIDTH : 0;
}

static void draw(double part, int64_t total)
{
	char bar[BAR_MAX + 1];
	int width = bar_width();

	if (width == 0) {
		fprintf(stderr, "\r%3.0f %%", 100 * part);
		return;
	}
	for (int i = 0; i < width; i++)
		bar[i] = i < (int)(part * width) ? '#' : '.';
	bar[width] = '\0';
	fprintf(stderr, "\r[%s] %3.0f %% of %.0f MiB ", bar, 100 * part, (double)total / (1 << 20));
}

void replay_progress_show(struct replay_progress *progress, int64_t done)
{
	int64_t now_ms = clock_now_ms();

	if (!progress->is_terminal || now_ms - progress->shown_ms < EVERY_MS)
		return;
	progress->shown_ms = now_ms;
	if (progress->total <= 0)
		fprintf(stderr, "\r%.0f MiB ", (double)done / (1 << 20));
	else
		draw(done < progress->total ? (double)done / (double)progress->total : 1,
		     progress->total);
}

void replay_progress_wipe(const struct replay_progress *progress)
{
	if (progress->is_terminal && progress->shown_ms > 0)
		fprintf(stderr, "\r%*s\r",
			bar_width() > 0 ? TEXT_WIDTH + bar_width() - 1 : BARE_WIDTH, "");
}
