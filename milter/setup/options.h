/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of setup, and what it is to set up. */
#ifndef TARPIT_SETUP_OPTIONS_H
#define TARPIT_SETUP_OPTIONS_H

#include <stdbool.h>

struct config;

struct setup_options {
	const char *config_file; /* ours */
	bool config_file_named;
	const char *config_dir; /* Postfix's; NULL: its default */
	const char *state_dir, *mc;
	bool dry_run, undo, write, rebuild, as_json;
};

/* Each returns the exit status, and has said what is wrong unless it is EX_OK. */
int setup_postfix(const struct setup_options *options);
int setup_sendmail(const struct setup_options *options);

/* Our configuration, to be released; NULL with its faults said. */
struct config *setup_config(const struct setup_options *options);

#endif
