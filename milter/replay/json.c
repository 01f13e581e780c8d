/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes one JSON document of a report. */
#include <string.h>
#include <time.h>

#include "report.h"

#define NAME_MAX_BYTES 1024

static json_t *text_json(const char *text)
{
	char plain[NAME_MAX_BYTES];

	return json_string(replay_text_plain(text, plain, sizeof(plain)));
}

/* null for no name. */
static json_t *name_json(const char *name)
{
	return name == NULL || *name == '\0' ? json_null() : text_json(name);
}

static json_t *number_json(uint64_t number)
{
	return json_integer((json_int_t)number);
}

/* RFC 3339 in UTC, with milliseconds where the log has them; null for none. */
static json_t *time_json(int64_t wall_ms)
{
	time_t moment = (time_t)(wall_ms / 1000);
	struct tm utc;
	char text[REPLAY_TIME_MAX], whole[REPLAY_TIME_MAX + 8];

	if (wall_ms == 0 || gmtime_r(&moment, &utc) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
		return json_null();
	if (wall_ms % 1000 != 0)
		snprintf(whole, sizeof(whole), "%s.%03dZ", text, (int)(wall_ms % 1000));
	else
		snprintf(whole, sizeof(whole), "%sZ", text);
	return json_string(whole);
}

static json_t *seconds_json(int64_t ms)
{
	return json_real((double)ms / 1000);
}

static json_t *lines_json(const struct replay_report *report)
{
	const struct replay_lines *lines = report->lines;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "read", number_json(lines->read),
			 "other", number_json(lines->other), "submission",
			 number_json(lines->submission), "misdated", number_json(lines->misdated),
			 "unreadable", number_json(lines->unreadable), "first_unreadable",
			 name_json(lines->first_unreadable), "clients_unknown",
			 number_json(report->drive->clients_unknown));
}

static json_t *client_json(const struct replay_client *client)
{
	char key[PREFIX_TEXT_MAX];

	return json_pack(
		"{s:s, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "client",
		prefix_format(&client->key, key), "host", name_json(client->host), "score_max",
		client->score_max, "first_flagged", time_json(client->first_flagged_ms), "flags",
		number_json(client->flags), "rejected", number_json(client->rejected), "messages",
		number_json(client->messages), "stalls", number_json(client->stalls), "stalled_s",
		seconds_json(client->stalled_ms), "deferrals", number_json(client->deferrals),
		"sessions_left", number_json(client->left));
}

typedef size_t pick_clients(struct replay_result *result, const struct replay_client **clients,
			    size_t max);

static json_t *clients_json(struct replay_result *result, pick_clients *pick, size_t rows)
{
	const struct replay_client *clients[REPLAY_ROWS_MAX];
	size_t count = pick(result, clients, rows);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, client_json(clients[i]));
	return array;
}

static json_t *flags_json(const struct replay_result *result)
{
	json_t *array = json_array();

	for (size_t i = 0; i < result->flags_count; i++) {
		const struct replay_flag *flag = &result->flags[i];

		json_array_append_new(array, json_pack("{s:o, s:o, s:s, s:f}", "time",
						       time_json(flag->wall_ms), "time_s",
						       seconds_json(flag->wall_ms), "client",
						       flag->client, "score", flag->score));
	}
	return array;
}

static json_t *stalls_json(const struct replay_result *result)
{
	json_t *stages = json_object();

	for (size_t i = 0; i < STAGE_COUNT; i++)
		json_object_set_new(stages, stage_name((enum stage)i),
				    json_pack("{s:o, s:o}", "count", number_json(result->stalls[i]),
					      "seconds",
					      seconds_json((int64_t)result->stalled_ms[i])));
	return json_pack("{s:o, s:o, s:o}", "count", number_json(replay_result_sum(result->stalls)),
			 "seconds", seconds_json((int64_t)replay_result_sum(result->stalled_ms)),
			 "by_stage", stages);
}

static json_t *timeline_json(const struct replay_concurrency *concurrency)
{
	json_t *peaks = json_array(), *begun = json_array();

	for (size_t i = 0; i < concurrency->buckets_used; i++) {
		json_array_append_new(peaks, number_json(concurrency->buckets[i].peak));
		json_array_append_new(begun, number_json(concurrency->buckets[i].begun));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "begin", time_json(concurrency->begin_ms),
			 "bucket_s", seconds_json(concurrency->width_ms), "stalls_at_once", peaks,
			 "stalls_begun", begun);
}

static json_t *peak_json(const struct replay_concurrency *concurrency)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "stalls", number_json(concurrency->peak), "time",
			 time_json(concurrency->peak_ms), "max_stalls",
			 number_json(concurrency->max_stalls), "over_budget",
			 number_json(concurrency->over_budget));
}

static json_t *candidates_json(const struct replay_result *result, size_t rows)
{
	const struct replay_candidate *most[REPLAY_ROWS_MAX];
	size_t count = replay_candidates_most(result->candidates, most, rows);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_pack("{s:o, s:o, s:i}", "address",
						       text_json(most[i]->address), "probes",
						       number_json(most[i]->probes), "clients",
						       (int)most[i]->clients));
	return array;
}

static json_t *siege_json(const struct replay_result *result)
{
	return json_pack("{s:o, s:o, s:o}", "count", number_json(result->sieges), "seconds",
			 seconds_json(result->siege_ms), "clients_flagged",
			 number_json(result->clients_by_siege));
}

static json_t *scenario_json(struct replay_scenario *scenario, const struct replay_report *report)
{
	struct replay_result *result = &scenario->result;
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{"name", text_json(scenario->name)},
		{"sessions", number_json(result->sessions)},
		{"sessions_exempt", number_json(result->sessions_exempt)},
		{"clients", number_json(result->clients)},
		{"clients_exact", json_boolean(result->clients < REPLAY_CLIENTS_MAX)},
		{"messages", number_json(result->messages)},
		{"recipients", number_json(result->recipients)},
		{"rejected", number_json(result->rejected)},
		{"rejected_counted", number_json(result->rejected_counted)},
		{"clients_flagged", number_json(result->clients_flagged)},
		{"flagged_delivering", number_json(result->flagged_delivering)},
		{"sieges", siege_json(result)},
		{"innocents", clients_json(result, replay_result_innocents, report->rows)},
		{"worst", clients_json(result, replay_result_worst, report->rows)},
		{"trap_candidates", candidates_json(result, report->rows)},
		{"stalls", stalls_json(result)},
		{"deferrals", number_json(replay_result_sum(result->deferrals))},
		{"peak", peak_json(&result->concurrency)},
		{"sessions_left", number_json(result->sessions_left)},
		{"flags_total", number_json(result->flags_total)},
		{"flags", flags_json(result)},
		{"timeline", timeline_json(&result->concurrency)},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (json_object_set_new(object, members[i].name, members[i].value) != 0) {
			json_decref(object);
			object = NULL;
		}
	return object;
}

json_t *replay_json(const struct replay_report *report)
{
	json_t *files = json_array(), *damaged = json_array(), *scenarios = json_array();

	for (size_t i = 0; i < report->files_count; i++) {
		const struct replay_file *file = &report->files[i];

		json_array_append_new(files, text_json(file->path));
		if (file->damage[0] != '\0')
			json_array_append_new(damaged,
					      json_pack("{s:o, s:o}", "file", text_json(file->path),
							"reason", text_json(file->damage)));
	}
	for (size_t i = 0; i < report->drive->scenarios_count; i++)
		json_array_append_new(scenarios,
				      scenario_json(report->drive->scenarios[i], report));
	return json_pack("{s:b, s:o, s:o, s:{s:o, s:o}, s:o, s:o}", "ok", 1, "files", files,
			 "damaged", damaged, "period", "from", time_json(report->drive->first_ms),
			 "to", time_json(report->drive->last_ms), "lines", lines_json(report),
			 "configurations", scenarios);
}
