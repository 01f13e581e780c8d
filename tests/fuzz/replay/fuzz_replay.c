/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A log, plain or gzip, and after a NUL and a line end another one, as `tarpitctl replay` replays
 * them to two configurations and reports.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "replay/report.h"
#include "replay/understood.h"

static void check_report(struct replay_drive *drive, const struct replay_lines *lines,
			 const struct replay_file *files, size_t files_count)
{
	struct replay_report report = {.drive = drive,
				.lines = lines,
				.files = files,
				.files_count = files_count,
				.rows = 10,
				.width = 20 + (unsigned)lines->read % 100,
				.is_utf8 = lines->read % 2 == 0};
	json_t *document = replay_json(&report);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	CHECK(document != NULL && out != NULL);
	json_decref(document);
	replay_text_print(&report, out);
	CHECK(replay_svg_draw(&report, out));
	CHECK(fclose(out) == 0);
	for (size_t i = 0; i < length; i++)
		CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~') ||
		      (report.is_utf8 && (unsigned char)text[i] >= 0x80));
	free(text);
}

static void check_result(const struct replay_result *result)
{
	CHECK(result->clients_flagged <= result->clients && result->clients <= result->sessions);
	CHECK(result->flagged_delivering <= result->clients_flagged);
	CHECK(result->rejected_counted <= result->rejected);
	CHECK(result->concurrency.peak >= result->concurrency.active);
	CHECK(result->open_sessions == 0);
	CHECK(result->sessions_left <= result->sessions + result->sessions_exempt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const preset[] = {NULL};
	static const char *const strict[] = {"threshold=0.5", "delay_min=10m", "delay_max=10m",
					     "max_stalls=1",  "window=1m",     NULL};
	struct replay_drive *drive = replay_drive_new();
	const uint8_t *nul = memmem(data, size, "\0\n", 2);
	size_t first_size = nul != NULL ? (size_t)(nul - data) : size;
	struct replay_file files[FUZZ_FILES] = {{.path = fuzz_file(0, data, first_size)}};
	size_t count = 1;
	struct replay_lines lines = {0};
	char error[512] = "";

	fuzz_begin();
	CHECK(drive != NULL && replay_drive_add(drive, "as configured", fuzz_config(preset)) &&
	      replay_drive_add(drive, "strict", fuzz_config(strict)));
	if (nul != NULL)
		files[count++].path = fuzz_file(1, nul + 2, size - first_size - 2);
	if (replay_read_order(files, count, error, sizeof(error)) &&
	    replay_read_all(drive, files, count, &lines, error, sizeof(error))) {
		replay_drive_finish(drive);
		CHECK(lines.other + lines.unreadable <= lines.read);
		CHECK((lines.unreadable > 0) == (lines.first_unreadable != NULL));
		CHECK(drive->first_ms <= drive->last_ms);
		CHECK(lines.of_mta + lines.blank + lines.unreadable <= lines.read);
		CHECK((replay_understood(&lines, error, sizeof(error)) == REPLAY_MOST) ==
		      (error[0] == '\0'));
		for (size_t i = 0; i < drive->scenarios_count; i++)
			check_result(&drive->scenarios[i]->result);
		check_report(drive, &lines, files, count);
	} else {
		CHECK(error[0] != '\0');
	}
	free(lines.first_unreadable);
	replay_drive_free(drive);
	return 0;
}
