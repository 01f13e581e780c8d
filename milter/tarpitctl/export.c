/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the daemon for its flagged clients, page by page, and believes none of it unchecked. */
#include "export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "base/duration.h"
#include "base/error.h"
#include "config.h"

/* As many as memory_clients may be. */
#define CLIENTS_MAX 10000000
/* Two windows, which may be 14 days. */
#define REMAINS_MAX_S (INT64_C(28) * 86400)
#define SCORE_MAX 1e12
#define STATUS_MAX 255 /* of a process */

static bool read_client(const json_t *row, struct export_client *client)
{
	const char *text = json_string_value(json_object_get(row, "client"));
	const json_t *remains = json_object_get(row, "remains_s");
	const json_t *by_hand = json_object_get(row, "by_hand");
	const json_t *score = json_object_get(row, "score");

	*client = (struct export_client){.remains_s = json_integer_value(remains),
					 .by_hand = json_is_true(by_hand),
					 .score = json_number_value(score)};
	return text != NULL && prefix_parse(text, &client->prefix) && json_is_integer(remains) &&
	       client->remains_s >= 1 && client->remains_s <= REMAINS_MAX_S &&
	       json_is_boolean(by_hand) && json_is_number(score) &&
	       fabs(client->score) <= SCORE_MAX;
}

/* nft would refuse all of a script in which one client is a part of another one. */
static bool comes_after(const struct export_list *list, const struct prefix *prefix)
{
	const struct prefix *last;

	if (list->count == 0)
		return true;
	last = &list->clients[list->count - 1].prefix;
	return prefix_compare(last, prefix) < 0 && !prefix_has(last, prefix);
}

bool export_take(struct export_list *list, const json_t *answer, bool *is_more)
{
	const json_t *rows = json_object_get(answer, "clients");
	const json_t *more = json_object_get(answer, "more");
	const char *mode = json_string_value(json_object_get(answer, "mode"));
	size_t count = json_array_size(rows);
	struct export_client *clients;

	if (!json_is_array(rows) || !json_is_boolean(more) || mode == NULL ||
	    (strcmp(mode, "observe") != 0 && strcmp(mode, "enforce") != 0) ||
	    count > CLIENTS_MAX - list->count || (json_is_true(more) && count == 0))
		return false;
	clients = reallocarray(list->clients, list->count + count + 1, sizeof(*clients));
	if (clients == NULL)
		return false;
	list->clients = clients;
	/* In observe for one page is in observe. */
	list->observe = list->observe || strcmp(mode, "observe") == 0;
	*is_more = json_is_true(more);
	for (size_t i = 0; i < count; i++) {
		struct export_client *client = &clients[list->count];

		if (!read_client(json_array_get(rows, i), client) ||
		    !comes_after(list, &client->prefix))
			return false;
		list->count++;
	}
	return true;
}

static json_t *request_after(const struct export_list *list)
{
	char text[PREFIX_TEXT_MAX];

	if (list->count == 0)
		return json_pack("{s:s}", "command", "export");
	return json_pack("{s:s,s:s}", "command", "export", "after",
			 prefix_format(&list->clients[list->count - 1].prefix, text));
}

/* The status of a page that the daemon refused, or that is not as promised; else EX_OK. */
static int take_page(struct export_list *list, const json_t *answer, bool *is_more, char *error,
		     size_t size)
{
	json_int_t status = json_integer_value(json_object_get(answer, "status"));
	const char *reason = json_string_value(json_object_get(answer, "error"));
	const json_t *ok = json_object_get(answer, "ok");

	if (json_is_true(ok) && export_take(list, answer, is_more))
		return EX_OK;
	if (json_is_false(ok) && reason != NULL && status > 0 && status <= STATUS_MAX) {
		error_set(error, size, reason);
		return (int)status;
	}
	error_set(error, size,
		  "the daemon's answer is not one that tarpitctl " PACKAGE_VERSION " understands");
	return EX_UNAVAILABLE;
}

static int fetch(const char *socket_path, struct export_list *list, char *error, size_t size)
{
	int connection = ask_connect(socket_path, error, size), status = EX_OK;
	bool is_more = true;

	if (connection < 0)
		return EX_UNAVAILABLE;
	while (status == EX_OK && is_more) {
		json_t *request = request_after(list);
		json_t *answer = ask_daemon(connection, request, error, size);

		status = answer != NULL ? take_page(list, answer, &is_more, error, size)
					: EX_UNAVAILABLE;
		json_decref(request);
		json_decref(answer);
	}
	close(connection);
	return status;
}

/* Nobody is held off longer than that; timeout_s 0: no limit. */
static void limit(struct export_list *list, int64_t timeout_s)
{
	if (timeout_s == 0)
		return;
	list->expires_s = (int64_t)time(NULL) + timeout_s;
	for (size_t i = 0; i < list->count; i++)
		if (list->clients[i].remains_s > timeout_s)
			list->clients[i].remains_s = timeout_s;
}

/* The daemon that only observes has promised to slow nobody: so nobody else shall. */
static void heed_mode(struct export_list *list, bool observe)
{
	if (!list->observe)
		return;
	if (!observe)
		list->count = 0;
	fprintf(stderr, "tarpitctl: mode = observe: %s\n",
		observe ? "the daemon itself slows none of these"
			: "nobody is slowed, so nobody is named");
}

static bool parse_timeout(const char *text, int64_t *timeout_s)
{
	int64_t ms = 0;

	*timeout_s = 0;
	if (text == NULL)
		return true;
	if (!duration_parse(text, &ms) || ms < 1000 || ms > REMAINS_MAX_S * 1000 || ms % 1000 != 0)
		return false;
	*timeout_s = ms / 1000;
	return true;
}

int export_run(const char *socket_path, const struct export_options *options, char *error,
	       size_t size)
{
	export_writer *write = export_writer_find(options->format);
	struct export_list list = {0};
	int64_t timeout_s;
	int status;

	if (write == NULL) {
		snprintf(error, size,
			 "'%s': no format (cidr, nft, ipset, rbldnsd, postscreen, json)",
			 options->format);
		return EX_USAGE;
	}
	if (!parse_timeout(options->timeout, &timeout_s)) {
		snprintf(error, size, "'%s': --timeout takes whole seconds, 1s to 28d",
			 options->timeout);
		return EX_USAGE;
	}
	status = fetch(socket_path, &list, error, size);
	if (status == EX_OK) {
		heed_mode(&list, options->observe);
		limit(&list, timeout_s);
		write(&list, stdout);
	}
	free(list.clients);
	return status;
}
