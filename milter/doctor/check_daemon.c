/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the daemon runs as it is configured, and what it has noticed itself. */
#include <inttypes.h>
#include <string.h>

#include "checks.h"
#include "doctor/facts.h"
#include "doctor/report.h"
#include "judge/exempt.h"

#define DAY_S (24 * 60 * 60)

/* One that has been exempted since is mended. */
static bool is_exempt(const struct doctor_facts *facts, const char *address)
{
	struct prefix prefix;

	return prefix_parse(address, &prefix) &&
	       exempt_has_client(facts->config->exempt, &prefix, NULL);
}

static void check_gateways(const struct doctor_facts *facts, struct report *report)
{
	const struct doctor_daemon *daemon = &facts->daemon;
	const struct {
		const char *address, *id, *what;
	} seen[] = {
		{daemon->most_sessions_of, "gateway", "makes most of all sessions"},
		{daemon->private_client, "private-client", "is a private address, and was flagged"},
	};

	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		if (seen[i].address[0] == '\0' || is_exempt(facts, seen[i].address))
			continue;
		report_find(
			report, REPORT_WARNING, seen[i].id,
			"%s %s: a proxy or a container's bridge, behind which all are one client",
			seen[i].address, seen[i].what);
		report_mend(report,
			    "have it pass on clients' addresses (XCLIENT, PROXY), or set "
			    "exempt_clients += {\"%s\"}",
			    seen[i].address);
	}
}

/* What the daemon has told of the MTA, and lost of its log, since it started. */
static void check_warnings(const struct doctor_facts *facts, struct report *report)
{
	if (facts->daemon.timeout_too_short > 0) {
		report_find(report, REPORT_WARNING, "timeout-seen-short",
			    "the MTA has given the milter up in stalls, again and again");
		report_mend(report, "raise the MTA's timeout for it above delay_max + 2s, or set "
				    "mta_timeout; then restart tarpit-milter");
	}
	if (facts->daemon.rejects_not_offered > 0) {
		report_find(report, REPORT_CRITICAL, "rejects-not-offered",
			    "the MTA did not show the recipients that it rejects");
		report_mend(report, "see that it speaks milter protocol 6; then restart "
				    "tarpit-milter");
	}
	if (facts->daemon.log_lines_lost > 0) {
		report_find(report, REPORT_WARNING, "log-lost",
			    "%" PRId64 " lines of the daemon's log were lost: nobody took them",
			    facts->daemon.log_lines_lost);
		report_mend(report, "see what hangs, syslog, the journal or the reader of standard "
				    "error; then restart tarpit-milter");
	}
	if (facts->daemon.uptime_s >= DAY_S && facts->daemon.sessions_opened == 0) {
		report_find(report, REPORT_WARNING, "no-sessions",
			    "the daemon has seen no session since it started %" PRId64 " h ago",
			    facts->daemon.uptime_s / 3600);
		report_mend(report, "look into the MTA's log for why it does not ask the milter");
	}
}

static void check_likeness(const struct doctor_facts *facts, struct report *report)
{
	const struct doctor_daemon *daemon = &facts->daemon;
	const char *mode = facts->config->observe ? "observe" : "enforce";
	const char *store = facts->config->use_memcached ? "memcached" : "memory";

	if (strcmp(daemon->version, facts->version) != 0) {
		report_find(report, REPORT_WARNING, "version-skew",
			    "the daemon is version %s, tarpitctl is %s", daemon->version,
			    facts->version);
		report_mend(report, "restart tarpit-milter, or install both from one build");
	}
	if (strcmp(daemon->mode, mode) != 0) {
		report_find(report, REPORT_WARNING, "config-stale",
			    "the daemon's mode is %s, the configuration says %s", daemon->mode,
			    mode);
		report_mend(report, "tarpitctl reload (or give doctor the daemon's -c and -o)");
	}
	if (strcmp(daemon->store, store) != 0) {
		report_find(report, REPORT_WARNING, "config-stale",
			    "the daemon's store is %s, the configuration says %s", daemon->store,
			    store);
		report_mend(report,
			    "restart tarpit-milter (or give doctor the daemon's -c and -o)");
	}
}

static void check_answer(const struct doctor_facts *facts, struct report *report)
{
	const struct doctor_daemon *daemon = &facts->daemon;

	report_looked_at(report, "daemon %s", daemon->version);
	check_likeness(facts, report);
	if (strcmp(daemon->store_state, "up") != 0) {
		report_find(report, REPORT_WARNING, "memcached-down",
			    "memcached is %s: this host goes by its own counts",
			    daemon->store_state);
		report_mend(report, "start it; tarpitctl status says which server");
	}
	if (daemon->max_sessions > 0 && daemon->sessions >= daemon->max_sessions) {
		report_find(report, REPORT_WARNING, "sessions-full",
			    "%" PRId64 " sessions are open: more pass unwatched", daemon->sessions);
		report_mend(report, "raise the daemon's limit of descriptors (LimitNOFILE=)");
	}
	if (strcmp(daemon->mode, "observe") == 0) {
		report_find(report, REPORT_OK, "observe",
			    "mode = observe: clients are judged, nobody is slowed");
		report_mend(report, "set mode = enforce once the log looks right");
	}
	check_warnings(facts, report);
	check_gateways(facts, report);
}

void check_daemon(const struct doctor_facts *facts, struct report *report)
{
	switch (facts->daemon.state) {
	case DAEMON_NOT_ASKED:
		report_find(report, REPORT_WARNING, "control-off",
			    "control_socket is empty: the daemon can't be asked");
		report_mend(report, "remove control_socket from tarpit-milter.conf");
		report_not_checked(report, "daemon: it has no control socket");
		break;
	case DAEMON_DOWN:
		report_find(report, REPORT_CRITICAL, "daemon-down", "%s", facts->daemon.why);
		report_mend(report, "start tarpit-milter, and see its log");
		break;
	case DAEMON_REFUSES:
		report_not_checked(report, "daemon: %s", facts->daemon.why);
		break;
	case DAEMON_ANSWERS:
		check_answer(facts, report);
		break;
	}
}
