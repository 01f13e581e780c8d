/* SPDX-License-Identifier: BSD-2-Clause */
/* What is to be changed in a Postfix so that it works with this configuration. Changes nothing. */
#ifndef TARPIT_SETUP_PLAN_H
#define TARPIT_SETUP_PLAN_H

#include <stdbool.h>

#include "config/config.h"
#include "facts.h"
#include "state.h"

struct plan {
	struct changes changes; /* in the order in which they are to be made */
	char *address; /* of our socket, as Postfix has it */
	char *entry; /* ours in smtpd_milters */
	bool has_ours; /* it is there already */
};

/*
 * False if there is something that setup does not understand, or that would not work: it has said
 * what, and the lines to add by hand. plan_free is due in any case.
 */
bool plan_make(struct plan *plan, const struct facts *facts, const struct config *config,
	       const struct state *state);
void plan_free(struct plan *plan);

/* Says what is to be set in our own configuration, which is the administrator's to change. */
void plan_advise(const struct facts *facts, const struct config *config);

/* The MTA's timeout for a command that our delays fit into, at least as long as least_s. */
long plan_timeout_s(const struct config *config, long least_s);

#endif
