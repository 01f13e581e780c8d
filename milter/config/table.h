/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of all keys, and how a value of each is read. Private to config. */
#ifndef TARPIT_CONFIG_TABLE_H
#define TARPIT_CONFIG_TABLE_H

#include "config/config.h"

enum config_kind {
	KIND_TEXT,		/* char * */
	KIND_INTEGER,		/* of `size` bytes */
	KIND_OCTAL,		/* unsigned */
	KIND_NUMBER,		/* double */
	KIND_HUNDREDTHS,	/* unsigned; two decimals at most */
	KIND_DURATION,		/* int64_t, milliseconds */
	KIND_TIMEOUT,		/* the same; `auto` is 0 */
	KIND_SECONDS,		/* uint32_t */
	KIND_BOOLEAN,		/* bool; words[1] is true */
	KIND_FACILITY,		/* int */
	KIND_LEVEL,		/* int */
	KIND_MTA,		/* int */
	KIND_LIST,		/* struct string_list; add takes one item */
	KIND_STAGES,		/* bool[STAGE_COUNT]; add takes one item */
};

struct config_key {
	const char *name;
	enum config_kind kind;
	size_t offset, size;		/* of its field in struct config */
	const char *preset;		/* as on the command line */
	const char *allowed;		/* for people */
	double min, max;		/* of numbers; of durations in milliseconds */
	bool has_zero;			/* 0 is allowed, too */
	bool fixed;			/* a change needs a restart of the daemon */
	const char *words[2];		/* of a boolean: false and true; of a list: in its place */
	/*
	 * What a text must be, and what takes one item of a list. False with the reason in error.
	 */
	bool (*check)(const char *text, char *error, size_t size);
	bool (*add)(struct config *config, const char *text, char *error, size_t size);
	/* What takes a line of an @FILE, where an item may name one, and what a line may be. */
	bool (*add_line)(struct config *config, const char *text, char *error, size_t size);
	const char *allowed_line;
};

extern const struct config_key config_keys[];
extern const size_t config_keys_count;
/* NULL-terminated */
extern const char *const config_facilities[], *const config_levels[], *const config_mtas[];

/* The key whose name is these bytes, or NULL. */
const struct config_key *config_key_find(const char *name, size_t length);
/* Whether the text is one of the words that may stand in the place of this list. */
bool config_key_has_word(const struct config_key *key, const char *text);
bool config_key_is_list(const struct config_key *key);
void *config_key_field(const struct config_key *key, struct config *config);
const void *config_key_value(const struct config_key *key, const struct config *config);
/* The value of a field of KIND_INTEGER, whatever its size. */
int64_t config_integer(const struct config_key *key, const void *field);
/* Replaces a text by a copy of another. False if out of memory: the field is as it was. */
bool config_set_text(char **field, const char *text);
/* Reads one value into the field; false with the reason in error. Not for lists. */
bool config_value_parse(const struct config_key *key, const char *text, void *field, char *error,
		   size_t size);

/* For `add`: each checks one item of a list and puts it into the snapshot. */
bool config_add_server(struct config *config, const char *text, char *error, size_t size);
bool config_add_offence(struct config *config, const char *text, char *error, size_t size);
bool config_add_soft_offence(struct config *config, const char *text, char *error, size_t size);
bool config_add_stage(struct config *config, const char *text, char *error, size_t size);
bool config_add_translator(struct config *config, const char *text, char *error, size_t size);
bool config_add_client(struct config *config, const char *text, char *error, size_t size);
bool config_add_host(struct config *config, const char *text, char *error, size_t size);
bool config_add_recipient(struct config *config, const char *text, char *error, size_t size);
bool config_add_callout(struct config *config, const char *text, char *error, size_t size);
bool config_add_trap(struct config *config, const char *text, char *error, size_t size);
bool config_add_certificate(struct config *config, const char *text, char *error, size_t size);

/* For `add_line`. */
bool config_add_client_line(struct config *config, const char *text, char *error, size_t size);
bool config_add_trap_line(struct config *config, const char *text, char *error, size_t size);
bool config_add_certificate_line(struct config *config, const char *text, char *error, size_t size);

/* For `check`: each tells whether a text may be a key's value. */
bool config_check_group(const char *text, char *error, size_t size);
bool config_check_delimiter(const char *text, char *error, size_t size);
bool config_check_user(const char *text, char *error, size_t size);
bool config_check_key_prefix(const char *text, char *error, size_t size);
bool config_check_socket_path(const char *text, char *error, size_t size);
bool config_check_memcached_user(const char *text, char *error, size_t size);
bool config_check_password_file(const char *text, char *error, size_t size);
bool config_check_path(const char *text, char *error, size_t size);
bool config_check_host_port(const char *text, char *error, size_t size);
/*
 * Two good values, a HOST:PORT and a socket, of which only one could be bound, as far as that shows
 * without looking names up.
 */
bool config_host_port_clashes(const char *host_port, const char *socket);

#endif
