/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of `tarpitctl replay`. */
#include "replay/replay.h"

#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/hash.h"
#include "svg_file.h"
#include "drive.h"
#include "read.h"
#include "report.h"
#include "understood.h"
#include "config/config.h"

#define ERROR_MAX 1024
#define ROWS_DEFAULT 10
#define WIDTH_DEFAULT 80
#define WIDTH_MAX 400
#define REAL_DIGITS 15

static const char usage[] =
	"usage: tarpitctl [--json] replay [OPTION]... FILE...\n"
	"\n"
	"  -c, --config FILE     read FILE instead of " DEFAULT_CONFIG_FILE "\n"
	"  -o, --set KEY=VALUE   set one key, whatever the file says; may be repeated\n"
	"      --vs KEY=VALUE    begin another configuration beside the first, with this key set; "
	"each\n"
	"                        --set after it, up to the next --vs, belongs to that one\n"
	"  -n, --rows N          show N clients, and trap candidates (10; 0 to 1000)\n"
	"      --service NAME    read this service of Postfix only: NAME of postfix/NAME/smtpd\n"
	"      --svg FILE        draw the stalls over time\n"
	"      --json            print the report as one JSON document\n"
	"  -h, --help            print this, and exit\n"
	"\n"
	"FILE is a mail log of Postfix or Sendmail, plain or gzip, in any order; - is standard "
	"input.\n";

/* A configuration that was asked for: its part of the settings, which are its name too. */
struct variant {
	char *name;
	size_t first_set, sets_count;
};

struct arguments {
	const char *config_file, *svg, *service;
	bool config_file_named, as_json, wants_help;
	size_t rows;
	const char **sets; /* those for all configurations first, then each --vs with its own */
	size_t sets_count;
	struct variant *variants; /* the first has the settings for all */
	size_t variants_count;
	struct replay_file *files;
	size_t files_count;
};

static const char letters[] = "c:o:n:h";
static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"set", required_argument, NULL, 'o'},
	{"vs", required_argument, NULL, 'v'},
	{"rows", required_argument, NULL, 'n'},
	{"svg", required_argument, NULL, 's'},
	{"service", required_argument, NULL, 'p'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void print_json(json_t *document)
{
	if (document != NULL)
		json_dumpf(document, stdout, JSON_ENSURE_ASCII | JSON_REAL_PRECISION(REAL_DIGITS));
	fputc('\n', stdout);
	json_decref(document);
}

static int fail(const struct arguments *arguments, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells what is wrong, as text or as JSON. Returns status. */
static int fail(const struct arguments *arguments, int status, const char *format, ...)
{
	char text[ERROR_MAX], plain[ERROR_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	replay_text_plain(text, plain, sizeof(plain));
	if (arguments->as_json)
		print_json(json_pack("{s:b, s:i, s:s}", "ok", 0, "status", status, "error", plain));
	if (!arguments->as_json || status == EX_USAGE)
		fprintf(stderr, "tarpitctl: %s\n", plain);
	return status;
}

static bool has_text(const json_t *lines, const char *text)
{
	for (size_t i = 0; i < json_array_size(lines); i++)
		if (strcmp(json_string_value(json_array_get(lines, i)), text) == 0)
			return true;
	return false;
}

/* config_load numbers all settings; the user counts --set and --vs apart. */
static const char *place_fault(const struct arguments *arguments, const struct variant *variant,
			       const char *line, char *text, size_t size)
{
	const struct variant *common = &arguments->variants[0];
	size_t number, vs = 0;
	int length = 0;

	if (sscanf(line, "--set:%zu:%n", &number, &length) != 1 || length == 0 || number == 0)
		return line;
	number--;
	if (number >= common->sets_count)
		number += variant->first_set - common->sets_count;
	for (size_t i = 1; i < arguments->variants_count; i++)
		vs += arguments->variants[i].first_set <= number;
	if (vs > 0 && arguments->variants[vs].first_set == number)
		snprintf(text, size, "--vs:%zu:%s", vs, line + length);
	else
		snprintf(text, size, "--set:%zu:%s", number + 1 - vs, line + length);
	return text;
}

/* Each fault once: those of the file are there in every configuration. */
static void gather_faults(const struct arguments *arguments, const struct variant *variant,
			  json_t *lines, const struct faults *faults)
{
	char placed[ERROR_MAX], plain[ERROR_MAX], *rest;

	for (char *line = strtok_r(faults->text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		replay_text_plain(place_fault(arguments, variant, line, placed, sizeof(placed)),
				  plain, sizeof(plain));
		if (!has_text(lines, plain))
			json_array_append_new(lines, json_string(plain));
	}
}

static int fail_with_faults(const struct arguments *arguments, json_t *lines)
{
	if (arguments->as_json)
		print_json(json_pack("{s:b, s:i, s:s, s:O}", "ok", 0, "status", EX_CONFIG, "error",
				     "the configuration has faults", "faults", lines));
	for (size_t i = 0; i < json_array_size(lines) && !arguments->as_json; i++)
		fprintf(stderr, "%s\n", json_string_value(json_array_get(lines, i)));
	return EX_CONFIG;
}

static bool add_set(struct arguments *arguments, const char *set)
{
	struct variant *variant = &arguments->variants[arguments->variants_count - 1];
	char *name;

	arguments->sets[arguments->sets_count++] = set;
	variant->sets_count++;
	if (asprintf(&name, "%s%s%s", variant->name != NULL ? variant->name : "",
		     variant->name != NULL ? " " : "", set) < 0)
		return false;
	free(variant->name);
	variant->name = name;
	return true;
}

static bool parse_rows(const char *text, size_t *rows)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	*rows = value;
	return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' &&
	       value <= REPLAY_ROWS_MAX;
}

static int take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case 'c':
		arguments->config_file = optarg;
		arguments->config_file_named = true;
		return EX_OK;
	case 'v':
		arguments->variants[arguments->variants_count++].first_set = arguments->sets_count;
		/* fall through */
	case 'o':
		return add_set(arguments, optarg) ? EX_OK
						  : fail(arguments, EX_OSERR, "out of memory");
	case 'n':
		return parse_rows(optarg, &arguments->rows)
			       ? EX_OK
			       : fail(arguments, EX_USAGE, "%s: not a number from 0 to %d", optarg,
				      REPLAY_ROWS_MAX);
	case 's':
		arguments->svg = optarg;
		return EX_OK;
	case 'p':
		arguments->service = optarg;
		return EX_OK;
	case 'j':
		return EX_OK;
	case 'h':
		arguments->wants_help = true;
		return EX_OK;
	default:
		/* getopt_long has said which on stderr. */
		if (arguments->as_json)
			print_json(json_pack("{s:b, s:i, s:s}", "ok", 0, "status", EX_USAGE,
					     "error",
					     "unrecognized option, or one without its argument"));
		return EX_USAGE;
	}
}

/* Faults of options before --json are to be told as JSON too. */
static void look_for_json(struct arguments *arguments, int argc, char **argv)
{
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		arguments->as_json |= option == 'j';
	opterr = 1;
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	static char name[] = "tarpitctl replay";
	int option, status = EX_OK;

	/* There are no more settings, configurations and files than arguments. */
	arguments->sets = calloc((size_t)argc, sizeof(arguments->sets[0]));
	arguments->variants = calloc((size_t)argc, sizeof(arguments->variants[0]));
	arguments->files = calloc((size_t)argc, sizeof(arguments->files[0]));
	if (arguments->sets == NULL || arguments->variants == NULL || arguments->files == NULL)
		return fail(arguments, EX_OSERR, "out of memory");
	arguments->variants_count = 1;
	/* getopt's messages begin with argv[0]; tarpitctl's main has used getopt already. */
	argv[0] = name;
	look_for_json(arguments, argc, argv);
	optind = 0;
	while (status == EX_OK &&
	       (option = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		status = take_option(arguments, option);
	if (status != EX_OK || arguments->wants_help)
		return status;
	for (int i = optind; i < argc; i++)
		arguments->files[arguments->files_count++].path = argv[i];
	if (arguments->files_count == 0)
		return fail(arguments, EX_USAGE, "which log?");
	return EX_OK;
}

/* The settings for all configurations come first, and then this one's. */
static struct config *load(const struct arguments *arguments, const struct variant *variant,
			   struct faults *faults)
{
	const struct variant *common = &arguments->variants[0];
	size_t own = variant != common ? variant->sets_count : 0;
	const char **sets = calloc(common->sets_count + own + 1, sizeof(*sets));
	struct config *config;

	if (sets == NULL)
		return NULL;
	memcpy(sets, arguments->sets, common->sets_count * sizeof(*sets));
	memcpy(sets + common->sets_count, arguments->sets + variant->first_set,
	       own * sizeof(*sets));
	config = config_load(arguments->config_file, arguments->config_file_named, sets,
			     common->sets_count + own, faults);
	free(sets);
	return config;
}

static int add_scenario(const struct arguments *arguments, const struct variant *variant,
			struct replay_drive *drive, json_t *all_faults)
{
	const char *name = variant->name != NULL ? variant->name : "as configured";
	struct faults faults = {0};
	struct config *config = load(arguments, variant, &faults);
	bool has_faults = faults.text != NULL;

	if (has_faults)
		gather_faults(arguments, variant, all_faults, &faults);
	faults_free(&faults);
	if (config == NULL && has_faults)
		return EX_OK;
	if (config == NULL || !replay_drive_add(drive, name, config))
		return fail(arguments, EX_OSERR, "out of memory");
	return EX_OK;
}

static int add_scenarios(const struct arguments *arguments, struct replay_drive *drive)
{
	json_t *faults = json_array();
	int status = EX_OK;

	for (size_t i = 0; i < arguments->variants_count && status == EX_OK; i++)
		status = add_scenario(arguments, &arguments->variants[i], drive, faults);
	if (status == EX_OK && json_array_size(faults) > 0)
		status = fail_with_faults(arguments, faults);
	json_decref(faults);
	return status;
}

static unsigned terminal_width(void)
{
	struct winsize size = {0};
	const char *columns = getenv("COLUMNS");
	unsigned long width = columns != NULL ? strtoul(columns, NULL, 10) : 0;

	if (width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	if (width == 0)
		width = WIDTH_DEFAULT;
	return (unsigned)(width < WIDTH_MAX ? width : WIDTH_MAX);
}

static int print_report(const struct arguments *arguments, struct replay_drive *drive,
			const struct replay_lines *lines, const struct replay_svg_file *picture)
{
	struct replay_report report = {
		.drive = drive,
		.lines = lines,
		.files = arguments->files,
		.files_count = arguments->files_count,
		.rows = arguments->rows,
		.width = terminal_width(),
		.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
	};
	char error[ERROR_MAX];
	int status = EX_OK;

	if (picture != NULL)
		status = replay_svg_file_draw(picture, &report, error, sizeof(error));
	if (status != EX_OK)
		return fail(arguments, status, "%s", error);
	if (arguments->as_json)
		print_json(replay_json(&report));
	else
		replay_text_print(&report, stdout);
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? EX_OK : EX_IOERR;
}

/* A file that is none of the logs is easily overlooked beside those that are. */
static void warn_of_strangers(const struct arguments *arguments)
{
	char plain[ERROR_MAX];

	for (size_t i = 0; i < arguments->files_count; i++) {
		const struct replay_file *file = &arguments->files[i];

		if (file->filled > 0 && file->stamped == 0)
			fprintf(stderr, "tarpitctl: %s: warning: no line has a time stamp that is known\n",
				replay_text_plain(file->path, plain, sizeof(plain)));
	}
}

/* Warns of logs of which little was understood. False with the reason in error if nothing was. */
static bool are_understood(const struct arguments *arguments, const struct replay_lines *lines,
			   char *error, size_t size)
{
	char plain[ERROR_MAX];

	switch (replay_understood(lines, error, size)) {
	case REPLAY_NOTHING:
		return false;
	case REPLAY_LITTLE:
		replay_text_plain(error, plain, sizeof(plain));
		fprintf(stderr, "tarpitctl: %s\n", plain);
		break;
	case REPLAY_MOST:
		break;
	}
	warn_of_strangers(arguments);
	return true;
}

/* picture is drawn, or closed if the logs can't be read; NULL: none is wanted. */
static int read_and_print(struct arguments *arguments, struct replay_drive *drive,
			  const struct replay_svg_file *picture)
{
	struct replay_lines lines = {.service = arguments->service};
	char error[ERROR_MAX];
	int status;

	if (replay_read_order(arguments->files, arguments->files_count, error, sizeof(error)) &&
	    replay_read_all(drive, arguments->files, arguments->files_count, &lines, error,
			    sizeof(error)) &&
	    are_understood(arguments, &lines, error, sizeof(error))) {
		replay_drive_finish(drive);
		status = print_report(arguments, drive, &lines, picture);
	} else {
		status = fail(arguments, EX_NOINPUT, "%s", error);
		if (picture != NULL)
			replay_svg_file_cancel(picture);
	}
	free(lines.first_unreadable);
	return status;
}

/* The picture's file is opened before the logs are read, for that may take a while. */
static int replay(struct arguments *arguments, struct replay_drive *drive)
{
	struct replay_svg_file picture;
	char error[ERROR_MAX];
	int status = add_scenarios(arguments, drive);

	if (status != EX_OK)
		return status;
	if (arguments->svg == NULL)
		return read_and_print(arguments, drive, NULL);
	status = replay_svg_file_open(&picture, arguments->svg, arguments->files,
				      arguments->files_count, error, sizeof(error));
	if (status != EX_OK)
		return fail(arguments, status, "%s", error);
	return read_and_print(arguments, drive, &picture);
}

static void free_arguments(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->variants_count; i++)
		free(arguments->variants[i].name);
	free(arguments->variants);
	free(arguments->sets);
	free(arguments->files);
}

int replay_main(int argc, char **argv, bool as_json)
{
	struct arguments arguments = {
		.config_file = DEFAULT_CONFIG_FILE, .as_json = as_json, .rows = ROWS_DEFAULT};
	struct replay_drive *drive = NULL;
	int status = parse(&arguments, argc, argv);

	if (status == EX_USAGE)
		fputs(usage, stderr);
	if (status == EX_OK && arguments.wants_help) {
		fputs(usage, stdout);
	} else if (status == EX_OK) {
		setlocale(LC_CTYPE, "");
		drive = hash_init() == 0 ? replay_drive_new() : NULL;
		status = drive != NULL ? replay(&arguments, drive)
				       : fail(&arguments, EX_OSERR, "out of memory");
	}
	replay_drive_free(drive);
	free_arguments(&arguments);
	return status;
}
