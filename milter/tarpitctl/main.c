/* SPDX-License-Identifier: BSD-2-Clause */
/* tarpitctl: reads the command line, runs the command, and shows the answer. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
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

#include "ask.h"
#include "base/duration.h"
#include "config.h"
#include "doctor.h"
#include "export.h"
#include "replay/replay.h"
#include "setup/setup.h"
#include "table.h"
#include "text.h"
#include "top.h"

#define PREFIX "tarpitctl: "
#define ERROR_MAX 1024
#define STATUS_MAX 255 /* of a process */
#define LIST_MAX 1000
#define FLAG_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)
#define REAL_DIGITS 15 /* so that 0.1 is printed as 0.1 */

/* The options of the command line that all commands have, and those of a few. */
struct options {
	const char *socket_path; /* of -S; NULL: not given */
	const char *count; /* of -n; NULL: not given */
	struct export_options export;
	bool exports; /* one of those is given */
	bool json;
	bool names_json; /* --json stands somewhere, even if getopt stops at a fault before it */
	enum { RUN_COMMAND, SHOW_HELP, SHOW_VERSION } action;
};

/* --- messages ------------------------------------------------------------------------------ */

/* Prints a line on stderr; no byte of the text can control the terminal. */
static void complain(const char *prefix, const char *text)
{
	char *escaped = table_escape(text);

	fprintf(stderr, "%s%s\n", prefix, escaped != NULL ? escaped : "out of memory");
	free(escaped);
}

static void print_json(const json_t *document)
{
	char *text = json_dumps(document, JSON_ENSURE_ASCII | JSON_REAL_PRECISION(REAL_DIGITS));

	if (text == NULL) {
		complain(PREFIX, "out of memory");
		return;
	}
	/* DEL is the one control character that jansson does not escape. */
	for (const char *p = text; *p != '\0'; p++)
		if (*p == '\177')
			fputs("\\u007f", stdout);
		else
			fputc(*p, stdout);
	fputc('\n', stdout);
	free(text);
}

static int fail(const struct options *options, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells the user what is wrong, as text or as JSON. Returns status. */
static int fail(const struct options *options, int status, const char *format, ...)
{
	bool json = options->json || (status == EX_USAGE && options->names_json);
	char text[ERROR_MAX], *escaped;
	json_t *document;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!json || status == EX_USAGE)
		complain(PREFIX, text);
	if (!json)
		return status;
	/* The text may quote an argument that is not UTF-8, which jansson refuses. */
	escaped = table_escape(text);
	document = json_pack("{s:b,s:i,s:s}", "ok", 0, "status", status, "error",
			     escaped != NULL ? escaped : "out of memory");
	print_json(document);
	json_decref(document);
	free(escaped);
	return status;
}

static const char *socket_of(const struct options *options)
{
	return options->socket_path != NULL ? options->socket_path : ASK_SOCKET;
}

static bool wants_colour(void)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no_colour == NULL || *no_colour == '\0') &&
	       terminal != NULL && *terminal != '\0' && strcmp(terminal, "dumb") != 0;
}

/* --- the answer ---------------------------------------------------------------------------- */

/* The exit status that the answer asks for; -1 if the answer is not as promised. */
static int exit_status(const json_t *answer)
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

/* Why the daemon refused, and faults of a configuration. False: not as promised. */
static bool show_refusal(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const json_t *faults = json_object_get(answer, "faults");

	if (error == NULL || (faults != NULL && !json_is_array(faults)))
		return false;
	complain(PREFIX, error);
	for (size_t i = 0; i < json_array_size(faults); i++) {
		const char *fault = json_string_value(json_array_get(faults, i));

		if (fault == NULL)
			return false;
		complain("", fault);
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
	if (!text_print(command, answer, wants_colour(), stdout))
		return false;
	if (warning != NULL)
		complain(PREFIX, json_string_value(warning));
	return true;
}

static int present(const struct options *options, const char *command, const json_t *answer)
{
	int status = exit_status(answer);

	if (options->json) {
		print_json(answer);
		return status >= 0 ? status : EX_UNAVAILABLE;
	}
	if (status >= 0 && show_text(command, answer))
		return status;
	return fail(options, EX_UNAVAILABLE,
		    "the daemon's answer is not one that tarpitctl " PACKAGE_VERSION
		    " understands");
}

/* Sends the request, which is released, and shows the answer. Returns the exit status. */
static int ask(const struct options *options, const char *command, json_t *request)
{
	char error[ERROR_MAX];
	json_t *answer = NULL;
	int connection, status;

	if (request == NULL)
		return fail(options, EX_USAGE, "an argument is not UTF-8");
	connection = ask_connect(socket_of(options), error, sizeof(error));
	if (connection >= 0) {
		answer = ask_daemon(connection, request, error, sizeof(error));
		close(connection);
	}
	json_decref(request);
	if (answer == NULL)
		return fail(options, EX_UNAVAILABLE, "%s", error);
	status = present(options, command, answer);
	json_decref(answer);
	return status;
}

/* --- the commands -------------------------------------------------------------------------- */

static int run_plain(const struct options *options, int argc, char **argv)
{
	(void)argc;
	return ask(options, argv[0], json_pack("{s:s}", "command", argv[0]));
}

static int run_list(const struct options *options, int argc, char **argv)
{
	char *end;
	long count;

	if (options->count == NULL)
		return run_plain(options, argc, argv);
	errno = 0;
	count = strtol(options->count, &end, 10);
	if (*end != '\0' || end == options->count || errno != 0 || count < 1 || count > LIST_MAX)
		return fail(options, EX_USAGE, "'%s': -n takes a number from 1 to %d",
			    options->count, LIST_MAX);
	return ask(options, argv[0],
		   json_pack("{s:s,s:I}", "command", argv[0], "count", (json_int_t)count));
}

static int run_client(const struct options *options, int argc, char **argv)
{
	(void)argc;
	return ask(options, argv[0], json_pack("{s:s,s:s}", "command", argv[0], "client", argv[1]));
}

static int run_flag(const struct options *options, int argc, char **argv)
{
	int64_t ms;

	if (argc < 3)
		return run_client(options, argc, argv);
	if (!duration_parse(argv[2], &ms))
		return fail(options, EX_USAGE, "'%s': not a duration (20s, 5m, 4h, 2d, or seconds)",
			    argv[2]);
	if (ms < 1000 || ms > FLAG_MAX_MS || ms % 1000 != 0)
		return fail(options, EX_USAGE, "'%s': out of range (whole seconds, 1s to 30d)",
			    argv[2]);
	return ask(options, argv[0],
		   json_pack("{s:s,s:s,s:I}", "command", argv[0], "client", argv[1], "duration_s",
			     (json_int_t)(ms / 1000)));
}

static int run_top(const struct options *options, int argc, char **argv)
{
	char error[ERROR_MAX] = "";
	int status;

	(void)argc;
	if (options->json)
		return fail(options, EX_USAGE,
			    "%s: a screen is no JSON: take status, stalls and list", argv[0]);
	status = top_run(socket_of(options), error, sizeof(error));
	return status == EX_OK ? status : fail(options, status, "%s", error);
}

static int run_export(const struct options *options, int argc, char **argv)
{
	struct export_options wished = options->export;
	char error[ERROR_MAX] = "";
	int status;

	(void)argc;
	if (wished.format == NULL)
		wished.format = options->json ? "json" : "cidr";
	if (options->json && strcmp(wished.format, "json") != 0)
		return fail(options, EX_USAGE, "%s: --json is a format, too", argv[0]);
	status = export_run(socket_of(options), &wished, error, sizeof(error));
	return status == EX_OK ? status : fail(options, status, "%s", error);
}

static int run_doctor(const struct options *options, int argc, char **argv)
{
	return doctor_main(argc, argv, options->socket_path, options->json);
}

static int run_replay(const struct options *options, int argc, char **argv)
{
	return replay_main(argc, argv, options->json);
}

static int run_setup(const struct options *options, int argc, char **argv)
{
	return setup_main(argc, argv, options->json);
}

/* `arguments` is for the usage; least and most are how many there may be. */
struct command {
	const char *name, *arguments, *help;
	int least, most;
	const char *letters; /* of getopt, beside the common options */
	/* One of both; argv[0] is the command's name. run_alone reads its own options. */
	int (*run)(const struct options *options, int argc, char **argv);
	int (*run_alone)(const struct options *options, int argc, char **argv);
};

/* The manual page and the completion list these too; test_tarpitctl.py compares them. */
static const struct command commands[] = {
	{"status", "", "what the daemon is doing, and its counters", 0, 0, "", run_plain, NULL},
	{"stalls", "", "who is waiting now", 0, 0, "", run_plain, NULL},
	{"list", "[-n N]", "the worst clients, worst first (20 of them)", 0, 0, "n:", run_list,
	 NULL},
	{"show", "CLIENT", "how a client stands, and why", 1, 1, "", run_client, NULL},
	{"flag", "CLIENT [DURATION]", "slow a client, whatever it has done", 1, 2, "", run_flag,
	 NULL},
	{"forgive", "CLIENT", "forget a client, and end its stalls now", 1, 1, "", run_client,
	 NULL},
	{"reload", "", "read the configuration again", 0, 0, "", run_plain, NULL},
	{"export", "[OPTION]...", "who is flagged, and for how long: for a firewall", 0, 0, "",
	 run_export, NULL},
	{"top", "", "a live screen; q quits", 0, 0, "", run_top, NULL},
	{"replay", "[OPTION]... FILE...", "what this configuration makes of a mail log", 0, 0, "",
	 NULL, run_replay},
	{"setup", "[OPTION]... MTA", "make or undo what postfix or sendmail needs", 0, 0, "", NULL,
	 run_setup},
	{"doctor", "[OPTION]...", "what is wrong with the installation, and its mend", 0, 0, "",
	 NULL, run_doctor},
	{"check", "[OPTION]...", "the same in a line for Nagios, Icinga, monit", 0, 0, "", NULL,
	 run_doctor},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* --- the command line ---------------------------------------------------------------------- */

/* Options of export, which have no letter. */
enum { OPTION_FORMAT = UCHAR_MAX + 1, OPTION_TIMEOUT, OPTION_OBSERVE };

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 'S'},
	{"json", no_argument, NULL, 'j'},
	{"format", required_argument, NULL, OPTION_FORMAT},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"observe", no_argument, NULL, OPTION_OBSERVE},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static bool take_export(struct export_options *export, int option)
{
	switch (option) {
	case OPTION_FORMAT:
		export->format = optarg;
		return true;
	case OPTION_TIMEOUT:
		export->timeout = optarg;
		return true;
	case OPTION_OBSERVE:
		export->observe = true;
		return true;
	default:
		return false;
	}
}

static bool take(struct options *options, int option)
{
	switch (option) {
	case 'S':
		options->socket_path = optarg;
		return true;
	case 'n':
		options->count = optarg;
		return true;
	case 'j':
		options->json = true;
		return true;
	case 'V':
		options->action = SHOW_VERSION;
		return true;
	case 'h':
		options->action = SHOW_HELP;
		return true;
	default:
		options->exports = true;
		return take_export(&options->export, option);
	}
}

static bool parse(struct options *options, int argc, char **argv, const char *letters)
{
	int option;

	while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		if (!take(options, option))
			return false;
	return true;
}

static void print_usage(FILE *out)
{
	fputs("usage: tarpitctl [-S SOCKET] [--json] COMMAND\n"
	      "       tarpitctl -V | -h\n"
	      "\n"
	      "  -S, --socket SOCKET   ask there, not at " ASK_SOCKET "\n"
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
	fputs("\noptions of export:\n"
	      "  --format FORMAT     cidr (as if none is given), nft, ipset, rbldnsd, postscreen "
	      "or "
	      "json\n"
	      "  --timeout DURATION  hold nobody off for longer than that\n"
	      "  --observe           name them in mode = observe, too\n"
	      "\nCLIENT is an address or a network; DURATION is 20s, 5m, 4h, 2d, or seconds.\n",
	      out);
}

static int misused(const struct options *options, const char *argument, const char *reason)
{
	int status = fail(options, EX_USAGE, "%s%s", argument, reason);

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
static int run_command(struct options *options, const struct command *command, int argc,
		       char **argv)
{
	char letters[16], *name = argv[0];

	optind = 0; /* getopt starts anew */
	if (command->run_alone != NULL)
		return command->run_alone(options, argc, argv);
	/* The common options may stand behind the command too. */
	snprintf(letters, sizeof(letters), "S:Vh%s", command->letters);
	argv[0] = program_invocation_short_name;
	if (!parse(options, argc, argv, letters) ||
	    (options->exports && command->run != run_export))
		return misused(options, "", "wrong option");
	if (options->action != RUN_COMMAND)
		return EX_OK;
	argc -= optind - 1;
	argv += optind - 1;
	argv[0] = name;
	if (argc - 1 < command->least)
		return misused(options, name, ": an argument is missing");
	if (argc - 1 > command->most)
		return misused(options, name, ": there is an argument too many");
	return command->run(options, argc, argv);
}

static int run(struct options *options, int argc, char **argv)
{
	const struct command *command;
	int status = EX_OK;

	if (!parse(options, argc, argv, "+S:Vh") || options->exports)
		return misused(options, "", "wrong option");
	if (options->action == RUN_COMMAND) {
		if (optind == argc)
			return misused(options, "", "no command");
		command = find_command(argv[optind]);
		if (command == NULL)
			return misused(options, argv[optind], ": no such command");
		status = run_command(options, command, argc - optind, argv + optind);
	}
	if (options->action == SHOW_HELP)
		print_usage(stdout);
	else if (options->action == SHOW_VERSION)
		printf("tarpitctl %s\njansson %s\n", PACKAGE_VERSION, JANSSON_VERSION);
	return status;
}

/* Whether the reader of a pipe has closed it, as head does: no fault. */
static bool reader_has_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	int status;

	for (int i = 1; i < argc; i++)
		options.names_json = options.names_json || strcmp(argv[i], "--json") == 0;
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "");
	status = run(&options, argc, argv);
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	/* A command may have found out by itself that it cannot write. */
	if (reader_has_gone())
		return status == EX_IOERR ? EX_OK : status;
	fprintf(stderr, "tarpitctl: standard output: %s\n",
		errno != 0 ? strerror(errno) : "could not be written");
	return EX_IOERR;
}
