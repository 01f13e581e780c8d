/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection to a server that is not trusted: every wait has an end, and no answer is longer than it may be. */
#ifndef TARPIT_MEMCACHED_WIRE_H
#define TARPIT_MEMCACHED_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_BUFFER 4096
#define WIRE_ERROR_MAX 128

struct wire {
	int fd;			/* -1: not connected */
	int64_t deadline_ms;	/* monotonic; of the round trip under way */
	bool was_sent;		/* some of the question has left */
	size_t taken, have;	/* of buffer */
	char buffer[WIRE_BUFFER];
	char error[WIRE_ERROR_MAX];	/* why the last call failed */
};

void wire_init(struct wire *wire);
/*
 * Connects to the path of a unix socket, or to a host's port: timeout_ms at most for each of its addresses, and
 * whatever the resolver takes. False with the reason in error.
 */
bool wire_open(struct wire *wire, const char *host, uint16_t port, bool is_path, int64_t timeout_ms);
void wire_close(struct wire *wire);
/* The host at the other end, as a number. False if there is none. */
bool wire_peer(const struct wire *wire, char *text, size_t size);
/* Whether nothing has come that nobody has asked for, the end included: then a question may be put. */
bool wire_is_quiet(struct wire *wire);
/* Begins a round trip, which the calls after it share. */
void wire_begin(struct wire *wire, int64_t timeout_ms);

/* Each of these is false, or NULL, with the reason in error; the connection is of no use then. */
bool wire_send(struct wire *wire, const void *data, size_t length);
bool wire_read(struct wire *wire, void *data, size_t length);
bool wire_skip(struct wire *wire, size_t length);
/* The next line, without its end; valid until the next call. Longer ones than WIRE_BUFFER are a failure. */
char *wire_line(struct wire *wire);
/* Notes the reason; returns false. */
bool wire_fail(struct wire *wire, const char *reason);

#endif
