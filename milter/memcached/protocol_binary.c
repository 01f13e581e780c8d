/* SPDX-License-Identifier: BSD-2-Clause */
/* https://github.com/memcached/memcached/wiki/BinaryProtocolRevamped, SASLAuthProtocol */
#include <arpa/inet.h>
#include <endian.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "protocol.h"
#include "base/counters.h"
#include "base/secret.h"

#define MAGIC_REQUEST 0x80
#define MAGIC_RESPONSE 0x81
/* What is longer is no answer of memcached. */
#define BODY_MAX (2 * 1024 * 1024)
#define EXTRAS_MAX 20
#define NAME_MAX_LENGTH 128

enum opcode {
	OP_SET = 0x01,
	OP_ADD = 0x02,
	OP_DELETE = 0x04,
	OP_INCREMENT = 0x05,
	OP_DECREMENT = 0x06,
	OP_GETQ = 0x09, /* says nothing of a key that is not there */
	OP_NOOP = 0x0a,
	OP_SASL_AUTH = 0x21,
};

enum status {
	STATUS_OK = 0x00,
	STATUS_NOT_FOUND = 0x01,
	STATUS_EXISTS = 0x02,
	STATUS_TOO_BIG = 0x03,
	STATUS_NOT_STORED = 0x05,
	STATUS_NO_NUMBER = 0x06,
	STATUS_AUTH_ERROR = 0x20,
	STATUS_UNKNOWN_COMMAND = 0x81,
	STATUS_OUT_OF_MEMORY = 0x82,
	STATUS_BUSY = 0x85,
	STATUS_TEMPORARY = 0x86,
};

/* In the order and with the width of the wire: 24 bytes. */
struct header {
	uint8_t magic, opcode;
	uint16_t key_length;
	uint8_t extras_length, data_type;
	uint16_t status; /* of a request: reserved */
	uint32_t body_length, opaque;
	uint64_t cas;
};
_Static_assert(sizeof(struct header) == 24, "as on the wire");

/* A request under construction. */
struct request {
	size_t length;
	unsigned char bytes[sizeof(struct header) + EXTRAS_MAX + COUNTERS_KEY_MAX +
			    2 * NAME_MAX_LENGTH + SECRET_MAX];
};

static void put(struct request *request, const void *data, size_t length)
{
	memcpy(request->bytes + request->length, data, length);
	request->length += length;
}

/* What follows the extras and the key is appended by the caller. */
static void begin(struct request *request, enum opcode opcode, uint32_t opaque, const void *extras,
		  size_t extras_length, const struct protocol_key *key, size_t value_length)
{
	size_t key_length = key != NULL ? key->length : 0;
	struct header header = {
		.magic = MAGIC_REQUEST,
		.opcode = (uint8_t)opcode,
		.key_length = htons((uint16_t)key_length),
		.extras_length = (uint8_t)extras_length,
		.body_length = htonl((uint32_t)(extras_length + key_length + value_length)),
		.opaque = htonl(opaque),
	};

	request->length = 0;
	put(request, &header, sizeof(header));
	if (extras_length > 0)
		put(request, extras, extras_length);
	if (key_length > 0)
		put(request, key->text, key_length);
}

static bool nonsense(struct wire *wire)
{
	return wire_fail(wire, "an answer that makes no sense");
}

/* The head of an answer, checked as far as it can be by itself. */
static bool read_header(struct wire *wire, struct header *header)
{
	if (!wire_read(wire, header, sizeof(*header)))
		return false;
	header->key_length = ntohs(header->key_length);
	header->status = ntohs(header->status);
	header->body_length = ntohl(header->body_length);
	header->opaque = ntohl(header->opaque);
	if (header->magic != MAGIC_RESPONSE || header->body_length > BODY_MAX ||
	    header->body_length < (size_t)header->key_length + header->extras_length)
		return nonsense(wire);
	return true;
}

static enum reply judge(struct wire *wire, uint16_t status)
{
	char reason[64];

	switch (status) {
	case STATUS_OK:
		return REPLY_DONE;
	case STATUS_NOT_FOUND:
		return REPLY_ABSENT;
	case STATUS_EXISTS:
	case STATUS_NOT_STORED:
		return REPLY_PRESENT;
	case STATUS_NO_NUMBER:
		return REPLY_NO_NUMBER;
	case STATUS_OUT_OF_MEMORY:
		wire_fail(wire, "out of memory");
		return REPLY_REFUSED;
	case STATUS_TOO_BIG:
	case STATUS_BUSY:
	case STATUS_TEMPORARY:
		snprintf(reason, sizeof(reason), "status 0x%02x", status);
		wire_fail(wire, reason);
		return REPLY_REFUSED;
	case STATUS_AUTH_ERROR:
		wire_fail(wire, "it wants a memcached_user");
		return REPLY_FAILED;
	default:
		snprintf(reason, sizeof(reason), "status 0x%02x", status);
		wire_fail(wire, reason);
		return REPLY_FAILED;
	}
}

/* A status that is no answer to what was asked is a failure. */
static enum reply only_done(struct wire *wire, uint16_t status)
{
	enum reply reply = judge(wire, status);

	if (reply == REPLY_DONE || reply == REPLY_REFUSED || reply == REPLY_FAILED)
		return reply;
	nonsense(wire);
	return REPLY_FAILED;
}

/*
 * Sends a request and reads the answer to it. The body is copied if all is well, and must have just the size
 * that is expected then; otherwise it is left out.
 */
static bool exchange(struct wire *wire, const struct request *request, uint16_t *status, void *body,
		     size_t expected)
{
	struct header header;

	if (!wire_send(wire, request->bytes, request->length) || !read_header(wire, &header))
		return false;
	if (header.opcode != request->bytes[1])
		return nonsense(wire);
	*status = header.status;
	if (header.status != STATUS_OK || body == NULL)
		return wire_skip(wire, header.body_length);
	return header.body_length == expected ? wire_read(wire, body, expected) : nonsense(wire);
}

static enum reply ask(struct wire *wire, const struct request *request)
{
	uint16_t status;

	return exchange(wire, request, &status, NULL, 0) ? judge(wire, status) : REPLY_FAILED;
}

/*
 * SASL's mechanism PLAIN, RFC 4616: the only one that every memcached with -S offers. Others would hide the
 * password on its way, but not what is stored.
 */
static enum reply binary_log_in(struct wire *wire, const char *user, const struct secret *password)
{
	static const struct protocol_key plain = {"PLAIN", 5};
	size_t user_length = strlen(user);
	struct request request;
	uint16_t status;
	bool is_answered;

	begin(&request, OP_SASL_AUTH, 0, NULL, 0, &plain, 2 + user_length + password->length);
	put(&request, "", 1);
	put(&request, user, user_length);
	put(&request, "", 1);
	put(&request, password->bytes, password->length);
	is_answered = exchange(wire, &request, &status, NULL, 0);
	sodium_memzero(&request, sizeof(request));
	if (!is_answered)
		return REPLY_FAILED;
	if (status == STATUS_AUTH_ERROR)
		wire_fail(wire, "authentication failed: memcached_user or its password is wrong");
	else if (status == STATUS_UNKNOWN_COMMAND)
		wire_fail(wire, "it knows no SASL, which memcached_user needs");
	else
		only_done(wire, status);
	return status == STATUS_OK ? REPLY_DONE : REPLY_FAILED;
}

/* One value that a GETQ found: its flags are extras. */
static bool take_value(struct wire *wire, const struct header *header, protocol_take *take,
		       void *arg)
{
	size_t before = (size_t)header->extras_length + header->key_length;
	size_t length = header->body_length - before;
	char value[PROTOCOL_VALUE_MAX];
	bool is_short = length <= sizeof(value);

	if (!wire_skip(wire, before) ||
	    !(is_short ? wire_read(wire, value, length) : wire_skip(wire, length)))
		return false;
	take(header->opaque, value, is_short ? length : 0, arg);
	return true;
}

static enum reply read_values(struct wire *wire, size_t count, protocol_take *take, void *arg)
{
	size_t next = 0;

	for (;;) {
		struct header header;

		if (!read_header(wire, &header))
			return REPLY_FAILED;
		if (header.opcode == OP_NOOP && header.opaque == count && header.body_length == 0)
			return only_done(wire, header.status);
		if (header.opcode != OP_GETQ || header.opaque < next || header.opaque >= count) {
			nonsense(wire);
			return REPLY_FAILED;
		}
		next = header.opaque + 1;
		if (header.status != STATUS_OK) {
			if (!wire_skip(wire, header.body_length))
				return REPLY_FAILED;
			if (header.status == STATUS_NOT_FOUND)
				continue;
			only_done(wire, header.status);
			return REPLY_FAILED;
		}
		if (!take_value(wire, &header, take, arg))
			return REPLY_FAILED;
	}
}

static enum reply binary_fetch(struct wire *wire, const struct protocol_key *keys, size_t count,
			       protocol_take *take, void *arg)
{
	unsigned char all[(PROTOCOL_KEYS_MAX + 1) * (sizeof(struct header) + COUNTERS_KEY_MAX)];
	struct request request;
	size_t length = 0;

	for (size_t i = 0; i <= count; i++) {
		if (i < count)
			begin(&request, OP_GETQ, (uint32_t)i, NULL, 0, &keys[i], 0);
		else
			begin(&request, OP_NOOP, (uint32_t)i, NULL, 0, NULL, 0);
		memcpy(all + length, request.bytes, request.length);
		length += request.length;
	}
	return wire_send(wire, all, length) ? read_values(wire, count, take, arg) : REPLY_FAILED;
}

static enum reply store(struct wire *wire, enum opcode opcode, const struct protocol_key *key,
			const char *value, int64_t ttl_s)
{
	const uint32_t extras[] = {0, htonl((uint32_t)ttl_s)}; /* flags, life */
	struct request request;

	begin(&request, opcode, 0, extras, sizeof(extras), key, strlen(value));
	put(&request, value, strlen(value));
	return ask(wire, &request);
}

static enum reply binary_add(struct wire *wire, const struct protocol_key *key, const char *value,
			     int64_t ttl_s)
{
	return store(wire, OP_ADD, key, value, ttl_s);
}

static enum reply binary_set(struct wire *wire, const struct protocol_key *key, const char *value,
			     int64_t ttl_s)
{
	return store(wire, OP_SET, key, value, ttl_s);
}

static enum reply step_by(struct wire *wire, enum opcode opcode, const struct protocol_key *key,
			  uint64_t step, uint64_t *sum)
{
	struct {
		uint64_t step, initial;
		uint32_t life; /* all ones: a counter that is not there is not made */
	} __attribute__((packed)) extras = {htobe64(step), 0, 0xffffffff};
	struct request request;
	uint64_t number = 0;
	uint16_t status;

	begin(&request, opcode, 0, &extras, sizeof(extras), key, 0);
	if (!exchange(wire, &request, &status, &number, sizeof(number)))
		return REPLY_FAILED;
	*sum = be64toh(number);
	return judge(wire, status);
}

static enum reply binary_increment(struct wire *wire, const struct protocol_key *key, uint64_t step,
				   uint64_t *sum)
{
	return step_by(wire, OP_INCREMENT, key, step, sum);
}

static enum reply binary_decrement(struct wire *wire, const struct protocol_key *key, uint64_t step)
{
	uint64_t left = 0;

	return step_by(wire, OP_DECREMENT, key, step, &left);
}

static enum reply binary_remove(struct wire *wire, const struct protocol_key *key)
{
	struct request request;

	begin(&request, OP_DELETE, 0, NULL, 0, key, 0);
	return ask(wire, &request);
}

const struct protocol protocol_binary = {
	.log_in = binary_log_in,
	.fetch = binary_fetch,
	.add = binary_add,
	.set = binary_set,
	.increment = binary_increment,
	.decrement = binary_decrement,
	.remove = binary_remove,
};
