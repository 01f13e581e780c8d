/* SPDX-License-Identifier: BSD-2-Clause */
/* How many sessions Postfix serves at once with this daemon as a milter, by Postfix's own files. */
#ifndef TARPIT_DAEMON_POSTFIX_LIMIT_H
#define TARPIT_DAEMON_POSTFIX_LIMIT_H

#include <stdbool.h>

struct postfix_limit {
	char service[64];	/* its name in master.cf, cut if need be */
	unsigned processes;
};

/*
 * Of the services that have this socket (the value of the key socket) in smtpd_milters, the one
 * with the fewest processes. False if there is none, if none of them is limited, or if a value has
 * other parameters than $name, ${name} and $(name). Pure.
 */
bool postfix_limit_parse(const char *main_cf, const char *master_cf, const char *socket,
			 struct postfix_limit *limit);
/* The same of main.cf and master.cf in a directory; also false if these can't be read. */
bool postfix_limit_read(const char *directory, const char *socket, struct postfix_limit *limit);

#endif
