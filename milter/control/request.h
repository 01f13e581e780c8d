/* SPDX-License-Identifier: BSD-2-Clause */
/* A request being answered: what commands read, and how they build the answer. */
#ifndef TARPIT_CONTROL_REQUEST_H
#define TARPIT_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/prefix.h"
#include "config/config.h"
#include "control/command.h"
#include "session/session.h"
#include "store/store.h"

struct request {
	const struct control_host *host;
	struct tarpit *tarpit;
	const struct config *config;
	uid_t uid;
	/* the arguments, checked */
	struct prefix prefix;	/* of the client, of which the user wrote an address or prefix */
	struct prefix written;	/* that itself, which may be a translator's */
	struct client client;
	json_int_t number;	/* 0: not given */
	struct prefix after;	/* family 0: not given */
	/* the answer: an object, whose "ok" is true unless request_refuse was called */
	json_t *answer;
	bool lacks_memory;	/* the answer is incomplete */
};

/*
 * Makes the answer one that says no; what is not printable ASCII in the reason is a question mark
 * there. Returns false.
 */
bool request_refuse(struct request *request, enum command_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets a member of an object, and takes the value; one that is NULL is noted as lack of memory. */
void request_put(struct request *request, json_t *object, const char *key, json_t *value);
void request_put_text(struct request *request, json_t *object, const char *key, const char *text);
void request_put_integer(struct request *request, json_t *object, const char *key, int64_t value);
void request_put_real(struct request *request, json_t *object, const char *key, double value);
void request_append(struct request *request, json_t *array, json_t *value);
/* A JSON string. If text is not UTF-8, bytes from 0x80 become question marks. NULL: no memory. */
json_t *request_string(const char *text);
/* Whether memcached had its part in the answer; if not, says so and why that matters. */
void request_put_shared(struct request *request, bool is_shared, const char *warning);

struct window request_window(const struct request *request);
struct store_query request_query(const struct request *request);
/* Whether exempt_clients has a rule that covers all of the client that was named, and which. */
bool request_is_exempt(const struct request *request, struct prefix *rule);
/* Whether the store remembers a count or a flag of the client. */
bool request_is_remembered(const struct store_view *view);

/* The answer as text, for the caller to free; NULL: out of memory, now or before. */
char *request_dump(const struct request *request);

#endif
