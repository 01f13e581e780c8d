/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs postconf and takes what it prints apart. */
#include "postfix_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/postconf.h"

#define BLANKS " \t"
#define COLUMNS_BEFORE_COMMAND 7

struct setting {
	const char *service, *type; /* of an option in master.cf; else NULL */
	const char *name, *value;
};

struct postfix_settings {
	char *texts[3]; /* which all the rest points into */
	struct setting *settings;
	size_t settings_count, settings_room;
	struct postfix_service *services;
	size_t services_count, services_room;
};

static bool add_setting(struct postfix_settings *all, const struct setting *setting)
{
	struct setting *settings;

	if (all->settings_count == all->settings_room) {
		size_t room = all->settings_room > 0 ? 2 * all->settings_room : 1024;

		settings = reallocarray(all->settings, room, sizeof(*settings));
		if (settings == NULL)
			return false;
		all->settings = settings;
		all->settings_room = room;
	}
	all->settings[all->settings_count++] = *setting;
	return true;
}

static bool add_service(struct postfix_settings *all, const struct postfix_service *service)
{
	struct postfix_service *services;

	if (all->services_count == all->services_room) {
		size_t room = all->services_room > 0 ? 2 * all->services_room : 64;

		services = reallocarray(all->services, room, sizeof(*services));
		if (services == NULL)
			return false;
		all->services = services;
		all->services_room = room;
	}
	all->services[all->services_count++] = *service;
	return true;
}

/* "name = value"; of an option "service/type/name = value", where the service may have a slash. */
static bool take_setting(struct postfix_settings *all, char *line, bool is_option)
{
	char *equals = strstr(line, " ="), *slash;
	struct setting setting = {.name = line};

	if (equals == NULL)
		return true;
	*equals = '\0';
	setting.value = equals + 2 + strspn(equals + 2, BLANKS);
	if (is_option) {
		slash = strrchr(line, '/');
		if (slash == NULL)
			return true;
		*slash = '\0';
		setting.name = slash + 1;
		slash = strrchr(line, '/');
		if (slash == NULL)
			return true;
		*slash = '\0';
		setting.type = slash + 1;
		setting.service = line;
	}
	return add_setting(all, &setting);
}

/* A line of `postconf -M`: eight columns, and the command's options. */
static bool take_service(struct postfix_settings *all, char *line)
{
	char *columns[COLUMNS_BEFORE_COMMAND + 1], *rest = NULL;

	for (size_t i = 0; i < COLUMNS_BEFORE_COMMAND + 1; i++) {
		columns[i] = strtok_r(i == 0 ? line : NULL, BLANKS, &rest);
		if (columns[i] == NULL)
			return true;
	}
	return add_service(all, &(struct postfix_service){.name = columns[0],
							  .type = columns[1],
							  .chroot = columns[4],
							  .maxproc = columns[6],
							  .command = columns[7]});
}

struct postfix_settings *postfix_settings_parse(const char *parameters, const char *services,
						const char *options)
{
	const char *const texts[] = {parameters, services, options};
	struct postfix_settings *all = calloc(1, sizeof(*all));
	bool is_done = all != NULL;

	for (size_t i = 0; i < 3 && is_done; i++) {
		char *rest = NULL;

		all->texts[i] = strdup(texts[i]);
		is_done = all->texts[i] != NULL;
		if (!is_done)
			break;
		for (char *line = strtok_r(all->texts[i], "\n", &rest); line != NULL && is_done;
		     line = strtok_r(NULL, "\n", &rest))
			is_done =
				i == 1 ? take_service(all, line) : take_setting(all, line, i == 2);
	}
	if (is_done)
		return all;
	postfix_settings_free(all);
	return NULL;
}

void postfix_settings_free(struct postfix_settings *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < 3; i++)
		free(all->texts[i]);
	free(all->settings);
	free(all->services);
	free(all);
}

struct postfix_settings *postfix_settings_read(const char *directory, char *error, size_t size)
{
	static const char *const asked[] = {"-x", "-M", "-Px"};
	struct postconf postconf = {.directory = directory};
	struct postfix_settings *all = NULL;
	char *texts[3] = {NULL, NULL, NULL};
	size_t count = 0;

	while (count < 3 && (texts[count] = postconf_ask(&postconf, asked[count], NULL)) != NULL)
		count++;
	if (count < 3) {
		snprintf(error, size, "%s", postconf.error);
	} else {
		all = postfix_settings_parse(texts[0], texts[1], texts[2]);
		if (all == NULL)
			snprintf(error, size, "out of memory");
	}
	for (size_t i = 0; i < 3; i++)
		free(texts[i]);
	return all;
}

/* The last one counts. service and type are NULL for main.cf's. */
static const char *find(const struct postfix_settings *all, const char *service, const char *type,
			const char *name)
{
	for (size_t i = all->settings_count; i-- > 0;) {
		const struct setting *setting = &all->settings[i];

		if (strcmp(setting->name, name) != 0 ||
		    (setting->service != NULL) != (service != NULL))
			continue;
		if (service == NULL ||
		    (strcmp(setting->service, service) == 0 && strcmp(setting->type, type) == 0))
			return setting->value;
	}
	return NULL;
}

const char *postfix_setting(const struct postfix_settings *all, const char *name)
{
	const char *value = find(all, NULL, NULL, name);

	return value != NULL ? value : "";
}

const char *postfix_service_setting(const struct postfix_settings *all,
				    const struct postfix_service *service, const char *name)
{
	const char *value = find(all, service->name, service->type, name);

	return value != NULL ? value : postfix_setting(all, name);
}

const char *postfix_service_option(const struct postfix_settings *all,
				   const struct postfix_service *service, const char *name)
{
	const char *value = find(all, service->name, service->type, name);

	return value != NULL ? value : "";
}

const struct postfix_service *postfix_service(const struct postfix_settings *all, size_t number)
{
	return number < all->services_count ? &all->services[number] : NULL;
}
