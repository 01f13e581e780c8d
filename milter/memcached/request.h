/* SPDX-License-Identifier: BSD-2-Clause */
/* What tarpit-store does at its server for one request of the daemon. */
#ifndef TARPIT_MEMCACHED_REQUEST_H
#define TARPIT_MEMCACHED_REQUEST_H

#include "connection.h"

/* Whether the daemon sends such requests. */
bool request_is_valid(const struct message_request *request);
/* Several round trips; a server that drips its answers may hold it for ever. */
void request_run(struct connection *connection, const struct message_request *request,
		 struct message_outcome *outcome);

#endif
