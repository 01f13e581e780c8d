/* SPDX-License-Identifier: BSD-2-Clause */
#include "file.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The default of every option. It is gone after `=`, and still there, in front, after `+=`. */
#define UNTOUCHED "\001"

#define UNKNOWN_MAX 100
#define INCLUDE_DEPTH_MAX 10
/* What libconfuse may need of memory: so much, and so many times a text's length. */
#define PARSER_BYTES (512UL * 1024)
#define PARSER_FACTOR 16

/* A value, and where it stands. */
struct value {
	char *text;
	const char *file;
	int line;
	unsigned order;
};

/* What was assigned to a key: the default's UNTOUCHED in front, if something was only added to it. */
struct assigned {
	size_t key;
	struct value *items;
	size_t count;
};

/* One configuration being read. */
struct reading {
	const struct config_key *keys;
	size_t keys_count;
	struct assigned *latest; /* of each key; in step with libconfuse's values */
	struct assigned *overridden;
	size_t overridden_count;
	unsigned order; /* of the latest value */
	struct faults *faults;
	char **files; /* every name that a value refers to */
	size_t files_count;
	const char *file; /* the one being read */
	int depth;
	char *unknown[UNKNOWN_MAX];
	size_t unknown_count;
	size_t missing, missing_told; /* includes, in this attempt and in all */
	bool try_again; /* an unknown key was met, and is now known as one */
	bool out_of_memory;
};

/* libconfuse's callbacks carry no argument of ours. Only the main thread reads configurations. */
static struct reading *current;

static void syntax_fault(int line, const char *reason)
{
	faults_add(current->faults, "%s:%d: syntax: %s (see tarpit-milter.conf(5))", current->file,
		   line, reason);
}

/* A name that lives until the reading ends. */
static const char *keep_name(struct reading *reading, const char *name)
{
	char **files = reallocarray(reading->files, reading->files_count + 1, sizeof(*files));
	char *copy = files != NULL ? strdup(name) : NULL;

	if (files != NULL)
		reading->files = files;
	if (copy != NULL)
		reading->files[reading->files_count++] = copy;
	return copy;
}

/* Notes the key, so that the next attempt gets past it. */
static void unknown_key(cfg_t *cfg, const char *name)
{
	faults_add(current->faults, "%s:%d: %.64s: unknown key (see tarpit-milter.conf(5))",
		   current->file, cfg->line, name);
	if (current->unknown_count == UNKNOWN_MAX)
		return;
	current->unknown[current->unknown_count] = strdup(name);
	if (current->unknown[current->unknown_count] == NULL)
		return;
	current->unknown_count++;
	current->try_again = true;
}

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format,
							   va_list arguments)
{
	char reason[200];
	va_list copy;

	va_copy(copy, arguments);
	if (strcmp(format, "no such option '%s'") == 0) {
		unknown_key(cfg, va_arg(copy, const char *));
	} else if (strncmp(format, "no sub-section", 14) == 0) {
		/* A name with '|' in it: libconfuse looks for sections, and we have none. */
		syntax_fault(cfg->line, "'|' in the name of a key");
	} else {
		vsnprintf(reason, sizeof(reason), format, copy);
		syntax_fault(cfg->line, reason);
	}
	va_end(copy);
}

static size_t key_index(const struct reading *reading, const char *name)
{
	size_t i = 0;

	while (i < reading->keys_count && strcmp(reading->keys[i].name, name) != 0)
		i++;
	return i;
}

static bool is_untouched(const struct assigned *assigned)
{
	return assigned->count > 0 && strcmp(assigned->items[0].text, UNTOUCHED) == 0;
}

static bool assigned_add(struct assigned *assigned, const char *text, int line)
{
	struct value *items = reallocarray(assigned->items, assigned->count + 1, sizeof(*items));
	char *copy = items != NULL ? strdup(text) : NULL;

	if (items != NULL)
		assigned->items = items;
	if (copy == NULL)
		return false;
	items[assigned->count++] = (struct value){copy, current->file, line, ++current->order};
	return true;
}

static void assigned_clear(struct assigned *assigned)
{
	for (size_t i = 0; i < assigned->count; i++)
		free(assigned->items[i].text);
	free(assigned->items);
	assigned->items = NULL;
	assigned->count = 0;
}

/* What was assigned to a key is replaced: keeps it for who wants to know. False if out of memory. */
static bool override(struct reading *reading, struct assigned *latest)
{
	struct assigned *all;

	if (is_untouched(latest) && latest->count == 1) {
		assigned_clear(latest);
		return true;
	}
	all = reallocarray(reading->overridden, reading->overridden_count + 1, sizeof(*all));
	if (all == NULL)
		return false;
	reading->overridden = all;
	all[reading->overridden_count++] = *latest;
	latest->items = NULL;
	latest->count = 0;
	return true;
}

/* Called for each value once it has its slot in the option, the default's included. */
static int on_value(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result)
{
	size_t key = key_index(current, cfg_opt_name(option)), slot = cfg_opt_size(option) - 1;
	struct assigned *latest = &current->latest[key];

	*(const char **)result = value;
	if (key == current->keys_count)
		return 0;
	if ((slot == 0 && latest->count > 0 && !override(current, latest)) ||
	    !assigned_add(latest, value, cfg->line)) {
		current->out_of_memory = true;
		return -1;
	}
	return 0;
}

static int parse_text(cfg_t *cfg, char *text, size_t length)
{
	const char *reason;
	int line, result;
	size_t before;
	FILE *stream;

	if (!config_scrub(text, length, &line, &reason)) {
		syntax_fault(line, reason);
		return CFG_PARSE_ERROR;
	}
	if (length == 0)
		return CFG_SUCCESS;
	stream = fmemopen(text, length, "r");
	if (stream == NULL) {
		current->out_of_memory = true;
		return CFG_PARSE_ERROR;
	}
	before = current->faults->count;
	result = cfg_parse_fp(cfg, stream);
	fclose(stream);
	if (result != CFG_SUCCESS && current->faults->count == before && !current->out_of_memory)
		syntax_fault(cfg->line, "the name of a key is empty");
	return result;
}

char *config_path_beside(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');
	int directory = *name == '/' || slash == NULL ? 0 : (int)(slash + 1 - file);
	size_t size = (size_t)directory + strlen(name) + 1;
	char *path = malloc(size);

	if (path != NULL)
		snprintf(path, size, "%.*s%s", directory, file, name);
	return path;
}

/* Another attempt meets it again. */
static void missing_include(int line, const char *name)
{
	if (++current->missing <= current->missing_told)
		return;
	current->missing_told = current->missing;
	faults_add(current->faults, "%s:%d: include: %s: %s (a file that can be read)",
		   current->file, line, name, strerror(errno));
}

/*
 * Not libconfuse's own: that one leaks the file if there is a fault in it, and after ten such reloads
 * takes no include any more.
 */
static int on_include(cfg_t *cfg, cfg_opt_t *option, int argc, const char **argv)
{
	const char *file = current->file;
	int line = cfg->line, result;
	char *path, *text;
	size_t length;

	(void)option;
	if (argc != 1 || current->depth == INCLUDE_DEPTH_MAX) {
		syntax_fault(line, argc != 1 ? "include takes one file"
					     : "includes are nested too deeply");
		return CFG_PARSE_ERROR;
	}
	path = config_path_beside(file, argv[0]);
	text = path != NULL ? config_slurp(path, &length) : NULL;
	if (text == NULL) {
		missing_include(line, argv[0]);
		free(path);
		return CFG_SUCCESS;
	}
	current->file = keep_name(current, path);
	free(path);
	if (current->file == NULL) {
		current->file = file;
		current->out_of_memory = true;
		free(text);
		return CFG_PARSE_ERROR;
	}
	current->depth++;
	result = parse_text(cfg, text, length);
	current->depth--;
	current->file = file;
	cfg->line = line;
	free(text);
	return result;
}

static cfg_opt_t list_option(const char *name)
{
	static char untouched[] = "{\"\\001\"}";

	return (cfg_opt_t)CFG_STR_LIST_CB(name, untouched, CFGF_NONE, on_value);
}

/* A parser that knows the keys, and the unknown ones. NULL if out of memory. */
static cfg_t *new_parser(const struct reading *reading)
{
	cfg_opt_t *options =
		calloc(reading->keys_count + reading->unknown_count + 2, sizeof(*options));
	size_t count = 0;
	cfg_t *cfg;

	if (options == NULL)
		return NULL;
	for (size_t i = 0; i < reading->keys_count; i++)
		options[count++] = list_option(reading->keys[i].name);
	for (size_t i = 0; i < reading->unknown_count; i++)
		options[count++] = list_option(reading->unknown[i]);
	options[count++] = (cfg_opt_t)CFG_FUNC("include", on_include);
	options[count] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(options, CFGF_NONE);
	free(options);
	if (cfg != NULL)
		cfg_set_error_function(cfg, on_error);
	return cfg;
}

/* False if out of memory. */
static bool hand_over(const struct reading *reading, const struct assigned *assigned,
		      config_setting_fn *setting, void *arg)
{
	bool append = is_untouched(assigned);
	size_t skip = append ? 1 : 0, count = assigned->count - skip;
	struct config_setting found = {
		.key = assigned->key, .file = reading->file, .append = append, .order = 1};
	const char **values = calloc(count + 1, sizeof(*values));
	const char **files = calloc(count + 1, sizeof(*files));
	int *lines = calloc(count + 1, sizeof(*lines));
	bool enough = values != NULL && files != NULL && lines != NULL;

	for (size_t i = 0; enough && i < count; i++) {
		values[i] = assigned->items[i + skip].text;
		files[i] = assigned->items[i + skip].file;
		lines[i] = assigned->items[i + skip].line;
	}
	if (enough && (count > 0 || !append)) {
		found.values = values;
		found.files = files;
		found.lines = lines;
		found.count = count;
		if (count > 0) {
			found.file = files[0];
			found.line = lines[0];
			found.order = assigned->items[skip].order;
		}
		setting(&found, arg);
	}
	free(values);
	free(files);
	free(lines);
	return enough;
}

static bool hand_over_all(struct reading *reading, cfg_t *cfg, config_setting_fn *setting,
			  void *arg)
{
	bool enough = true;

	for (size_t i = 0; enough && i < reading->keys_count; i++)
		/* An empty list that replaces a value is not told of otherwise. */
		if (reading->latest[i].count > 0 && cfg_size(cfg, reading->keys[i].name) == 0)
			enough = override(reading, &reading->latest[i]);
	for (size_t i = 0; enough && i < reading->overridden_count; i++)
		enough = hand_over(reading, &reading->overridden[i], setting, arg);
	for (size_t i = 0; enough && i < reading->keys_count; i++)
		enough = hand_over(reading, &reading->latest[i], setting, arg);
	return enough;
}

/* Before the first value. */
static void forget(struct reading *reading)
{
	for (size_t i = 0; i < reading->keys_count; i++) {
		assigned_clear(&reading->latest[i]);
		reading->latest[i].key = i;
	}
	for (size_t i = 0; i < reading->overridden_count; i++)
		assigned_clear(&reading->overridden[i]);
	reading->overridden_count = 0;
	reading->order = 1;
	reading->missing = 0;
	reading->try_again = false;
}

/*
 * Where an allocation fails, libconfuse 3.3 asserts and its lexer exits. So it is not begun without plenty,
 * of which a text needs several times its length.
 */
static bool has_memory(size_t length)
{
	void *volatile probe = malloc(PARSER_BYTES + PARSER_FACTOR * length);

	free(probe);
	return probe != NULL;
}

/* One attempt. True if it is the last one. */
static bool attempt(struct reading *reading, const char *text, size_t length,
		    config_setting_fn *setting, void *arg)
{
	char *copy = malloc(length + 1);
	bool done = true;
	cfg_t *cfg;

	forget(reading);
	cfg = copy != NULL && has_memory(length) ? new_parser(reading) : NULL;
	if (cfg != NULL) {
		memcpy(copy, text, length + 1);
		/* What can be told of the values is told beside a fault in the syntax. */
		if (parse_text(cfg, copy, length) != CFG_SUCCESS && reading->try_again)
			done = false;
		if (done && !hand_over_all(reading, cfg, setting, arg))
			reading->out_of_memory = true;
		cfg_free(cfg);
	} else {
		reading->out_of_memory = true;
	}
	free(copy);
	return done;
}

static void reading_free(struct reading *reading)
{
	if (reading->latest != NULL)
		forget(reading);
	free(reading->latest);
	free(reading->overridden);
	for (size_t i = 0; i < reading->unknown_count; i++)
		free(reading->unknown[i]);
	for (size_t i = 0; i < reading->files_count; i++)
		free(reading->files[i]);
	free(reading->files);
}

bool config_file_read(const char *path, const struct config_key *keys, size_t count,
		      config_setting_fn *setting, void *arg, struct faults *faults)
{
	struct reading reading = {
		.keys = keys, .keys_count = count, .faults = faults, .file = path};
	size_t length, before = faults->count;
	char *text = config_slurp(path, &length);
	bool done = false;

	if (text == NULL)
		return false;
	reading.latest = calloc(count, sizeof(*reading.latest));
	reading.out_of_memory = reading.latest == NULL;
	current = &reading;
	while (!reading.out_of_memory && !done)
		done = attempt(&reading, text, length, setting, arg);
	current = NULL;
	if (reading.out_of_memory && faults->count == before)
		faults_add(faults, "%s:0: config: out of memory (more memory)", path);
	reading_free(&reading);
	free(text);
	return true;
}

const char *config_library_version(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "libconfuse %s", confuse_version);
	return text;
}
