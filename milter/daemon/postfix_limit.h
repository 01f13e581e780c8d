/* SPDX-License-Identifier: BSD-2-Clause */
/* What Postfix's own files say of how many sessions it serves at once, where it serves them with us. */
#ifndef TARPIT_DAEMON_POSTFIX_LIMIT_H
#define TARPIT_DAEMON_POSTFIX_LIMIT_H

#include <stdbool.h>

struct postfix_limit {
	char service[64];	/* its name in master.cf, cut if need be */
	unsigned processes;
};

/*
 * Of the services that name this socket (as our configuration has it) in smtpd_milters, the one with the
 * fewest processes. False if there is none, if none of them is limited, or if the texts say it in a way
 * that is not understood here: of parameters in values only $name, ${name} and $(name) are. Pure.
 */
bool postfix_limit_parse(const char *main_cf, const char *master_cf, const char *socket,
			 struct postfix_limit *limit);
/* The same of main.cf and master.cf in a directory; false too if these can't be read. */
bool postfix_limit_read(const char *directory, const char *socket, struct postfix_limit *limit);

#endif
