/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a snapshot of what file and command line assign to keys, and tells every fault. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "judge/certificates.h"
#include "judge/exempt.h"
#include "judge/recipients.h"
#include "table.h"

#define REASON_MAX 256

/* A value, and where it stands. */
struct value {
	char *text, *file;
	int line;
};

/* What is assigned to one key, later values over earlier ones. */
struct assignment {
	struct value *values;
	size_t count;
	char *file; /* of the assignment itself, which may have no value */
	int line;
	unsigned order; /* 0: the default; the greatest was made last */
	bool is_bad; /* a fault was found in it */
};

struct loader {
	struct config *config;
	struct faults *faults;
	struct assignment *assignments; /* to each key */
	unsigned order; /* of the latest; from 1, that of an empty list */
	bool is_preset; /* defaults are being assigned */
	bool out_of_memory;
};

static struct assignment *assignment_of(const struct loader *loader, const struct config_key *key)
{
	return &loader->assignments[key - config_keys];
}

static void fault(struct loader *loader, const char *file, int line, const struct config_key *key,
		  const char *reason)
{
	faults_add(loader->faults, "%s:%d: %s: %s (%s)", file, line, key->name, reason,
		   key->allowed);
}

static void clear_values(struct assignment *assignment)
{
	for (size_t i = 0; i < assignment->count; i++) {
		free(assignment->values[i].text);
		free(assignment->values[i].file);
	}
	assignment->count = 0;
}

/*
 * Reads an @FILE. A relative path is beside the file that names it, or else in the working
 * directory. The caller frees the text and *path. NULL with errno.
 */
static char *read_list_file(const struct value *value, char **path, size_t *length)
{
	const char *name = value->text + 1;
	char *text;

	*path = config_file_beside(value->file, name);
	if (*path == NULL)
		return NULL;
	text = config_file_read(*path, length);
	if (text != NULL || errno != ENOENT)
		return text;
	text = config_file_read(name, length);
	if (text != NULL)
		memmove(*path, name, strlen(name) + 1);
	return text;
}

/* Reads the items of an @FILE, one a line, with comments from # to the line's end. */
static void read_items(struct loader *loader, const struct config_key *key,
		       const struct value *value)
{
	char reason[REASON_MAX], *path, *text, *next;
	size_t length;
	int line = 0;

	text = read_list_file(value, &path, &length);
	if (text == NULL) {
		snprintf(reason, sizeof(reason), "%s: %s", value->text + 1, strerror(errno));
		fault(loader, value->file, value->line, key, reason);
		free(path);
		return;
	}
	if (memchr(text, '\0', length) != NULL)
		fault(loader, path, 0, key, "a NUL byte in the file");
	for (char *p = text; p != NULL; p = next) {
		next = strchr(p, '\n');
		if (next != NULL)
			*next++ = '\0';
		line++;
		p[strcspn(p, "#\r")] = '\0';
		p = config_trim(p);
		if (*p != '\0' && !key->add_line(loader->config, p, reason, sizeof(reason)))
			faults_add(loader->faults, "%s:%d: %s: '%.64s': %s (%s)", path, line,
				   key->name, p, reason, key->allowed_line);
	}
	free(text);
	free(path);
}

static void explain(struct loader *loader, const struct config_key *key, const struct value *value,
		    const char *reason)
{
	faults_add(loader->faults, "%s:%d: %s: '%.64s': %s (%s)", value->file, value->line,
		   key->name, value->text, reason, key->allowed);
}

static void load_list(struct loader *loader, const struct config_key *key,
		      const struct assignment *assignment)
{
	char reason[REASON_MAX];

	for (size_t i = 0; i < assignment->count; i++) {
		const struct value *value = &assignment->values[i];

		if (assignment->count > 1 && config_key_has_word(key, value->text))
			explain(loader, key, value, "a word stands alone, not in a list");
		else if (!key->add(loader->config, value->text, reason, sizeof(reason)))
			explain(loader, key, value, reason);
		else if (key->add_line != NULL && value->text[0] == '@')
			read_items(loader, key, value);
	}
}

static void load_scalar(struct loader *loader, const struct config_key *key,
			const struct assignment *assignment)
{
	char reason[REASON_MAX];

	if (assignment->count != 1)
		fault(loader, assignment->file, assignment->line, key,
		      assignment->count == 0 ? "no value" : "one value, not a list");
	else if (!config_value_parse(key, assignment->values[0].text,
				     config_key_field(key, loader->config), reason, sizeof(reason)))
		explain(loader, key, &assignment->values[0], reason);
}

static void load_key(struct loader *loader, const struct config_key *key,
		     const struct assignment *assignment)
{
	if (config_key_is_list(key))
		load_list(loader, key, assignment);
	else
		load_scalar(loader, key, assignment);
}

static struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	config->references = 1;
	config->certificates = certificates_new();
	config->exempt = exempt_new();
	config->exempt_mailboxes = recipients_new();
	config->traps = recipients_new();
	config->callouts = recipients_new();
	if (config->exempt != NULL && config->exempt_mailboxes != NULL && config->traps != NULL &&
	    config->callouts != NULL && config->certificates != NULL)
		return config;
	config_release(config);
	return NULL;
}

/* Values that a later assignment is about to replace must be good, too. */
static void check_overridden(struct loader *loader, const struct config_key *key,
			     const struct assignment *assignment)
{
	struct loader aside = *loader;

	aside.config = config_new();
	if (aside.config != NULL)
		load_key(&aside, key, assignment);
	else
		loader->out_of_memory = true;
	config_release(aside.config);
}

bool config_load_is_default(const struct loader *loader, const struct config_key *key)
{
	return assignment_of(loader, key)->order == 0;
}

bool config_load_assign(struct loader *loader, const struct config_key *key, bool is_append,
			const char *file, int line)
{
	struct assignment *assignment = assignment_of(loader, key);

	if (is_append && !config_key_is_list(key)) {
		fault(loader, file, line, key, "not a list, so nothing can be added");
		return false;
	}
	if (!is_append && assignment->order > 0)
		check_overridden(loader, key, assignment);
	/* What is added to a default that is a word is a list of its own. */
	if (!is_append || (assignment->order == 0 && assignment->count == 1 &&
			   config_key_has_word(key, assignment->values[0].text)))
		clear_values(assignment);
	free(assignment->file);
	assignment->file = strdup(file);
	if (assignment->file == NULL)
		loader->out_of_memory = true;
	assignment->line = line;
	/*
	 * Of two keys that contradict each other, one whose line is not known is not the one to
	 * name.
	 */
	if (!loader->is_preset)
		assignment->order = line > 0 ? ++loader->order : 1;
	return true;
}

void config_load_value(struct loader *loader, const struct config_key *key, const char *text,
		       const char *file, int line)
{
	struct assignment *assignment = assignment_of(loader, key);
	struct value *values, value;

	if (!loader->is_preset && assignment->order == 0)
		return;
	values = reallocarray(assignment->values, assignment->count + 1, sizeof(*values));
	value = (struct value){strdup(text), strdup(file), line};
	if (values != NULL)
		assignment->values = values;
	if (values == NULL || value.text == NULL || value.file == NULL) {
		free(value.text);
		free(value.file);
		loader->out_of_memory = true;
		return;
	}
	values[assignment->count++] = value;
}

static const struct assignment *assignment_named(const struct loader *loader, const char *name)
{
	return assignment_of(loader, config_key_find(name, strlen(name)));
}

/* Two keys whose values may not go together. */
struct contradiction {
	bool is_found;
	const char *one, *other, *reason, *allowed;
};

/* Places the fault at the one of the two keys that was assigned last. */
static void contradict(struct loader *loader, const struct contradiction *found)
{
	const struct assignment *one = assignment_named(loader, found->one);
	const struct assignment *other = assignment_named(loader, found->other);
	bool is_one = one->order > other->order;
	const struct assignment *place = is_one ? one : other;

	/* A value that could not be read contradicts nothing. */
	if (!one->is_bad && !other->is_bad)
		faults_add(loader->faults, "%s:%d: %s: %s (%s)", place->file, place->line,
			   is_one ? found->one : found->other, found->reason, found->allowed);
}

/* A text of the snapshot, which is NULL if it could not be read. */
static const char *text_of(const char *text)
{
	return text != NULL ? text : "";
}

/* The path of a unix socket; what is no absolute path for any other. */
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
	return *text_of(config->socket) != '\0' && *text_of(config->metrics_listen) != '\0' &&
	       config_host_port_clashes(config->metrics_listen, config->socket);
}

static void check_contradictions(struct loader *loader)
{
	static const char paths[] = "two different paths";
	const struct config *c = loader->config;
	const struct contradiction rows[] = {
		{c->policy.delay_min_ms > c->policy.delay_max_ms, "delay_min", "delay_max",
		 "delay_min is longer than delay_max", "delay_min at most delay_max"},
		{c->widths.ipv4_network > c->widths.ipv4_prefix, "ipv4_network", "ipv4_prefix",
		 "the wider network is narrower than a client", "ipv4_network at most ipv4_prefix"},
		{c->widths.ipv6_network > c->widths.ipv6_prefix, "ipv6_network", "ipv6_prefix",
		 "the wider network is narrower than a client", "ipv6_network at most ipv6_prefix"},
		{c->use_memcached && c->memcached_servers.count == 0, "store", "memcached_servers",
		 "store = memcached has no server", "at least one of memcached_servers"},
		{(*text_of(c->memcached_user) == '\0') !=
			 (*text_of(c->memcached_password_file) == '\0'),
		 "memcached_user", "memcached_password_file", "one of the two alone",
		 "memcached_user and memcached_password_file, or neither"},
		{c->memcached_timeout_ms >= c->memcached_retry_ms, "memcached_timeout",
		 "memcached_retry", "memcached_timeout is not shorter than memcached_retry",
		 "memcached_timeout shorter than memcached_retry"},
		{same_path(c->control_socket, socket_path(c)), "control_socket", "socket",
		 "socket and control_socket are the same", paths},
		{same_path(c->pid_file, socket_path(c)), "pid_file", "socket",
		 "socket and pid_file are the same", paths},
		{same_path(c->pid_file, c->control_socket), "pid_file", "control_socket",
		 "control_socket and pid_file are the same", paths},
		{same_path(c->memory_file, socket_path(c)), "memory_file", "socket",
		 "socket and memory_file are the same", paths},
		{same_path(c->memory_file, c->control_socket), "memory_file", "control_socket",
		 "control_socket and memory_file are the same", paths},
		{same_path(c->memory_file, c->pid_file), "memory_file", "pid_file",
		 "pid_file and memory_file are the same", paths},
		{metrics_at_socket(c), "metrics_listen", "socket",
		 "socket and metrics_listen want the same port of the same address",
		 "two different ports or addresses"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].is_found)
			contradict(loader, &rows[i]);
}

/* Assigns all defaults, then what the file and the command line say. */
static void gather(struct loader *loader, const char *file, bool file_must_exist,
		   const char *const *sets, size_t sets_count)
{
	char text[256];

	loader->is_preset = true;
	for (size_t i = 0; i < config_keys_count; i++) {
		snprintf(text, sizeof(text), "%s=%s", config_keys[i].name, config_keys[i].preset);
		config_command_line_parse(text, "default", 0, loader, loader->faults);
	}
	loader->is_preset = false;
	if (file != NULL && !config_file_parse(file, loader, loader->faults) &&
	    (file_must_exist || errno != ENOENT))
		faults_add(loader->faults, "%s:0: config: %s (a file that can be read)", file,
			   strerror(errno));
	for (size_t i = 0; i < sets_count; i++)
		config_command_line_parse(sets[i], "--set", (int)i + 1, loader, loader->faults);
}

/* Makes a snapshot of what was gathered. */
static void build(struct loader *loader)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		size_t before = loader->faults->count;

		load_key(loader, &config_keys[i], &loader->assignments[i]);
		loader->assignments[i].is_bad = loader->faults->count > before;
	}
	check_contradictions(loader);
	exempt_seal(loader->config->exempt);
	recipients_seal(loader->config->exempt_mailboxes);
	recipients_seal(loader->config->traps);
	recipients_seal(loader->config->callouts);
	certificates_seal(loader->config->certificates);
}

static void free_assignments(struct loader *loader)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		clear_values(&loader->assignments[i]);
		free(loader->assignments[i].values);
		free(loader->assignments[i].file);
	}
	free(loader->assignments);
}

struct config *config_load(const char *file, bool file_must_exist, const char *const *sets,
			   size_t sets_count, struct faults *faults)
{
	struct loader loader = {.faults = faults, .config = config_new(), .order = 1};
	size_t before = faults->count;

	loader.assignments = calloc(config_keys_count, sizeof(*loader.assignments));
	loader.out_of_memory = loader.assignments == NULL || loader.config == NULL;
	if (!loader.out_of_memory)
		gather(&loader, file, file_must_exist, sets, sets_count);
	if (!loader.out_of_memory)
		build(&loader);
	if (loader.out_of_memory)
		faults_add(faults, "%s:0: config: out of memory (more memory)",
			   file != NULL ? file : "default");
	if (faults->count > before) {
		config_release(loader.config);
		loader.config = NULL;
	}
	if (loader.assignments != NULL)
		free_assignments(&loader);
	return loader.config;
}
