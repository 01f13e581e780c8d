/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands have in common: they build an answer, and ask the store. */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"
#include "judge/exempt.h"

/* Digits of numbers: no more than the arithmetic is good for. */
#define PRECISION 12
#define REASON_MAX 512

json_t *request_string(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value != NULL)
		return value;
	/* jansson takes UTF-8 only. */
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

void request_put(struct request *r, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		r->lacks_memory = true;
}

void request_put_text(struct request *r, json_t *object, const char *key, const char *text)
{
	request_put(r, object, key, request_string(text));
}

void request_put_integer(struct request *r, json_t *object, const char *key, int64_t value)
{
	request_put(r, object, key, json_integer(value));
}

void request_put_real(struct request *r, json_t *object, const char *key, double value)
{
	request_put(r, object, key, json_real(value));
}

void request_append(struct request *r, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		r->lacks_memory = true;
}

void request_put_shared(struct request *r, bool is_shared, const char *warning)
{
	request_put(r, r->answer, "shared", json_boolean(is_shared));
	if (is_shared)
		return;
	request_put_integer(r, r->answer, "status", COMMAND_REFUSED);
	request_put_text(r, r->answer, "warning", warning);
}

bool request_refuse(struct request *r, enum command_status status, const char *format, ...)
{
	char reason[REASON_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	request_put(r, r->answer, "ok", json_false());
	request_put_integer(r, r->answer, "status", status);
	request_put_text(r, r->answer, "error", printable_mask(reason));
	return false;
}

struct window request_window(const struct request *r)
{
	const struct clock *clock = r->tarpit->clock;

	return window_at(clock->wall_ms(clock), r->config->window_s);
}

struct store_query request_query(const struct request *r)
{
	return (struct store_query){
		.client = r->client,
		.window = request_window(r),
		.key_prefix = r->config->key_prefix,
	};
}

bool request_is_exempt(const struct request *r, struct prefix *rule)
{
	return exempt_has_client(r->config->exempt, &r->prefix, rule) ||
	       exempt_has_client(r->config->exempt, &r->written, rule);
}

bool request_is_remembered(const struct store_view *view)
{
	return view->by_hand || view->announced || !tally_is_zero(&view->client);
}

char *request_dump(const struct request *r)
{
	char *text = NULL;
	size_t length;
	FILE *out = r->lacks_memory ? NULL : open_memstream(&text, &length);
	bool is_whole;

	if (out == NULL)
		return NULL;
	/* jansson goes on where a name could not be written; the stream remembers the error. */
	is_whole = json_dumpf(r->answer, out, JSON_COMPACT | JSON_REAL_PRECISION(PRECISION)) == 0 &&
		   ferror(out) == 0;
	if (fclose(out) == 0 && is_whole)
		return text;
	free(text);
	return NULL;
}
