/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the memcached server of tarpit-store, with libmemcached, and tells what its answers mean. */
#include "connection.h"

#include <inttypes.h>
#include <libmemcached/memcached.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_TEXT_MAX 24

static bool is_quiet(const struct connection *connection)
{
	struct pollfd poll_fd = {.fd = connection->fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 0;
}

/*
 * Throws libmemcached's handle away with the connection, so that no late answer is taken for the
 * next request's, and libmemcached does not leave the server "disabled until timed retry".
 */
static void drop(struct connection *connection)
{
	memcached_free(connection->handle);
	connection->handle = NULL;
	connection->has_answered = false;
}

void connection_begin(struct connection *connection, int32_t timeout_ms,
		      struct message_outcome *outcome)
{
	if (connection->handle != NULL &&
	    (connection->timeout_ms != timeout_ms || !is_quiet(connection)))
		drop(connection);
	connection->timeout_ms = timeout_ms;
	connection->outcome = outcome;
	connection->has_answered = false;
}

static memcached_return_t set_up(struct connection *connection, memcached_st *handle)
{
	const struct message_setup *setup = connection->setup;
	uint64_t timeout_ms = (uint64_t)connection->timeout_ms;

	memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
	memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, timeout_ms);
	memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, timeout_ms);
	if (setup->user[0] != '\0') {
		/* memcached knows SASL only in its binary protocol. */
		char password[SECRET_MAX + 1] = "";
		memcached_return_t code;

		memcpy(password, setup->password.bytes, setup->password.length);
		memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, 1);
		code = memcached_set_sasl_auth_data(handle, setup->user, password);
		explicit_bzero(password, sizeof(password));
		if (code != MEMCACHED_SUCCESS)
			return code;
	}
	return setup->port == 0 ? memcached_server_add_unix_socket(handle, setup->host)
				: memcached_server_add(handle, setup->host, setup->port);
}

static void note_reason(struct connection *connection, const char *reason)
{
	snprintf(connection->outcome->reason, sizeof(connection->outcome->reason), "%s", reason);
}

/*
 * In words for the log: libmemcached's own messages show addresses of memory and lines of its
 * source.
 */
static const char *reason_of(const struct connection *connection, memcached_return_t code)
{
	int error = memcached_last_error_errno(connection->handle);

	switch (code) {
	case MEMCACHED_TIMEOUT:
		return "no answer in time";
	case MEMCACHED_AUTH_FAILURE:
		return connection->setup->port == 0
			       ? "authentication failed: libmemcached knows none over unix sockets"
			       : "authentication failed: memcached_user or its password is wrong";
	case MEMCACHED_AUTH_PROBLEM:
		return "authentication failed: no SASL mechanism in common (needs "
		       "libsasl2-modules)";
	case MEMCACHED_UNKNOWN_READ_FAILURE:
		return connection->setup->user[0] != '\0' && !connection->has_answered
			       ? "an answer that makes no sense, or it knows no SASL, which "
				 "memcached_user needs"
			       : "an answer that makes no sense";
	case MEMCACHED_CLIENT_ERROR:
		return connection->has_answered
			       ? memcached_strerror(NULL, code)
			       : "CLIENT ERROR: does it want a password (-Y)? libmemcached knows "
				 "SASL's only (-S)";
	case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
	case MEMCACHED_MEMORY_ALLOCATION_FAILURE:
		return "out of memory";
	case MEMCACHED_CONNECTION_FAILURE:
		if (error != 0)
			return strerror(error);
		return connection->has_answered ? "it hung up" : "no connection, or it hung up";
	default:
		return error != 0 ? strerror(error) : memcached_strerror(NULL, code);
	}
}

static enum connection_result fail(struct connection *connection, const char *reason)
{
	note_reason(connection, reason);
	connection->outcome->failures++;
	connection->outcome->result = MESSAGE_FAILED;
	drop(connection);
	return CONNECTION_FAILED;
}

static enum connection_result fail_with(struct connection *connection, memcached_return_t code)
{
	return fail(connection, reason_of(connection, code));
}

enum connection_result connection_refuse(struct connection *connection, const char *reason)
{
	note_reason(connection, reason);
	connection->outcome->failures++;
	connection->outcome->was_refused = 1;
	return CONNECTION_REFUSED;
}

/* Begins a round trip. False if there is no memory for it. */
static bool begin_trip(struct connection *connection)
{
	memcached_return_t code = MEMCACHED_MEMORY_ALLOCATION_FAILURE;

	connection->outcome->calls++;
	if (connection->handle != NULL)
		return true;
	connection->handle = memcached_create(NULL);
	if (connection->handle != NULL)
		code = set_up(connection, connection->handle);
	if (code != MEMCACHED_SUCCESS)
		fail(connection, memcached_strerror(NULL, code));
	return code == MEMCACHED_SUCCESS;
}

static enum connection_result meaning(memcached_return_t code)
{
	switch (code) {
	case MEMCACHED_SUCCESS:
		return CONNECTION_DONE;
	case MEMCACHED_NOTFOUND:
		return CONNECTION_ABSENT;
	case MEMCACHED_NOTSTORED:
	case MEMCACHED_DATA_EXISTS:
		return CONNECTION_PRESENT;
	case MEMCACHED_CLIENT_ERROR:
	case MEMCACHED_SERVER_ERROR:
	case MEMCACHED_E2BIG:
	case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
	case MEMCACHED_MEMORY_ALLOCATION_FAILURE: /* the binary protocol's name of the former */
		return CONNECTION_REFUSED;
	default:
		return CONNECTION_FAILED;
	}
}

/* Ends a round trip that may have been DONE, REFUSED, or that other result. */
static enum connection_result end_trip(struct connection *connection, memcached_return_t code,
				       enum connection_result other)
{
	enum connection_result result = meaning(code);

	if (result != CONNECTION_DONE && result != CONNECTION_REFUSED && result != other)
		return result == CONNECTION_FAILED
			       ? fail_with(connection, code)
			       : fail(connection, "an answer that makes no sense");
	if (result == CONNECTION_REFUSED)
		connection_refuse(connection, reason_of(connection, code));
	connection->has_answered = true;
	/* libmemcached has closed it. */
	if (result == CONNECTION_REFUSED && memcached_fatal(code))
		drop(connection);
	return result;
}

/* False if the server sent a key that is none of keys, or sent it twice. */
static bool take_value(const memcached_result_st *found, const char (*keys)[COUNTERS_KEY_MAX],
		       size_t count, bool *was_found, struct message_value_of *values)
{
	const char *key = memcached_result_key_value(found);
	size_t i = 0;

	while (i < count && (strlen(keys[i]) != memcached_result_key_length(found) ||
			     memcmp(keys[i], key, strlen(keys[i])) != 0))
		i++;
	if (i == count || was_found[i])
		return false;
	was_found[i] = true;
	values[i].state = counters_parse(memcached_result_value(found),
					 memcached_result_length(found), &values[i].number)
				  ? MESSAGE_NUMBER
				  : MESSAGE_NO_NUMBER;
	return true;
}

static enum connection_result take_values(struct connection *connection,
					  const char (*keys)[COUNTERS_KEY_MAX], size_t count,
					  struct message_value_of *values)
{
	bool was_found[MESSAGE_KEYS_MAX] = {false}, is_ours = true;
	/* On the stack: its guard ends the program when a long key overflows the result. */
	memcached_result_st result;
	memcached_return_t code = MEMCACHED_SUCCESS;

	memcached_result_create(connection->handle, &result);
	/* With a count of 0, libmemcached turns an error into "not found". */
	result.count = 1;
	while (is_ours && memcached_fetch_result(connection->handle, &result, &code) != NULL)
		is_ours = take_value(&result, keys, count, was_found, values);
	memcached_result_free(&result);
	if (!is_ours)
		return fail(connection, "a key that was not asked for");
	if (code != MEMCACHED_END)
		return fail_with(connection, code);
	connection->has_answered = true;
	return CONNECTION_DONE;
}

static enum connection_result fetch(struct connection *connection,
				    const char (*keys)[COUNTERS_KEY_MAX], size_t count,
				    struct message_value_of *values)
{
	const char *texts[MESSAGE_KEYS_MAX];
	size_t lengths[MESSAGE_KEYS_MAX], wanted = 0;
	memcached_return_t code;

	for (size_t i = 0; i < count; i++) {
		texts[wanted] = keys[i];
		lengths[wanted] = strlen(keys[i]);
		wanted += lengths[wanted] > 0;
	}
	if (!begin_trip(connection))
		return CONNECTION_FAILED;
	code = memcached_mget(connection->handle, texts, lengths, wanted);
	return code == MEMCACHED_SUCCESS ? take_values(connection, keys, count, values)
					 : fail_with(connection, code);
}

enum connection_result connection_fetch(struct connection *connection,
					const char (*keys)[COUNTERS_KEY_MAX], size_t count,
					struct message_value_of *values)
{
	enum connection_result result = CONNECTION_DONE;

	/*
	 * With several keys, libmemcached tries to connect for each, and forgets why that failed.
	 */
	if (connection->handle == NULL && count > 1)
		result = fetch(connection, keys, 1, values);
	return result == CONNECTION_DONE ? fetch(connection, keys, count, values) : result;
}

/* What is taken of a server's statistics. */
struct statistic {
	const char *name;
	struct message_value_of *value;
};

static memcached_return_t note_statistic(const memcached_instance_st *server, const char *key,
					 size_t key_length, const char *value, size_t length,
					 void *argument)
{
	(void)server;
	for (struct statistic *one = argument; one->name != NULL; one++)
		if (key_length == strlen(one->name) && memcmp(key, one->name, key_length) == 0 &&
		    counters_parse(value, length, &one->value->number))
			one->value->state = MESSAGE_NUMBER;
	return MEMCACHED_SUCCESS;
}

enum connection_result connection_identify(struct connection *connection,
					   struct message_value_of *uptime,
					   struct message_value_of *pid)
{
	struct statistic wanted[] = {{"uptime", uptime}, {"pid", pid}, {NULL, NULL}};

	if (!begin_trip(connection))
		return CONNECTION_FAILED;
	return end_trip(connection,
			memcached_stat_execute(connection->handle, NULL, note_statistic, wanted),
			CONNECTION_DONE);
}

/* memcached_set, memcached_add */
typedef memcached_return_t store_call(memcached_st *handle, const char *key, size_t key_length,
				      const char *value, size_t length, time_t ttl_s,
				      uint32_t flags);

/* other: what the call may say beside DONE and REFUSED. */
static enum connection_result store(struct connection *connection, store_call *call,
				    enum connection_result other, const char *key, uint64_t number,
				    int64_t ttl_s)
{
	char text[NUMBER_TEXT_MAX];
	size_t length = (size_t)snprintf(text, sizeof(text), "%" PRIu64, number);

	if (!begin_trip(connection))
		return CONNECTION_FAILED;
	return end_trip(connection,
			call(connection->handle, key, strlen(key), text, length, ttl_s, 0), other);
}

enum connection_result connection_set(struct connection *connection, const char *key,
				      uint64_t number, int64_t ttl_s)
{
	return store(connection, memcached_set, CONNECTION_DONE, key, number, ttl_s);
}

enum connection_result connection_add(struct connection *connection, const char *key,
				      uint64_t number, int64_t ttl_s)
{
	return store(connection, memcached_add, CONNECTION_PRESENT, key, number, ttl_s);
}

static bool has_no_number(struct connection *connection, const char *key)
{
	char keys[1][COUNTERS_KEY_MAX];
	struct message_value_of value = {.state = MESSAGE_ABSENT};

	snprintf(keys[0], sizeof(keys[0]), "%s", key);
	return fetch(connection, keys, 1, &value) == CONNECTION_DONE &&
	       value.state == MESSAGE_NO_NUMBER;
}

enum connection_result connection_increment(struct connection *connection, const char *key,
					    uint64_t amount, uint64_t *sum)
{
	struct message_outcome *outcome = connection->outcome, before;
	enum connection_result result;
	memcached_return_t code;

	if (!begin_trip(connection))
		return CONNECTION_FAILED;
	before = *outcome;
	/* memcached_increment takes amounts of 32 bits only. */
	code = memcached_increment_by_key(connection->handle, key, strlen(key), key, strlen(key),
					  amount, sum);
	result = end_trip(connection, code, CONNECTION_ABSENT);
	/*
	 * A value that is no number is a CLIENT_ERROR in the text protocol, but in the binary
	 * protocol libmemcached cannot tell that status from nonsense.
	 */
	if ((code == MEMCACHED_CLIENT_ERROR || code == MEMCACHED_UNKNOWN_READ_FAILURE) &&
	    has_no_number(connection, key)) {
		before.calls = outcome->calls;
		*outcome = before;
		return CONNECTION_NO_NUMBER;
	}
	return result;
}

enum connection_result connection_decrement(struct connection *connection, const char *key,
					    uint64_t amount, uint64_t *left)
{
	if (!begin_trip(connection))
		return CONNECTION_FAILED;
	return end_trip(connection,
			memcached_decrement_by_key(connection->handle, key, strlen(key), key,
						   strlen(key), amount, left),
			CONNECTION_ABSENT);
}

enum connection_result connection_delete(struct connection *connection, const char *key)
{
	if (!begin_trip(connection))
		return CONNECTION_FAILED;
	return end_trip(connection, memcached_delete(connection->handle, key, strlen(key), 0),
			CONNECTION_ABSENT);
}
