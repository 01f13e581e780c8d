/* SPDX-License-Identifier: BSD-2-Clause */
/* tarpitctl: options, the table of commands, and what becomes of an answer. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "ask.h"
#include "table.h"
#include "replay/replay.h"
#include "base/duration.h"

#define ERROR_MAX 1024
#define STATUS_REFUSED 1
#define STATUS_MAX 255 /* of a process */
#define LIST_MAX 1000
#define FLAG_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)
#define REAL_DIGITS 15 /* 0.1 as 0.1 */

/* What the command line asks for. */
struct ctl {
	const char *socket_path;
	const char *count; /* of -n; NULL: not given */
	bool json;
	bool names_json; /* it stands somewhere, though it may not have been read yet */
	enum { ACT, SHOW_HELP, SHOW_VERSION } action;
};

/* `arguments` is for people; least and most are how many there may be. run gets the name as argv[0]. */
struct command {
	const char *name, *arguments, *help;
	int least, most;
	const char *
		options; /* of getopt, beside the common ones; NULL: run reads its options itself */
	int (*run)(const struct ctl *ctl, int argc, char **argv);
};

static int run_plain(const struct ctl *ctl, int argc, char **argv);
static int run_list(const struct ctl *ctl, int argc, char **argv);
static int run_client(const struct ctl *ctl, int argc, char **argv);
static int run_flag(const struct ctl *ctl, int argc, char **argv);
static int run_top(const struct ctl *ctl, int argc, char **argv);
static int run_replay(const struct ctl *ctl, int argc, char **argv);

/* The manual page, the completion and their test know the columns of this table. */
static const struct command commands[] = {
	{"status", "", "what the daemon is doing, and its counters", 0, 0, "", run_plain},
	{"stalls", "", "who is waiting now", 0, 0, "", run_plain},
	{"list", "[-n N]", "the worst clients, worst first (20 of them)", 0, 0, "n:", run_list},
	{"show", "CLIENT", "how a client stands, and why", 1, 1, "", run_client},
	{"flag", "CLIENT [DURATION]", "slow a client, whatever it has done", 1, 2, "", run_flag},
	{"forgive", "CLIENT", "forget a client, and end its stalls now", 1, 1, "", run_client},
	{"reload", "", "read the configuration again", 0, 0, "", run_plain},
	{"top", "", "a live screen; q quits", 0, 0, "", run_top},
	{"replay", "[OPTION]... FILE...", "what this configuration makes of a mail log", 0, 0, NULL,
	 run_replay},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *out)
{
	fputs("usage: tarpitctl [-S SOCKET] [--json] COMMAND\n"
	      "       tarpitctl -V | -h\n"
	      "\n"
	      "  -S, --socket SOCKET   ask there, not at " CTL_SOCKET "\n"
	      "      --json            print the answer as one JSON document\n"
	      "  -V, --version         print the version, and exit\n"
	      "  -h, --help            print this, and exit\n"
	      "\n"
	      "commands:\n",
	      out);
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *command = &commands[i];
		int width = fprintf(out, "  %s %s", command->name, command->arguments);

		fprintf(out, "%*s%s\n", width < 30 ? 30 - width : 1, "", command->help);
	}
	fputs("\nCLIENT is an address or a network; DURATION is 20s, 5m, 4h, 2d, or seconds.\n",
	      out);
}

/* --- what is said to the user -------------------------------------------------------------- */

/* A text of whatever origin, on stderr. */
static void complain(const char *text)
{
	char *escaped = ctl_escape(text);

	fprintf(stderr, "tarpitctl: %s\n", escaped != NULL ? escaped : "out of memory");
	free(escaped);
}

static void print_json(const json_t *document)
{
	char *text = json_dumps(document, JSON_ENSURE_ASCII | JSON_REAL_PRECISION(REAL_DIGITS));

	if (text == NULL) {
		complain("out of memory");
		return;
	}
	/* The one control character that JSON leaves as it is. */
	for (const char *p = text; *p != '\0'; p++)
		if (*p == '\177')
			fputs("\\u007f", stdout);
		else
			fputc(*p, stdout);
	fputc('\n', stdout);
	free(text);
}

static int fail(const struct ctl *ctl, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells what is wrong, in the form that is asked for. Returns status. */
static int fail(const struct ctl *ctl, int status, const char *format, ...)
{
	bool json = ctl->json || (status == EX_USAGE && ctl->names_json);
	char text[ERROR_MAX], *escaped;
	json_t *document;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!json || status == EX_USAGE)
		complain(text);
	if (!json)
		return status;
	/* Arguments of the user need not be UTF-8. */
	escaped = ctl_escape(text);
	document = json_pack("{s:b,s:i,s:s}", "ok", 0, "status", status, "error",
			     escaped != NULL ? escaped : "out of memory");
	print_json(document);
	json_decref(document);
	free(escaped);
	return status;
}

static bool wants_colour(void)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no_colour == NULL || *no_colour == '\0') &&
	       terminal != NULL && *terminal != '\0' && strcmp(terminal, "dumb") != 0;
}

/* --- the answer ---------------------------------------------------------------------------- */

/* The exit status that the answer asks for; -1 if it is no answer at all. */
static int status_of(const json_t *answer)
{
	const json_t *ok = json_object_get(answer, "ok");
	const json_t *status = json_object_get(answer, "status");
	json_int_t number = json_integer_value(status);

	if (!json_is_boolean(ok) || (status != NULL && !json_is_integer(status)))
		return -1;
	if (number < 0 || number > STATUS_MAX || (json_is_false(ok) && number == 0))
		return -1;
	return (int)number;
}

/* What the daemon refused, and each fault of a configuration on a line of its own. */
static bool show_refusal(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const json_t *faults = json_object_get(answer, "faults");

	if (error == NULL || (faults != NULL && !json_is_array(faults)))
		return false;
	complain(error);
	for (size_t i = 0; i < json_array_size(faults); i++) {
		const char *fault = json_string_value(json_array_get(faults, i));
		char *escaped = fault != NULL ? ctl_escape(fault) : NULL;

		if (escaped == NULL)
			return false;
		fprintf(stderr, "%s\n", escaped);
		free(escaped);
	}
	return true;
}

static bool show_text(const char *command, const json_t *answer)
{
	const json_t *warning = json_object_get(answer, "warning");

	if (json_is_false(json_object_get(answer, "ok")))
		return show_refusal(answer);
	if (warning != NULL && !json_is_string(warning))
		return false;
	if (!ctl_show(command, answer, wants_colour(), stdout))
		return false;
	if (warning != NULL)
		complain(json_string_value(warning));
	return true;
}

static int present(const struct ctl *ctl, const char *command, const json_t *answer)
{
	int status = status_of(answer);

	if (ctl->json) {
		print_json(answer);
		return status >= 0 ? status : EX_UNAVAILABLE;
	}
	if (status >= 0 && show_text(command, answer))
		return status;
	return fail(ctl, EX_UNAVAILABLE,
		    "the daemon's answer is not one that tarpitctl " PACKAGE_VERSION
		    " understands");
}

/* Puts the request, which is released, and shows the answer. */
static int ask(const struct ctl *ctl, const char *command, json_t *request)
{
	char error[ERROR_MAX];
	struct ctl_link *link;
	json_t *answer = NULL;
	int status;

	if (request == NULL)
		return fail(ctl, EX_USAGE, "an argument is not UTF-8");
	link = ctl_connect(ctl->socket_path, error, sizeof(error));
	if (link != NULL)
		answer = ctl_ask(link, request, error, sizeof(error));
	ctl_close(link);
	json_decref(request);
	if (answer == NULL)
		return fail(ctl, EX_UNAVAILABLE, "%s", error);
	status = present(ctl, command, answer);
	json_decref(answer);
	return status;
}

/* --- the commands -------------------------------------------------------------------------- */

static int run_plain(const struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ask(ctl, argv[0], json_pack("{s:s}", "command", argv[0]));
}

static int run_list(const struct ctl *ctl, int argc, char **argv)
{
	char *end;
	long count;

	if (ctl->count == NULL)
		return run_plain(ctl, argc, argv);
	errno = 0;
	count = strtol(ctl->count, &end, 10);
	if (*end != '\0' || end == ctl->count || errno != 0 || count < 1 || count > LIST_MAX)
		return fail(ctl, EX_USAGE, "'%s': -n takes a number from 1 to %d", ctl->count,
			    LIST_MAX);
	return ask(ctl, argv[0],
		   json_pack("{s:s,s:I}", "command", argv[0], "count", (json_int_t)count));
}

static int run_client(const struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ask(ctl, argv[0], json_pack("{s:s,s:s}", "command", argv[0], "client", argv[1]));
}

static int run_flag(const struct ctl *ctl, int argc, char **argv)
{
	int64_t ms;

	if (argc < 3)
		return run_client(ctl, argc, argv);
	if (!duration_parse(argv[2], &ms))
		return fail(ctl, EX_USAGE, "'%s': not a duration (20s, 5m, 4h, 2d, or seconds)",
			    argv[2]);
	if (ms < 1000 || ms > FLAG_MAX_MS || ms % 1000 != 0)
		return fail(ctl, EX_USAGE, "'%s': out of range (whole seconds, 1s to 30d)",
			    argv[2]);
	return ask(ctl, argv[0],
		   json_pack("{s:s,s:s,s:I}", "command", argv[0], "client", argv[1], "duration_s",
			     (json_int_t)(ms / 1000)));
}

static int run_top(const struct ctl *ctl, int argc, char **argv)
{
	char error[ERROR_MAX] = "";
	int status;

	(void)argc;
	if (ctl->json)
		return fail(ctl, EX_USAGE, "%s: a screen is no JSON: take status, stalls and list",
			    argv[0]);
	status = ctl_top(ctl->socket_path, error, sizeof(error));
	return status == EX_OK ? status : fail(ctl, status, "%s", error);
}

static int run_replay(const struct ctl *ctl, int argc, char **argv)
{
	optind = 0; /* for whoever calls getopt next */
	return replay_main(argc, argv, ctl->json);
}

/* --- the command line ---------------------------------------------------------------------- */

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 'S'},
	{"json", no_argument, NULL, 'j'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static bool take(struct ctl *ctl, int option)
{
	switch (option) {
	case 'S':
		ctl->socket_path = optarg;
		return true;
	case 'n':
		ctl->count = optarg;
		return true;
	case 'j':
		ctl->json = true;
		return true;
	case 'V':
		ctl->action = SHOW_VERSION;
		return true;
	case 'h':
		ctl->action = SHOW_HELP;
		return true;
	default:
		return false;
	}
}

static bool parse(struct ctl *ctl, int argc, char **argv, const char *letters)
{
	int option;

	while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		if (!take(ctl, option))
			return false;
	return true;
}

static int misused(const struct ctl *ctl, const char *argument, const char *reason)
{
	int status = fail(ctl, EX_USAGE, "%s%s", argument, reason);

	print_usage(stderr);
	return status;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* The rest of the command line, from the command's name on. */
static int run_command(struct ctl *ctl, const struct command *command, int argc, char **argv)
{
	char letters[16], *name = argv[0];

	if (command->options == NULL)
		return command->run(ctl, argc, argv);
	/* The common options may stand behind the command too. */
	snprintf(letters, sizeof(letters), "S:Vh%s", command->options);
	argv[0] = program_invocation_short_name;
	optind = 0;
	if (!parse(ctl, argc, argv, letters))
		return misused(ctl, "", "wrong option");
	if (ctl->action != ACT)
		return EX_OK;
	argc -= optind - 1;
	argv += optind - 1;
	argv[0] = name;
	if (argc - 1 < command->least)
		return misused(ctl, name, ": an argument is missing");
	if (argc - 1 > command->most)
		return misused(ctl, name, ": there is an argument too many");
	return command->run(ctl, argc, argv);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct command *command;
	int status = EX_OK;

	if (!parse(ctl, argc, argv, "+S:Vh"))
		return misused(ctl, "", "wrong option");
	if (ctl->action == ACT) {
		if (optind == argc)
			return misused(ctl, "", "no command");
		command = find_command(argv[optind]);
		if (command == NULL)
			return misused(ctl, argv[optind], ": no such command");
		status = run_command(ctl, command, argc - optind, argv + optind);
	}
	if (ctl->action == SHOW_HELP)
		print_usage(stdout);
	else if (ctl->action == SHOW_VERSION)
		printf("tarpitctl %s\njansson %s\n", PACKAGE_VERSION, JANSSON_VERSION);
	return status;
}

/* A reader that has had enough, as in `| head`, is no fault. */
static bool reader_has_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.socket_path = CTL_SOCKET};
	int status;

	for (int i = 1; i < argc; i++)
		ctl.names_json = ctl.names_json || strcmp(argv[i], "--json") == 0;
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "");
	status = run(&ctl, argc, argv);
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	/* A command may have met the fault by itself. */
	if (reader_has_gone())
		return status == EX_IOERR ? EX_OK : status;
	fprintf(stderr, "tarpitctl: standard output: %s\n",
		errno != 0 ? strerror(errno) : "could not be written");
	return EX_IOERR;
}
