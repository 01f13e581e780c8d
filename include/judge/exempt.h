/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of networks and verified host names that are left alone. Immutable once sealed. */
#ifndef TARPIT_JUDGE_EXEMPT_H
#define TARPIT_JUDGE_EXEMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/prefix.h"

struct exempt;

struct exempt *exempt_new(void);	/* NULL if out of memory */
void exempt_free(struct exempt *exempt);

/* Each adds one rule; false with the reason in error. Until exempt_seal has been called. */
bool exempt_add_client(struct exempt *exempt, const char *text, char *error, size_t size);
bool exempt_add_host(struct exempt *exempt, const char *text, char *error, size_t size);
/* Sorts. From here on it may be read by any thread. */
void exempt_seal(struct exempt *exempt);

/*
 * Whether all of this prefix is in a network of the list, which *rule is set to unless rule is
 * NULL.
 */
bool exempt_has_client(const struct exempt *exempt, const struct prefix *address, struct prefix *rule);
/* Whether some of this prefix, or all of it, is in a network of the list. */
bool exempt_touches(const struct exempt *exempt, const struct prefix *prefix);
/* For a name that the MTA has verified both ways: the rule, owned by exempt, or NULL. */
const char *exempt_host_rule(const struct exempt *exempt, const char *name);

#endif
