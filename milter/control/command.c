/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "request.h"
#include "base/counters.h"

/* Requests are flat. jansson calls itself for each level: without a bound it needs more stack than we have. */
#define DEPTH_MAX 8
/* An answer's text grows by so much. */
#define TEXT_STEP 4096
/* Digits of numbers: no more than the arithmetic is good for. */
#define PRECISION 12
#define REASON_MAX 512

enum argument_kind { ARGUMENT_NONE, ARGUMENT_CLIENT, ARGUMENT_INTEGER };

struct argument {
	const char *name;
	enum argument_kind kind;
	json_int_t min, max; /* of an integer, which may be left out */
};

struct command {
	const char *name;
	void (*run)(struct request *request);
	struct argument arguments[2];
};

static const struct command commands[] = {
	{"status", command_status, {{0}}},
	{"stalls", command_stalls, {{0}}},
	{"list", command_list, {{"count", ARGUMENT_INTEGER, 1, 1000}}},
	{"show", command_show, {{"client", ARGUMENT_CLIENT, 0, 0}}},
	{"flag",
	 command_flag,
	 {{"client", ARGUMENT_CLIENT, 0, 0}, {"duration_s", ARGUMENT_INTEGER, 1, 30 * 86400}}},
	{"forgive", command_forgive, {{"client", ARGUMENT_CLIENT, 0, 0}}},
	{"reload", command_reload, {{0}}},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define ARGUMENTS (sizeof(commands[0].arguments) / sizeof(commands[0].arguments[0]))

json_t *command_text(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value != NULL)
		return value;
	/* Not UTF-8, as JSON must be. */
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

void command_put(struct request *r, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		r->lacks_memory = true;
}

void command_put_text(struct request *r, json_t *object, const char *key, const char *text)
{
	command_put(r, object, key, command_text(text));
}

void command_put_integer(struct request *r, json_t *object, const char *key, int64_t value)
{
	command_put(r, object, key, json_integer(value));
}

void command_put_real(struct request *r, json_t *object, const char *key, double value)
{
	command_put(r, object, key, json_real(value));
}

void command_append(struct request *r, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		r->lacks_memory = true;
}

static void refuse(struct request *r, int status, const char *reason)
{
	command_put(r, r->answer, "ok", json_false());
	command_put_integer(r, r->answer, "status", status);
	command_put_text(r, r->answer, "error", reason);
}

void command_refuse(struct request *r, int status, const char *format, ...)
{
	char reason[REASON_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	/* What a request says may reach a terminal. */
	for (char *p = reason; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	refuse(r, status, reason);
}

struct window command_now(const struct request *r)
{
	const struct clock *clock = r->tarpit->clock;

	return window_at(clock->wall_ms(clock), r->config->window_s);
}

struct store_query command_query(const struct request *r)
{
	return (struct store_query){
		.client = r->client,
		.window = command_now(r),
		.key_prefix = r->config->key_prefix,
	};
}

bool command_is_remembered(const struct store_view *view)
{
	return view->by_hand || view->announced || !tally_is_zero(&view->client);
}

/* An address, or a prefix no wider than what counts as one client. */
static bool take_client(struct request *r, const char *name, const json_t *value)
{
	const struct client_widths *widths = &r->config->widths;
	const char *text = json_string_value(value);
	struct prefix address;
	bool is_ipv4;
	unsigned bits;

	if (text == NULL) {
		command_refuse(r, STATUS_USAGE, "%s: not a string", name);
		return false;
	}
	if (!prefix_parse_cut(text, &r->prefix)) {
		command_refuse(r, STATUS_USAGE, "%.100s: neither an address nor a prefix", text);
		return false;
	}
	is_ipv4 = r->prefix.family == 4;
	bits = is_ipv4 ? widths->ipv4_prefix : widths->ipv6_prefix;
	if (r->prefix.bits < bits) {
		char canonical[PREFIX_TEXT_MAX];

		command_refuse(r, STATUS_REFUSED,
			       "%s is wider than a client (%s = %u): name an address",
			       prefix_format(&r->prefix, canonical),
			       is_ipv4 ? "ipv4_prefix" : "ipv6_prefix", bits);
		return false;
	}
	address = r->prefix;
	address.bits = is_ipv4 ? 32 : 128;
	client_identify(&address, widths, &r->client);
	return true;
}

static bool take_integer(struct request *r, const struct argument *argument, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < argument->min ||
	    json_integer_value(value) > argument->max) {
		command_refuse(r, STATUS_USAGE,
			       "%s: not an integer from %" JSON_INTEGER_FORMAT
			       " to %" JSON_INTEGER_FORMAT,
			       argument->name, argument->min, argument->max);
		return false;
	}
	r->number = json_integer_value(value);
	return true;
}

static bool take_argument(struct request *r, const struct argument *argument, const json_t *value)
{
	if (value == NULL) {
		if (argument->kind == ARGUMENT_INTEGER)
			return true;
		command_refuse(r, STATUS_USAGE, "%s is missing", argument->name);
		return false;
	}
	if (argument->kind == ARGUMENT_INTEGER)
		return take_integer(r, argument, value);
	return take_client(r, argument->name, value);
}

static bool is_argument(const struct command *command, const char *name)
{
	for (size_t i = 0; i < ARGUMENTS; i++)
		if (command->arguments[i].kind != ARGUMENT_NONE &&
		    strcmp(command->arguments[i].name, name) == 0)
			return true;
	return strcmp(name, "command") == 0;
}

static bool take_arguments(struct request *r, const struct command *command, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		if (is_argument(command, name))
			continue;
		command_refuse(r, STATUS_USAGE, "%.100s: no argument of %s", name, command->name);
		return false;
	}
	for (size_t i = 0; i < ARGUMENTS; i++) {
		const struct argument *argument = &command->arguments[i];

		if (argument->kind != ARGUMENT_NONE &&
		    !take_argument(r, argument, json_object_get(object, argument->name)))
			return false;
	}
	return true;
}

static void run(struct request *r, json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "command"));

	if (name == NULL) {
		command_refuse(r, STATUS_USAGE, "no command");
		return;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (take_arguments(r, &commands[i], object))
			commands[i].run(r);
		return;
	}
	command_refuse(r, STATUS_USAGE, "%.100s: no such command", name);
}

static bool is_too_deep(const char *text, size_t length)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < length; i++) {
		if (in_string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				in_string = false;
		} else if (text[i] == '"') {
			in_string = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

static void parse_and_run(struct request *r, const char *text, size_t length)
{
	json_error_t error;
	json_t *object;

	if (is_too_deep(text, length)) {
		command_refuse(r, STATUS_USAGE, "no request: nested too deeply");
		return;
	}
	object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL)
		command_refuse(r, STATUS_USAGE, "no JSON: %s", error.text);
	else if (!json_is_object(object))
		command_refuse(r, STATUS_USAGE, "no request: not an object");
	else
		run(r, object);
	json_decref(object);
}

struct text {
	char *bytes;
	size_t length, room;
	bool lacks_memory;
};

static int append(const char *bytes, size_t length, void *arg)
{
	struct text *text = arg;
	size_t room = text->room;
	char *grown;

	while (room - text->length <= length)
		room += TEXT_STEP > room ? TEXT_STEP : room;
	grown = room > text->room ? realloc(text->bytes, room) : text->bytes;
	if (grown == NULL) {
		text->lacks_memory = true;
		return -1;
	}
	memcpy(grown + text->length, bytes, length);
	text->bytes = grown;
	text->room = room;
	text->length += length;
	text->bytes[text->length] = '\0';
	return 0;
}

/* NULL without memory; jansson's own json_dumps may then leave out a name and go on. */
static char *dump(const json_t *answer)
{
	struct text text = {0};
	int result = json_dump_callback(answer, append, &text,
					JSON_COMPACT | JSON_REAL_PRECISION(PRECISION));

	if (result == 0 && !text.lacks_memory)
		return text.bytes;
	free(text.bytes);
	return NULL;
}

char *command_answer(const struct control_host *host, uid_t uid, const char *request, size_t length)
{
	struct config *config = config_box_get(host->tarpit->config);
	struct request r = {.host = host,
			    .tarpit = host->tarpit,
			    .config = config,
			    .uid = uid,
			    .answer = json_object()};
	char *text = NULL;

	if (r.answer != NULL) {
		command_put(&r, r.answer, "ok", json_true());
		parse_and_run(&r, request, length);
		if (!r.lacks_memory)
			text = dump(r.answer);
	}
	json_decref(r.answer);
	config_release(config);
	return text;
}

char *command_refusal(int status, const char *reason)
{
	struct request r = {.answer = json_object()};
	char *text = NULL;

	if (r.answer == NULL)
		return NULL;
	refuse(&r, status, reason);
	if (!r.lacks_memory)
		text = dump(r.answer);
	json_decref(r.answer);
	return text;
}

const char *command_library_version(void)
{
	return "jansson " JANSSON_VERSION;
}
