/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tarpitctl makes of a daemon's answers: any JSON. The first byte says which command was
 * asked; no control character may reach the terminal. The live screen has a model and a grid of its
 * own.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tarpitctl/export.h"
#include "tarpitctl/text.h"
#include "tarpitctl/top_draw.h"

static void show(const char *command, const json_t *answer)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	bool is_shown;

	CHECK(out != NULL);
	is_shown = text_print(command, answer, false, out);
	CHECK(fclose(out) == 0);
	CHECK(is_shown || length == 0);
	for (size_t i = 0; i < length; i++)
		CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
	free(text);
}

/* What a program reads that holds clients off: lines of prefixes and of nothing else. */
static void hold_off(const json_t *answer)
{
	struct export_list list = {0};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	bool is_more;

	CHECK(out != NULL);
	if (export_take(&list, answer, &is_more)) {
		export_writer_find("cidr")(&list, out);
		export_writer_find("json")(&list, out);
	}
	CHECK(fclose(out) == 0);
	for (size_t i = 0; i < length; i++)
		CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
	CHECK(strspn(text, "0123456789abcdef.:/\n") == strcspn(text, "{"));
	free(text);
	free(list.clients);
}

/* A grid of that size; what is in it is one column wide each. */
static void draw(const struct top_model *model, int64_t now_ms, int rows, int columns,
		 bool has_blocks)
{
	struct top_moment moment = {.now_ms = now_ms, .clock = "12:34:56"};
	struct screen_grid grid = {.has_blocks = has_blocks};

	CHECK(screen_resize(&grid, rows, columns));
	top_draw(model, &moment, &grid);
	for (int i = 0; i < rows * columns; i++) {
		wchar_t glyph = grid.glyphs[i];

		CHECK(glyph >= ' ' && glyph != 0x7f && (glyph < 0x80 || glyph >= 0xa0));
		CHECK(has_blocks || glyph < 0x7f);
		CHECK(grid.styles[i] < STYLE_COUNT);
	}
	screen_free(&grid);
}

static void take(struct top_model *model, json_t *answer, int64_t now_ms)
{
	struct top_answers answers = {
		.status = json_incref(answer),
		.stalls = json_incref(answer),
		.list = json_incref(answer),
		.status_ms = now_ms,
		.stalls_ms = now_ms,
	};

	top_model_take(model, &answers);
	top_feed_clear(&answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const commands[] = {"status", "stalls",  "list",   "show",
					       "flag",	 "forgive", "reload", "none"};
	static struct top_model model;
	struct input input = {data, size};
	const char *command = commands[take_byte(&input) % COUNT(commands)];
	int rows = 1 + (int)take_byte(&input) % 64, columns = 1 + (int)take_byte(&input);
	int64_t now_ms = 1000000;

	fuzz_begin();
	model = (struct top_model){0};
	for (int i = 0; i < 2; i++) {
		char *text = take_text(&input, '\0');
		json_t *answer = json_loads(text, JSON_DECODE_ANY, NULL);

		if (answer != NULL) {
			show(command, answer);
			hold_off(answer);
			take(&model, answer, now_ms);
			draw(&model, now_ms + 500, rows, columns, i == 0);
			now_ms += 1000;
		}
		json_decref(answer);
		free(text);
	}
	return 0;
}
