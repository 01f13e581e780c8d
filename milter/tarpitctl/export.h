/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl export`: the flagged clients, for whoever holds them off. */
#ifndef TARPIT_TARPITCTL_EXPORT_H
#define TARPIT_TARPITCTL_EXPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "export_format.h"

struct export_options {
	const char *format; /* NULL: cidr */
	const char *timeout; /* a duration, the longest that a client may remain; NULL: any */
	bool observe; /* name clients although the daemon slows nobody */
};

/*
 * Asks the daemon and prints on standard output. Returns a sysexits code, or the status of the
 * daemon's refusal, with the reason in error unless it is EX_OK.
 */
int export_run(const char *socket_path, const struct export_options *options, char *error,
	       size_t size);

/*
 * Adds a page of the daemon's answer to list, which begins zeroed and whose clients the caller
 * frees; is_more says whether there is another page. False if the page is not as the daemon of this
 * version promises, or memory ran out.
 */
bool export_take(struct export_list *list, const json_t *answer, bool *is_more);

#endif
