/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the value of a key, or an item of a list, from text into its field of the snapshot. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "judge/certificates.h"
#include "judge/exempt.h"
#include "judge/recipients.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/secret.h"
#include "table.h"

#define NAME_MAX_LENGTH 64
#define DELIMITERS_MAX 8
#define MEMCACHED_USER_MAX 128
#define TRANSLATORS_MAX 64

static bool in_range(const struct config_key *key, double value, char *error, size_t size)
{
	if (value >= key->min && value <= key->max)
		return true;
	if (value == 0 && key->has_zero)
		return true;
	return error_set(error, size, "out of range");
}

static bool parse_integer(const struct config_key *key, const char *text, void *field, char *error,
			  size_t size)
{
	int64_t value;
	uint8_t small;
	uint32_t middle;
	const char *end = decimal_parse(text, 0, &value);

	if (end == NULL || *end != '\0')
		return error_set(error, size, "not an integer");
	if (!in_range(key, (double)value, error, size))
		return false;
	small = (uint8_t)value;
	middle = (uint32_t)value;
	memcpy(field,
	       key->size == 1	? (void *)&small
	       : key->size == 4 ? (void *)&middle
				: (void *)&value,
	       key->size);
	return true;
}

int64_t config_integer(const struct config_key *key, const void *field)
{
	uint8_t small;
	uint32_t middle;
	int64_t value;

	if (key->size == sizeof(small))
		return memcpy(&small, field, sizeof(small)), small;
	if (key->size == sizeof(middle))
		return memcpy(&middle, field, sizeof(middle)), middle;
	return memcpy(&value, field, sizeof(value)), value;
}

static bool parse_number(const struct config_key *key, const char *text, void *field, char *error,
			 size_t size)
{
	bool hundredths = key->kind == KIND_HUNDREDTHS;
	int64_t value;
	const char *end = decimal_parse(text, hundredths ? 2 : 6, &value);

	if (end == NULL || *end != '\0')
		return error_set(error, size,
				 hundredths ? "not a number with two decimals at most"
					    : "not a number");
	if (!in_range(key, (double)value / (hundredths ? 1e2 : 1e6), error, size))
		return false;
	if (hundredths)
		*(unsigned *)field = (unsigned)value;
	else
		*(double *)field = (double)value / 1e6;
	return true;
}

static bool parse_time(const struct config_key *key, const char *text, void *field, char *error,
		       size_t size)
{
	int64_t ms;

	if (key->kind == KIND_TIMEOUT && strcasecmp(text, "auto") == 0) {
		*(int64_t *)field = 0;
		return true;
	}
	if (!duration_parse(text, &ms))
		return error_set(error, size, "not a duration");
	if (!in_range(key, (double)ms, error, size))
		return false;
	if (key->kind != KIND_SECONDS)
		*(int64_t *)field = ms;
	else if (ms % 1000 != 0)
		return error_set(error, size, "not whole seconds");
	else
		*(uint32_t *)field = (uint32_t)(ms / 1000);
	return true;
}

static bool parse_octal(const struct config_key *key, const char *text, void *field, char *error,
			size_t size)
{
	size_t digits = strspn(text, "01234567");

	if (digits < 3 || digits > 6 || text[digits] != '\0')
		return error_set(error, size, "not an octal mode");
	*(unsigned *)field = (unsigned)strtoul(text, NULL, 8);
	return in_range(key, *(unsigned *)field, error, size);
}

static bool parse_boolean(const struct config_key *key, const char *text, void *field, char *error,
			  size_t size)
{
	static const char *const synonyms[][2] = {{"false", "true"}, {"off", "on"}};
	bool is_yes_no = strcmp(key->words[1], "yes") == 0;

	for (int value = 0; value < 2; value++) {
		bool match = strcasecmp(text, key->words[value]) == 0;

		for (size_t i = 0; is_yes_no && i < 2; i++)
			match = match || strcasecmp(text, synonyms[i][value]) == 0;
		if (match) {
			*(bool *)field = value == 1;
			return true;
		}
	}
	return error_set(error, size, "no such choice");
}

static bool parse_text(const struct config_key *key, const char *text, void *field, char *error,
		       size_t size)
{
	for (const char *p = text; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			return error_set(error, size, "control character");
	if (!key->check(text, error, size))
		return false;
	return config_set_text(field, text) || error_set(error, size, "out of memory");
}

bool config_value_parse(const struct config_key *key, const char *text, void *field, char *error,
			size_t size)
{
	switch (key->kind) {
	case KIND_TEXT:
		return parse_text(key, text, field, error, size);
	case KIND_INTEGER:
		return parse_integer(key, text, field, error, size);
	case KIND_OCTAL:
		return parse_octal(key, text, field, error, size);
	case KIND_NUMBER:
	case KIND_HUNDREDTHS:
		return parse_number(key, text, field, error, size);
	case KIND_DURATION:
	case KIND_TIMEOUT:
	case KIND_SECONDS:
		return parse_time(key, text, field, error, size);
	case KIND_BOOLEAN:
		return parse_boolean(key, text, field, error, size);
	case KIND_FACILITY:
		*(int *)field = log_facility(text);
		return *(int *)field >= 0 || error_set(error, size, "no such facility");
	case KIND_LEVEL:
		*(int *)field = log_priority(text);
		return *(int *)field >= 0 || error_set(error, size, "no such level");
	case KIND_MTA:
		*(int *)field = mta_kind_named(text);
		return *(int *)field >= 0 || error_set(error, size, "no such MTA");
	case KIND_LIST:
	case KIND_STAGES:
		break;
	}
	return error_set(error, size, "a list");
}

bool config_check_user(const char *text, char *error, size_t size)
{
	if (*text == '\0' || strlen(text) > NAME_MAX_LENGTH || strpbrk(text, " :/") != NULL)
		return error_set(error, size, "not the name of a user or a group");
	return true;
}

bool config_check_key_prefix(const char *text, char *error, size_t size)
{
	size_t length = strlen(text);

	if (length == 0 || length > COUNTERS_KEY_PREFIX_MAX)
		return error_set(error, size, length == 0 ? "empty" : "too long");
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr("._-", *text) == NULL)
			return error_set(error, size, "a character that is not allowed");
	return true;
}

bool config_check_socket_path(const char *text, char *error, size_t size)
{
	char with_kind[256];

	if (*text == '\0')
		return true;
	/* A path that is cut here is still too long for a socket. */
	snprintf(with_kind, sizeof(with_kind), "unix:%s", text);
	return listen_check(with_kind, error, size);
}

bool config_check_memcached_user(const char *text, char *error, size_t size)
{
	return strlen(text) <= MEMCACHED_USER_MAX || error_set(error, size, "too long");
}

bool config_check_password_file(const char *text, char *error, size_t size)
{
	struct secret *secret;

	if (*text == '\0')
		return true;
	if (*text != '/')
		return error_set(error, size, "not an absolute path");
	/*
	 * --check-config may run as a user that can't read the file. The daemon, which must, reads
	 * it at start.
	 */
	if (access(text, R_OK) != 0 && errno == EACCES)
		return true;
	secret = secret_read(text, error, size);
	secret_free(secret);
	return secret != NULL;
}

bool config_check_path(const char *text, char *error, size_t size)
{
	return *text == '\0' || *text == '/' || error_set(error, size, "not an absolute path");
}

bool config_check_host_port(const char *text, char *error, size_t size)
{
	const char *colon = strrchr(text, ':');
	char turned[LISTEN_TEXT_MAX];

	if (*text == '\0')
		return true;
	if (colon == NULL || colon == text)
		return error_set(error, size, "not HOST:PORT");
	if (*text != '[' && memchr(text, ':', (size_t)(colon - text)) != NULL)
		return error_set(error, size, "an IPv6 address must stand in brackets");
	if (strlen(text) > 300)
		return error_set(error, size, "too long");
	return listen_from_host_port(text, turned) && listen_check(turned, error, size);
}

/* Where a TCP socket listens. */
struct place {
	int family;
	long port;
	char host[LISTEN_TEXT_MAX]; /* an address in the one form that inet_ntop gives it */
};

static struct place find_place(const char *address)
{
	struct place place = {.family = strncmp(address, "inet6:", 6) == 0 ? AF_INET6 : AF_INET,
			      .port = strtol(strchr(address, ':') + 1, NULL, 10)};
	const char *host = strchr(address, '@') + 1;
	uint8_t bytes[16];

	host += *host == '[';
	snprintf(place.host, sizeof(place.host), "%.*s", (int)strcspn(host, "]"), host);
	if (inet_pton(place.family, place.host, bytes) == 1)
		(void)inet_ntop(place.family, bytes, place.host, sizeof(place.host));
	return place;
}

static bool is_any_host(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

bool config_host_port_clashes(const char *host_port, const char *socket)
{
	char turned[LISTEN_TEXT_MAX];
	struct place a, b;

	if (strncmp(socket, "inet", 4) != 0 || !listen_from_host_port(host_port, turned))
		return false;
	a = find_place(turned);
	b = find_place(socket);
	return a.family == b.family && a.port == b.port &&
	       (is_any_host(a.host) || is_any_host(b.host) || strcasecmp(a.host, b.host) == 0);
}

/* The path of a unix socket, which may be written with unix: before it or without. */
static const char *server_path(const char *text)
{
	return strncmp(text, "unix:", 5) == 0 ? text + 5 : text;
}

static bool has_server(const struct string_list *list, const char *text)
{
	text = server_path(text);
	for (size_t i = 0; i < list->count; i++)
		if ((*text == '/' ? strcmp : strcasecmp)(server_path(list->items[i]), text) == 0)
			return true;
	return false;
}

static bool keep(struct string_list *list, const char *text, char *error, size_t size)
{
	return string_list_add(list, text) || error_set(error, size, "out of memory");
}

bool config_add_server(struct config *config, const char *text, char *error, size_t size)
{
	const char *path = server_path(text);

	if (*text == '\0')
		return error_set(error, size, "empty");
	if (*path == '/' ? !config_check_socket_path(path, error, size)
			 : !config_check_host_port(text, error, size))
		return false;
	if (has_server(&config->memcached_servers, text))
		return error_set(error, size, "named twice");
	if (config->memcached_servers.count == MEMCACHED_SERVERS_MAX)
		return error_set(error, size, "one too many");
	return keep(&config->memcached_servers, text, error, size);
}

static bool add_offence(struct config *config, const char *text, bool is_soft, char *error,
			size_t size)
{
	struct offence offence, *offences;

	if (!offence_parse(text, is_soft, &offence, error, size))
		return false;
	offences = reallocarray(config->offences, config->offences_count + 1, sizeof(*offences));
	if (offences == NULL)
		return error_set(error, size, "out of memory");
	config->offences = offences;
	offences[config->offences_count++] = offence;
	return keep(is_soft ? &config->soft_offences_text : &config->offences_text, text, error,
		    size);
}

bool config_add_offence(struct config *config, const char *text, char *error, size_t size)
{
	return add_offence(config, text, false, error, size);
}

bool config_add_soft_offence(struct config *config, const char *text, char *error, size_t size)
{
	return add_offence(config, text, true, error, size);
}

bool config_add_stage(struct config *config, const char *text, char *error, size_t size)
{
	for (int stage = 0; stage < STAGE_COUNT; stage++) {
		if (strcasecmp(text, stage_name((enum stage)stage)) != 0)
			continue;
		if (config->stall_at[stage])
			return error_set(error, size, "named twice");
		config->stall_at[stage] = true;
		return true;
	}
	return error_set(error, size, "no such stage");
}

bool config_add_translator(struct config *config, const char *text, char *error, size_t size)
{
	struct client_widths *widths = &config->widths;
	struct prefix prefix, *translators;

	if (!prefix_parse_cut(text, &prefix) || prefix.family != 6)
		return error_set(error, size, "not an IPv6 network");
	if (prefix.bits != TRANSLATOR_BITS)
		return error_set(error, size, "not a /96");
	if (!prefix_parse(text, &prefix))
		return error_set(error, size, "host bits are set");
	for (size_t i = 0; i < widths->translators_count; i++)
		if (prefix_equal(&widths->translators[i], &prefix))
			return error_set(error, size, "named twice");
	if (widths->translators_count == TRANSLATORS_MAX)
		return error_set(error, size, "one too many");
	translators = reallocarray(widths->translators, widths->translators_count + 1,
				   sizeof(*translators));
	if (translators == NULL)
		return error_set(error, size, "out of memory");
	translators[widths->translators_count++] = prefix;
	widths->translators = translators;
	return keep(&config->nat64_prefixes, text, error, size);
}

bool config_add_client(struct config *config, const char *text, char *error, size_t size)
{
	return (*text == '@' || exempt_add_client(config->exempt, text, error, size)) &&
	       keep(&config->exempt_clients, text, error, size);
}

bool config_add_host(struct config *config, const char *text, char *error, size_t size)
{
	return exempt_add_host(config->exempt, text, error, size) &&
	       keep(&config->exempt_hosts, text, error, size);
}

bool config_add_recipient(struct config *config, const char *text, char *error, size_t size)
{
	return recipients_add(config->exempt_mailboxes, text, error, size) &&
	       keep(&config->exempt_recipients, text, error, size);
}

/* "double-bounce@" is that local part in every domain. */
bool config_add_callout(struct config *config, const char *text, char *error, size_t size)
{
	size_t length = strlen(text);
	char local[256];

	if (length >= sizeof(local) || strchr(text, '@') == NULL)
		return error_set(error, size,
				 "neither an address nor a local part with an @ behind it");
	snprintf(local, sizeof(local), "%s", text);
	if (local[length - 1] == '@')
		local[length - 1] = '\0';
	return recipients_add(config->callouts, local, error, size) &&
	       keep(&config->callout_senders, text, error, size);
}

bool config_add_client_line(struct config *config, const char *text, char *error, size_t size)
{
	return exempt_add_client(config->exempt, text, error, size);
}

bool config_add_trap_line(struct config *config, const char *text, char *error, size_t size)
{
	/* A local part alone would be a trap in every domain. */
	if (strchr(text, '@') == NULL) {
		snprintf(error, size, "an address without a domain");
		return false;
	}
	return recipients_add(config->traps, text, error, size);
}

bool config_add_trap(struct config *config, const char *text, char *error, size_t size)
{
	return (*text == '@' || config_add_trap_line(config, text, error, size)) &&
	       keep(&config->trap_recipients, text, error, size);
}

bool config_add_certificate_line(struct config *config, const char *text, char *error, size_t size)
{
	return certificates_add(config->certificates, text, error, size);
}

/* "no" and "verified" stand alone: load.c has seen to that. */
bool config_add_certificate(struct config *config, const char *text, char *error, size_t size)
{
	config->exempt_verified = strcasecmp(text, "verified") == 0;
	return (*text == '@' || strcasecmp(text, "no") == 0 || config->exempt_verified ||
		config_add_certificate_line(config, text, error, size)) &&
	       keep(&config->exempt_certificates, text, error, size);
}

bool config_check_group(const char *text, char *error, size_t size)
{
	return *text == '\0' || config_check_user(text, error, size);
}

bool config_check_delimiter(const char *text, char *error, size_t size)
{
	static const char allowed[] = "!#$%&'*+-/=?^_`{|}~";

	if (strlen(text) <= DELIMITERS_MAX && text[strspn(text, allowed)] == '\0')
		return true;
	snprintf(error, size, "no delimiters of an extension");
	return false;
}
