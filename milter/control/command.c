/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands: reads a request, checks its arguments, and runs its command. */
#include "control/command.h"

#include <string.h>

#include "change.h"
#include "export.h"
#include "request.h"
#include "show.h"

/* Requests are flat. jansson recurses for each level: a deep one would use up the stack. */
#define DEPTH_MAX 8

enum argument_kind { ARGUMENT_NONE, ARGUMENT_CLIENT, ARGUMENT_INTEGER, ARGUMENT_AFTER };

struct argument {
	const char *name;
	enum argument_kind kind;
	json_int_t min, max; /* of an integer */
};

struct command {
	const char *name;
	void (*run)(struct request *request);
	struct argument arguments[2];
};

static const struct command commands[] = {
	{"status", show_status, {{0}}},
	{"stalls", show_stalls, {{0}}},
	{"list", show_list, {{"count", ARGUMENT_INTEGER, 1, 1000}}},
	{"show", show_client, {{"client", ARGUMENT_CLIENT, 0, 0}}},
	{"flag",
	 change_flag,
	 {{"client", ARGUMENT_CLIENT, 0, 0}, {"duration_s", ARGUMENT_INTEGER, 1, 30 * 86400}}},
	{"forgive", change_forgive, {{"client", ARGUMENT_CLIENT, 0, 0}}},
	{"reload", change_reload, {{0}}},
	{"export",
	 export_clients,
	 {{"after", ARGUMENT_AFTER, 0, 0}, {"count", ARGUMENT_INTEGER, 1, EXPORT_MAX}}},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define ARGUMENTS (sizeof(commands[0].arguments) / sizeof(commands[0].arguments[0]))

/* Takes an address, or a prefix no wider than what counts as one client. */
static bool take_client(struct request *r, const char *name, const json_t *value)
{
	const struct client_widths *widths = &r->config->widths;
	const char *text = json_string_value(value);
	struct prefix address;
	bool is_ipv4;
	unsigned bits;

	if (text == NULL)
		return request_refuse(r, COMMAND_USAGE, "%s: not a string", name);
	if (!prefix_parse_cut(text, &r->prefix))
		return request_refuse(r, COMMAND_USAGE, "%.100s: neither an address nor a prefix",
				      text);
	r->written = r->prefix;
	prefix_untranslate(&r->prefix, widths);
	is_ipv4 = r->prefix.family == 4;
	bits = is_ipv4 ? widths->ipv4_prefix : widths->ipv6_prefix;
	if (r->prefix.bits < bits) {
		char canonical[PREFIX_TEXT_MAX];

		return request_refuse(r, COMMAND_REFUSED,
				      "%s is wider than a client (%s = %u): name an address",
				      prefix_format(&r->prefix, canonical),
				      is_ipv4 ? "ipv4_prefix" : "ipv6_prefix", bits);
	}
	address = r->prefix;
	address.bits = is_ipv4 ? 32 : 128;
	client_identify(&address, widths, &r->client);
	return true;
}

static bool take_integer(struct request *r, const struct argument *argument, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < argument->min ||
	    json_integer_value(value) > argument->max)
		return request_refuse(r, COMMAND_USAGE,
				      "%s: not an integer from %" JSON_INTEGER_FORMAT
				      " to %" JSON_INTEGER_FORMAT,
				      argument->name, argument->min, argument->max);
	r->number = json_integer_value(value);
	return true;
}

/* Takes a prefix as an answer has it: the last client of the page before. */
static bool take_after(struct request *r, const char *name, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text == NULL || !prefix_parse(text, &r->after))
		return request_refuse(r, COMMAND_USAGE, "%s: not a prefix", name);
	return true;
}

/* All but a client may be left out. */
static bool take_argument(struct request *r, const struct argument *argument, const json_t *value)
{
	if (value == NULL && argument->kind == ARGUMENT_CLIENT)
		return request_refuse(r, COMMAND_USAGE, "%s is missing", argument->name);
	if (value == NULL)
		return true;
	if (argument->kind == ARGUMENT_INTEGER)
		return take_integer(r, argument, value);
	if (argument->kind == ARGUMENT_AFTER)
		return take_after(r, argument->name, value);
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
		return request_refuse(r, COMMAND_USAGE, "%.100s: no argument of %s", name,
				      command->name);
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
		request_refuse(r, COMMAND_USAGE, "no command");
		return;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (take_arguments(r, &commands[i], object))
			commands[i].run(r);
		return;
	}
	request_refuse(r, COMMAND_USAGE, "%.100s: no such command", name);
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
		request_refuse(r, COMMAND_USAGE, "no request: nested too deeply");
		return;
	}
	object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL)
		request_refuse(r, COMMAND_USAGE, "no JSON: %s", error.text);
	else if (!json_is_object(object))
		request_refuse(r, COMMAND_USAGE, "no request: not an object");
	else
		run(r, object);
	json_decref(object);
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
		request_put(&r, r.answer, "ok", json_true());
		parse_and_run(&r, request, length);
		text = request_dump(&r);
	}
	json_decref(r.answer);
	config_release(config);
	return text;
}

char *command_refusal(enum command_status status, const char *reason)
{
	struct request r = {.answer = json_object()};
	char *text = NULL;

	if (r.answer != NULL) {
		request_refuse(&r, status, "%s", reason);
		text = request_dump(&r);
	}
	json_decref(r.answer);
	return text;
}

const char *command_library_version(void)
{
	return "jansson " JANSSON_VERSION;
}
