/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes answers of any JSON into the model: numbers are clamped, and texts cut. */
#include "top_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far beyond what a daemon can have counted, and small enough for exact and safe sums. */
#define WHOLE_MAX 1000000000000000
#define NUMBER_MAX 1e15
/* Answers that are closer together give no rate worth showing. */
#define RATE_MS_MIN 100
#define STALL_ROWS_KEPT_MS 30000

static const char *const counter_names[TOP_COUNTERS] = {
	[TOP_SESSIONS] = "sessions_opened",
	[TOP_REJECTS] = "rejects",
	[TOP_FLAGS] = "flags",
	[TOP_STALLS] = "stalls_begun",
	[TOP_DEFERRED] = "deferred",
	[TOP_PASSED] = "passed",
	[TOP_STORE_CALLS] = "store_calls",
	[TOP_STORE_FAILURES] = "store_failures",
};

static double number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_number(value))
		return NAN;
	return fmin(fmax(json_number_value(value), -NUMBER_MAX), NUMBER_MAX);
}

static int64_t whole(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	json_int_t integer = json_is_integer(value) ? json_integer_value(value) : TOP_UNKNOWN;

	if (integer < 0)
		return TOP_UNKNOWN;
	return integer < WHOLE_MAX ? integer : WHOLE_MAX;
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* A text that does not fit is cut. */
static void copy(const json_t *object, const char *key, char *text, size_t size)
{
	const char *value = json_string_value(json_object_get(object, key));

	snprintf(text, size, "%s", value != NULL ? value : "");
}

static void take_rates(struct top_model *model, const int64_t totals[TOP_COUNTERS],
		       int64_t uptime_s, int64_t now_ms)
{
	int64_t elapsed_ms = now_ms - model->status_ms;
	bool comparable = model->status_ms != 0 && elapsed_ms >= RATE_MS_MIN &&
			  model->uptime_s != TOP_UNKNOWN && uptime_s >= model->uptime_s;

	for (size_t i = 0; i < TOP_COUNTERS; i++) {
		int64_t before = model->totals[i];

		if (comparable && before != TOP_UNKNOWN && totals[i] >= before)
			model->rates[i] = (double)(totals[i] - before) * 1000 / (double)elapsed_ms;
		else
			model->rates[i] = NAN;
		model->totals[i] = totals[i];
	}
	model->uptime_s = uptime_s;
	model->status_ms = now_ms;
}

static void take_servers(struct top_model *model, const json_t *servers)
{
	size_t count = json_array_size(servers);

	model->server_count = count < TOP_SERVERS_MAX ? count : TOP_SERVERS_MAX;
	for (size_t i = 0; i < model->server_count; i++) {
		const json_t *server = json_array_get(servers, i);

		copy(server, "server", model->servers[i].name, sizeof(model->servers[i].name));
		copy(server, "state", model->servers[i].state, sizeof(model->servers[i].state));
	}
}

static void take_status(struct top_model *model, const json_t *status, int64_t now_ms)
{
	const json_t *counters = json_object_get(status, "counters");
	const json_t *siege = json_object_get(status, "siege");
	int64_t totals[TOP_COUNTERS];

	for (size_t i = 0; i < TOP_COUNTERS; i++)
		totals[i] = whole(counters, counter_names[i]);
	take_rates(model, totals, whole(status, "uptime_s"), now_ms);
	take_servers(model, json_object_get(status, "servers"));
	copy(status, "version", model->version, sizeof(model->version));
	copy(status, "mode", model->mode, sizeof(model->mode));
	copy(status, "store", model->store, sizeof(model->store));
	copy(status, "store_state", model->store_state, sizeof(model->store_state));
	model->sessions = whole(status, "sessions");
	model->max_sessions = whole(status, "max_sessions");
	model->stalling = whole(status, "stalls");
	model->max_stalls = whole(status, "max_stalls");
	model->clients = whole(status, "clients");
	model->flagged = whole(status, "flagged");
	model->in_siege = is_true(siege, "on");
	model->siege_score = number(siege, "score");
	model->siege_mean = number(siege, "mean");
}

/* The stall that ends last comes first, so that one which ends moves none of the others. */
static int by_remains(const void *left, const void *right)
{
	const struct top_stall *a = left, *b = right;
	int names = strcmp(a->client, b->client);

	if (a->remains_ms != b->remains_ms)
		return a->remains_ms > b->remains_ms ? -1 : 1;
	if (names != 0)
		return names;
	return a->position < b->position ? -1 : 1;
}

static void take_stall(struct top_stall *stall, const json_t *value, size_t position)
{
	copy(value, "client", stall->client, sizeof(stall->client));
	copy(value, "stage", stall->stage, sizeof(stall->stage));
	stall->delay_ms = whole(value, "delay_ms");
	stall->remains_ms = whole(value, "remains_ms");
	stall->score = number(value, "score");
	stall->position = position;
}

static void take_stalls(struct top_model *model, const json_t *answer, int64_t now_ms)
{
	const json_t *stalls = json_object_get(answer, "stalls");
	size_t count = json_array_size(stalls);
	int64_t active = whole(answer, "active");

	/* The daemon lists 1000 stalls at most, and counts all. */
	model->stalls_active = active > (int64_t)count ? (size_t)active : count;
	model->stall_count = count < TOP_STALLS_MAX ? count : TOP_STALLS_MAX;
	for (size_t i = 0; i < model->stall_count; i++)
		take_stall(&model->stalls[i], json_array_get(stalls, i), i);
	qsort(model->stalls, model->stall_count, sizeof(model->stalls[0]), by_remains);
	model->stalls_ms = now_ms;
	if (count >= model->stall_rows || now_ms - model->stall_rows_ms > STALL_ROWS_KEPT_MS) {
		model->stall_rows = model->stall_count;
		model->stall_rows_ms = now_ms;
	}
}

static void take_client(struct top_client *client, const json_t *value)
{
	copy(value, "client", client->client, sizeof(client->client));
	copy(value, "network", client->network, sizeof(client->network));
	client->bad = number(value, "bad");
	client->good = number(value, "good");
	client->score = number(value, "effective_score");
	client->network_score = number(value, "network_score");
	client->delay_ms = whole(value, "delay_ms");
	client->sessions = whole(value, "sessions");
	client->flagged = is_true(value, "flagged");
	client->by_hand = is_true(value, "by_hand");
	client->exempt = json_is_object(json_object_get(value, "exempt"));
}

static void take_list(struct top_model *model, const json_t *clients)
{
	size_t count = json_array_size(clients);

	model->client_count = count < TOP_CLIENTS_MAX ? count : TOP_CLIENTS_MAX;
	for (size_t i = 0; i < model->client_count; i++)
		take_client(&model->list[i], json_array_get(clients, i));
}

void top_model_take(struct top_model *model, const struct top_answers *answers)
{
	take_status(model, answers->status, answers->status_ms);
	take_stalls(model, answers->stalls, answers->stalls_ms);
	take_list(model, json_object_get(answers->list, "clients"));
}

int64_t top_model_remains_ms(const struct top_model *model, const struct top_stall *stall,
			     int64_t now_ms)
{
	int64_t remains_ms = stall->remains_ms - (now_ms - model->stalls_ms);

	if (stall->remains_ms == TOP_UNKNOWN)
		return TOP_UNKNOWN;
	return remains_ms > 0 ? remains_ms : 0;
}
