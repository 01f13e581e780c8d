/* SPDX-License-Identifier: BSD-2-Clause */
/* Lays the live screen out: the grid's size decides what is shown of the model, and where. */
#include "top_draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 24
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct drawing {
	const struct top_model *model;
	const struct top_moment *moment;
	struct screen_grid *grid;
	int rows, columns; /* of the grid */
};

/* A number as the screen shows it. */
struct text {
	char s[TEXT_MAX];
};

/* --- numbers, in seven characters */

static struct text scaled(double value)
{
	static const char units[] = {'k', 'M', 'G', 'T'};
	struct text text = {"-"};
	size_t unit = 0;

	for (value /= 1000; value >= 999.95 && unit < COUNT(units) - 1; unit++)
		value /= 1000;
	snprintf(text.s, sizeof(text.s), "%.1f%c", value, units[unit]);
	return text;
}

static struct text whole_text(int64_t value)
{
	struct text text = {"?"};

	if (value >= 10000000)
		return scaled((double)value);
	if (value != TOP_UNKNOWN)
		snprintf(text.s, sizeof(text.s), "%lld", (long long)value);
	return text;
}

static struct text rate_text(double rate)
{
	struct text text = {"-"};

	if (rate >= 99999.95)
		return scaled(rate);
	if (!isnan(rate))
		snprintf(text.s, sizeof(text.s), "%.1f", rate);
	return text;
}

static struct text score_text(double score)
{
	struct text text = {"?"};

	if (isnan(score))
		return text;
	for (int decimals = 2; decimals >= 0; decimals--)
		if (snprintf(text.s, sizeof(text.s), "%.*f", decimals, score) <= 7)
			return text;
	snprintf(text.s, sizeof(text.s), "%.0e", score);
	return text;
}

static struct text seconds_text(int64_t ms)
{
	struct text text = {"?"};

	if (ms == TOP_UNKNOWN)
		return text;
	if (ms < 1000000)
		snprintf(text.s, sizeof(text.s), "%lld.%lld s", (long long)(ms / 1000),
			 (long long)(ms % 1000 / 100));
	else
		snprintf(text.s, sizeof(text.s), "%.12s s", whole_text(ms / 1000).s);
	return text;
}

static struct text uptime_text(int64_t uptime_s)
{
	struct text text = {"?"};
	int64_t days = uptime_s / 86400;
	int seconds = (int)(uptime_s % 86400);

	if (uptime_s == TOP_UNKNOWN)
		return text;
	if (days > 0)
		snprintf(text.s, sizeof(text.s), "%.12s d %02d:%02d", whole_text(days).s,
			 seconds / 3600, seconds / 60 % 60);
	else
		snprintf(text.s, sizeof(text.s), "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60,
			 seconds % 60);
	return text;
}

/* --- the lines above the tables */

/* Only in a siege, and as much of it as there is room for before end. */
static int draw_siege(const struct drawing *drawing, int row, int column, int end)
{
	const struct top_model *model = drawing->model;
	char text[64];

	if (!model->in_siege)
		return column;
	snprintf(text, sizeof(text), " SIEGE %.12s, mean %.12s ", score_text(model->siege_score).s,
		 score_text(model->siege_mean).s);
	if (column + (int)strlen(text) + 2 >= end)
		snprintf(text, sizeof(text), " SIEGE ");
	if (column + (int)strlen(text) + 2 >= end)
		return column;
	return screen_put(drawing->grid, row, column + 1, STYLE_ALARM, "%s", text);
}

static void draw_title(const struct drawing *drawing, int row)
{
	struct screen_grid *grid = drawing->grid;
	const struct top_model *model = drawing->model;
	const struct top_moment *moment = drawing->moment;
	const char *state = moment->paused ? "PAUSED " : "";
	int end = drawing->columns - (int)(strlen(moment->clock) + strlen(state)) - 1, column = 15;

	screen_fill_row(grid, row, STYLE_TITLE);
	screen_put(grid, row, 1, STYLE_TITLE, "tarpit-milter");
	if (drawing->columns >= 60)
		column = screen_put(grid, row, column, STYLE_TITLE, "%s  ", model->version);
	column = screen_put(grid, row, column, STYLE_TITLE, "%s  up %s", model->mode,
			    uptime_text(model->uptime_s).s);
	column = draw_siege(drawing, row, column, end);
	if (column + 1 < end)
		screen_put(grid, row, end, STYLE_TITLE, "%s%s", state, moment->clock);
	else if (moment->paused)
		screen_put(grid, row, drawing->columns - 8, STYLE_TITLE, " PAUSED ");
}

static void draw_trouble(const struct drawing *drawing, int row)
{
	struct screen_grid *grid = drawing->grid;

	screen_fill_row(grid, row, STYLE_ALARM);
	screen_put(grid, row, drawing->columns > 8 ? 1 : 0, STYLE_ALARM, "%s",
		   drawing->moment->trouble);
}

static enum screen_style state_style(const char *state)
{
	if (strcmp(state, "up") == 0)
		return STYLE_GOOD;
	return strcmp(state, "degraded") == 0 ? STYLE_WARNING : STYLE_BAD;
}

static void draw_store(const struct drawing *drawing, int row)
{
	struct screen_grid *grid = drawing->grid;
	const struct top_model *model = drawing->model;
	int column = screen_put(grid, row, 1, STYLE_PLAIN, "Store     %s ", model->store);

	column = screen_put(grid, row, column, state_style(model->store_state), "%s",
			    model->store_state);
	for (size_t i = 0; i < model->server_count; i++) {
		const struct top_server *server = &model->servers[i];

		column = screen_put(grid, row, column, STYLE_DIM, "%s%s ", i == 0 ? "   " : "  ",
				    server->name);
		column = screen_put(grid, row, column, state_style(server->state), "%s",
				    server->state);
	}
}

static double part_of(int64_t value, int64_t max)
{
	return value > 0 && max > 0 ? (double)value / (double)max : 0;
}

static enum screen_style fill_style(double part)
{
	if (part < 0.5)
		return STYLE_GOOD;
	return part < 0.85 ? STYLE_WARNING : STYLE_BAD;
}

/* "Stalls    [###     ]  12 of 40", and another number where there is room. */
static void draw_gauge(const struct drawing *drawing, int row, const char *name, int64_t value,
		       int64_t max, const char *more, int64_t more_value)
{
	struct screen_grid *grid = drawing->grid;
	int more_width = drawing->columns >= 64 ? 20 : 0;
	int bar = drawing->columns - 11 - 18 - more_width, column = 11;
	double part = part_of(value, max);

	screen_put(grid, row, 1, STYLE_PLAIN, "%s", name);
	if (bar >= 5) {
		column = screen_put_bar(grid, row, column, bar, part, fill_style(part)) + 1;
		column = screen_put_right(grid, row, column, 7, STYLE_BOLD, whole_text(value).s);
	} else {
		column = screen_put(grid, row, column, STYLE_BOLD, "%s", whole_text(value).s);
	}
	screen_put(grid, row, column, STYLE_PLAIN, " of %s", whole_text(max).s);
	if (more_width == 0)
		return;
	screen_put(grid, row, drawing->columns - more_width + 2, STYLE_PLAIN, "%s", more);
	screen_put_right(grid, row, drawing->columns - 9, 8, STYLE_BOLD, whole_text(more_value).s);
}

static void draw_sessions(const struct drawing *drawing, int row)
{
	const struct top_model *model = drawing->model;

	draw_gauge(drawing, row, "Sessions", model->sessions, model->max_sessions, "Clients",
		   model->clients);
}

static void draw_budget(const struct drawing *drawing, int row)
{
	const struct top_model *model = drawing->model;

	draw_gauge(drawing, row, "Stalls", model->stalling, model->max_stalls, "Flagged",
		   model->flagged);
}

/* Heading, rates, and totals; a negative totals_row is outside the grid, and so not drawn. */
static void draw_rates(const struct drawing *drawing, int row, int totals_row)
{
	struct screen_grid *grid = drawing->grid;
	static const struct {
		const char *name;
		int width;
	} columns[TOP_COUNTERS] = {
		[TOP_SESSIONS] = {"SESSIONS", 10}, [TOP_REJECTS] = {"REJECTS", 9},
		[TOP_FLAGS] = {"FLAGS", 8},	   [TOP_STALLS] = {"STALLS", 8},
		[TOP_DEFERRED] = {"DEFERRED", 10}, [TOP_PASSED] = {"PASSED", 8},
		[TOP_STORE_CALLS] = {"STORE", 8},  [TOP_STORE_FAILURES] = {"FAILED", 7},
	};
	int column = 11;

	screen_fill_row(grid, row, STYLE_HEADING);
	screen_put(grid, row + 1, 1, STYLE_PLAIN, "per second");
	screen_put(grid, totals_row, 1, STYLE_PLAIN, "in all");
	for (size_t i = 0; i < TOP_COUNTERS; i++) {
		bool is_trouble = i == TOP_STORE_FAILURES && drawing->model->rates[i] > 0;
		int width = columns[i].width;

		if (column + width > drawing->columns)
			return;
		screen_put_right(grid, row, column, width, STYLE_HEADING, columns[i].name);
		screen_put_right(grid, row + 1, column, width, is_trouble ? STYLE_BAD : STYLE_BOLD,
				 rate_text(drawing->model->rates[i]).s);
		screen_put_right(grid, totals_row, column, width, STYLE_PLAIN,
				 whole_text(drawing->model->totals[i]).s);
		column += width;
	}
}

/* --- the tables */

/* Widths of the columns of the table of stalls; 0: not shown. */
struct stall_widths {
	int client, stage, score, bar, remains, delay;
};

static struct stall_widths stall_widths(int columns)
{
	struct stall_widths widths = {.remains = columns >= 24 ? 8 : 0};

	if (columns >= 60) {
		widths.client = columns >= 110 ? 40 : 26;
		widths.stage = 9;
		widths.score = 8;
	} else {
		widths.client = columns >= 40 ? 17 : columns - 2 - widths.remains;
	}
	if (columns >= 100)
		widths.delay = 11;
	if (columns >= 40)
		widths.bar = columns - 3 - widths.client - widths.stage - widths.score -
			     widths.remains - widths.delay;
	return widths;
}

static void draw_stall(const struct drawing *drawing, int row, const struct stall_widths *widths,
		       const struct top_stall *stall)
{
	struct screen_grid *grid = drawing->grid;
	int64_t remains_ms = top_model_remains_ms(drawing->model, stall, drawing->moment->now_ms);
	int column = 1;

	screen_put_cut(grid, row, column, widths->client - 1, STYLE_PLAIN, stall->client);
	column += widths->client;
	screen_put_cut(grid, row, column, widths->stage - 1, STYLE_PLAIN, stall->stage);
	column += widths->stage;
	column = screen_put_right(grid, row, column, widths->score, STYLE_PLAIN,
				  score_text(stall->score).s);
	column += widths->score > 0;
	screen_put_bar(grid, row, column, widths->bar, part_of(remains_ms, stall->delay_ms),
		       STYLE_BAR);
	column += widths->bar;
	column = screen_put_right(grid, row, column, widths->remains, STYLE_BOLD,
				  seconds_text(remains_ms).s);
	if (widths->delay > 0)
		screen_put(grid, row, column, STYLE_DIM, " of %s", seconds_text(stall->delay_ms).s);
}

static void draw_stalls(const struct drawing *drawing, int row, int height)
{
	struct screen_grid *grid = drawing->grid;
	const struct top_model *model = drawing->model;
	struct stall_widths widths = stall_widths(drawing->columns);
	int count = (int)model->stall_count, shown = count < height ? count : height;
	size_t hidden;

	screen_fill_row(grid, row, STYLE_HEADING);
	screen_put_cut(grid, row, 1, widths.client - 1, STYLE_HEADING, "STALLED NOW");
	screen_put_cut(grid, row, 1 + widths.client, widths.stage - 1, STYLE_HEADING, "STAGE");
	screen_put_right(grid, row, 1 + widths.client + widths.stage, widths.score, STYLE_HEADING,
			 "SCORE");
	screen_put_right(grid, row, drawing->columns - 1 - widths.delay - 8, widths.remains,
			 STYLE_HEADING, "REMAINS");
	/* The last line counts the stalls for which there is no line. */
	if (height > 2 && model->stalls_active > (size_t)height && shown == height)
		shown--;
	for (int i = 0; i < shown; i++)
		draw_stall(drawing, row + 1 + i, &widths, &model->stalls[i]);
	hidden = model->stalls_active - (size_t)shown;
	if (shown < height && hidden > 0)
		screen_put(grid, row + 1 + shown, 1, STYLE_DIM, "and %zu more", hidden);
	else if (count == 0 && height > 0)
		screen_put(grid, row + 1, 1, STYLE_DIM, "%s",
			   strcmp(model->mode, "observe") == 0
				   ? "nobody: in this mode nobody is slowed"
				   : "nobody");
}

enum list_column {
	LIST_BAD,
	LIST_GOOD,
	LIST_SCORE,
	LIST_NETWORK,
	LIST_OPEN,
	LIST_FLAG,
	LIST_DELAY
};

/* In the order of the columns; each is shown on grids of at least `from` columns. */
static const struct {
	const char *name;
	int width, from;
} list_columns[] = {
	[LIST_BAD] = {"BAD", 8, 60},	 [LIST_GOOD] = {"GOOD", 8, 68},
	[LIST_SCORE] = {"SCORE", 8, 24}, [LIST_NETWORK] = {"NETWORK", 8, 76},
	[LIST_OPEN] = {"OPEN", 6, 52},	 [LIST_FLAG] = {"FLAG", 7, 46},
	[LIST_DELAY] = {"DELAY", 8, 36},
};

static struct text list_text(const struct top_client *client, size_t column)
{
	switch ((enum list_column)column) {
	case LIST_BAD:
		return score_text(client->bad);
	case LIST_GOOD:
		return score_text(client->good);
	case LIST_SCORE:
		return score_text(client->score);
	case LIST_NETWORK:
		return client->network[0] != '\0' ? score_text(client->network_score)
						  : (struct text){"-"};
	case LIST_OPEN:
		return whole_text(client->sessions);
	case LIST_FLAG:
		if (client->exempt)
			return (struct text){"exempt"};
		if (client->by_hand)
			return (struct text){"hand"};
		return client->flagged ? (struct text){"yes"} : (struct text){"-"};
	case LIST_DELAY:
		break;
	}
	return client->delay_ms != 0 ? seconds_text(client->delay_ms) : (struct text){"-"};
}

static int list_client_width(int columns)
{
	int width = columns - 2;

	for (size_t i = 0; i < COUNT(list_columns); i++)
		if (columns >= list_columns[i].from)
			width -= list_columns[i].width;
	return width < 44 ? width : 44;
}

static void draw_client(const struct drawing *drawing, int row, const struct top_client *client)
{
	struct screen_grid *grid = drawing->grid;
	int width = list_client_width(drawing->columns), column = 1 + width;
	enum screen_style style = client->flagged ? STYLE_BOLD : STYLE_PLAIN;

	screen_put_cut(grid, row, 1, width - 1, style, client->client);
	for (size_t i = 0; i < COUNT(list_columns); i++)
		if (drawing->columns >= list_columns[i].from)
			column = screen_put_right(grid, row, column, list_columns[i].width,
						  i == LIST_FLAG ? style : STYLE_PLAIN,
						  list_text(client, i).s);
	if (drawing->columns >= 120)
		screen_put(grid, row, column, STYLE_DIM, "   %s", client->network);
}

static void draw_list(const struct drawing *drawing, int row, int height)
{
	struct screen_grid *grid = drawing->grid;
	const struct top_model *model = drawing->model;
	int width = list_client_width(drawing->columns), column = 1 + width;

	screen_fill_row(grid, row, STYLE_HEADING);
	screen_put_cut(grid, row, 1, width - 1, STYLE_HEADING, "WORST CLIENTS");
	for (size_t i = 0; i < COUNT(list_columns); i++)
		if (drawing->columns >= list_columns[i].from)
			column = screen_put_right(grid, row, column, list_columns[i].width,
						  STYLE_HEADING, list_columns[i].name);
	if (drawing->columns >= 120)
		screen_put(grid, row, column, STYLE_HEADING, "   OF NETWORK");
	for (int i = 0; i < height && (size_t)i < model->client_count; i++)
		draw_client(drawing, row + 1 + i, &model->list[i]);
	if (model->client_count == 0 && height > 0)
		screen_put(grid, row + 1, 1, STYLE_DIM, "none");
}

static void draw_footer(const struct drawing *drawing, int row)
{
	struct screen_grid *grid = drawing->grid;
	int column = screen_put(grid, row, 1, STYLE_BOLD, "q");

	column = screen_put(grid, row, column, STYLE_DIM, " quit   ");
	column = screen_put(grid, row, column, STYLE_BOLD, "p");
	screen_put(grid, row, column, STYLE_DIM, drawing->moment->paused ? " go on" : " pause");
}

/* --- all of it */

/* Rows for stalls, of the room for both tables: half, or more if clients leave it. */
static int stall_height(const struct top_model *model, int room)
{
	int wanted = model->stall_rows > 3 ? (int)model->stall_rows : 3;
	int rest = room - (model->client_count > 1 ? (int)model->client_count : 1);
	int height = rest > room / 2 ? rest : room / 2;

	return wanted < height ? wanted : height;
}

static void draw_tables(const struct drawing *drawing, int row)
{
	int rows = drawing->rows, gap = rows >= 15;
	int room = rows - 1 - row - 1, height;

	if (rows < 6)
		return;
	if (rows < 8) {
		draw_stalls(drawing, row, room);
		return;
	}
	room -= 1 + gap;
	height = stall_height(drawing->model, room);
	draw_stalls(drawing, row, height);
	draw_list(drawing, row + 1 + height + gap, room - height);
}

/* Dims old numbers while there are no new answers. */
static void fade(const struct drawing *drawing, int first, int last)
{
	struct screen_grid *grid = drawing->grid;

	for (int i = first * drawing->columns; i < last * drawing->columns; i++)
		if (grid->styles[i] != STYLE_HEADING)
			grid->styles[i] = STYLE_DIM;
}

void top_draw(const struct top_model *model, const struct top_moment *moment,
	      struct screen_grid *grid)
{
	struct drawing drawing = {model, moment, grid, grid->rows, grid->columns};
	int rows = grid->rows, row = 1;

	for (int i = 0; i < rows; i++)
		screen_fill_row(grid, i, STYLE_PLAIN);
	draw_title(&drawing, 0);
	if (rows >= 4)
		draw_store(&drawing, row++);
	if (rows >= 14)
		draw_sessions(&drawing, row++);
	if (rows >= 2)
		draw_budget(&drawing, row++);
	if (rows >= 12) {
		row += rows >= 15;
		draw_rates(&drawing, row, rows >= 18 ? row + 2 : -1);
		row += rows >= 18 ? 3 : 2;
	}
	row += rows >= 15;
	draw_tables(&drawing, row);
	if (moment->trouble != NULL) {
		fade(&drawing, 1, rows - 1);
		draw_trouble(&drawing, rows >= 4 ? 1 : 0);
	}
	if (rows >= 3)
		draw_footer(&drawing, rows - 1);
}
