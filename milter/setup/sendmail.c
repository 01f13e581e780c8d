/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl setup sendmail`: the lines of sendmail.mc, printed or put into it. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/printable.h"
#include "base/program.h"
#include "config/config.h"
#include "base/text_file.h"
#include "mc.h"
#include "options.h"
#include "plan.h"
#include "say.h"

#define REFUSED 1
#define ERROR_MAX 512
#define FILE_MAX ((size_t)1 << 20)
#define MODE_MAX 07777
/* m4 takes its time. */
#define MAKE_MS 120000
/* What the lines in README say, and mta_timeout with them. */
#define SENDMAIL_TIMEOUT_S 30
/* What ends a word for Sendmail, or a text for m4. */
#define UNSAFE "`',;#()[]$\"\\ "

/* The file that is to be changed, and what is to be in it. */
struct edit {
	char path[PATH_MAX];
	struct stat status;
	char *before, *after;
};

static bool is_safe(const char *socket)
{
	for (const char *p = socket; *p != '\0'; p++)
		if (!printable_is(*p))
			return false;
	return socket[strcspn(socket, UNSAFE)] == '\0';
}

static char *lines_of(const struct config *config)
{
	long timeout_s = plan_timeout_s(config, SENDMAIL_TIMEOUT_S);

	return say_format("INPUT_MAIL_FILTER(`tarpit-milter',\n"
			  "    `S=%s, T=C:30s;S:%lds;R:%lds;E:5m')dnl\n",
			  config->socket, timeout_s, timeout_s);
}

static void advise(const struct config *config)
{
	if (config->mta_timeout_ms == 0) {
		say("In tarpit-milter.conf, so that it knows of these timeouts:");
		say("    mta_timeout = %lds", plan_timeout_s(config, SENDMAIL_TIMEOUT_S));
	}
	say("If another filter refuses recipients, also: hidden_weight = 0");
	say("Your own users' daemon is to have a list of filters without this one:");
	say("InputMailFilters= in its DAEMON_OPTIONS.");
	say("VRFY and EXPN tell who is here, and no filter sees them: add novrfy and noexpn to");
	say("confPRIVACY_FLAGS.");
}

static bool rebuild(const struct edit *edit)
{
	char *copy = say_format("%s", edit->path);
	const char *const argv[] = {"make", "-C", dirname(copy), NULL};
	struct program_result result;
	bool is_done;

	say_command(argv);
	program_run(argv, MAKE_MS, &result);
	is_done = result.status == 0;
	if (!is_done) {
		result.error[strcspn(result.error, "\n")] = '\0';
		say_fault(REFUSED, "make: %s", result.error);
	}
	program_result_free(&result);
	free(copy);
	return is_done;
}

/* Fills in path, status and before. False with the reason said. */
static bool open_file(const struct setup_options *options, struct edit *edit)
{
	char error[ERROR_MAX];

	*edit = (struct edit){0};
	/* A link stays one. */
	if (realpath(options->mc, edit->path) == NULL) {
		return say_refusal("%s: %s", options->mc, strerror(errno));
	}
	edit->before = text_file_read(edit->path, FILE_MAX, 0, &edit->status, error, sizeof(error));
	if (edit->before == NULL)
		say_fault(REFUSED, "%s", error);
	return edit->before != NULL;
}

static int write_file(const struct setup_options *options, const struct edit *edit)
{
	bool is_changed = strcmp(edit->before, edit->after) != 0;
	char error[ERROR_MAX];

	if (!is_changed)
		say("Nothing to change in %s", edit->path);
	else if (options->dry_run)
		say("%s would be changed", edit->path);
	else if (!text_file_replace(edit->path, edit->after, edit->status.st_mode & MODE_MAX, error,
			       sizeof(error)))
		return say_fault(REFUSED, "%s", error);
	else
		say("%s is changed", edit->path);
	if (options->dry_run)
		return EX_OK;
	if (options->rebuild)
		return rebuild(edit) ? EX_OK : REFUSED;
	if (is_changed)
		say("Now make sendmail.cf of it (make -C /etc/mail), and restart Sendmail.");
	return EX_OK;
}

/* lines: NULL to remove ours. socket: ours. */
static int change(const struct setup_options *options, const char *lines, const char *socket)
{
	const char *reason = "";
	struct edit edit;
	char *without = NULL;
	int status = REFUSED;

	if (open_file(options, &edit)) {
		without = mc_remove(edit.before, &reason);
		if (without != NULL && lines != NULL)
			edit.after = mc_add(without, lines, socket, &reason);
		else if (without != NULL)
			edit.after = say_format("%s", without);
		status = edit.after != NULL ? write_file(options, &edit)
					    : say_fault(REFUSED, "%s: %s: nothing is changed",
							edit.path, reason);
	}
	free(without);
	free(edit.before);
	free(edit.after);
	return status;
}

int setup_sendmail(const struct setup_options *options)
{
	struct config *config;
	char *lines;
	int status = EX_OK;

	if (options->undo)
		return change(options, NULL, NULL);
	config = setup_config(options);
	if (config == NULL)
		return EX_CONFIG;
	if (!is_safe(config->socket)) {
		status = say_fault(REFUSED,
				   "socket = %s: Sendmail can't read a socket that is "
				   "written so",
				   config->socket);
	} else {
		lines = lines_of(config);
		say("In %s, behind all other filters:", options->mc);
		fputs(lines, stdout);
		if (options->write)
			status = change(options, lines, config->socket);
		if (status == EX_OK)
			advise(config);
		free(lines);
	}
	config_release(config);
	return status;
}
