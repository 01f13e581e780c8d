/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands of the control socket have in common. For command*.c only. */
#ifndef TARPIT_CONTROL_REQUEST_H
#define TARPIT_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/control.h"
#include "judge/policy.h"
#include "base/prefix.h"
#include "session/session.h"
#include "config/config.h"
#include "store/store.h"

/* tarpitctl's exit statuses, which are sysexits' but for the first. */
#define STATUS_REFUSED 1
#define STATUS_USAGE 64
#define STATUS_SOFTWARE 70
#define STATUS_CONFIG 78

/* One being answered. */
struct request {
	const struct control_host *host;
	struct tarpit *tarpit;
	const struct config *config;
	uid_t uid;
	/* arguments, checked; 0 for a number that was not given */
	struct prefix prefix;	/* of the client, as given */
	struct client client;
	json_int_t number;
	/* the answer: an object, whose "ok" is true unless command_refuse was called */
	json_t *answer;
	bool lacks_memory;	/* the answer is incomplete */
};

/* Makes the answer one that says no. */
void command_refuse(struct request *request, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets a member, taking the value; a NULL is remembered as a lack of memory. */
void command_put(struct request *request, json_t *object, const char *key, json_t *value);
void command_put_text(struct request *request, json_t *object, const char *key, const char *text);
void command_put_integer(struct request *request, json_t *object, const char *key, int64_t value);
void command_put_real(struct request *request, json_t *object, const char *key, double value);
void command_append(struct request *request, json_t *array, json_t *value);
/* A string of text in whatever encoding. */
json_t *command_text(const char *text);

struct window command_now(const struct request *request);
struct store_query command_query(const struct request *request);
/* What the store remembers is worth a word: it has counts, or a flag. */
bool command_is_remembered(const struct store_view *view);

/* One each, in command_show.c and command_change.c. */
void command_status(struct request *request);
void command_stalls(struct request *request);
void command_list(struct request *request);
void command_show(struct request *request);
void command_flag(struct request *request);
void command_forgive(struct request *request);
void command_reload(struct request *request);

#endif
