/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of recipients, or of senders: whole addresses, and local parts that stand for every
 * domain. Immutable once sealed.
 */
#ifndef TARPIT_JUDGE_RECIPIENTS_H
#define TARPIT_JUDGE_RECIPIENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

struct recipients;

struct recipients *recipients_new(void);	/* NULL if out of memory */
void recipients_free(struct recipients *recipients);
/* Until recipients_seal has been called. False with the reason in error. */
bool recipients_add(struct recipients *recipients, const char *text, char *error, size_t size);
/* From here on it may be read by any thread. */
void recipients_seal(struct recipients *recipients);
/*
 * The entry, owned by recipients, or NULL, as for each address that is not plain (see address.h).
 */
const char *recipients_rule(const struct recipients *recipients, const struct address *address);

#endif
