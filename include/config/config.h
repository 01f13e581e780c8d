/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: an immutable snapshot, read from file and command line, counted by reference.
 */
#ifndef TARPIT_CONFIG_H
#define TARPIT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/string_list.h"
#include "config/faults.h"
#include "judge/policy.h"
#include "base/prefix.h"
#include "judge/mta_kind.h"
#include "judge/rejection.h"
#include "judge/stage.h"

struct certificates;
struct exempt;
struct recipients;

/* At most as many as the store keeps count of: MEMORY_OWNERS. */
#define MEMCACHED_SERVERS_MAX 64

struct config {
	/* A field for each key; tarpit-milter.conf(5) says what each means. */
	char *socket;
	unsigned socket_mode;
	char *socket_group;			/* empty: the user's */
	char *user;
	bool observe;
	bool use_memcached;
	struct string_list memcached_servers;
	char *memcached_user, *memcached_password_file;
	int64_t memcached_timeout_ms, memcached_retry_ms;
	char *key_prefix;
	size_t memory_clients;
	char *memory_file;			/* empty: none */
	uint32_t window_s;
	struct policy policy;
	struct string_list offences_text, soft_offences_text;	/* as written, for --print-config */
	struct offence *offences;		/* of both */
	size_t offences_count;
	bool count_distinct;
	bool stall_at[STAGE_COUNT];
	int mta;				/* enum mta_kind; MTA_UNKNOWN: auto */
	int64_t mta_timeout_ms;			/* 0: auto */
	unsigned max_stalls;
	bool defer_when_full;
	unsigned max_flagged_sessions;		/* 0: no limit */
	int64_t max_stall_per_transaction_ms, max_stall_per_session_ms;
	unsigned pass_limit;
	int64_t defer_longest_ms;
	double siege_threshold, siege_factor;	/* siege_threshold 0: never */
	int64_t siege_half_life_ms;
	char *recipient_delimiter;		/* characters; empty for none */
	struct client_widths widths;		/* with nat64_prefixes */
	struct string_list nat64_prefixes;
	struct string_list exempt_clients, exempt_hosts, exempt_recipients, trap_recipients;
	struct string_list callout_senders;
	struct exempt *exempt;			/* of the first two */
	struct recipients *exempt_mailboxes, *traps, *callouts;	/* of the others */
	bool exempt_authenticated;
	struct string_list exempt_certificates;	/* as written */
	bool exempt_verified;			/* all that the MTA trusts */
	struct certificates *certificates;	/* of the list */
	char *control_socket, *metrics_listen, *pid_file;
	int syslog_facility;			/* LOG_MAIL ... */
	int log_level;				/* LOG_INFO ... */
	_Atomic unsigned references;
};

/*
 * Reads file, then the KEY=VALUE texts in sets; file may be NULL for none. A file that is missing
 * is a fault only if file_must_exist. NULL if there were faults. The snapshot has one reference.
 * One caller at a time (libconfuse is not thread-safe).
 */
struct config *config_load(const char *file, bool file_must_exist, const char *const *sets,
			   size_t sets_count, struct faults *faults);
/* One more reference, and one less: the last one frees the snapshot. Thread-safe. */
struct config *config_hold(struct config *config);
void config_release(struct config *config);	/* NULL is allowed */

/* Every key, in a form that config_load reads back. */
void config_print(const struct config *config, FILE *out);
/*
 * Gives a new snapshot the old one's values of the keys that need a restart, and names those that
 * differ in keys, separated by blanks and cut to size. fresh must not be shared yet. False if out
 * of memory.
 */
bool config_keep_fixed(struct config *fresh, const struct config *old, char *keys, size_t size);

/*
 * The variable that holds the current snapshot, with a lock. Its functions are thread-safe but for
 * the last free.
 */
struct config_box;
/* Takes over the caller's reference. NULL if out of memory. */
struct config_box *config_box_new(struct config *config);
void config_box_free(struct config_box *box);
/* A reference of the caller's own. */
struct config *config_box_get(struct config_box *box);
uint32_t config_box_window_s(struct config_box *box);
/* Replaces the snapshot, and takes over the caller's reference. */
void config_box_put(struct config_box *box, struct config *config);

/* "libconfuse 3.3" */
const char *config_library_version(void);

#endif
