/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of settings: from text to field. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "judge/exempt.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/secret.h"
#include "table.h"

#define NAME_MAX_LENGTH 64
#define MEMCACHED_USER_MAX 128

static bool fail(char *error, size_t size, const char *reason)
{
	snprintf(error, size, "%s", reason);
	return false;
}

static bool in_range(const struct setting *setting, double value, char *error, size_t size)
{
	if (value >= setting->min && value <= setting->max)
		return true;
	/* Networks may be switched off. */
	if (value == 0 && setting->min >= 1 && strcmp(setting->name, "network_threshold") == 0)
		return true;
	return fail(error, size, "out of range");
}

static bool parse_integer(const struct setting *setting, const char *text, void *field, char *error,
			  size_t size)
{
	int64_t value;
	uint8_t small;
	uint32_t middle;
	const char *end = decimal_parse(text, 0, &value);

	if (end == NULL || *end != '\0')
		return fail(error, size, "not an integer");
	if (!in_range(setting, (double)value, error, size))
		return false;
	small = (uint8_t)value;
	middle = (uint32_t)value;
	memcpy(field,
	       setting->size == 1   ? (void *)&small
	       : setting->size == 4 ? (void *)&middle
				    : (void *)&value,
	       setting->size);
	return true;
}

int64_t setting_integer(const struct setting *setting, const void *field)
{
	uint8_t small;
	uint32_t middle;
	int64_t value;

	if (setting->size == sizeof(small))
		return memcpy(&small, field, sizeof(small)), small;
	if (setting->size == sizeof(middle))
		return memcpy(&middle, field, sizeof(middle)), middle;
	return memcpy(&value, field, sizeof(value)), value;
}

static bool parse_number(const struct setting *setting, const char *text, void *field, char *error,
			 size_t size)
{
	bool hundredths = setting->kind == KIND_HUNDREDTHS;
	int64_t value;
	const char *end = decimal_parse(text, hundredths ? 2 : 6, &value);

	if (end == NULL || *end != '\0')
		return fail(error, size,
			    hundredths ? "not a number with two decimals at most" : "not a number");
	if (!in_range(setting, (double)value / (hundredths ? 1e2 : 1e6), error, size))
		return false;
	if (hundredths)
		*(unsigned *)field = (unsigned)value;
	else
		*(double *)field = (double)value / 1e6;
	return true;
}

static bool parse_time(const struct setting *setting, const char *text, void *field, char *error,
		       size_t size)
{
	int64_t ms;

	if (setting->kind == KIND_TIMEOUT && strcasecmp(text, "auto") == 0) {
		*(int64_t *)field = 0;
		return true;
	}
	if (!duration_parse(text, &ms))
		return fail(error, size, "not a duration");
	if (!in_range(setting, (double)ms, error, size))
		return false;
	if (setting->kind != KIND_SECONDS)
		*(int64_t *)field = ms;
	else if (ms % 1000 != 0)
		return fail(error, size, "not whole seconds");
	else
		*(uint32_t *)field = (uint32_t)(ms / 1000);
	return true;
}

static bool parse_octal(const struct setting *setting, const char *text, void *field, char *error,
			size_t size)
{
	size_t digits = strspn(text, "01234567");

	if (digits < 3 || digits > 6 || text[digits] != '\0')
		return fail(error, size, "not an octal mode");
	*(unsigned *)field = (unsigned)strtoul(text, NULL, 8);
	return in_range(setting, *(unsigned *)field, error, size);
}

static bool parse_boolean(const struct setting *setting, const char *text, void *field, char *error,
			  size_t size)
{
	static const char *const synonyms[][2] = {{"false", "true"}, {"off", "on"}};
	bool is_yes_no = strcmp(setting->words[1], "yes") == 0;

	for (int value = 0; value < 2; value++) {
		bool match = strcasecmp(text, setting->words[value]) == 0;

		for (size_t i = 0; is_yes_no && i < 2; i++)
			match = match || strcasecmp(text, synonyms[i][value]) == 0;
		if (match) {
			*(bool *)field = value == 1;
			return true;
		}
	}
	return fail(error, size, "no such choice");
}

static bool parse_text(const struct setting *setting, const char *text, void *field, char *error,
		       size_t size)
{
	char *copy;

	for (const char *p = text; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			return fail(error, size, "control character");
	if (!setting->check(text, error, size))
		return false;
	copy = strdup(text);
	if (copy == NULL)
		return fail(error, size, "out of memory");
	free(*(char **)field);
	*(char **)field = copy;
	return true;
}

bool setting_parse(const struct setting *setting, const char *text, void *field, char *error,
		   size_t size)
{
	switch (setting->kind) {
	case KIND_TEXT:
		return parse_text(setting, text, field, error, size);
	case KIND_INTEGER:
		return parse_integer(setting, text, field, error, size);
	case KIND_OCTAL:
		return parse_octal(setting, text, field, error, size);
	case KIND_NUMBER:
	case KIND_HUNDREDTHS:
		return parse_number(setting, text, field, error, size);
	case KIND_DURATION:
	case KIND_TIMEOUT:
	case KIND_SECONDS:
		return parse_time(setting, text, field, error, size);
	case KIND_BOOLEAN:
		return parse_boolean(setting, text, field, error, size);
	case KIND_FACILITY:
		*(int *)field = log_facility(text);
		return *(int *)field >= 0 || fail(error, size, "no such facility");
	case KIND_LEVEL:
		*(int *)field = log_priority(text);
		return *(int *)field >= 0 || fail(error, size, "no such level");
	case KIND_LIST:
	case KIND_STAGES:
		break;
	}
	return fail(error, size, "a list");
}

bool setting_check_user(const char *text, char *error, size_t size)
{
	if (*text == '\0' || strlen(text) > NAME_MAX_LENGTH || strpbrk(text, " :/") != NULL)
		return fail(error, size, "not a user's name");
	return true;
}

bool setting_check_key_prefix(const char *text, char *error, size_t size)
{
	size_t length = strlen(text);

	if (length == 0 || length > COUNTERS_KEY_PREFIX_MAX)
		return fail(error, size, length == 0 ? "empty" : "too long");
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr("._-", *text) == NULL)
			return fail(error, size, "a character that is not allowed");
	return true;
}

bool setting_check_socket_path(const char *text, char *error, size_t size)
{
	char with_kind[256];

	if (*text == '\0')
		return true;
	/* Cut, it is still too long for a socket. */
	snprintf(with_kind, sizeof(with_kind), "unix:%s", text);
	return listen_check(with_kind, error, size);
}

bool setting_check_memcached_user(const char *text, char *error, size_t size)
{
	return strlen(text) <= MEMCACHED_USER_MAX || fail(error, size, "too long");
}

bool setting_check_password_file(const char *text, char *error, size_t size)
{
	struct secret *secret;

	if (*text == '\0')
		return true;
	if (*text != '/')
		return fail(error, size, "not an absolute path");
	/* Whoever only looks at the configuration need not be let in. Starting, the daemon must be. */
	if (access(text, R_OK) != 0 && errno == EACCES)
		return true;
	secret = secret_read(text, error, size);
	secret_free(secret);
	return secret != NULL;
}

bool setting_check_path(const char *text, char *error, size_t size)
{
	return *text == '\0' || *text == '/' || fail(error, size, "not an absolute path");
}

bool setting_check_host_port(const char *text, char *error, size_t size)
{
	const char *colon = strrchr(text, ':');
	char turned[LISTEN_TEXT_MAX];

	if (*text == '\0')
		return true;
	if (colon == NULL || colon == text)
		return fail(error, size, "not HOST:PORT");
	if (*text != '[' && memchr(text, ':', (size_t)(colon - text)) != NULL)
		return fail(error, size, "an IPv6 address must stand in brackets");
	if (strlen(text) > 300)
		return fail(error, size, "too long");
	return listen_from_host_port(text, turned) && listen_check(turned, error, size);
}

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

bool setting_host_port_clashes(const char *host_port, const char *socket)
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
