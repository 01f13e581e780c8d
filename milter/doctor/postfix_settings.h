/* SPDX-License-Identifier: BSD-2-Clause */
/* Postfix's settings, as postconf tells them: main.cf, the services of master.cf, their options. */
#ifndef TARPIT_DOCTOR_POSTFIX_SETTINGS_H
#define TARPIT_DOCTOR_POSTFIX_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

struct postfix_settings;

struct postfix_service {
	const char *name, *type, *chroot, *maxproc, *command;	/* columns of master.cf */
};

/*
 * Of what `postconf -x`, `postconf -M` and `postconf -Px` print; further output replaces what is
 * there. NULL: out of memory.
 */
struct postfix_settings *postfix_settings_parse(const char *parameters, const char *services,
						const char *options);
/* Runs postconf, for a directory or its own (NULL). NULL with the reason in error. */
struct postfix_settings *postfix_settings_read(const char *directory, char *error, size_t size);
void postfix_settings_free(struct postfix_settings *settings);

/* A parameter's value with all others put in; empty if Postfix has none of that name. */
const char *postfix_setting(const struct postfix_settings *settings, const char *name);
/* The same as a service has it: by an option in master.cf, else as main.cf says. */
const char *postfix_service_setting(const struct postfix_settings *settings,
				    const struct postfix_service *service, const char *name);
/* Only an option in master.cf; empty if there is none. */
const char *postfix_service_option(const struct postfix_settings *settings,
				   const struct postfix_service *service, const char *name);
/* The service of this number, from 0 on; NULL: there are no more. */
const struct postfix_service *postfix_service(const struct postfix_settings *settings,
					      size_t number);

#endif
