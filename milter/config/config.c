/* SPDX-License-Identifier: BSD-2-Clause */
/* Snapshots: their references, what a reload may not change, and the one that is current. */
#include "config/config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "judge/certificates.h"
#include "judge/exempt.h"
#include "judge/recipients.h"
#include "table.h"

struct config *config_hold(struct config *config)
{
	atomic_fetch_add(&config->references, 1);
	return config;
}

void config_release(struct config *config)
{
	if (config == NULL || atomic_fetch_sub(&config->references, 1) > 1)
		return;
	for (size_t i = 0; i < config_keys_count; i++) {
		void *field = config_key_field(&config_keys[i], config);

		if (config_keys[i].kind == KIND_TEXT)
			free(*(char **)field);
		else if (config_keys[i].kind == KIND_LIST)
			string_list_free(field);
	}
	free(config->offences);
	free(config->widths.translators);
	certificates_free(config->certificates);
	exempt_free(config->exempt);
	recipients_free(config->exempt_mailboxes);
	recipients_free(config->traps);
	recipients_free(config->callouts);
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

static bool fields_equal(const struct config_key *key, const void *a, const void *b)
{
	if (key->kind == KIND_TEXT)
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	if (key->kind == KIND_LIST)
		return lists_equal(a, b);
	return memcmp(a, b, key->size) == 0;
}

bool config_set_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return false;
	free(*field);
	*field = copy;
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

static bool copy_field(const struct config_key *key, void *to, const void *from)
{
	if (key->kind == KIND_TEXT)
		return config_set_text(to, *(char *const *)from);
	if (key->kind == KIND_LIST)
		return copy_list(to, from);
	memcpy(to, from, key->size);
	return true;
}

bool config_keep_fixed(struct config *fresh, const struct config *old, char *keys, size_t size)
{
	size_t length = 0;

	if (size > 0)
		keys[0] = '\0';
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		void *field = config_key_field(key, fresh);
		const void *value = config_key_value(key, old);

		if (!key->fixed || fields_equal(key, field, value))
			continue;
		if (!copy_field(key, field, value))
			return false;
		if (length < size)
			length += (size_t)snprintf(keys + length, size - length, "%s%s",
						   length > 0 ? " " : "", key->name);
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
