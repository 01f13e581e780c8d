/* SPDX-License-Identifier: BSD-2-Clause */
/* All keys: where each is kept, its default, what it may be. */
#include "table.h"

#include <string.h>
#include <strings.h>

#include "base/listen.h"

#define SECOND 1e3
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define FIELD(field)                                                                               \
	.offset = offsetof(struct config, field), .size = sizeof(((struct config *)NULL)->field)

const struct config_key config_keys[] = {
	{"socket", KIND_TEXT, FIELD(socket), "unix:/run/tarpit-milter/milter.sock",
	 "unix:PATH, inet:PORT@HOST or inet6:PORT@HOST", .fixed = true, .check = listen_check},
	{"socket_mode", KIND_OCTAL, FIELD(socket_mode), "0660", "octal, 0600 to 0777", 0600, 0777,
	 .fixed = true},
	{"socket_group", KIND_TEXT, FIELD(socket_group), "",
	 "name of a group; empty for the user's", .fixed = true, .check = config_check_group},
	{"user", KIND_TEXT, FIELD(user), "tarpit-milter", "name of a user", .fixed = true,
	 .check = config_check_user},
	{"mode", KIND_BOOLEAN, FIELD(observe), "enforce", "enforce or observe",
	 .words = {"enforce", "observe"}},
	{"store", KIND_BOOLEAN, FIELD(use_memcached), "memory", "memory or memcached",
	 .fixed = true, .words = {"memory", "memcached"}},
	{"memcached_servers", KIND_LIST, FIELD(memcached_servers), "127.0.0.1:11211",
	 "HOST:PORT, [V6]:PORT or the path of a unix socket, each once, 64 at most", .fixed = true,
	 .add = config_add_server},
	{"memcached_user", KIND_TEXT, FIELD(memcached_user), "",
	 "128 bytes at most; empty for none", .fixed = true, .check = config_check_memcached_user},
	{"memcached_password_file", KIND_TEXT, FIELD(memcached_password_file), "",
	 "absolute path of a file that others can't read; empty for none", .fixed = true,
	 .check = config_check_password_file},
	{"memcached_timeout", KIND_DURATION, FIELD(memcached_timeout_ms), "50ms", "5ms to 2s", 5,
	 2 * SECOND},
	{"memcached_retry", KIND_DURATION, FIELD(memcached_retry_ms), "2s", "100ms to 5m", 100,
	 5 * MINUTE},
	{"key_prefix", KIND_TEXT, FIELD(key_prefix), "tarpit",
	 "1 to 32 of letters, digits, '.', '_' and '-'", .check = config_check_key_prefix},
	{"memory_clients", KIND_INTEGER, FIELD(memory_clients), "100000", "100 to 10000000", 100,
	 1e7},
	{"memory_file", KIND_TEXT, FIELD(memory_file), DEFAULT_MEMORY_FILE,
	 "absolute path; empty for none", .check = config_check_path},
	{"window", KIND_SECONDS, FIELD(window_s), "4h", "1m to 14d, whole seconds", MINUTE,
	 14 * DAY},
	{"threshold", KIND_NUMBER, FIELD(policy.threshold), "5", "0.01 to 10000", 0.01, 10000},
	{"good_credit", KIND_NUMBER, FIELD(policy.good_credit), "2", "0 to 100", 0, 100},
	{"offences", KIND_LIST, FIELD(offences_text), "\"5.2.2 0\", \"5.3.4 0\", \"5.*.* 1\"",
	 "\"5.SUBJECT.DETAIL WEIGHT\", * for any, weight 0 to 10 with two decimals at most",
	 .add = config_add_offence},
	{"soft_offences", KIND_LIST, FIELD(soft_offences_text), "",
	 "\"4.SUBJECT.DETAIL WEIGHT\", * for any, weight 0 to 10 with two decimals at most",
	 .add = config_add_soft_offence},
	{"hidden_weight", KIND_HUNDREDTHS, FIELD(policy.hidden_weight), "0.5",
	 "0 to 10, two decimals at most", 0, 10},
	{"null_sender_weight", KIND_NUMBER, FIELD(policy.null_sender_weight), "0.25", "0 to 10", 0,
	 10},
	{"callout_senders", KIND_LIST, FIELD(callout_senders), "\"double-bounce@\"",
	 "address, or local part that ends in @", .add = config_add_callout},
	{"count_distinct", KIND_BOOLEAN, FIELD(count_distinct), "yes", "yes or no",
	 .words = {"no", "yes"}},
	{"delay_min", KIND_DURATION, FIELD(policy.delay_min_ms), "5s", "100ms to 10m", 100,
	 10 * MINUTE},
	{"delay_max", KIND_DURATION, FIELD(policy.delay_max_ms), "20s", "100ms to 10m", 100,
	 10 * MINUTE},
	{"jitter", KIND_INTEGER, FIELD(policy.jitter), "10", "percent, 0 to 50", 0, 50},
	{"stall_at", KIND_STAGES, FIELD(stall_at), "connect, mail, rcpt, data",
	 "connect, helo, mail, rcpt, data, each once", .add = config_add_stage},
	{"mta", KIND_MTA, FIELD(mta), "auto", "auto, postfix or sendmail"},
	{"mta_timeout", KIND_TIMEOUT, FIELD(mta_timeout_ms), "auto", "auto, or 3s to 1h",
	 3 * SECOND, HOUR},
	{"max_stalls", KIND_INTEGER, FIELD(max_stalls), "40", "1 to 100000", 1, 1e5},
	{"when_full", KIND_BOOLEAN, FIELD(defer_when_full), "defer", "defer or pass",
	 .words = {"pass", "defer"}},
	{"max_flagged_sessions", KIND_INTEGER, FIELD(max_flagged_sessions), "2", "0 to 10000", 0,
	 1e4},
	{"max_stall_per_transaction", KIND_DURATION, FIELD(max_stall_per_transaction_ms), "4m",
	 "1s to 1h", SECOND, HOUR},
	{"max_stall_per_session", KIND_DURATION, FIELD(max_stall_per_session_ms), "10m", "1s to 1d",
	 SECOND, DAY},
	{"pass_limit", KIND_INTEGER, FIELD(pass_limit), "100", "0 to 1000000", 0, 1e6},
	{"defer_longest", KIND_DURATION, FIELD(defer_longest_ms), "30m", "1m to 14d", MINUTE,
	 14 * DAY},
	{"siege_threshold", KIND_NUMBER, FIELD(siege_threshold), "30", "0, or 1 to 1000000", 1, 1e6,
	 .has_zero = true},
	{"siege_factor", KIND_NUMBER, FIELD(siege_factor), "5", "1 to 1000", 1, 1000},
	{"siege_half_life", KIND_DURATION, FIELD(siege_half_life_ms), "10m", "1m to 1d", MINUTE,
	 DAY},
	{"ipv4_prefix", KIND_INTEGER, FIELD(widths.ipv4_prefix), "32", "8 to 32", 8, 32},
	{"ipv6_prefix", KIND_INTEGER, FIELD(widths.ipv6_prefix), "64", "16 to 128", 16, 128},
	{"network_threshold", KIND_NUMBER, FIELD(policy.network_threshold), "20",
	 "0, or 1 to 100000", 1, 1e5, .has_zero = true},
	{"ipv4_network", KIND_INTEGER, FIELD(widths.ipv4_network), "24", "8 to 32", 8, 32},
	{"ipv6_network", KIND_INTEGER, FIELD(widths.ipv6_network), "48", "16 to 128", 16, 128},
	{"nat64_prefixes", KIND_LIST, FIELD(nat64_prefixes), "",
	 "IPv6 NETWORK/96, each once, 64 at most", .add = config_add_translator},
	{"exempt_clients", KIND_LIST, FIELD(exempt_clients), "127.0.0.0/8, ::1",
	 "ADDRESS, NETWORK/BITS or @FILE", .add = config_add_client,
	 .add_line = config_add_client_line, .allowed_line = "an address or NETWORK/BITS"},
	{"exempt_hosts", KIND_LIST, FIELD(exempt_hosts), "",
	 "host name, or .DOMAIN for all below it", .add = config_add_host},
	{"exempt_authenticated", KIND_BOOLEAN, FIELD(exempt_authenticated), "yes", "yes or no",
	 .words = {"no", "yes"}},
	{"exempt_certificates", KIND_LIST, FIELD(exempt_certificates), "no",
	 "no, verified, or a list of common names, /SUBJECTs, fingerprints and @FILE",
	 .words = {"no", "verified"}, .add = config_add_certificate,
	 .add_line = config_add_certificate_line,
	 .allowed_line = "a common name, a /SUBJECT or a fingerprint"},
	{"exempt_recipients", KIND_LIST, FIELD(exempt_recipients), "postmaster, abuse",
	 "local part or address", .add = config_add_recipient},
	{"trap_recipients", KIND_LIST, FIELD(trap_recipients), "", "address or @FILE",
	 .add = config_add_trap, .add_line = config_add_trap_line, .allowed_line = "an address"},
	{"recipient_delimiter", KIND_TEXT, FIELD(recipient_delimiter), "+",
	 "up to 8 of !#$%&'*+-/=?^_`{|}~; empty for none", .check = config_check_delimiter},
	{"control_socket", KIND_TEXT, FIELD(control_socket), "/run/tarpit-milter/control.sock",
	 "absolute path; empty for none", .fixed = true, .check = config_check_socket_path},
	{"metrics_listen", KIND_TEXT, FIELD(metrics_listen), "", "HOST:PORT; empty for none",
	 .fixed = true, .check = config_check_host_port},
	{"pid_file", KIND_TEXT, FIELD(pid_file), "", "absolute path; empty for none", .fixed = true,
	 .check = config_check_path},
	{"syslog_facility", KIND_FACILITY, FIELD(syslog_facility), "mail",
	 "mail, daemon, auth, user, local0 to local7"},
	{"log_level", KIND_LEVEL, FIELD(log_level), "info", "debug, info, notice, warning, err"},
};
const size_t config_keys_count = sizeof(config_keys) / sizeof(config_keys[0]);

const char *const config_facilities[] = {"mail",   "daemon", "auth",   "user",	 "local0",
					 "local1", "local2", "local3", "local4", "local5",
					 "local6", "local7", NULL};
const char *const config_levels[] = {"debug", "info", "notice", "warning", "err", NULL};
const char *const config_mtas[] = {"auto", "postfix", "sendmail", NULL};

const struct config_key *config_key_find(const char *name, size_t length)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (strncmp(config_keys[i].name, name, length) == 0 &&
		    config_keys[i].name[length] == '\0')
			return &config_keys[i];
	return NULL;
}

bool config_key_has_word(const struct config_key *key, const char *text)
{
	return config_key_is_list(key) && key->words[0] != NULL &&
	       (strcasecmp(text, key->words[0]) == 0 || strcasecmp(text, key->words[1]) == 0);
}

bool config_key_is_list(const struct config_key *key)
{
	return key->kind == KIND_LIST || key->kind == KIND_STAGES;
}

void *config_key_field(const struct config_key *key, struct config *config)
{
	return (char *)config + key->offset;
}

const void *config_key_value(const struct config_key *key, const struct config *config)
{
	return (const char *)config + key->offset;
}
