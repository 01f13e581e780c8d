/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of `tarpitctl setup`. */
#include "setup/setup.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "options.h"
#include "say.h"

#define MC "/etc/mail/sendmail.mc"

static const char usage[] =
	"usage: tarpitctl setup [OPTION]... postfix|sendmail\n"
	"\n"
	"  -n, --dry-run         show what would be done, and change nothing\n"
	"      --undo            take back what setup has done, and nothing else\n"
	"  -c, --config FILE     read FILE instead of " DEFAULT_CONFIG_FILE "\n"
	"  -h, --help            print this, and exit\n"
	"\n"
	"postfix:\n"
	"      --config-dir DIR  where its main.cf is, if that is not postconf's default\n"
	"      --state-dir DIR   keep what was changed there, not in " SETUP_STATE_DIR "\n"
	"\n"
	"sendmail:\n"
	"      --mc FILE         another one than " MC "\n"
	"      --write           put the lines into it; else they are only printed\n"
	"      --rebuild         then run make where it is, for sendmail.cf\n";

static const struct option long_options[] = {
	{"dry-run", no_argument, NULL, 'n'},
	{"undo", no_argument, NULL, 'u'},
	{"config", required_argument, NULL, 'c'},
	{"config-dir", required_argument, NULL, 'd'},
	{"state-dir", required_argument, NULL, 's'},
	{"mc", required_argument, NULL, 'm'},
	{"write", no_argument, NULL, 'w'},
	{"rebuild", no_argument, NULL, 'r'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{NULL, 0, NULL, 0},
};

struct config *setup_config(const struct setup_options *options)
{
	struct faults faults = {0};
	struct config *config =
		config_load(options->config_file, options->config_file_named, NULL, 0, &faults);

	if (config == NULL)
		fprintf(stderr, "%s", faults.text != NULL ? faults.text : "out of memory\n");
	faults_free(&faults);
	return config;
}

/* False: an option that is none, or is of no use here. */
static bool take_option(struct setup_options *options, int option, bool *wants_help)
{
	switch (option) {
	case 'n':
		options->dry_run = true;
		return true;
	case 'u':
		options->undo = true;
		return true;
	case 'c':
		options->config_file = optarg;
		options->config_file_named = true;
		return true;
	case 'd':
		options->config_dir = optarg;
		return true;
	case 's':
		options->state_dir = optarg;
		return true;
	case 'm':
		options->mc = optarg;
		return true;
	case 'w':
		options->write = true;
		return true;
	case 'r':
		options->rebuild = true;
		return true;
	case 'h':
		*wants_help = true;
		return true;
	default:
		return false;
	}
}

/* As text, and as one JSON document where that is asked for. */
static int misused(const struct setup_options *options, const char *reason)
{
	say_fault(EX_USAGE, "setup: %s", reason);
	if (options->as_json)
		printf("{\"ok\": false, \"status\": %d, \"error\": \"setup: %s\"}\n", EX_USAGE,
		       reason);
	fputs(usage, stderr);
	return EX_USAGE;
}

static int run(struct setup_options *options, int argc, char **argv)
{
	bool is_postfix;

	if (argc != 1)
		return misused(options,
			       argc == 0 ? "which MTA, postfix or sendmail?" : "one MTA at a time");
	is_postfix = strcmp(argv[0], "postfix") == 0;
	if (!is_postfix && strcmp(argv[0], "sendmail") != 0)
		return misused(options, "which MTA, postfix or sendmail?");
	if (is_postfix && (options->write || options->rebuild || options->mc != NULL))
		return misused(options, "--mc, --write and --rebuild are for sendmail");
	if (!is_postfix && options->config_dir != NULL)
		return misused(options, "--config-dir is for postfix");
	if (options->mc == NULL)
		options->mc = MC;
	if (options->rebuild && !options->write && !options->undo)
		return misused(options, "--rebuild is of use with --write or --undo");
	return is_postfix ? setup_postfix(options) : setup_sendmail(options);
}

int setup_main(int argc, char **argv, bool as_json)
{
	static char name[] = "tarpitctl setup";
	struct setup_options options = {.config_file = DEFAULT_CONFIG_FILE,
					.state_dir = SETUP_STATE_DIR,
					.as_json = as_json};
	bool wants_help = false;
	int option;

	/* getopt's messages begin with argv[0]; tarpitctl's main has used getopt already. */
	argv[0] = name;
	optind = 0;
	for (int i = 1; i < argc; i++)
		options.as_json |= strcmp(argv[i], "--json") == 0;
	while ((option = getopt_long(argc, argv, "nc:h", long_options, NULL)) != -1) {
		if (option != 'j' && !take_option(&options, option, &wants_help))
			return misused(&options, "wrong option");
	}
	if (wants_help) {
		fputs(usage, stdout);
		return EX_OK;
	}
	if (options.as_json)
		return misused(&options, "it prints commands, no JSON");
	return run(&options, argc - optind, argv + optind);
}
