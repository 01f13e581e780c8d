/* SPDX-License-Identifier: BSD-2-Clause */
/* Notices that what looks like a client is a proxy, a load balancer or a container's bridge. */
#include "state.h"

#include <stdio.h>

#include "base/log.h"
#include "session/gateway.h"

#define HOUR_MS INT64_C(3600000)

static struct log_limit private_limit, majority_limit;

static void warn(const struct session *s, const char *address, enum mta_warning kind,
		 const char *what)
{
	const struct journal *journal = s->tarpit->journal;
	char text[200];

	snprintf(text, sizeof(text),
		 "%s %s: a proxy, a gateway or a container's bridge? Then all behind it are one "
		 "client: exempt_clients",
		 address, what);
	journal->warned(journal, s->mta_name, kind, text);
}

void session_gateway_flagged(const struct session *s)
{
	struct gateway *gateway = &s->tarpit->gateway;

	if (!prefix_is_private(&s->client.address))
		return;
	pthread_mutex_lock(&gateway->mutex);
	gateway->flagged_private = s->client.address;
	pthread_mutex_unlock(&gateway->mutex);
	if (log_allowed_every(&private_limit, HOUR_MS))
		warn(s, s->address, MTA_PRIVATE_CLIENT, "is flagged, and is a private address");
}

/*
 * True at the last of GATEWAY_SESSIONS if one client has made most of them: that must be the
 * candidate in the end (Boyer and Moore).
 */
static bool count_session(struct gateway *gateway, const struct prefix *client,
			  struct prefix *majority)
{
	bool is_majority;

	pthread_mutex_lock(&gateway->mutex);
	gateway->sessions++;
	if (gateway->votes == 0) {
		gateway->candidate = *client;
		gateway->of_candidate = 0;
	}
	if (prefix_equal(&gateway->candidate, client)) {
		gateway->votes++;
		gateway->of_candidate++;
	} else {
		gateway->votes--;
	}
	is_majority = gateway->sessions == GATEWAY_SESSIONS &&
		      gateway->of_candidate > GATEWAY_SESSIONS / 2;
	*majority = gateway->candidate;
	if (gateway->sessions == GATEWAY_SESSIONS) {
		gateway->majority = is_majority ? *majority : (struct prefix){0};
		gateway->sessions = gateway->votes = gateway->of_candidate = 0;
	}
	pthread_mutex_unlock(&gateway->mutex);
	return is_majority;
}

void session_gateway_connected(const struct session *s)
{
	char text[PREFIX_TEXT_MAX];
	struct prefix majority;

	if (count_session(&s->tarpit->gateway, &s->client.address, &majority) &&
	    log_allowed_every(&majority_limit, HOUR_MS))
		warn(s, prefix_format_address(&majority, text), MTA_ONE_CLIENT,
		     "makes most of all sessions");
}

void gateway_found(struct gateway *gateway, struct prefix *majority, struct prefix *flagged_private)
{
	pthread_mutex_lock(&gateway->mutex);
	*majority = gateway->majority;
	*flagged_private = gateway->flagged_private;
	pthread_mutex_unlock(&gateway->mutex);
}
