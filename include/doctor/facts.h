/* SPDX-License-Identifier: BSD-2-Clause */
/* What `tarpitctl doctor` judges by: gathered from this machine first, so that checks are pure. */
#ifndef TARPIT_DOCTOR_FACTS_H
#define TARPIT_DOCTOR_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/prefix.h"
#include "config/config.h"

struct postfix_settings;

#define DOCTOR_WHY_MAX 300
#define DOCTOR_PATH_MAX 256
#define DOCTOR_STEPS_MAX 24
#define DOCTOR_GROUPS_MAX 64
#define DOCTOR_ADDRESSES_MAX 64
#define DOCTOR_LISTENERS_MAX 256

/* What the daemon said of itself (status). */
struct doctor_daemon {
	enum {
		DAEMON_NOT_ASKED,	/* control_socket is empty */
		DAEMON_DOWN,
		DAEMON_REFUSES,		/* this user may not ask */
		DAEMON_ANSWERS
	} state;
	char why[DOCTOR_WHY_MAX];	/* of DAEMON_DOWN and DAEMON_REFUSES */
	char version[32], mode[16], store[16], store_state[16];
	int64_t uptime_s, sessions, max_sessions, sessions_opened;
	int64_t stalls, max_stalls, clients, flagged;
	int64_t timeout_too_short, rejects_not_offered;	/* warnings about the MTA */
	int64_t log_lines_lost;
	/* Addresses; empty for none. */
	char private_client[PREFIX_TEXT_MAX], most_sessions_of[PREFIX_TEXT_MAX];
};

/* A folder on the way to the milter's socket, or the socket itself. */
struct doctor_step {
	char path[DOCTOR_PATH_MAX];
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool has_acl;	/* then mode does not tell who may */
};

struct doctor_socket {
	struct doctor_step steps[DOCTOR_STEPS_MAX];	/* from / on; the socket is the last */
	size_t steps_count;
	int error;	/* the errno of the step that could not be looked at; 0: all could */
	char at[DOCTOR_PATH_MAX];	/* that step */
};

struct doctor_user {
	char name[64];	/* of Postfix's mail_owner */
	bool exists;
	uid_t uid;
	gid_t groups[DOCTOR_GROUPS_MAX];
	size_t groups_count;
};

/* A TCP port of this host on which somebody listens. */
struct doctor_listener {
	unsigned port;
	bool on_all;	/* of the host's addresses */
};

struct doctor_facts {
	const char *version;		/* of this tool */
	const struct config *config;	/* NULL: faulty */
	const char *faults;		/* then what is wrong, a line each */
	const char *config_denied;	/* a file that may not be read, so that config is NULL */
	struct doctor_daemon daemon;
	struct doctor_socket socket;	/* of a unix socket */
	char postfix_directory[DOCTOR_PATH_MAX];
	struct postfix_settings *postfix;	/* NULL: could not be read */
	char mta_why[DOCTOR_WHY_MAX];	/* then the reason, if there is no Sendmail either */
	struct doctor_user user;
	char sendmail_path[DOCTOR_PATH_MAX];
	char *sendmail_cf;		/* its text; NULL: Postfix is looked at, or there is none */
	struct prefix addresses[DOCTOR_ADDRESSES_MAX];	/* of this host */
	size_t addresses_count;
	struct doctor_listener listeners[DOCTOR_LISTENERS_MAX];
	size_t listeners_count;
	bool knows_listeners;
	/* Whether two paths lead to the same place. */
	bool (*is_same_path)(const char *a, const char *b);
};

/*
 * Reads Postfix's settings (of directory, NULL for postconf's own) or Sendmail's, where there is no
 * Postfix or sendmail_cf names a file; the socket of facts->config; the host's addresses and
 * listeners. Without facts->config nothing is read. Runs programs, and blocks for them.
 */
void doctor_gather(struct doctor_facts *facts, const char *directory, const char *sendmail_cf);
void doctor_facts_free(struct doctor_facts *facts);

#endif
