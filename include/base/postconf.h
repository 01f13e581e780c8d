/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads Postfix's settings through postconf(1), for tarpitctl: each call blocks while that runs, and
 * ends the program where there is no memory.
 */
#ifndef TARPIT_BASE_POSTCONF_H
#define TARPIT_BASE_POSTCONF_H

#include <stdbool.h>

/* Whom to ask, and why the last call failed. */
struct postconf {
	const char *directory; /* of main.cf; NULL: Postfix's default */
	bool is_missing; /* there is no postconf */
	char error[512];
};

/*
 * Runs postconf with an option and a name, NULL for none. What it prints, to be freed, without the
 * last new line; NULL with postconf->error.
 */
char *postconf_ask(struct postconf *postconf, const char *option, const char *name);
/* What is behind `NAME =` in one of the lines, to be freed; NULL if there is none. Pure. */
char *postconf_value_in(const char *lines, const char *name);
/*
 * The value that main.cf itself sets, to be freed, in *value; NULL if it does not set it. False
 * with postconf->error, also where main.cf sets it twice.
 */
bool postconf_own(struct postconf *postconf, const char *name, char **value);
/* The same of SERVICE/TYPE/PARAMETER in master.cf. */
bool postconf_of_service(struct postconf *postconf, const char *name, char **value);

#endif
