/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A log, plain or gzip, and after a NUL and a line end another one, as `tarpitctl replay` plays them to two configurations
 * and reports.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "replay/report.h"

static void check_report(struct player *player, const struct replay_lines *lines,
			 const struct replay_file *files, size_t files_count)
{
	struct report report = {.player = player,
				.lines = lines,
				.files = files,
				.files_count = files_count,
				.rows = 10,
				.width = 20 + (unsigned)lines->read % 100,
				.is_utf8 = lines->read % 2 == 0};
	json_t *document = report_json(&report);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	CHECK(document != NULL && out != NULL);
	json_decref(document);
	report_print(&report, out);
	CHECK(report_svg(&report, out));
	CHECK(fclose(out) == 0);
	for (size_t i = 0; i < length; i++)
		CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~') ||
		      (report.is_utf8 && (unsigned char)text[i] >= 0x80));
	free(text);
}

static void check_book(const struct book *book)
{
	CHECK(book->clients_flagged <= book->clients && book->clients <= book->sessions);
	CHECK(book->flagged_delivering <= book->clients_flagged);
	CHECK(book->rejected_counted <= book->rejected);
	CHECK(book->crowd.peak >= book->crowd.active);
	CHECK(book->open_sessions == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const preset[] = {NULL};
	static const char *const strict[] = {"threshold=0.5", "delay_min=10m", "delay_max=10m",
					     "max_stalls=1",  "window=1m",     NULL};
	struct player *player = player_new();
	const uint8_t *nul = memmem(data, size, "\0\n", 2);
	size_t first_size = nul != NULL ? (size_t)(nul - data) : size;
	struct replay_file files[FUZZ_FILES] = {{.path = fuzz_file(0, data, first_size)}};
	size_t count = 1;
	struct replay_lines lines = {0};
	char error[512] = "";

	fuzz_begin();
	CHECK(player != NULL && player_add(player, "as configured", fuzz_config(preset)) &&
	      player_add(player, "strict", fuzz_config(strict)));
	if (nul != NULL)
		files[count++].path = fuzz_file(1, nul + 2, size - first_size - 2);
	if (replay_order(files, count, error, sizeof(error)) &&
	    replay_read(player, files, count, &lines, error, sizeof(error))) {
		player_finish(player);
		CHECK(lines.other + lines.unreadable <= lines.read);
		CHECK((lines.unreadable > 0) == (lines.first_unreadable != NULL));
		CHECK(player_first_ms(player) <= player_last_ms(player));
		for (size_t i = 0; i < player_sites(player); i++)
			check_book(site_book(player_site(player, i)));
		check_report(player, &lines, files, count);
	} else {
		CHECK(error[0] != '\0');
	}
	free(lines.first_unreadable);
	player_free(player);
	return 0;
}
