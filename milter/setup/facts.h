/* SPDX-License-Identifier: BSD-2-Clause */
/* What setup has to know of a Postfix before it changes it. */
#ifndef TARPIT_SETUP_FACTS_H
#define TARPIT_SETUP_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/postconf.h"

/* A line of master.cf that runs smtpd. */
struct facts_service {
	char *name; /* SERVICE/TYPE */
	char *milters; /* its own smtpd_milters; NULL: main.cf's */
	bool is_submission; /* the site's own users call there */
	bool is_chrooted;
};

struct facts {
	char *version, *directory, *queue_directory, *mail_owner, *instances;
	char *mynetworks, *recipient_delimiter;
	char *milters; /* smtpd_milters with every $name replaced */
	/* What main.cf itself sets; NULL: nothing. */
	char *own_milters, *own_non_smtpd, *own_sleep, *own_hard_limit, *own_vrfy;
	struct facts_service *services;
	size_t services_count;
};

/* False: postconf->error says why. facts_free is due in any case. */
bool facts_read(struct facts *facts, struct postconf *postconf);
void facts_free(struct facts *facts);

/* Whether per-milter settings in braces are known there: 3.0 and later. */
bool facts_is_recent(const char *version);

#endif
