/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a snapshot as a configuration file. */
#include <inttypes.h>
#include <string.h>

#include "base/duration.h"
#include "base/log.h"
#include "table.h"

static void print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (strchr("\"\\$", *text) != NULL)
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* Puts quotes only around what libconfuse would not read without. */
static void print_text(const char *text, FILE *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "_.:@/-";

	if (*text == '\0' || text[strspn(text, plain)] != '\0' || strstr(text, "//") != NULL)
		print_quoted(text, out);
	else
		fputs(text, out);
}

/* Prints no decimal in vain, of the six that can be read. */
static void print_number(double number, FILE *out)
{
	char text[40];
	size_t length;

	snprintf(text, sizeof(text), "%.6f", number);
	length = strlen(text);
	while (text[length - 1] == '0')
		length--;
	if (text[length - 1] == '.')
		length--;
	fprintf(out, "%.*s", (int)length, text);
}

static void print_duration(int64_t ms, FILE *out)
{
	char text[DURATION_TEXT_MAX];

	fputs(duration_format(ms, text), out);
}

static void print_list(const struct string_list *list, FILE *out)
{
	fputc('{', out);
	for (size_t i = 0; i < list->count; i++) {
		fputs(i > 0 ? ", " : "", out);
		print_quoted(list->items[i], out);
	}
	fputc('}', out);
}

static void print_stages(const bool *stages, FILE *out)
{
	const char *separator = "";

	fputc('{', out);
	for (int i = 0; i < STAGE_COUNT; i++) {
		if (!stages[i])
			continue;
		fputs(separator, out);
		print_quoted(stage_name((enum stage)i), out);
		separator = ", ";
	}
	fputc('}', out);
}

/* Prints the first of names whose value, which look finds, is this one. */
static void print_name(const char *const *names, int (*look)(const char *name), int value,
		       FILE *out)
{
	while (*names != NULL && look(*names) != value)
		names++;
	fputs(*names != NULL ? *names : "", out);
}

/* Whether a word stands in the place of the list. */
static bool is_word(const struct config_key *key, const struct string_list *list)
{
	return list->count == 1 && config_key_has_word(key, list->items[0]);
}

static void print_value(const struct config_key *key, const void *value, FILE *out)
{
	switch (key->kind) {
	case KIND_TEXT:
		return print_text(*(char *const *)value, out);
	case KIND_INTEGER:
		fprintf(out, "%" PRId64, config_integer(key, value));
		return;
	case KIND_OCTAL:
		fprintf(out, "%04o", *(const unsigned *)value);
		return;
	case KIND_NUMBER:
		return print_number(*(const double *)value, out);
	case KIND_HUNDREDTHS:
		return print_number(*(const unsigned *)value / 100.0, out);
	case KIND_TIMEOUT:
		if (*(const int64_t *)value == 0) {
			fputs("auto", out);
			return;
		}
		return print_duration(*(const int64_t *)value, out);
	case KIND_DURATION:
		return print_duration(*(const int64_t *)value, out);
	case KIND_SECONDS:
		return print_duration(*(const uint32_t *)value * INT64_C(1000), out);
	case KIND_BOOLEAN:
		fputs(key->words[*(const bool *)value ? 1 : 0], out);
		return;
	case KIND_FACILITY:
		return print_name(config_facilities, log_facility, *(const int *)value, out);
	case KIND_LEVEL:
		return print_name(config_levels, log_priority, *(const int *)value, out);
	case KIND_MTA:
		return print_name(config_mtas, mta_kind_named, *(const int *)value, out);
	case KIND_LIST:
		if (is_word(key, value))
			return print_text(((const struct string_list *)value)->items[0], out);
		return print_list(value, out);
	case KIND_STAGES:
		return print_stages(value, out);
	}
}

void config_print(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		fprintf(out, "%s = ", config_keys[i].name);
		print_value(&config_keys[i], config_key_value(&config_keys[i], config), out);
		fputc('\n', out);
	}
}
