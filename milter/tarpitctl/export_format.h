/* SPDX-License-Identifier: BSD-2-Clause */
/* The flagged clients in the forms that firewalls, DNS servers and Postfix read. Pure. */
#ifndef TARPIT_TARPITCTL_EXPORT_FORMAT_H
#define TARPIT_TARPITCTL_EXPORT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/prefix.h"

struct export_client {
	struct prefix prefix;
	int64_t remains_s; /* at least 1 */
	bool by_hand;
	double score;
};

/* In the order of prefix_compare; none is part of another one. */
struct export_list {
	struct export_client *clients;
	size_t count;
	bool observe; /* the daemon's mode */
	/* when all of it is to be forgotten if nobody writes it anew; since the epoch, 0: never */
	int64_t expires_s;
};

/* The writer reports no error of its own: ask ferror. */
typedef void export_writer(const struct export_list *list, FILE *out);
/* cidr, nft, ipset, rbldnsd, postscreen or json; NULL for any other name. */
export_writer *export_writer_find(const char *name);

#endif
