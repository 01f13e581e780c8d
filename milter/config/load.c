/* SPDX-License-Identifier: BSD-2-Clause */
/* From file and command line to a snapshot, with every fault on the way. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "judge/exempt.h"
#include "table.h"

#define REASON_MAX 256

/* A value that was given, and where. */
struct given {
	char *text, *file;
	int line;
};

/* What was given for one setting, later ones over earlier ones. */
struct givens {
	struct given *items;
	size_t count;
	char *file; /* of the setting itself, which may have no value */
	int line;
	unsigned order; /* 0: the default; the greatest was given last */
	bool is_bad; /* a fault was found in it */
};

struct loader {
	struct config *config;
	struct faults *faults;
	struct givens *givens; /* of each setting */
	unsigned order; /* of the latest, and of the latest before what is being read */
	unsigned order_before;
	bool is_preset; /* defaults are being given */
	bool out_of_memory;
};

static void fault(struct loader *loader, const char *file, int line, const struct setting *setting,
		  const char *reason)
{
	faults_add(loader->faults, "%s:%d: %s: %s (%s)", file, line, setting->name, reason,
		   setting->allowed);
}

static void givens_clear(struct givens *givens)
{
	for (size_t i = 0; i < givens->count; i++) {
		free(givens->items[i].text);
		free(givens->items[i].file);
	}
	givens->count = 0;
}

static bool givens_add(struct givens *givens, const char *text, const char *file, int line)
{
	struct given *items = reallocarray(givens->items, givens->count + 1, sizeof(*items));
	struct given given = {strdup(text), strdup(file), line};

	if (items != NULL)
		givens->items = items;
	if (items == NULL || given.text == NULL || given.file == NULL) {
		free(given.text);
		free(given.file);
		return false;
	}
	items[givens->count++] = given;
	return true;
}

/* Blanks and comment off a line of an @FILE. */
static char *clean_line(char *line)
{
	size_t length;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	length = strlen(line);
	while (length > 0 && strchr(" \t", line[length - 1]) != NULL)
		line[--length] = '\0';
	return line;
}

/* A relative one is beside the file that names it, or else in the working directory. */
static char *slurp_clients(const struct given *given, char **path, size_t *length)
{
	const char *name = given->text + 1;
	char *text;

	*path = config_path_beside(given->file, name);
	if (*path == NULL)
		return NULL;
	text = config_slurp(*path, length);
	if (text != NULL || errno != ENOENT)
		return text;
	text = config_slurp(name, length);
	if (text != NULL)
		memmove(*path, name, strlen(name) + 1);
	return text;
}

/* Reads the networks of an @FILE, one a line. */
static void read_clients(struct loader *loader, const struct setting *setting,
			 const struct given *given)
{
	char reason[REASON_MAX], *path, *text, *next;
	size_t length;
	int line = 0;

	text = slurp_clients(given, &path, &length);
	if (text == NULL) {
		snprintf(reason, sizeof(reason), "%s: %s", given->text + 1, strerror(errno));
		fault(loader, given->file, given->line, setting, reason);
		free(path);
		return;
	}
	if (memchr(text, '\0', length) != NULL)
		fault(loader, path, 0, setting, "a NUL byte in the file");
	for (char *p = text; p != NULL; p = next) {
		next = strchr(p, '\n');
		if (next != NULL)
			*next++ = '\0';
		line++;
		p = clean_line(p);
		if (*p != '\0' &&
		    !exempt_add_client(loader->config->exempt, p, reason, sizeof(reason)))
			faults_add(loader->faults,
				   "%s:%d: %s: '%.64s': %s (an address or NETWORK/BITS)", path,
				   line, setting->name, p, reason);
	}
	free(text);
	free(path);
}

static void explain(struct loader *loader, const struct setting *setting, const struct given *given,
		    const char *reason)
{
	faults_add(loader->faults, "%s:%d: %s: '%.64s': %s (%s)", given->file, given->line,
		   setting->name, given->text, reason, setting->allowed);
}

static void load_list(struct loader *loader, const struct setting *setting,
		      const struct givens *givens)
{
	char reason[REASON_MAX];

	for (size_t i = 0; i < givens->count; i++) {
		const struct given *given = &givens->items[i];

		if (!setting->add(loader->config, given->text, reason, sizeof(reason)))
			explain(loader, setting, given, reason);
		else if (setting->add == setting_add_client && given->text[0] == '@')
			read_clients(loader, setting, given);
	}
}

static void load_scalar(struct loader *loader, const struct setting *setting,
			const struct givens *givens)
{
	char reason[REASON_MAX];

	if (givens->count != 1)
		fault(loader, givens->file, givens->line, setting,
		      givens->count == 0 ? "no value" : "one value, not a list");
	else if (!setting_parse(setting, givens->items[0].text,
				setting_field(setting, loader->config), reason, sizeof(reason)))
		explain(loader, setting, &givens->items[0], reason);
}

static void load_setting(struct loader *loader, const struct setting *setting,
			 const struct givens *givens)
{
	if (setting_is_list(setting))
		load_list(loader, setting, givens);
	else
		load_scalar(loader, setting, givens);
}

static struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	config->references = 1;
	config->exempt = exempt_new();
	if (config->exempt == NULL) {
		free(config);
		return NULL;
	}
	return config;
}

/* What others are about to replace must be good, too. */
static void check_overridden(struct loader *loader, const struct setting *setting,
			     const struct givens *givens)
{
	struct loader aside = *loader;

	aside.config = config_new();
	if (aside.config != NULL)
		load_setting(&aside, setting, givens);
	else
		loader->out_of_memory = true;
	config_release(aside.config);
}

/* A config_setting_fn. */
static void take_setting(const struct config_setting *found, void *arg)
{
	struct loader *loader = arg;
	const struct setting *setting = &settings[found->key];
	struct givens *givens = &loader->givens[found->key];
	char *file = strdup(found->file);

	if (file == NULL) {
		loader->out_of_memory = true;
		return;
	}
	if (found->append && !setting_is_list(setting)) {
		fault(loader, file, found->line, setting, "not a list, so nothing can be added");
		free(file);
		return;
	}
	if (!found->append) {
		if (givens->order > 0)
			check_overridden(loader, setting, givens);
		givens_clear(givens);
	}
	free(givens->file);
	givens->file = file;
	givens->line = found->line;
	givens->order = loader->is_preset ? 0 : loader->order_before + found->order;
	if (givens->order > loader->order)
		loader->order = givens->order;
	for (size_t i = 0; i < found->count; i++)
		if (!givens_add(givens, found->values[i], found->files[i], found->lines[i]))
			loader->out_of_memory = true;
}

static size_t setting_index(const char *name)
{
	size_t i = 0;

	while (i < settings_count && strcmp(settings[i].name, name) != 0)
		i++;
	return i;
}

/* Places the fault at whichever of the two was given last. */
static void contradiction(struct loader *loader, const char *one, const char *other,
			  const char *reason, const char *allowed)
{
	const struct givens *a = &loader->givens[setting_index(one)];
	const struct givens *b = &loader->givens[setting_index(other)];
	bool first = a->order > b->order;
	const struct givens *place = first ? a : b;

	/* One that could not be read contradicts nothing. */
	if (a->is_bad || b->is_bad)
		return;

	faults_add(loader->faults, "%s:%d: %s: %s (%s)", place->file, place->line,
		   first ? one : other, reason, allowed);
}

/* NULL: it could not be read. */
static const char *text_of(const char *text)
{
	return text != NULL ? text : "";
}

/* Of a unix socket the path. Of another one what is no absolute path. */
static const char *socket_path(const struct config *config)
{
	const char *colon = strchr(text_of(config->socket), ':');

	return colon != NULL ? colon + 1 : "";
}

static bool same_path(const char *a, const char *b)
{
	return *text_of(a) == '/' && strcmp(a, text_of(b)) == 0;
}

static bool metrics_at_socket(const struct config *config)
{
	return config->socket != NULL && config->metrics_listen != NULL &&
	       config->metrics_listen[0] != '\0' &&
	       setting_host_port_clashes(config->metrics_listen, config->socket);
}

static void check_paths(struct loader *loader)
{
	const struct config *c = loader->config;
	static const char allowed[] = "two different paths";

	if (same_path(c->control_socket, socket_path(c)))
		contradiction(loader, "control_socket", "socket",
			      "socket and control_socket are the same", allowed);
	if (same_path(c->pid_file, socket_path(c)))
		contradiction(loader, "pid_file", "socket", "socket and pid_file are the same",
			      allowed);
	if (same_path(c->pid_file, c->control_socket))
		contradiction(loader, "pid_file", "control_socket",
			      "control_socket and pid_file are the same", allowed);
}

static void check_contradictions(struct loader *loader)
{
	const struct config *c = loader->config;

	if (c->policy.delay_min_ms > c->policy.delay_max_ms)
		contradiction(loader, "delay_min", "delay_max",
			      "delay_min is longer than delay_max", "delay_min at most delay_max");
	if (c->widths.ipv4_network > c->widths.ipv4_prefix)
		contradiction(loader, "ipv4_network", "ipv4_prefix",
			      "the wider network is narrower than a client",
			      "ipv4_network at most ipv4_prefix");
	if (c->widths.ipv6_network > c->widths.ipv6_prefix)
		contradiction(loader, "ipv6_network", "ipv6_prefix",
			      "the wider network is narrower than a client",
			      "ipv6_network at most ipv6_prefix");
	if (c->use_memcached && c->memcached_servers.count == 0)
		contradiction(loader, "store", "memcached_servers",
			      "store = memcached has no server",
			      "at least one of memcached_servers");
	if ((*text_of(c->memcached_user) == '\0') != (*text_of(c->memcached_password_file) == '\0'))
		contradiction(loader, "memcached_user", "memcached_password_file",
			      "one of the two alone",
			      "memcached_user and memcached_password_file, or neither");
	if (c->memcached_timeout_ms >= c->memcached_retry_ms)
		contradiction(loader, "memcached_timeout", "memcached_retry",
			      "memcached_timeout is not shorter than memcached_retry",
			      "memcached_timeout shorter than memcached_retry");
	check_paths(loader);
	if (metrics_at_socket(c))
		contradiction(loader, "metrics_listen", "socket",
			      "socket and metrics_listen want the same port of the same address",
			      "two different ports or addresses");
}

/* Gives all defaults, then what the file and the command line say. */
static void gather(struct loader *loader, const char *file, bool file_must_exist,
		   const char *const *sets, size_t sets_count, const struct config_key *keys)
{
	char text[256];

	loader->is_preset = true;
	for (size_t i = 0; i < settings_count; i++) {
		snprintf(text, sizeof(text), "%s=%s", settings[i].name, settings[i].preset);
		config_text_read(text, "default", 0, keys, settings_count, take_setting, loader,
				 loader->faults);
	}
	loader->is_preset = false;
	if (file != NULL &&
	    !config_file_read(file, keys, settings_count, take_setting, loader, loader->faults) &&
	    (file_must_exist || errno != ENOENT))
		faults_add(loader->faults, "%s:0: config: %s (a file that can be read)", file,
			   strerror(errno));
	for (size_t i = 0; i < sets_count; i++) {
		loader->order_before = loader->order;
		config_text_read(sets[i], "--set", (int)i + 1, keys, settings_count, take_setting,
				 loader, loader->faults);
	}
}

/* Makes a snapshot of what was gathered. */
static void build(struct loader *loader)
{
	for (size_t i = 0; i < settings_count; i++) {
		size_t before = loader->faults->count;

		load_setting(loader, &settings[i], &loader->givens[i]);
		loader->givens[i].is_bad = loader->faults->count > before;
	}
	check_contradictions(loader);
	if (!exempt_seal(loader->config->exempt))
		loader->out_of_memory = true;
}

static void loader_free(struct loader *loader)
{
	for (size_t i = 0; loader->givens != NULL && i < settings_count; i++) {
		givens_clear(&loader->givens[i]);
		free(loader->givens[i].items);
		free(loader->givens[i].file);
	}
	free(loader->givens);
}

struct config *config_load(const char *file, bool file_must_exist, const char *const *sets,
			   size_t sets_count, struct faults *faults)
{
	struct loader loader = {.faults = faults};
	struct config_key *keys = calloc(settings_count, sizeof(*keys));
	size_t before = faults->count;

	loader.givens = calloc(settings_count, sizeof(*loader.givens));
	loader.config = config_new();
	loader.out_of_memory = keys == NULL || loader.givens == NULL || loader.config == NULL;
	for (size_t i = 0; !loader.out_of_memory && i < settings_count; i++)
		keys[i] = (struct config_key){settings[i].name, setting_is_list(&settings[i])};
	if (!loader.out_of_memory)
		gather(&loader, file, file_must_exist, sets, sets_count, keys);
	if (!loader.out_of_memory)
		build(&loader);
	if (loader.out_of_memory)
		faults_add(faults, "%s:0: config: out of memory (more memory)",
			   file != NULL ? file : "default");
	if (faults->count > before) {
		config_release(loader.config);
		loader.config = NULL;
	}
	loader_free(&loader);
	free(keys);
	return loader.config;
}
