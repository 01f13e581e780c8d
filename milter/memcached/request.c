/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a request of the daemon at the memcached server, so that nothing is counted twice. */
#include "request.h"

#include <string.h>

/* Of MESSAGE_FORGIVE: a client's counters come first, then its network's, then its flag. */

struct errand {
	struct connection *connection;
	const struct message_request *request;
	struct message_outcome *outcome;
	bool was_fetched;
	uint64_t times; /* that counts are added */
};

bool request_is_valid(const struct message_request *request)
{
	return request->kind < MESSAGE_KINDS && request->timeout_ms > 0 &&
	       request->keys_count <= MESSAGE_KEYS_MAX &&
	       request->counts_count <= MESSAGE_COUNTS_MAX &&
	       request->seen_count <= MESSAGE_SEEN_MAX &&
	       (request->kind != MESSAGE_FORGIVE || request->keys_count == MESSAGE_KEYS_MAX);
}

/*
 * Fetches the keys of the request, or if it has none, a counter: any answer shows that the server
 * lives.
 */
static bool fetch(struct errand *errand)
{
	const struct message_request *request = errand->request;
	struct message_value_of unused;

	errand->was_fetched = true;
	memset(errand->outcome->values, 0, sizeof(errand->outcome->values));
	if (request->keys_count > 0)
		return connection_fetch(errand->connection, request->keys, request->keys_count,
					errand->outcome->values) == CONNECTION_DONE;
	return request->counts_count == 0 ||
	       connection_fetch(errand->connection, &request->counts[0].key, 1, &unused) ==
		       CONNECTION_DONE;
}

static enum connection_result add_to_counter(struct errand *errand,
					     const struct message_count *count, uint64_t *sum)
{
	struct connection *connection = errand->connection;
	uint64_t amount = count->amount * errand->times;
	/* An increment makes no counter, an add makes it once: of hosts that race, none loses. */
	enum connection_result result = connection_increment(connection, count->key, amount, sum);

	if (result != CONNECTION_ABSENT)
		return result;
	*sum = amount;
	result = connection_add(connection, count->key, amount, errand->request->ttl_s);
	if (result == CONNECTION_PRESENT)
		result = connection_increment(connection, count->key, amount, sum);
	return result == CONNECTION_ABSENT ? connection_refuse(connection, "it forgets at once")
					   : result;
}

/* Brings values that were fetched before up to date. */
static void note_sum(struct errand *errand, const char *key, uint64_t sum)
{
	for (size_t i = 0; i < errand->request->keys_count; i++)
		if (strcmp(errand->request->keys[i], key) == 0)
			errand->outcome->values[i] = (struct message_value_of){MESSAGE_NUMBER, sum};
}

/* False if the server failed. */
static bool count_one(struct errand *errand, size_t index)
{
	const struct message_count *count = &errand->request->counts[index];
	struct message_outcome *outcome = errand->outcome;
	uint64_t sum = 0;
	enum connection_result result;

	/* Should this process end in the midst of it, nobody knows. */
	outcome->counts[index] = MESSAGE_MAYBE_DONE;
	result = add_to_counter(errand, count, &sum);
	/* A value that is no count is replaced. */
	if (result == CONNECTION_NO_NUMBER || (result == CONNECTION_DONE && sum > COUNTERS_MAX)) {
		sum = count->amount * errand->times;
		result =
			connection_set(errand->connection, count->key, sum, errand->request->ttl_s);
		if (result == CONNECTION_DONE)
			outcome->replaced |= UINT32_C(1) << index;
	}
	if (result == CONNECTION_DONE)
		note_sum(errand, count->key, sum);
	outcome->counts[index] = result == CONNECTION_DONE	? MESSAGE_DONE
				 : result == CONNECTION_REFUSED ? MESSAGE_NOT_DONE
								: MESSAGE_MAYBE_DONE;
	return result != CONNECTION_FAILED;
}

/*
 * An increment runs only on a connection on which the server has just answered, since nobody knows
 * of a failed increment whether the server did it.
 */
static bool count_all(struct errand *errand)
{
	for (size_t i = 0; i < errand->request->counts_count; i++)
		if ((!errand->connection->has_answered && !fetch(errand)) || !count_one(errand, i))
			return false;
	return true;
}

/* False if the server failed. */
static bool note_seen(struct errand *errand)
{
	const struct message_request *request = errand->request;

	for (size_t i = 0; i < request->seen_count; i++) {
		switch (connection_add(errand->connection, request->seen[i], 1, request->ttl_s)) {
		case CONNECTION_FAILED:
			return false;
		case CONNECTION_PRESENT:
			errand->outcome->seen_before++;
			break;
		default: /* new, or refused: counted all the same */
			break;
		}
	}
	errand->times =
		request->seen_count > 0 ? request->seen_count - errand->outcome->seen_before : 1;
	return true;
}

static void record(struct errand *errand)
{
	if (note_seen(errand) && (errand->times == 0 || count_all(errand)) &&
	    !errand->was_fetched && errand->request->keys_count > 0)
		fetch(errand);
}

/*
 * Deletes one counter of a client, and takes it from its network's. False if the server failed, or
 * would not.
 */
static bool take_back(struct errand *errand, size_t index)
{
	const struct message_request *request = errand->request;
	struct message_value_of *mine = &errand->outcome->values[index], was = *mine;
	struct message_value_of *network = mine + MESSAGE_COUNTERS;

	if (connection_delete(errand->connection, request->keys[index]) > CONNECTION_ABSENT)
		return false;
	mine->state = MESSAGE_ABSENT;
	/* What is no number stays: the next host that counts there replaces it. */
	if (was.state != MESSAGE_NUMBER || was.number == 0 || network->state != MESSAGE_NUMBER)
		return true;
	return connection_decrement(errand->connection, request->keys[index + MESSAGE_COUNTERS], was.number,
				    &network->number) <= CONNECTION_ABSENT;
}

static void forgive(struct errand *errand)
{
	bool goes_on = fetch(errand) &&
		       connection_delete(errand->connection, errand->request->keys[MESSAGE_FLAG_KEY]) <=
			       CONNECTION_ABSENT;

	if (goes_on)
		errand->outcome->values[MESSAGE_FLAG_KEY].state = MESSAGE_ABSENT;
	for (size_t i = 0; goes_on && i < MESSAGE_COUNTERS; i++)
		goes_on = take_back(errand, i);
}

static void run(struct errand *errand)
{
	const struct message_request *request = errand->request;

	switch ((enum message_kind)request->kind) {
	case MESSAGE_RECORD:
		record(errand);
		break;
	case MESSAGE_SET:
		connection_set(errand->connection, request->keys[0], request->number,
			       request->ttl_s);
		break;
	case MESSAGE_FORGIVE:
		forgive(errand);
		break;
	case MESSAGE_IDENTITY:
		connection_identify(errand->connection, &errand->outcome->values[0],
				    &errand->outcome->values[1]);
		break;
	default:
		fetch(errand);
	}
}

void request_run(struct connection *connection, const struct message_request *request,
		 struct message_outcome *outcome)
{
	struct errand errand = {connection, request, outcome, false, 1};

	memset(outcome, 0, sizeof(*outcome));
	outcome->serial = request->serial;
	connection_begin(connection, request->timeout_ms, outcome);
	run(&errand);
	if (outcome->result == MESSAGE_FAILED)
		memset(outcome->values, 0, sizeof(outcome->values));
}
