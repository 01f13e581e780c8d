/* SPDX-License-Identifier: BSD-2-Clause */
/* Who can reach the milter's socket, and memcached: the MTA must, strangers must not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checks.h"
#include "doctor/facts.h"
#include "doctor/report.h"

#define HOST_MAX 256

static bool is_loopback(const char *host)
{
	struct prefix prefix;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (!prefix_parse(host, &prefix))
		return false;
	return prefix.family == 4 ? prefix.address[0] == 127
				  : prefix.address[15] == 1 &&
					    memcmp(prefix.address, (const uint8_t[15]){0}, 15) == 0;
}

/* --- the milter's socket ------------------------------------------------------------------- */

/* The socket is PORT@HOST, HOST in brackets or not. */
static void check_inet(const struct doctor_facts *facts, struct report *report, const char *at)
{
	char host[HOST_MAX];
	size_t length;

	snprintf(host, sizeof(host), "%s", at[0] == '[' ? at + 1 : at);
	length = strlen(host);
	if (length > 0 && host[length - 1] == ']')
		host[length - 1] = '\0';
	if (is_loopback(host)) {
		report_find(report, REPORT_WARNING, "inet-local",
			    "every user of this host can reach %s, and report rejections for any "
			    "address",
			    facts->config->socket);
		report_mend(report, "set socket = unix:...");
	} else {
		report_find(report, REPORT_WARNING, "inet-public",
			    "whoever reaches %s can report rejections for any address",
			    facts->config->socket);
		report_mend(report, "set socket = unix:..., or let a firewall admit the MTA alone");
	}
}

/* Whether a user has this right (S_IXOTH, S_IWOTH), by the mode alone. */
static bool has_right(const struct doctor_step *step, const struct doctor_user *user, mode_t right)
{
	if (user->uid == 0)
		return true;
	if (step->uid == user->uid)
		return (step->mode & (right << 6)) != 0;
	for (size_t i = 0; i < user->groups_count; i++)
		if (user->groups[i] == step->gid)
			return (step->mode & (right << 3)) != 0;
	return (step->mode & right) != 0;
}

static void check_steps(const struct doctor_facts *facts, struct report *report)
{
	const struct doctor_socket *socket = &facts->socket;

	for (size_t i = 0; i < socket->steps_count; i++) {
		const struct doctor_step *step = &socket->steps[i];
		bool is_last = i + 1 == socket->steps_count && socket->error == 0;

		if (step->has_acl) {
			report_not_checked(report, "socket: %s has an access control list",
					   step->path);
			return;
		}
		if (has_right(step, &facts->user, is_last ? S_IWOTH : S_IXOTH))
			continue;
		report_find(report, REPORT_CRITICAL, "socket-denied",
			    "Postfix's user %s may not %s %s (mode %04o)", facts->user.name,
			    is_last ? "write to" : "enter", step->path,
			    (unsigned)step->mode & 07777);
		report_mend(report,
			    "usermod --append --groups tarpit-milter %s (or the group that %s "
			    "has), and restart Postfix",
			    facts->user.name, step->path);
		return;
	}
}

static void check_unix(const struct doctor_facts *facts, struct report *report)
{
	const struct doctor_socket *socket = &facts->socket;

	if ((facts->config->socket_mode & S_IWOTH) != 0) {
		report_find(report, REPORT_WARNING, "socket-open",
			    "socket_mode = %04o: every user of this host can report rejections for "
			    "any address",
			    facts->config->socket_mode);
		report_mend(report, "set socket_mode = 0660, and socket_group");
	}
	if (socket->error == ENOENT && facts->daemon.state != DAEMON_DOWN) {
		report_find(report, REPORT_CRITICAL, "socket-missing", "there is no %s",
			    socket->at);
		report_mend(report, "restart tarpit-milter; is socket in its configuration the "
				    "same?");
	} else if (socket->error != 0 && socket->error != ENOENT) {
		report_not_checked(report, "socket: %s: %s", socket->at, strerror(socket->error));
	}
	if (facts->postfix == NULL)
		return;
	if (!facts->user.exists)
		report_not_checked(report, "socket: there is no user %s", facts->user.name);
	else
		check_steps(facts, report);
}

void check_socket(const struct doctor_facts *facts, struct report *report)
{
	const char *at = strchr(facts->config->socket, '@');

	report_looked_at(report, "socket %s", facts->config->socket);
	if (strncmp(facts->config->socket, "inet", 4) == 0 && at != NULL)
		check_inet(facts, report, at + 1);
	else
		check_unix(facts, report);
}

/* --- memcached ----------------------------------------------------------------------------- */

static bool is_own(const struct doctor_facts *facts, const char *host)
{
	struct prefix prefix;

	if (is_loopback(host))
		return true;
	if (prefix_parse(host, &prefix))
		for (size_t i = 0; i < facts->addresses_count; i++)
			if (prefix_equal(&facts->addresses[i], &prefix))
				return true;
	return false;
}

/* HOST:PORT or [HOST]:PORT; false for a path. */
static bool split(const char *server, char host[HOST_MAX], unsigned *port)
{
	const char *colon = strrchr(server, ':');

	if (server[0] == '/' || colon == NULL)
		return false;
	if (server[0] == '[')
		snprintf(host, HOST_MAX, "%.*s", (int)strcspn(server + 1, "]"), server + 1);
	else
		snprintf(host, HOST_MAX, "%.*s", (int)(colon - server), server);
	*port = (unsigned)strtoul(colon + 1, NULL, 10);
	return true;
}

static bool listens_on_all(const struct doctor_facts *facts, unsigned port)
{
	for (size_t i = 0; i < facts->listeners_count; i++)
		if (facts->listeners[i].port == port && facts->listeners[i].on_all)
			return true;
	return false;
}

static void check_server(const struct doctor_facts *facts, struct report *report,
			 const char *server)
{
	char host[HOST_MAX];
	struct prefix prefix;
	unsigned port;

	if (!split(server, host, &port))
		return;
	if (prefix_parse(host, &prefix) && !prefix_is_private(&prefix)) {
		report_find(report, REPORT_WARNING, "memcached-public",
			    "memcached %s has a public address", server);
		report_mend(report, "give it a private one, or let a firewall admit the MX hosts "
				    "alone");
	}
	if (!is_own(facts, host))
		return;
	if (!facts->knows_listeners) {
		report_not_checked(report, "memcached: /proc/net/tcp can't be read");
	} else if (listens_on_all(facts, port)) {
		report_find(report, REPORT_WARNING, "memcached-open",
			    "memcached %s listens on all addresses of this host", server);
		report_mend(report, "start it with -l 127.0.0.1, or the address that the other MX "
				    "hosts use");
	}
}

void check_memcached(const struct doctor_facts *facts, struct report *report)
{
	const struct string_list *servers = &facts->config->memcached_servers;

	if (!facts->config->use_memcached)
		return;
	report_looked_at(report, "memcached");
	for (size_t i = 0; i < servers->count; i++)
		check_server(facts, report, servers->items[i]);
}
