/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of the control socket, one a line, beside offences ("o" and an address), sessions ("s"
 * and an address), time that passes ("t" and a byte), and scrapes ("m" and an Accept header).
 * tarpitctl can show whatever the daemon answers.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "control/command.h"
#include "fake_clock.h"
#include "control/frame.h"
#include "fuzz.h"
#include "metrics/page.h"
#include "store/store.h"
#include "tarpitctl/export.h"
#include "tarpitctl/text.h"

#define SESSIONS 4

static struct tarpit tarpit;
static struct session *sessions[SESSIONS];
static unsigned sessions_count;

/* Says that the request is a fault: what is in it comes back. */
static bool reload(void *arg, struct faults *faults, char *needs_restart, size_t size)
{
	const char *request = arg;

	snprintf(needs_restart, size, "socket user");
	if (strlen(request) % 2 == 0)
		faults_add(faults, "/etc/x:1: %s", request);
	return faults->count == 0;
}

/* tarpitctl takes whatever the daemon answers to a command, and prints it. */
static void check_shown(const char *command, const json_t *answer)
{
	FILE *out = fopen("/dev/null", "we");
	struct export_list list = {0};
	bool is_more;

	CHECK(out != NULL);
	if (strcmp(command, "export") == 0)
		CHECK(export_take(&list, answer, &is_more));
	else
		CHECK(text_print(command, answer, true, out));
	free(list.clients);
	fclose(out);
}

static void check_answer(const char *request, const char *answer)
{
	json_t *object = json_loads(answer, JSON_REJECT_DUPLICATES, NULL), *asked;
	const json_t *ok = json_object_get(object, "ok");
	const char *error;

	CHECK(json_is_boolean(ok));
	if (json_is_true(ok)) {
		asked = json_loads(request, 0, NULL);
		check_shown(json_string_value(json_object_get(asked, "command")), object);
		json_decref(asked);
	} else {
		error = json_string_value(json_object_get(object, "error"));
		CHECK(error != NULL && is_printable(error));
		CHECK(json_integer_value(json_object_get(object, "status")) > 0);
	}
	json_decref(object);
}

static void ask(const char *request)
{
	struct control_host host = {.tarpit = &tarpit,
				    .started_ms = 1000,
				    .arg = (void *)(uintptr_t)request,
				    .reload = reload};
	char *answer = command_answer(&host, 1234, request, strlen(request));
	uint8_t header[FRAME_HEADER];
	size_t length;

	CHECK(answer != NULL && strlen(answer) > 0 && strlen(answer) < FRAME_REPLY_MAX);
	frame_header(header, strlen(answer));
	CHECK(frame_check(header, sizeof(header), FRAME_REPLY_MAX, &length) == FRAME_PARTIAL);
	CHECK(length == strlen(answer));
	check_answer(request, answer);
	free(answer);
}

static void offend(const char *text)
{
	struct config *config = config_box_get(tarpit.config);
	struct store_query query = {
		.window = window_at(fake_clock.wall_ms(&fake_clock), config->window_s),
		.key_prefix = config->key_prefix};
	struct store_event event = {.side = SIDE_BAD, .amount = 300};
	struct store_view view;
	struct prefix address;

	if (prefix_parse(text, &address)) {
		client_identify(&address, &config->widths, &query.client);
		store_record(tarpit.store, &query, &event, &view);
	}
	config_release(config);
}

static void open_session(const char *text)
{
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	struct connect_event event = {.address = (struct sockaddr *)&ipv6};

	if (sessions_count == SESSIONS || inet_pton(AF_INET6, text, &ipv6.sin6_addr) != 1)
		return;
	sessions[sessions_count] = session_open(&tarpit);
	session_connect(sessions[sessions_count++], &event);
}

/* A page of whole lines, each of which a scraper can read. */
static void scrape(const char *accept)
{
	enum metrics_format format = metrics_page_negotiate(accept);
	struct metrics *metrics = metrics_page_new(&tarpit);
	size_t length = 0;
	char *page = metrics != NULL ? metrics_page_text(metrics, format, &length) : NULL;

	CHECK(page != NULL && length > 0 && page[length - 1] == '\n');
	CHECK(strlen(metrics_page_content_type(format)) > 0);
	for (size_t i = 0; i < length; i++)
		CHECK(page[i] == '\n' || (page[i] >= ' ' && page[i] <= '~'));
	CHECK((format == METRICS_OPENMETRICS) == (memmem(page, length, "# EOF\n", 6) != NULL));
	free(page);
	metrics_page_free(metrics);
}

static void check_frame(const uint8_t *data, size_t size)
{
	size_t length = 0;
	enum frame_state state = frame_check(data, size, FRAME_REQUEST_MAX, &length);

	if (state == FRAME_WHOLE)
		CHECK(length > 0 && length <= FRAME_REQUEST_MAX && length + FRAME_HEADER <= size);
	else
		CHECK(state == FRAME_TOO_LONG || size < FRAME_HEADER + FRAME_REQUEST_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sets[] = {"exempt_clients={192.0.2.128/25}", "ipv4_prefix=30",
					   NULL};
	struct input input = {data, size};

	check_frame(data, size);
	fuzz_tarpit_begin(&tarpit, fuzz_config(sets));
	while (input.length > 0) {
		char *line = take_text(&input, '\n');

		if (line[0] == 'o')
			offend(line + 1);
		else if (line[0] == 's')
			open_session(line + 1);
		else if (line[0] == 't')
			fake_clock_advance((int64_t)(unsigned char)line[1] * 100000);
		else if (line[0] == 'm')
			scrape(line + 1);
		else
			ask(line);
		free(line);
	}
	while (sessions_count > 0)
		session_close(sessions[--sessions_count]);
	fuzz_tarpit_end(&tarpit);
	return 0;
}
