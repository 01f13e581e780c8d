/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter.c above the real libmilter: packets of all kinds, true ones and broken ones, over its
 * socket. fuzz_filter knows what must come of a callback; here nothing may break on the way there.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "mta/filter.h"

#define ANSWER_MS 20000
#define STREAM_MAX 8192

static const char *const sets[] = {"threshold=1", "stall_at={connect, helo, mail, rcpt, data}",
				   NULL};
/* The last is none of them. */
static const char commands[] = "OCDHMRTLNBEAUQK!";

static struct tarpit tarpit;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void remove_socket(void)
{
	unlink(address.sun_path);
	*strrchr(address.sun_path, '/') = '\0';
	rmdir(address.sun_path);
}

static void *serve(void *argument)
{
	(void)argument;
	filter_run();
	return NULL;
}

/* Once: libmilter serves a socket of this process's own. */
static void begin(void)
{
	const char *parent = getenv("TMPDIR");
	char directory[80], text[sizeof(address.sun_path) + sizeof("unix:")];
	pthread_t thread;

	if (address.sun_path[0] != '\0')
		return;
	snprintf(directory, sizeof(directory), "%s/tarpit-fuzz.XXXXXX",
		 parent != NULL ? parent : "/tmp");
	CHECK(mkdtemp(directory) != NULL);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	snprintf(text, sizeof(text), "unix:%s", address.sun_path);
	atexit(remove_socket);
	CHECK(filter_register(&tarpit, text) == 0 && filter_open() == 0);
	CHECK(pthread_create(&thread, NULL, serve, NULL) == 0);
}

struct stream {
	uint8_t bytes[STREAM_MAX];
	size_t length;
};

static void put(struct stream *stream, const void *bytes, size_t length)
{
	size_t room = sizeof(stream->bytes) - stream->length;

	if (length > room)
		length = room;
	memcpy(stream->bytes + stream->length, bytes, length);
	stream->length += length;
}

static void put_packet(struct stream *stream, uint32_t length, char command, const void *body,
		       size_t body_length)
{
	length = htonl(length);
	put(stream, &length, sizeof(length));
	put(stream, &command, 1);
	put(stream, body, body_length);
}

/* A byte says which packet comes next, and whether its length is true; the next one how long it is. */
static void put_from_input(struct stream *stream, struct input *input)
{
	unsigned what = take_byte(input);
	size_t length = take_byte(input);
	uint32_t said;

	if (length > input->length)
		length = input->length;
	said = what >= 0xf0 ? (uint32_t)take_number(input, 4) : (uint32_t)length + 1;
	if (length > input->length)
		length = input->length;
	put_packet(stream, said, commands[what % (sizeof(commands) - 1)], input->bytes, length);
	input->bytes += length;
	input->length -= length;
}

/* Sends it all, and reads until libmilter hangs up. */
static void converse(const struct stream *stream)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[4096];
	size_t sent = 0;
	ssize_t length = 1;

	CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	while (length > 0) {
		struct pollfd poller = {fd, POLLIN, 0};

		if (sent < stream->length)
			poller.events |= POLLOUT;
		CHECK(poll(&poller, 1, ANSWER_MS) == 1);
		if ((poller.revents & POLLOUT) != 0) {
			length = send(fd, stream->bytes + sent, stream->length - sent,
				      MSG_NOSIGNAL | MSG_DONTWAIT);
			sent = length > 0 ? sent + (size_t)length : stream->length;
			if (sent == stream->length)
				shutdown(fd, SHUT_WR);
			length = 1;
		}
		if ((poller.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			length = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t offer[] = {0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff};
	struct input input = {data, size};
	static struct stream stream;

	fuzz_tarpit_begin(&tarpit, fuzz_config(sets));
	begin();
	stream.length = 0;
	if (take_byte(&input) % 8 != 0)
		put_packet(&stream, sizeof(offer) + 1, 'O', offer, sizeof(offer));
	while (input.length > 0 && stream.length < sizeof(stream.bytes))
		put_from_input(&stream, &input);
	if (stream.length == 0)
		put(&stream, "x", 1);
	converse(&stream);
	for (int ms = 0; tarpit.open_sessions > 0 || filter_callbacks() > 0; ms++) {
		CHECK(ms < ANSWER_MS);
		usleep(1000);
	}
	fuzz_tarpit_end(&tarpit);
	return 0;
}
