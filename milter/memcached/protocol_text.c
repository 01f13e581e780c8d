/* SPDX-License-Identifier: BSD-2-Clause */
/* https://github.com/memcached/memcached/blob/master/doc/protocol.txt */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"
#include "base/counters.h"

#define COMMAND_MAX (COUNTERS_KEY_MAX + 96)
/* memcached's own limit, with room: what is longer is no value. */
#define SKIP_MAX (2 * 1024 * 1024)

static bool begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

/* What a line means that is no answer of its command. */
static enum reply odd(struct wire *wire, const char *line)
{
	char copy[WIRE_ERROR_MAX];

	/* Of an ERROR nobody knows what was read as a command. */
	if (!begins(line, "SERVER_ERROR") && !begins(line, "CLIENT_ERROR") &&
	    !begins(line, "ERROR")) {
		wire_fail(wire, "an answer that makes no sense");
		return REPLY_FAILED;
	}
	snprintf(copy, sizeof(copy), "%.100s", line);
	wire_fail(wire, copy);
	return begins(line, "ERROR") ? REPLY_FAILED : REPLY_REFUSED;
}

/* Sends a command, and gets a line for an answer. */
static char *ask(struct wire *wire, const char *command, size_t length)
{
	return wire_send(wire, command, length) ? wire_line(wire) : NULL;
}

/* Reads "NUMBER" and what follows it; NULL if there is none. */
static const char *read_number(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 ? end : NULL;
}

/* " FLAGS LENGTH", after the key of a VALUE. */
static bool read_length(const char *text, size_t *length)
{
	uint64_t flags, number;

	if (*text++ != ' ' || (text = read_number(text, &flags)) == NULL || *text++ != ' ' ||
	    (text = read_number(text, &number)) == NULL || *text != '\0' || number > SKIP_MAX)
		return false;
	*length = (size_t)number;
	return true;
}

static bool take_value(struct wire *wire, size_t index, size_t length, protocol_take *take,
		       void *arg)
{
	char value[PROTOCOL_VALUE_MAX], end[2];
	bool is_short = length <= sizeof(value);

	if (!(is_short ? wire_read(wire, value, length) : wire_skip(wire, length)) ||
	    !wire_read(wire, end, sizeof(end)))
		return false;
	if (memcmp(end, "\r\n", 2) != 0)
		return wire_fail(wire, "an answer that makes no sense");
	take(index, value, is_short ? length : 0, arg);
	return true;
}

static enum reply read_values(struct wire *wire, const struct protocol_key *keys, size_t count,
			      protocol_take *take, void *arg)
{
	size_t next = 0;

	for (;;) {
		char *line = wire_line(wire);
		size_t length;

		if (line == NULL)
			return REPLY_FAILED;
		if (strcmp(line, "END") == 0)
			return REPLY_DONE;
		if (!begins(line, "VALUE "))
			return odd(wire, line);
		line += strlen("VALUE ");
		while (next < count && (strncmp(line, keys[next].text, keys[next].length) != 0 ||
					line[keys[next].length] != ' '))
			next++;
		if (next == count || !read_length(line + keys[next].length, &length)) {
			wire_fail(wire, "an answer that makes no sense");
			return REPLY_FAILED;
		}
		if (!take_value(wire, next++, length, take, arg))
			return REPLY_FAILED;
	}
}

static enum reply text_fetch(struct wire *wire, const struct protocol_key *keys, size_t count,
			     protocol_take *take, void *arg)
{
	char command[8 + PROTOCOL_KEYS_MAX * (COUNTERS_KEY_MAX + 1)];
	size_t length = (size_t)snprintf(command, sizeof(command), "get");

	for (size_t i = 0; i < count; i++)
		length += (size_t)snprintf(command + length, sizeof(command) - length, " %.*s",
					   (int)keys[i].length, keys[i].text);
	length += (size_t)snprintf(command + length, sizeof(command) - length, "\r\n");
	if (!wire_send(wire, command, length))
		return REPLY_FAILED;
	return read_values(wire, keys, count, take, arg);
}

static enum reply store(struct wire *wire, const char *verb, const struct protocol_key *key,
			const char *value, int64_t ttl_s)
{
	char command[COMMAND_MAX + PROTOCOL_VALUE_MAX];
	int length = snprintf(command, sizeof(command), "%s %.*s 0 %" PRId64 " %zu\r\n%s\r\n", verb,
			      (int)key->length, key->text, ttl_s, strlen(value), value);
	const char *line = ask(wire, command, (size_t)length);

	if (line == NULL)
		return REPLY_FAILED;
	if (strcmp(line, "STORED") == 0)
		return REPLY_DONE;
	return strcmp(line, "NOT_STORED") == 0 ? REPLY_PRESENT : odd(wire, line);
}

static enum reply text_add(struct wire *wire, const struct protocol_key *key, const char *value,
			   int64_t ttl_s)
{
	return store(wire, "add", key, value, ttl_s);
}

static enum reply text_set(struct wire *wire, const struct protocol_key *key, const char *value,
			   int64_t ttl_s)
{
	return store(wire, "set", key, value, ttl_s);
}

static enum reply step_by(struct wire *wire, const char *verb, const struct protocol_key *key,
			  uint64_t step, uint64_t *sum)
{
	char command[COMMAND_MAX];
	int length = snprintf(command, sizeof(command), "%s %.*s %" PRIu64 "\r\n", verb,
			      (int)key->length, key->text, step);
	const char *line = ask(wire, command, (size_t)length), *end;

	if (line == NULL)
		return REPLY_FAILED;
	end = read_number(line, sum);
	if (end != NULL && end[strspn(end, " ")] == '\0')
		return REPLY_DONE;
	if (strcmp(line, "NOT_FOUND") == 0)
		return REPLY_ABSENT;
	return begins(line, "CLIENT_ERROR cannot increment") ? REPLY_NO_NUMBER : odd(wire, line);
}

static enum reply text_increment(struct wire *wire, const struct protocol_key *key, uint64_t step,
				 uint64_t *sum)
{
	return step_by(wire, "incr", key, step, sum);
}

static enum reply text_decrement(struct wire *wire, const struct protocol_key *key, uint64_t step)
{
	uint64_t left;

	return step_by(wire, "decr", key, step, &left);
}

static enum reply text_remove(struct wire *wire, const struct protocol_key *key)
{
	char command[COMMAND_MAX];
	int length =
		snprintf(command, sizeof(command), "delete %.*s\r\n", (int)key->length, key->text);
	const char *line = ask(wire, command, (size_t)length);

	if (line == NULL)
		return REPLY_FAILED;
	if (strcmp(line, "DELETED") == 0)
		return REPLY_DONE;
	return strcmp(line, "NOT_FOUND") == 0 ? REPLY_ABSENT : odd(wire, line);
}

const struct protocol protocol_text = {
	.fetch = text_fetch,
	.add = text_add,
	.set = text_set,
	.increment = text_increment,
	.decrement = text_decrement,
	.remove = text_remove,
};
