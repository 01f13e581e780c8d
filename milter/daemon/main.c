/* SPDX-License-Identifier: BSD-2-Clause */
/* tarpit-milter's command line. */
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log_writer.h"
#include "config.h"
#include "config/config.h"
#include "control/command.h"
#include "daemon.h"
#include "memcached/memcached_store.h"
#include "metrics/http.h"
#include "mta/filter.h"
#include "process.h"

/* How long the end waits for a log daemon that hangs. */
#define LOG_FLUSH_MS 200

static const char usage[] =
	"usage: tarpit-milter [-c FILE] [-o KEY=VALUE]... [-f | -d]\n"
	"       tarpit-milter [-c FILE] [-o KEY=VALUE]... -t | -p\n"
	"       tarpit-milter -V | -h\n"
	"\n"
	"  -c, --config FILE     read FILE instead of " DEFAULT_CONFIG_FILE "\n"
	"  -o, --set KEY=VALUE   set one key, whatever the file says; may be repeated\n"
	"  -f, --foreground      stay in the foreground and log to stderr\n"
	"  -d, --daemon          detach\n"
	"  -t, --check-config    check the configuration, report every fault, and exit\n"
	"  -p, --print-config    print the effective configuration, and exit\n"
	"  -V, --version         print the version and those of the libraries, and exit\n"
	"  -h, --help            print this, and exit\n";

enum action { ACTION_RUN, ACTION_CHECK, ACTION_PRINT, ACTION_VERSION, ACTION_HELP };

struct arguments {
	enum action action;
	struct daemon_options options;
	const char **sets;
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"set", required_argument, NULL, 'o'},
	{"foreground", no_argument, NULL, 'f'},
	{"daemon", no_argument, NULL, 'd'},
	{"check-config", no_argument, NULL, 't'},
	{"print-config", no_argument, NULL, 'p'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static bool take(struct arguments *arguments, int option)
{
	switch (option) {
	case 'c':
		arguments->options.config_file = optarg;
		arguments->options.config_file_named = true;
		break;
	case 'o':
		arguments->sets[arguments->options.sets_count++] = optarg;
		break;
	case 'f':
		arguments->options.foreground = true;
		break;
	case 'd':
		arguments->options.detach = true;
		break;
	case 't':
		arguments->action = ACTION_CHECK;
		break;
	case 'p':
		arguments->action = ACTION_PRINT;
		break;
	case 'V':
		arguments->action = ACTION_VERSION;
		break;
	case 'h':
		arguments->action = ACTION_HELP;
		break;
	default:
		return false;
	}
	return true;
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	int option;

	/* No more settings than arguments. */
	arguments->sets = calloc((size_t)argc, sizeof(arguments->sets[0]));
	if (arguments->sets == NULL)
		return EX_OSERR;
	arguments->options.sets = arguments->sets;
	arguments->options.config_file = DEFAULT_CONFIG_FILE;
	while ((option = getopt_long(argc, argv, "c:o:fdtpVh", long_options, NULL)) != -1)
		if (!take(arguments, option))
			return EX_USAGE;
	if (optind < argc) {
		fprintf(stderr, "tarpit-milter: %s: no arguments but options\n", argv[optind]);
		return EX_USAGE;
	}
	if (arguments->options.foreground && arguments->options.detach) {
		fprintf(stderr, "tarpit-milter: -f and -d exclude each other\n");
		return EX_USAGE;
	}
	return EX_OK;
}

static void print_version(void)
{
	printf("tarpit-milter %s\n%s\n%s\n%s\n%s\n%s\n", PACKAGE_VERSION, filter_version(),
	       memcached_store_library_version(), config_library_version(),
	       command_library_version(), hash_library_version());
	if (metrics_http_version() != NULL)
		printf("libmicrohttpd %s\n", metrics_http_version());
#ifdef HAVE_SYSTEMD
	/* libsystemd does not tell its version. */
	puts("libsystemd");
#endif
}

/* Reads the configuration, and checks it, prints it or runs the daemon with it. */
static int act(const struct arguments *arguments)
{
	const struct daemon_options *options = &arguments->options;
	struct faults faults = {0};
	struct config *config = config_load(options->config_file, options->config_file_named,
					    options->sets, options->sets_count, &faults);

	if (config == NULL) {
		fputs(faults.text != NULL ? faults.text : "tarpit-milter: out of memory\n", stderr);
		faults_free(&faults);
		return EX_CONFIG;
	}
	if (arguments->action == ACTION_RUN)
		return daemon_run(options, config);
	if (arguments->action == ACTION_PRINT)
		config_print(config, stdout);
	else
		puts("The configuration is good.");
	config_release(config);
	return EX_OK;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	int code;

	if (!process_has_streams())
		return EX_OSERR;
	code = parse(&arguments, argc, argv);
	if (code == EX_USAGE)
		fputs(usage, stderr);
	else if (code == EX_OK && arguments.action == ACTION_HELP)
		fputs(usage, stdout);
	else if (code == EX_OK && arguments.action == ACTION_VERSION)
		print_version();
	else if (code == EX_OK)
		code = act(&arguments);
	if (arguments.action == ACTION_RUN) {
		/* Threads of libmilter still run: exit handlers would free what they use. */
		fflush(NULL);
		log_writer_flush(LOG_FLUSH_MS);
		_exit(code);
	}
	free(arguments.sets);
	if (fflush(stdout) != 0 || ferror(stdout))
		code = EX_IOERR;
	return code;
}
