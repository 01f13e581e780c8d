/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl doctor` and `check`: asks the daemon, has the checks made, and prints the report. */
#include "doctor.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "base/hash.h"
#include "base/printable.h"
#include "config.h"
#include "config/config.h"
#include "doctor/facts.h"
#include "doctor/report.h"

static const char usage[] =
	"usage: tarpitctl [-S SOCKET] [--json] doctor|check [OPTION]...\n"
	"\n"
	"  -c, --config FILE       read FILE instead of " DEFAULT_CONFIG_FILE "\n"
	"  -o, --set KEY=VALUE     set one key, whatever the file says; may be repeated\n"
	"      --config-dir DIR    Postfix's configuration is in DIR\n"
	"      --sendmail-cf FILE  look at Sendmail by this file, not at Postfix\n"
	"  -S, --socket SOCKET     ask there, not at control_socket\n"
	"      --json              print the report as one JSON document\n"
	"  -h, --help              print this, and exit\n"
	"\n"
	"doctor prints a line for each finding, with its mend; check one line, with performance\n"
	"data, for Nagios, Icinga or monit.\n"
	"\n"
	"exit status: 0 nothing is wrong; 1 warning, or something could not be looked at;\n"
	"2 critical; 64 usage; 71 out of memory\n";

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"set", required_argument, NULL, 'o'},
	{"config-dir", required_argument, NULL, 'd'},
	{"sendmail-cf", required_argument, NULL, 's'},
	{"socket", required_argument, NULL, 'S'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct arguments {
	const char *config_file, *config_dir, *sendmail_cf, *socket;
	const char **sets;
	size_t sets_count;
	bool is_check, as_json, wants_help;
};

/* --- the command line ---------------------------------------------------------------------- */

static void print_json(json_t *document)
{
	if (document != NULL)
		json_dumpf(document, stdout, JSON_ENSURE_ASCII);
	fputc('\n', stdout);
	json_decref(document);
}

/* Returns status. */
static int fail(const struct arguments *arguments, int status, const char *error)
{
	char plain[REPORT_TEXT_MAX];

	printable_escape(error, "", PRINTABLE_LOWER_HEX, plain, sizeof(plain));
	if (arguments->as_json)
		print_json(json_pack("{s:b,s:i,s:s}", "ok", 0, "status", status, "error", plain));
	if (!arguments->as_json || status == EX_USAGE)
		fprintf(stderr, "tarpitctl: %s\n", plain);
	return status;
}

static bool take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case 'c':
		arguments->config_file = optarg;
		return true;
	case 'o':
		arguments->sets[arguments->sets_count++] = optarg;
		return true;
	case 'd':
		arguments->config_dir = optarg;
		return true;
	case 's':
		arguments->sendmail_cf = optarg;
		return true;
	case 'S':
		arguments->socket = optarg;
		return true;
	case 'j':
		arguments->as_json = true;
		return true;
	case 'h':
		arguments->wants_help = true;
		return true;
	default:
		return false;
	}
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	char *name = argv[0];
	int option;

	arguments->is_check = strcmp(name, "check") == 0;
	for (int i = 1; i < argc; i++)
		arguments->as_json = arguments->as_json || strcmp(argv[i], "--json") == 0;
	arguments->sets = calloc((size_t)argc, sizeof(*arguments->sets));
	if (arguments->sets == NULL)
		return fail(arguments, EX_OSERR, "out of memory");
	argv[0] = program_invocation_short_name;
	while ((option = getopt_long(argc, argv, "c:o:S:h", long_options, NULL)) != -1)
		if (!take_option(arguments, option))
			return fail(arguments, EX_USAGE, "wrong option");
	argv[0] = name;
	if (optind < argc)
		return fail(arguments, EX_USAGE, "there is an argument too many");
	return EX_OK;
}

/* --- the daemon's answer ------------------------------------------------------------------- */

static void take_text(const json_t *answer, const char *key, char *text, size_t size)
{
	const char *value = json_string_value(json_object_get(answer, key));

	snprintf(text, size, "%s", value != NULL ? value : "");
}

static int64_t take_number(const json_t *answer, const char *key)
{
	return json_integer_value(json_object_get(answer, key));
}

static void take_answer(const json_t *answer, struct doctor_daemon *daemon)
{
	const json_t *warnings = json_object_get(answer, "warnings");

	daemon->state = DAEMON_ANSWERS;
	take_text(answer, "version", daemon->version, sizeof(daemon->version));
	take_text(answer, "mode", daemon->mode, sizeof(daemon->mode));
	take_text(answer, "store", daemon->store, sizeof(daemon->store));
	take_text(answer, "store_state", daemon->store_state, sizeof(daemon->store_state));
	daemon->uptime_s = take_number(answer, "uptime_s");
	daemon->sessions = take_number(answer, "sessions");
	daemon->max_sessions = take_number(answer, "max_sessions");
	daemon->stalls = take_number(answer, "stalls");
	daemon->max_stalls = take_number(answer, "max_stalls");
	daemon->clients = take_number(answer, "clients");
	daemon->flagged = take_number(answer, "flagged");
	daemon->sessions_opened =
		take_number(json_object_get(answer, "counters"), "sessions_opened");
	daemon->timeout_too_short = take_number(warnings, "timeout_too_short");
	daemon->rejects_not_offered = take_number(warnings, "rejects_not_offered");
	daemon->log_lines_lost = take_number(warnings, "log_lines_lost");
	take_text(warnings, "private_client", daemon->private_client,
		  sizeof(daemon->private_client));
	take_text(warnings, "most_sessions_of", daemon->most_sessions_of,
		  sizeof(daemon->most_sessions_of));
}

static void ask_status(const char *path, struct doctor_daemon *daemon)
{
	json_t *request = json_pack("{s:s}", "command", "status"), *answer = NULL;
	int connection = ask_connect(path, daemon->why, sizeof(daemon->why));

	daemon->state = connection < 0 && (errno == EACCES || errno == EPERM) ? DAEMON_REFUSES
									      : DAEMON_DOWN;
	if (connection >= 0) {
		answer = ask_daemon(connection, request, daemon->why, sizeof(daemon->why));
		close(connection);
	}
	if (json_is_true(json_object_get(answer, "ok"))) {
		take_answer(answer, daemon);
	} else if (answer != NULL) {
		daemon->state = DAEMON_REFUSES;
		take_text(answer, "error", daemon->why, sizeof(daemon->why));
	}
	json_decref(answer);
	json_decref(request);
}

static struct config *load(const struct arguments *arguments, struct doctor_facts *facts,
			   struct faults *faults)
{
	bool is_named = arguments->config_file != NULL;
	const char *file = is_named ? arguments->config_file : DEFAULT_CONFIG_FILE;
	struct config *config;

	config = config_load(file, is_named, arguments->sets, arguments->sets_count, faults);
	facts->config = config;
	facts->faults = faults->text;
	if (config == NULL && access(file, R_OK) != 0 && errno == EACCES)
		facts->config_denied = file;
	return config;
}

/* --- the report ---------------------------------------------------------------------------- */

static const char *json_level(enum report_level level)
{
	static const char *const names[] = {"ok", "warning", "critical"};

	return names[level];
}

static void print_document(const struct report *report)
{
	json_t *findings = json_array(), *not_checked = json_array(), *looked_at = json_array();

	for (size_t i = 0; i < report->findings_count; i++) {
		const struct report_finding *finding = &report->findings[i];

		json_array_append_new(findings,
				      json_pack("{s:s,s:s,s:s,s:s}", "level",
						json_level(finding->level), "id", finding->id,
						"text", finding->text, "mend", finding->mend));
	}
	for (size_t i = 0; i < report->not_checked_count; i++)
		json_array_append_new(not_checked, json_string(report->not_checked[i]));
	for (size_t i = 0; i < report->looked_at_count; i++)
		json_array_append_new(looked_at, json_string(report->looked_at[i]));
	print_json(json_pack("{s:b,s:i,s:o,s:o,s:o}", "ok", 1, "status", (int)report_status(report),
			     "findings", findings, "not_checked", not_checked, "looked_at",
			     looked_at));
}

static void print_findings(const struct report *report)
{
	for (int level = REPORT_CRITICAL; level >= REPORT_OK; level--)
		for (size_t i = 0; i < report->findings_count; i++) {
			const struct report_finding *finding = &report->findings[i];

			if (finding->level == (enum report_level)level)
				printf("%s %s: %s: %s\n", report_level_name(finding->level),
				       finding->id, finding->text, finding->mend);
		}
	for (size_t i = 0; i < report->not_checked_count; i++)
		printf("NOT CHECKED %s\n", report->not_checked[i]);
	if (report_status(report) != REPORT_OK)
		return;
	printf("OK nothing found; looked at:");
	for (size_t i = 0; i < report->looked_at_count; i++)
		printf("%s %s", i > 0 ? "," : "", report->looked_at[i]);
	printf("\n");
}

/* A bar begins the performance data: none may stand before that. */
static void print_before_bar(const char *text)
{
	for (; *text != '\0'; text++)
		fputc(*text == '|' ? '/' : *text, stdout);
}

/* Text up to the bar, then 'label'=value;warn;crit;min;max as Nagios' plugins have it. */
static void print_check(const struct report *report, const struct doctor_daemon *daemon)
{
	const struct report_finding *worst = report_worst(report);
	size_t faults = 0;

	for (size_t i = 0; i < report->findings_count; i++)
		faults += report->findings[i].level != REPORT_OK;
	printf("TARPIT %s - ", report_level_name(report_status(report)));
	if (worst != NULL) {
		printf("%s: ", worst->id);
		print_before_bar(worst->text);
	} else if (report->not_checked_count > 0) {
		printf("not checked: ");
		print_before_bar(report->not_checked[0]);
	} else {
		printf("nothing found");
	}
	if (faults > 1)
		printf(" (and %zu more)", faults - 1);
	if (daemon->state == DAEMON_ANSWERS)
		printf(" | stalls=%" PRId64 ";;%" PRId64 ";0;%" PRId64 " sessions=%" PRId64
		       ";;%" PRId64 ";0;%" PRId64 " flagged=%" PRId64 ";;;0 clients=%" PRId64
		       ";;;0",
		       daemon->stalls, daemon->max_stalls, daemon->max_stalls, daemon->sessions,
		       daemon->max_sessions, daemon->max_sessions, daemon->flagged,
		       daemon->clients);
	printf("\n");
}

static void print_report(const struct arguments *arguments, const struct report *report,
			 const struct doctor_daemon *daemon)
{
	if (arguments->as_json)
		print_document(report);
	else if (arguments->is_check)
		print_check(report, daemon);
	else
		print_findings(report);
}

static int examine(const struct arguments *arguments)
{
	struct doctor_facts *facts = calloc(1, sizeof(*facts));
	struct report *report = calloc(1, sizeof(*report));
	struct config *config = NULL;
	struct faults faults = {0};
	int status = EX_OSERR;

	if (facts != NULL && report != NULL && hash_init() == 0) {
		config = load(arguments, facts, &faults);
		facts->version = PACKAGE_VERSION;
		if (config != NULL &&
		    (arguments->socket != NULL || *config->control_socket != '\0'))
			ask_status(arguments->socket != NULL ? arguments->socket
							     : config->control_socket,
				   &facts->daemon);
		doctor_gather(facts, arguments->config_dir, arguments->sendmail_cf);
		doctor_examine(facts, report);
		print_report(arguments, report, &facts->daemon);
		status = (int)report_status(report);
		doctor_facts_free(facts);
	} else {
		fail(arguments, status, "out of memory");
	}
	config_release(config);
	faults_free(&faults);
	free(facts);
	free(report);
	return status;
}

int doctor_main(int argc, char **argv, const char *socket, bool as_json)
{
	struct arguments arguments = {.socket = socket, .as_json = as_json};
	int status = parse(&arguments, argc, argv);

	if (status == EX_USAGE)
		fputs(usage, stderr);
	else if (arguments.wants_help)
		fputs(usage, stdout);
	else if (status == EX_OK)
		status = examine(&arguments);
	free(arguments.sets);
	return status;
}
