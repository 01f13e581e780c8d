/* SPDX-License-Identifier: BSD-2-Clause */
/* Items of lists: from text into the snapshot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "judge/exempt.h"
#include "table.h"

static bool fail(char *error, size_t size, const char *reason)
{
	snprintf(error, size, "%s", reason);
	return false;
}

/* A path may be written with or without its kind. */
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
	return string_list_add(list, text) || fail(error, size, "out of memory");
}

bool config_add_server(struct config *config, const char *text, char *error, size_t size)
{
	const char *path = server_path(text);

	if (*text == '\0')
		return fail(error, size, "empty");
	if (*path == '/' ? !config_check_socket_path(path, error, size)
			 : !config_check_host_port(text, error, size))
		return false;
	if (has_server(&config->memcached_servers, text))
		return fail(error, size, "named twice");
	if (config->memcached_servers.count == MEMCACHED_SERVERS_MAX)
		return fail(error, size, "one too many");
	return keep(&config->memcached_servers, text, error, size);
}

bool config_add_offence(struct config *config, const char *text, char *error, size_t size)
{
	struct offence offence, *offences;

	if (!offence_parse(text, &offence, error, size))
		return false;
	offences = reallocarray(config->offences, config->offences_count + 1, sizeof(*offences));
	if (offences == NULL)
		return fail(error, size, "out of memory");
	config->offences = offences;
	offences[config->offences_count++] = offence;
	return keep(&config->offences_text, text, error, size);
}

bool config_add_stage(struct config *config, const char *text, char *error, size_t size)
{
	for (int stage = 0; stage < STAGE_COUNT; stage++) {
		if (strcasecmp(text, stage_name((enum stage)stage)) != 0)
			continue;
		if (config->stall_at[stage])
			return fail(error, size, "named twice");
		config->stall_at[stage] = true;
		return true;
	}
	return fail(error, size, "no such stage");
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
	return exempt_add_recipient(config->exempt, text, error, size) &&
	       keep(&config->exempt_recipients, text, error, size);
}
