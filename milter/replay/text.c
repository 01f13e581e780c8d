/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a report for people: figures, tables of clients, and stalls over time in characters. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "base/printable.h"
#include "report.h"

#define HOST_TEXT_MAX 40
#define NAME_TEXT_MAX 256
#define PICTURE_ROWS 6
#define PICTURE_MARGIN 7
#define PICTURE_MIN 20
#define COLUMN 14
#define CLIENT_COLUMN 24

const char *replay_text_time(int64_t wall_ms, enum replay_time_form form, char *text)
{
	time_t moment = (time_t)(wall_ms / 1000);
	struct tm local;
	size_t length = 0;

	if (localtime_r(&moment, &local) == NULL)
		length = 0;
	else if (form == REPLAY_TIME_CLOCK)
		length = strftime(text, REPLAY_TIME_MAX, "%H:%M:%S", &local);
	else if (form == REPLAY_TIME_DATE)
		length = strftime(text, REPLAY_TIME_MAX, "%Y-%m-%d", &local);
	else
		length = strftime(text, REPLAY_TIME_MAX, "%Y-%m-%d %H:%M:%S", &local);
	if (length == 0)
		snprintf(text, REPLAY_TIME_MAX, "?");
	return text;
}

const char *replay_text_duration(int64_t ms, char *text)
{
	long long s = (long long)((ms + 500) / 1000);

	if (ms > 0 && ms < 10000)
		snprintf(text, REPLAY_TIME_MAX, "%.1f s", (double)ms / 1000);
	else if (s < 60)
		snprintf(text, REPLAY_TIME_MAX, "%lld s", s);
	else if (s < 3600)
		snprintf(text, REPLAY_TIME_MAX, "%lld min %lld s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, REPLAY_TIME_MAX, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else
		snprintf(text, REPLAY_TIME_MAX, "%lld d %lld h", s / 86400, s % 86400 / 3600);
	return text;
}

const char *replay_text_plain(const char *from, char *text, size_t size)
{
	printable_escape(from, "", PRINTABLE_LOWER_HEX, text, size);
	return text;
}

/* A client's key, without the length where it is one address. */
static const char *client_text(const struct replay_client *client, char *text)
{
	bool is_address = client->key.bits == (client->key.family == 4 ? 32 : 128);

	return is_address ? prefix_format_address(&client->key, text)
			  : prefix_format(&client->key, text);
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_lines(const struct replay_report *report, FILE *out)
{
	const struct replay_lines *lines = report->lines;
	char from[REPLAY_TIME_MAX], to[REPLAY_TIME_MAX], span[REPLAY_TIME_MAX];
	int64_t first_ms = report->drive->first_ms, last_ms = report->drive->last_ms;

	if (first_ms == 0)
		fprintf(out, "Period      no line has a time\n");
	else
		fprintf(out, "Period      %s to %s (%s)\n",
			replay_text_time(first_ms, REPLAY_TIME_MOMENT, from),
			replay_text_time(last_ms, REPLAY_TIME_MOMENT, to),
			replay_text_duration(last_ms - first_ms, span));
	fprintf(out,
		"Lines       %" PRIu64 " read, %" PRIu64 " of no interest, %" PRIu64 " unreadable",
		lines->read, lines->other, lines->unreadable);
	if (lines->first_unreadable != NULL) {
		char place[NAME_TEXT_MAX];

		fprintf(out, ", first at %s",
			replay_text_plain(lines->first_unreadable, place, sizeof(place)));
	}
	fputc('\n', out);
	if (lines->submission > 0)
		fprintf(out, "            %" PRIu64 " left out, of %s services\n",
			lines->submission, lines->service != NULL ? "other" : "submission");
	if (lines->misdated > 0)
		fprintf(out, "            %" PRIu64 " of a time a day and more from the others'\n",
			lines->misdated);
	if (report->drive->clients_unknown > 0)
		fprintf(out, "            %" PRIu64 " rejection%s of clients that no line names\n",
			report->drive->clients_unknown, plural(report->drive->clients_unknown));
}

static void print_stages(const struct replay_result *result, FILE *out)
{
	const char *between = ": ";

	for (size_t i = 0; i < STAGE_COUNT; i++) {
		char text[REPLAY_TIME_MAX];

		if (result->stalls[i] == 0)
			continue;
		fprintf(out, "%s%s %" PRIu64 " (%s)", between, stage_log_name((enum stage)i),
			result->stalls[i],
			replay_text_duration((int64_t)result->stalled_ms[i], text));
		between = ", ";
	}
	fputc('\n', out);
}

static void print_figures(struct replay_result *result, FILE *out)
{
	char text[REPLAY_TIME_MAX];

	fprintf(out,
		"Sessions    %" PRIu64 " of %s%" PRIu64 " client%s; %" PRIu64 " more %s exempt\n",
		result->sessions, result->clients >= REPLAY_CLIENTS_MAX ? "more than " : "",
		result->clients, plural(result->clients), result->sessions_exempt,
		result->sessions_exempt == 1 ? "was" : "were");
	fprintf(out, "Accepted    %" PRIu64 " message%s for %" PRIu64 " recipient%s\n",
		result->messages, plural(result->messages), result->recipients,
		plural(result->recipients));
	fprintf(out, "Rejected    %" PRIu64 " recipient%s, of which %" PRIu64 " count%s\n",
		result->rejected, plural(result->rejected), result->rejected_counted,
		result->rejected_counted == 1 ? "s" : "");
	fprintf(out,
		"Flagged     %" PRIu64 " client%s, %" PRIu64 " time%s; %" PRIu64
		" of them delivered mail too\n",
		result->clients_flagged, plural(result->clients_flagged), result->flags_total,
		plural(result->flags_total), result->flagged_delivering);
	fprintf(out,
		"Sieges      %" PRIu64 ", %s in all; %" PRIu64
		" client%s flagged by nothing else\n",
		result->sieges, replay_text_duration(result->siege_ms, text),
		result->clients_by_siege, plural(result->clients_by_siege));
	fprintf(out, "Stalls      %" PRIu64 ", %s in all", replay_result_sum(result->stalls),
		replay_text_duration((int64_t)replay_result_sum(result->stalled_ms), text));
	print_stages(result, out);
	fprintf(out, "Deferrals   %" PRIu64 "\n", replay_result_sum(result->deferrals));
	fprintf(out, "Left        %" PRIu64 " session%s of flagged clients, in a transaction\n",
		result->sessions_left, plural(result->sessions_left));
	fprintf(out, "At once     %u stall%s at most", result->concurrency.peak,
		plural(result->concurrency.peak));
	if (result->concurrency.peak > 0)
		fprintf(out, ", at %s",
			replay_text_time(result->concurrency.peak_ms, REPLAY_TIME_MOMENT, text));
	fprintf(out, "; max_stalls is %u", result->concurrency.max_stalls);
	if (result->concurrency.over_budget > 0)
		fprintf(out, ": %" PRIu64 " stall%s would not have fitted",
			result->concurrency.over_budget, plural(result->concurrency.over_budget));
	fputc('\n', out);
}

/* Columns that the clients take: IPv6 addresses may be long. */
static int widest(const struct replay_client *const *clients, size_t count)
{
	size_t width = CLIENT_COLUMN;

	for (size_t i = 0; i < count; i++) {
		char text[PREFIX_TEXT_MAX];
		size_t length = strlen(client_text(clients[i], text));

		if (length > width)
			width = length;
	}
	return (int)width;
}

static void print_innocents(struct replay_result *result, const struct replay_report *report,
			    FILE *out)
{
	const struct replay_client *innocents[REPLAY_ROWS_MAX];
	size_t count = replay_result_innocents(result, innocents, report->rows);
	int width = widest(innocents, count);

	if (count == 0)
		return;
	fprintf(out, "\nFlagged, but delivered mail too (perhaps innocent):\n");
	fprintf(out, "  %-*s %9s %9s %11s  %s\n", width, "client", "messages", "rejected",
		"stalled", "host");
	for (size_t i = 0; i < count; i++) {
		const struct replay_client *client = innocents[i];
		char text[PREFIX_TEXT_MAX], stalled[REPLAY_TIME_MAX], host[HOST_TEXT_MAX];

		fprintf(out, "  %-*s %9" PRIu64 " %9" PRIu64 " %11s  %s\n", width,
			client_text(client, text), client->messages, client->rejected,
			replay_text_duration(client->stalled_ms, stalled),
			replay_text_plain(client->host[0] != '\0' ? client->host : "-", host,
					  sizeof(host)));
	}
}

static void print_worst(struct replay_result *result, const struct replay_report *report, FILE *out)
{
	const struct replay_client *worst[REPLAY_ROWS_MAX];
	size_t count = replay_result_worst(result, worst, report->rows);
	int width = widest(worst, count);

	if (count == 0)
		return;
	fprintf(out, "\nWorst clients:\n");
	fprintf(out, "  %-*s %-19s %8s %8s %8s %6s %11s %5s  %s\n", width, "client",
		"first flagged", "score", "rejected", "messages", "stalls", "stalled", "left",
		"host");
	for (size_t i = 0; i < count; i++) {
		const struct replay_client *client = worst[i];
		char text[PREFIX_TEXT_MAX], flagged[REPLAY_TIME_MAX], stalled[REPLAY_TIME_MAX];
		char host[HOST_TEXT_MAX];

		fprintf(out,
			"  %-*s %-19s %8.2f %8" PRIu64 " %8" PRIu64 " %6" PRIu64 " %11s %5" PRIu64
			"  %s\n",
			width, client_text(client, text),
			replay_text_time(client->first_flagged_ms, REPLAY_TIME_MOMENT, flagged),
			client->score_max, client->rejected, client->messages, client->stalls,
			replay_text_duration(client->stalled_ms, stalled), client->left,
			replay_text_plain(client->host[0] != '\0' ? client->host : "-", host,
					  sizeof(host)));
	}
}

static void print_candidates(const struct replay_result *result, const struct replay_report *report,
			     FILE *out)
{
	const struct replay_candidate *most[REPLAY_ROWS_MAX];
	size_t count = replay_candidates_most(result->candidates, most, report->rows);

	if (count == 0)
		return;
	fprintf(out,
		"\nCandidates for trap_recipients (probed by flagged clients, never accepted):\n");
	fprintf(out, "  %8s %8s  %s\n", "probes", "clients", "address");
	for (size_t i = 0; i < count; i++) {
		char clients[REPLAY_TIME_MAX], address[ADDRESS_TEXT_MAX];

		snprintf(clients, sizeof(clients), "%u%s", most[i]->clients,
			 most[i]->clients == REPLAY_PROBERS_MAX ? "+" : "");
		fprintf(out, "  %8" PRIu64 " %8s  %s\n", most[i]->probes, clients,
			replay_text_plain(most[i]->address, address, sizeof(address)));
	}
}

/* The most stalls at once in a column of the picture, of so many columns. */
static unsigned column_peak(const struct replay_concurrency *concurrency, size_t column,
			    size_t columns)
{
	size_t first = column * concurrency->buckets_used / columns;
	size_t last = ((column + 1) * concurrency->buckets_used + columns - 1) / columns;
	unsigned peak = 0;

	for (size_t i = first; i < last && i < concurrency->buckets_used; i++)
		if (concurrency->buckets[i].peak > peak)
			peak = concurrency->buckets[i].peak;
	return peak;
}

/* The character for a cell of which so many eighths are full; 8 and above is all. */
static const char *block(int eighths, bool is_utf8)
{
	static const char *const blocks[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
					     "\u2585", "\u2586", "\u2587", "\u2588"};

	if (eighths <= 0)
		return " ";
	if (eighths > 8)
		eighths = 8;
	if (is_utf8)
		return blocks[eighths];
	return eighths <= 2 ? "." : eighths <= 5 ? ":" : "#";
}

static void print_picture_row(const struct replay_concurrency *concurrency, size_t columns, int row,
			      bool is_utf8, FILE *out)
{
	for (size_t column = 0; column < columns; column++) {
		double peak = column_peak(concurrency, column, columns);
		int eighths = (int)ceil(peak * PICTURE_ROWS * 8 / concurrency->peak);

		fputs(block(eighths - 8 * row, is_utf8), out);
	}
}

static void print_picture(const struct replay_concurrency *concurrency,
			  const struct replay_report *report, FILE *out)
{
	size_t columns = report->width > PICTURE_MARGIN + PICTURE_MIN
				 ? report->width - PICTURE_MARGIN - 1
				 : PICTURE_MIN;
	int64_t end_ms =
		concurrency->begin_ms + (int64_t)concurrency->buckets_used * concurrency->width_ms;
	char begin[REPLAY_TIME_MAX], end[REPLAY_TIME_MAX];

	if (concurrency->peak == 0)
		return;
	fprintf(out, "\nStalls at once:\n");
	for (int row = PICTURE_ROWS - 1; row >= 0; row--) {
		if (row == PICTURE_ROWS - 1)
			fprintf(out, "%5u ", concurrency->peak);
		else
			fprintf(out, "%*s", PICTURE_MARGIN - 1, "");
		fputs(report->is_utf8 ? "\u2502" : "|", out);
		print_picture_row(concurrency, columns, row, report->is_utf8, out);
		fputc('\n', out);
	}
	replay_text_time(concurrency->begin_ms, REPLAY_TIME_MOMENT, begin);
	replay_text_time(end_ms, REPLAY_TIME_MOMENT, end);
	fprintf(out, "%*s%s%*s\n", PICTURE_MARGIN, "", begin, (int)columns - (int)strlen(begin),
		end);
}

/* A row of the table of several configurations. */
struct figure {
	const char *name;
	uint64_t number;
	bool is_duration; /* in milliseconds */
};
#define FIGURES 14

static struct figure figure_of(const struct replay_result *result, size_t row)
{
	const struct figure figures[FIGURES] = {
		{"Clients flagged", result->clients_flagged, false},
		{"  and delivered mail too", result->flagged_delivering, false},
		{"Times flagged", result->flags_total, false},
		{"Sieges", result->sieges, false},
		{"  time under siege", (uint64_t)result->siege_ms, true},
		{"  flagged by nothing else", result->clients_by_siege, false},
		{"Rejections that count", result->rejected_counted, false},
		{"Stalls", replay_result_sum(result->stalls), false},
		{"Time stalled", replay_result_sum(result->stalled_ms), true},
		{"Deferrals", replay_result_sum(result->deferrals), false},
		{"Sessions left", result->sessions_left, false},
		{"Stalls at once, at most", result->concurrency.peak, false},
		{"  of max_stalls", result->concurrency.max_stalls, false},
		{"  that would not have fitted", result->concurrency.over_budget, false},
	};

	return figures[row];
}

static void print_figure(struct figure figure, FILE *out)
{
	char text[REPLAY_TIME_MAX];

	if (figure.is_duration)
		replay_text_duration((int64_t)figure.number, text);
	else
		snprintf(text, sizeof(text), "%" PRIu64, figure.number);
	fprintf(out, " %*s", COLUMN, text);
}

/* "A", "B" ... "Z", "27". */
static const char *letter(size_t i, char *text)
{
	if (i < 26)
		snprintf(text, REPLAY_TIME_MAX, "%c", (char)('A' + (int)i));
	else
		snprintf(text, REPLAY_TIME_MAX, "%zu", i + 1);
	return text;
}

static void print_names(const struct replay_drive *drive, FILE *out)
{
	char text[REPLAY_TIME_MAX], name[NAME_TEXT_MAX];

	for (size_t i = 0; i < drive->scenarios_count; i++)
		fprintf(out, "  %s  %s\n", letter(i, text),
			replay_text_plain(drive->scenarios[i]->name, name, sizeof(name)));
}

static void print_table(const struct replay_drive *drive, FILE *out)
{
	char text[REPLAY_TIME_MAX];

	fprintf(out, "\n%-28s", "");
	for (size_t i = 0; i < drive->scenarios_count; i++)
		fprintf(out, " %*s", COLUMN, letter(i, text));
	fputc('\n', out);
	for (size_t row = 0; row < FIGURES; row++) {
		fprintf(out, "%-28s", figure_of(&drive->scenarios[0]->result, row).name);
		for (size_t i = 0; i < drive->scenarios_count; i++)
			print_figure(figure_of(&drive->scenarios[i]->result, row), out);
		fputc('\n', out);
	}
}

static void print_only(struct replay_result *result, const struct replay_report *report, FILE *out)
{
	print_figures(result, out);
	print_innocents(result, report, out);
	print_worst(result, report, out);
	print_candidates(result, report, out);
	print_picture(&result->concurrency, report, out);
}

void replay_text_print(const struct replay_report *report, FILE *out)
{
	const struct replay_drive *drive = report->drive;
	char text[REPLAY_TIME_MAX], name[NAME_TEXT_MAX];

	print_lines(report, out);
	if (drive->scenarios_count == 1) {
		print_only(&drive->scenarios[0]->result, report, out);
		return;
	}
	fputc('\n', out);
	print_names(drive, out);
	print_table(drive, out);
	for (size_t i = 0; i < drive->scenarios_count; i++) {
		struct replay_scenario *scenario = drive->scenarios[i];

		fprintf(out, "\n%s  %s\n", letter(i, text),
			replay_text_plain(scenario->name, name, sizeof(name)));
		print_innocents(&scenario->result, report, out);
		print_candidates(&scenario->result, report, out);
		print_picture(&scenario->result.concurrency, report, out);
	}
}
