/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads configuration files, with libconfuse, and hands each value to load.c with its place. */
#include "file.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)
#define UNKNOWN_MAX 100
#define INCLUDE_DEPTH_MAX 10
/* What libconfuse may need of memory: so much, and so many times a text's length. */
#define PARSER_BYTES (512UL * 1024)
#define PARSER_FACTOR 16

/* One configuration being read. */
struct reading {
	struct loader *loader;
	struct faults *faults;
	const char *file; /* the one being read */
	int depth;
	struct string_list unknown; /* keys */
	bool has_new_unknown;
	bool takes_values; /* all unknown keys are known: values and faults are told */
	bool has_failed; /* libconfuse has told why */
	bool out_of_memory;
};

/* libconfuse's callbacks carry no argument of ours. config_load has one caller at a time. */
static struct reading *current;

char *config_file_read(const char *path, size_t *length)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0, got;
	int reason = 0;

	if (file == NULL)
		return NULL;
	*length = 0;
	do {
		char *more = realloc(text, room + BUFSIZ + 1);

		if (more == NULL || room > FILE_MAX) {
			reason = more == NULL ? ENOMEM : EFBIG;
			text = more != NULL ? more : text;
			break;
		}
		text = more;
		room += BUFSIZ;
		got = fread(text + *length, 1, room - *length, file);
		*length += got;
	} while (got > 0);
	if (reason == 0 && ferror(file))
		reason = errno;
	fclose(file);
	if (reason != 0) {
		free(text);
		errno = reason;
		return NULL;
	}
	text[*length] = '\0';
	return text;
}

char *config_file_beside(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');
	int directory = *name == '/' || slash == NULL ? 0 : (int)(slash + 1 - file);
	size_t size = (size_t)directory + strlen(name) + 1;
	char *path = malloc(size);

	if (path != NULL)
		snprintf(path, size, "%.*s%s", directory, file, name);
	return path;
}

static void syntax_fault(int line, const char *reason)
{
	if (current->takes_values)
		faults_add(current->faults, "%s:%d: syntax: %s (see tarpit-milter.conf(5))",
			   current->file, line, reason);
}

/* Notes the key, so that the next pass gets beyond it. */
static void unknown_key(int line, const char *name)
{
	if (current->takes_values)
		return;
	faults_add(current->faults, "%s:%d: %.64s: unknown key (see tarpit-milter.conf(5))",
		   current->file, line, name);
	current->has_new_unknown =
		current->unknown.count < UNKNOWN_MAX && string_list_add(&current->unknown, name);
}

/* libconfuse's cfg_errfunc_t. */
__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format,
							   va_list arguments)
{
	char reason[200];
	va_list copy;

	current->has_failed = true;
	va_copy(copy, arguments);
	if (strcmp(format, "no such option '%s'") == 0) {
		unknown_key(cfg->line, va_arg(copy, const char *));
	} else if (strncmp(format, "no sub-section", 14) == 0) {
		/* A name with '|' in it: libconfuse looks for sections, and we have none. */
		syntax_fault(cfg->line, "'|' in the name of a key");
	} else {
		vsnprintf(reason, sizeof(reason), format, copy);
		syntax_fault(cfg->line, reason);
	}
	va_end(copy);
}

/*
 * libconfuse calls it for each value once the value has its slot in the option: the first one after
 * `=`; behind the default, which is one value, the first one after `+=`.
 */
static int on_value(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result)
{
	const char *name = cfg_opt_name(option);
	const struct config_key *key = config_key_find(name, strlen(name));
	unsigned slot = cfg_opt_size(option) - 1;

	*(const char **)result = value;
	if (!current->takes_values || key == NULL)
		return 0;
	if (slot == 0 || (slot == 1 && config_load_is_default(current->loader, key)))
		config_load_assign(current->loader, key, slot == 1, current->file, cfg->line);
	config_load_value(current->loader, key, value, current->file, cfg->line);
	return 0;
}

static int parse_text(cfg_t *cfg, char *text, size_t length)
{
	const char *reason;
	FILE *stream;
	int line, result;

	if (!config_blank(text, length, &line, &reason)) {
		syntax_fault(line, reason);
		current->has_failed = true;
		return CFG_PARSE_ERROR;
	}
	if (length == 0)
		return CFG_SUCCESS;
	stream = fmemopen(text, length, "r");
	if (stream == NULL) {
		current->out_of_memory = current->has_failed = true;
		return CFG_PARSE_ERROR;
	}
	result = cfg_parse_fp(cfg, stream);
	fclose(stream);
	if (result != CFG_SUCCESS && !current->has_failed)
		syntax_fault(cfg->line, "the name of a key is empty");
	return result;
}

/*
 * In place of libconfuse's own include(), which leaks a file that has a fault, and after ten such
 * reloads takes no file any more.
 */
static int on_include(cfg_t *cfg, cfg_opt_t *option, int argc, const char **argv)
{
	const char *file = current->file;
	int line = cfg->line, result = CFG_SUCCESS;
	char *path, *text;
	size_t length;

	(void)option;
	if (argc != 1 || current->depth == INCLUDE_DEPTH_MAX) {
		syntax_fault(line, argc != 1 ? "include takes one file"
					     : "includes are nested too deeply");
		current->has_failed = true;
		return CFG_PARSE_ERROR;
	}
	path = config_file_beside(file, argv[0]);
	text = path != NULL ? config_file_read(path, &length) : NULL;
	if (text == NULL) {
		if (current->takes_values)
			faults_add(current->faults,
				   "%s:%d: include: %s: %s (a file that can be read)", file, line,
				   argv[0], strerror(errno));
	} else {
		current->file = path;
		current->depth++;
		result = parse_text(cfg, text, length);
		current->depth--;
		current->file = file;
		cfg->line = line;
	}
	free(text);
	free(path);
	return result;
}

static cfg_opt_t list_option(const char *name)
{
	static char one_value[] = "{default}";

	return (cfg_opt_t)CFG_STR_LIST_CB(name, one_value, CFGF_NONE, on_value);
}

/* A parser that knows the keys, and the unknown ones. NULL if out of memory. */
static cfg_t *new_parser(const struct string_list *unknown)
{
	cfg_opt_t *options = calloc(config_keys_count + unknown->count + 2, sizeof(*options));
	size_t count = 0;
	cfg_t *cfg;

	if (options == NULL)
		return NULL;
	for (size_t i = 0; i < config_keys_count; i++)
		options[count++] = list_option(config_keys[i].name);
	for (size_t i = 0; i < unknown->count; i++)
		options[count++] = list_option(unknown->items[i]);
	options[count++] = (cfg_opt_t)CFG_FUNC("include", on_include);
	options[count] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(options, CFGF_NONE);
	free(options);
	if (cfg != NULL)
		cfg_set_error_function(cfg, on_error);
	return cfg;
}

/*
 * Where an allocation fails, libconfuse 3.3 asserts and its lexer exits: so no parser is made
 * unless there is memory in plenty, several times the length of the text.
 */
static bool has_memory(size_t length)
{
	void *volatile probe = malloc(PARSER_BYTES + PARSER_FACTOR * length);

	free(probe);
	return probe != NULL;
}

/* libconfuse calls on_value for no empty list, and so does not tell where one stands. */
static void assign_empty_lists(cfg_t *cfg)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (cfg_size(cfg, config_keys[i].name) == 0)
			config_load_assign(current->loader, &config_keys[i], false, current->file,
					   0);
}

/* One pass over the text. */
static void read_text(struct reading *reading, char *text, size_t length, bool takes_values)
{
	cfg_t *cfg = has_memory(length) ? new_parser(&reading->unknown) : NULL;

	reading->has_failed = false;
	reading->has_new_unknown = false;
	reading->takes_values = takes_values;
	if (cfg == NULL) {
		reading->out_of_memory = true;
		return;
	}
	/* What can be told of the values is told beside a fault in the syntax. */
	parse_text(cfg, text, length);
	if (takes_values)
		assign_empty_lists(cfg);
	reading->takes_values = false;
	cfg_free(cfg);
}

bool config_file_parse(const char *path, struct loader *loader, struct faults *faults)
{
	struct reading reading = {.loader = loader, .faults = faults, .file = path};
	size_t length;
	char *text = config_file_read(path, &length);

	if (text == NULL)
		return false;
	current = &reading;
	/* libconfuse stops at an unknown key, and each is to be told. */
	do
		read_text(&reading, text, length, false);
	while (reading.has_new_unknown);
	if (!reading.out_of_memory)
		read_text(&reading, text, length, true);
	current = NULL;
	if (reading.out_of_memory)
		faults_add(faults, "%s:0: config: out of memory (more memory)", path);
	string_list_free(&reading.unknown);
	free(text);
	return true;
}

const char *config_library_version(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "libconfuse %s", confuse_version);
	return text;
}
