/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of the daemon: start, signals, reload, stop. */
#ifndef TARPIT_DAEMON_H
#define TARPIT_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct daemon_options {
	const char *config_file;
	bool config_file_named;
	const char *const *sets;
	size_t sets_count;
	bool foreground;	/* log to stderr */
	bool detach;
};

/* Runs until it is told to stop. Takes the reference to config. Returns a sysexits code. */
int daemon_run(const struct daemon_options *options, struct config *config);

#endif
