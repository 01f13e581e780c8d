/* SPDX-License-Identifier: BSD-2-Clause */
/* What a memcached server, or whoever sits there, answers: in both protocols, several questions in a row. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "memcached/protocol.h"
#include "base/secret.h"

#define KEYS 4
#define TIMEOUT_MS 10000
#define QUESTIONS 5

static const struct protocol_key keys[KEYS] = {
	{"tarpit:1:192.0.2.1/32:1:b", 25},
	{"tarpit:1:192.0.2.1/32:1:g", 25},
	{"tarpit:1:192.0.2.1/32:f", 23},
	{"k", 1},
};

struct fetched {
	size_t next;
};

static void take(size_t index, const char *value, size_t length, void *arg)
{
	struct fetched *fetched = arg;
	char copy[PROTOCOL_VALUE_MAX];

	CHECK(index >= fetched->next && index < KEYS && length <= PROTOCOL_VALUE_MAX);
	memcpy(copy, value, length);
	fetched->next = index + 1;
}

/* All of the answers are there before the questions, and then the server hangs up: nothing waits. */
static int connect_to(struct wire *wire, const uint8_t *answers, size_t length)
{
	int ends[2];

	wire_init(wire);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	wire->fd = ends[0];
	CHECK(write(ends[1], answers, length) == (ssize_t)length);
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	return ends[1];
}

static enum reply ask(const struct protocol *protocol, struct wire *wire, unsigned question)
{
	struct fetched fetched = {0};
	uint64_t sum = 0;

	wire_begin(wire, TIMEOUT_MS);
	wire->error[0] = '\0';
	switch (question) {
	case 0:
		return protocol->fetch(wire, keys, KEYS, take, &fetched);
	case 1:
		return protocol->add(wire, &keys[0], "1", 28800);
	case 2:
		return protocol->set(wire, &keys[2], "1795219200", 60);
	case 3:
		return protocol->increment(wire, &keys[0], 100, &sum);
	case 4:
		return protocol->decrement(wire, &keys[0], 100);
	case 5:
		if (protocol->log_in != NULL)
			return protocol->log_in(wire, "user", &(struct secret){6, "secret"});
		return REPLY_DONE;
	default:
		return protocol->remove(wire, &keys[2]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	const struct protocol *protocol =
		take_byte(&input) % 2 == 0 ? &protocol_text : &protocol_binary;
	uint64_t questions = take_number(&input, 2);
	enum reply reply = REPLY_DONE;
	static struct wire wire;
	int server = connect_to(&wire, input.bytes, input.length);

	for (size_t i = 0; i < QUESTIONS && reply != REPLY_FAILED; i++, questions >>= 3) {
		reply = ask(protocol, &wire, questions & 7);
		CHECK(reply <= REPLY_FAILED);
		if ((questions & 7) == 0)
			CHECK(reply == REPLY_DONE || reply == REPLY_REFUSED ||
			      reply == REPLY_FAILED);
		if (reply == REPLY_FAILED || reply == REPLY_REFUSED)
			CHECK(wire.error[0] != '\0' && strlen(wire.error) < WIRE_ERROR_MAX);
		/* A failure is one of this server, not of time: it has said all that it will. */
		CHECK(strcmp(wire.error, "no answer in time") != 0);
		CHECK(wire.taken <= wire.have && wire.have <= WIRE_BUFFER);
	}
	wire_close(&wire);
	close(server);
	return 0;
}
