/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static int64_t now_ms(void)
{
	return clock_system.mono_ms(&clock_system);
}

bool wire_fail(struct wire *wire, const char *reason)
{
	snprintf(wire->error, sizeof(wire->error), "%s", reason);
	return false;
}

static bool fail_errno(struct wire *wire, const char *what)
{
	snprintf(wire->error, sizeof(wire->error), "%s: %s", what, strerror(errno));
	return false;
}

void wire_init(struct wire *wire)
{
	wire->fd = -1;
	wire->taken = wire->have = 0;
	wire->error[0] = '\0';
}

void wire_close(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
	wire->taken = wire->have = 0;
}

void wire_begin(struct wire *wire, int64_t timeout_ms)
{
	wire->deadline_ms = now_ms() + timeout_ms;
	wire->was_sent = false;
}

/* Until the socket is ready, or the deadline has come. */
static bool await(struct wire *wire, short events)
{
	struct pollfd ready = {.fd = wire->fd, .events = events};
	int count;

	do {
		int64_t left = wire->deadline_ms - now_ms();

		count = poll(&ready, 1, left > 0 ? (int)left : 0);
	} while (count < 0 && errno == EINTR);
	if (count < 0)
		return fail_errno(wire, "poll");
	return count > 0 || wire_fail(wire, "no answer in time");
}

/* Connects wire->fd, a socket that does not block. */
static bool connect_socket(struct wire *wire, const struct sockaddr *address, socklen_t length)
{
	socklen_t size = sizeof(errno);
	int error = 0;

	if (wire->fd < 0)
		return fail_errno(wire, "socket");
	if (connect(wire->fd, address, length) == 0)
		return true;
	/* EAGAIN: a unix socket whose queue is full. There is nothing to wait for then. */
	if (errno != EINPROGRESS)
		return fail_errno(wire, "connect");
	if (!await(wire, POLLOUT))
		return wire_fail(wire, "connect: no answer in time");
	if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0)
		return error == 0 || fail_errno(wire, "connect");
	errno = error;
	return fail_errno(wire, "connect");
}

static bool open_path(struct wire *wire, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	if (length >= sizeof(address.sun_path))
		return wire_fail(wire, "path too long for a socket");
	memcpy(address.sun_path, path, length + 1);
	wire->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return connect_socket(wire, (const struct sockaddr *)&address, sizeof(address));
}

static bool open_host(struct wire *wire, const char *host, uint16_t port, int64_t timeout_ms)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char service[8];
	bool is_open = false;
	int code, one = 1;

	snprintf(service, sizeof(service), "%u", port);
	code = getaddrinfo(host, service, &hints, &found);
	if (code != 0) {
		snprintf(wire->error, sizeof(wire->error), "name look-up: %s", gai_strerror(code));
		return false;
	}
	for (struct addrinfo *each = found; each != NULL && !is_open; each = each->ai_next) {
		wire_close(wire);
		wire->fd = socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		wire_begin(wire, timeout_ms);
		is_open = connect_socket(wire, each->ai_addr, each->ai_addrlen);
	}
	freeaddrinfo(found);
	if (is_open)
		setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return is_open;
}

bool wire_open(struct wire *wire, const char *host, uint16_t port, bool is_path, int64_t timeout_ms)
{
	bool is_open;

	wire_close(wire);
	wire_begin(wire, timeout_ms);
	is_open = is_path ? open_path(wire, host) : open_host(wire, host, port, timeout_ms);
	if (!is_open)
		wire_close(wire);
	return is_open;
}

bool wire_peer(const struct wire *wire, char *text, size_t size)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	return wire->fd >= 0 && getpeername(wire->fd, (struct sockaddr *)&address, &length) == 0 &&
	       getnameinfo((const struct sockaddr *)&address, length, text, (socklen_t)size, NULL,
			   0, NI_NUMERICHOST) == 0;
}

bool wire_is_quiet(struct wire *wire)
{
	char byte;

	return wire->taken == wire->have && recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN;
}

bool wire_send(struct wire *wire, const void *data, size_t length)
{
	const char *next = data;

	while (length > 0) {
		ssize_t sent = send(wire->fd, next, length, MSG_NOSIGNAL);

		if (sent > 0) {
			wire->was_sent = true;
			next += sent;
			length -= (size_t)sent;
		} else if (errno != EAGAIN && errno != EINTR) {
			return fail_errno(wire, "send");
		} else if (!await(wire, POLLOUT)) {
			return false;
		}
	}
	return true;
}

/* Gets more into the buffer, which has room. A server that sends drop by drop gains no time by it. */
static bool receive(struct wire *wire)
{
	for (;;) {
		ssize_t got;

		if (!await(wire, POLLIN))
			return false;
		got = recv(wire->fd, wire->buffer + wire->have, WIRE_BUFFER - wire->have, 0);
		if (got > 0) {
			wire->have += (size_t)got;
			return true;
		}
		if (got == 0)
			return wire_fail(wire, "it hung up");
		if (errno != EAGAIN && errno != EINTR)
			return fail_errno(wire, "receive");
	}
}

/* What has been taken out makes room. */
static void shift(struct wire *wire)
{
	wire->have -= wire->taken;
	memmove(wire->buffer, wire->buffer + wire->taken, wire->have);
	wire->taken = 0;
}

bool wire_read(struct wire *wire, void *data, size_t length)
{
	char *next = data;

	while (length > 0) {
		size_t part = wire->have - wire->taken;

		if (part > length)
			part = length;
		if (data != NULL) {
			memcpy(next, wire->buffer + wire->taken, part);
			next += part;
		}
		wire->taken += part;
		length -= part;
		if (length > 0) {
			shift(wire);
			if (!receive(wire))
				return false;
		}
	}
	return true;
}

bool wire_skip(struct wire *wire, size_t length)
{
	return wire_read(wire, NULL, length);
}

char *wire_line(struct wire *wire)
{
	shift(wire);
	for (size_t seen = 0;;) {
		char *line = wire->buffer;
		char *end = memchr(line + seen, '\n', wire->have - seen);

		if (end != NULL) {
			wire->taken = (size_t)(end - line) + 1;
			*end = '\0';
			if (end > line && end[-1] == '\r')
				end[-1] = '\0';
			return line;
		}
		seen = wire->have;
		if (wire->have == WIRE_BUFFER) {
			wire_fail(wire, "a line without an end");
			return NULL;
		}
		if (!receive(wire))
			return NULL;
	}
}
