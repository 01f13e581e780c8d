/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is left alone: lists of networks, verified host names and recipients. Immutable once built. */
#ifndef TARPIT_JUDGE_EXEMPT_H
#define TARPIT_JUDGE_EXEMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/prefix.h"

struct exempt;

struct exempt *exempt_new(void);	/* NULL if out of memory */
void exempt_free(struct exempt *exempt);

/* Each adds one rule; false with the reason in error. Until exempt_seal has been called. */
bool exempt_add_client(struct exempt *exempt, const char *text, char *error, size_t size);
bool exempt_add_host(struct exempt *exempt, const char *text, char *error, size_t size);
bool exempt_add_recipient(struct exempt *exempt, const char *text, char *error, size_t size);
/* Sorts; false if out of memory. From here on it may be read by any thread. */
bool exempt_seal(struct exempt *exempt);

/* A prefix is in a network if all of it is. If rule is not NULL it is set to the network that it is in. */
bool exempt_has_client(const struct exempt *exempt, const struct prefix *address, struct prefix *rule);
/* A name that the MTA has verified both ways. The rule, owned by exempt, or NULL. */
const char *exempt_host_rule(const struct exempt *exempt, const char *name);
/* The rule, owned by exempt, or NULL: what is not plain is never exempt. */
const char *exempt_recipient_rule(const struct exempt *exempt, const struct address *address);

#endif
