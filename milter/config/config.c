/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "judge/exempt.h"
#include "base/printable.h"
#include "table.h"

void faults_add(struct faults *faults, const char *format, ...)
{
	va_list arguments, again;
	int length;
	char *text;

	faults->count++;
	va_start(arguments, format);
	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = length >= 0 ? realloc(faults->text, faults->length + (size_t)length + 2) : NULL;
	if (text != NULL) {
		faults->text = text;
		vsnprintf(text + faults->length, (size_t)length + 1, format, again);
		/* What a file says must not reach a terminal as it is. */
		printable_mask(text + faults->length);
		faults->length += (size_t)length + 1;
		text[faults->length - 1] = '\n';
		text[faults->length] = '\0';
	}
	va_end(again);
}

void faults_free(struct faults *faults)
{
	free(faults->text);
	memset(faults, 0, sizeof(*faults));
}

struct config *config_hold(struct config *config)
{
	atomic_fetch_add(&config->references, 1);
	return config;
}

void config_release(struct config *config)
{
	if (config == NULL || atomic_fetch_sub(&config->references, 1) > 1)
		return;
	for (size_t i = 0; i < settings_count; i++) {
		void *field = setting_field(&settings[i], config);

		if (settings[i].kind == KIND_TEXT)
			free(*(char **)field);
		else if (settings[i].kind == KIND_LIST)
			string_list_free(field);
	}
	free(config->offences);
	exempt_free(config->exempt);
	free(config);
}

static bool lists_equal(const struct string_list *a, const struct string_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool fields_equal(const struct setting *setting, const void *a, const void *b)
{
	if (setting->kind == KIND_TEXT)
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	if (setting->kind == KIND_LIST)
		return lists_equal(a, b);
	return memcmp(a, b, setting->size) == 0;
}

static bool copy_text(char **to, const char *from)
{
	char *copy = strdup(from);

	if (copy == NULL)
		return false;
	free(*to);
	*to = copy;
	return true;
}

static bool copy_list(struct string_list *to, const struct string_list *from)
{
	struct string_list copy = {NULL, 0};

	for (size_t i = 0; i < from->count; i++) {
		if (!string_list_add(&copy, from->items[i])) {
			string_list_free(&copy);
			return false;
		}
	}
	string_list_free(to);
	*to = copy;
	return true;
}

static bool copy_field(const struct setting *setting, void *to, const void *from)
{
	if (setting->kind == KIND_TEXT)
		return copy_text(to, *(char *const *)from);
	if (setting->kind == KIND_LIST)
		return copy_list(to, from);
	memcpy(to, from, setting->size);
	return true;
}

bool config_keep_fixed(struct config *fresh, const struct config *old, char *keys, size_t size)
{
	size_t length = 0;

	if (size > 0)
		keys[0] = '\0';
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings[i];
		void *field = setting_field(setting, fresh);
		const void *value = setting_value(setting, old);

		if (!setting->fixed || fields_equal(setting, field, value))
			continue;
		if (!copy_field(setting, field, value))
			return false;
		if (length < size)
			length += (size_t)snprintf(keys + length, size - length, "%s%s",
						   length > 0 ? " " : "", setting->name);
	}
	return true;
}

struct config_box {
	pthread_mutex_t lock;
	struct config *config;
};

struct config_box *config_box_new(struct config *config)
{
	struct config_box *box = calloc(1, sizeof(*box));

	if (box == NULL)
		return NULL;
	if (pthread_mutex_init(&box->lock, NULL) != 0) {
		free(box);
		return NULL;
	}
	box->config = config;
	return box;
}

void config_box_free(struct config_box *box)
{
	if (box == NULL)
		return;
	config_release(box->config);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

struct config *config_box_get(struct config_box *box)
{
	struct config *config;

	pthread_mutex_lock(&box->lock);
	config = config_hold(box->config);
	pthread_mutex_unlock(&box->lock);
	return config;
}

uint32_t config_box_window_s(struct config_box *box)
{
	uint32_t window_s;

	pthread_mutex_lock(&box->lock);
	window_s = box->config->window_s;
	pthread_mutex_unlock(&box->lock);
	return window_s;
}

void config_box_put(struct config_box *box, struct config *config)
{
	struct config *old;

	pthread_mutex_lock(&box->lock);
	old = box->config;
	box->config = config;
	pthread_mutex_unlock(&box->lock);
	config_release(old);
}
