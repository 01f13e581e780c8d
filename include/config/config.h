/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: an immutable snapshot, read from file and command line, counted by reference. */
#ifndef TARPIT_CONFIG_H
#define TARPIT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/string_list.h"
#include "judge/policy.h"
#include "base/prefix.h"
#include "judge/rejection.h"
#include "judge/stage.h"

struct exempt;

/* Not more than MEMORY_OWNERS. */
#define MEMCACHED_SERVERS_MAX 64

struct config {
	/* as written, for --print-config and for what is used as text */
	char *socket;
	unsigned socket_mode;
	char *user;
	bool observe;
	bool use_memcached;
	struct string_list memcached_servers;
	char *memcached_user, *memcached_password_file;
	int64_t memcached_timeout_ms, memcached_retry_ms;
	char *key_prefix;
	size_t memory_clients;
	uint32_t window_s;
	struct policy policy;
	struct string_list offences_text;
	struct offence *offences;
	size_t offences_count;
	bool count_distinct;
	bool stall_at[STAGE_COUNT];
	int64_t mta_timeout_ms;			/* 0: auto */
	unsigned max_stalls;
	bool defer_when_full;
	unsigned max_flagged_sessions;		/* 0: no limit */
	int64_t max_stall_per_transaction_ms, max_stall_per_session_ms;
	struct client_widths widths;
	struct string_list exempt_clients, exempt_hosts, exempt_recipients;
	struct exempt *exempt;
	bool exempt_authenticated;
	char *control_socket, *metrics_listen, *pid_file;
	int syslog_facility;			/* LOG_MAIL ... */
	int log_level;				/* LOG_INFO ... */
	_Atomic unsigned references;
};

/* Every fault found, a line each: FILE:LINE: key: reason (what is allowed). */
struct faults {
	char *text;
	size_t length, count;
};
void faults_add(struct faults *faults, const char *format, ...) __attribute__((format(printf, 2, 3)));
void faults_free(struct faults *faults);

/*
 * Reads file, then the KEY=VALUE texts in sets; file may be NULL for none. A file that is missing is a
 * fault only if file_must_exist. NULL if there were faults. The snapshot has one reference.
 * One caller at a time (libconfuse is not thread-safe).
 */
struct config *config_load(const char *file, bool file_must_exist, const char *const *sets,
			   size_t sets_count, struct faults *faults);
/* Thread-safe. */
struct config *config_hold(struct config *config);
void config_release(struct config *config);	/* NULL is allowed */

/* Every key, in a form that config_load reads back. */
void config_print(const struct config *config, FILE *out);
/*
 * The keys, separated by blanks, that differ but need a restart; empty if none. Their old values are
 * what the new snapshot then holds. fresh must not be shared yet. False if out of memory.
 */
bool config_keep_fixed(struct config *fresh, const struct config *old, char *keys, size_t size);

/* A variable that holds the current snapshot, for any thread. */
struct config_box;
struct config_box *config_box_new(struct config *config);	/* takes the reference; NULL: no memory */
void config_box_free(struct config_box *box);
struct config *config_box_get(struct config_box *box);		/* a reference of the caller's own */
uint32_t config_box_window_s(struct config_box *box);
void config_box_put(struct config_box *box, struct config *config);	/* takes the reference */

/* "libconfuse 3.3" */
const char *config_library_version(void);

#endif
