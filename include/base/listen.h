/* SPDX-License-Identifier: BSD-2-Clause */
/* libmilter's socket addresses: unix:PATH, inet:PORT@HOST, inet6:PORT@HOST. */
#ifndef TARPIT_BASE_LISTEN_H
#define TARPIT_BASE_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct listen_address {
	struct sockaddr_storage storage;
	socklen_t length;
};

/* False with the reason in error. A host name is looked up, once, at start: may block. */
bool listen_parse(const char *text, struct listen_address *address, char *error, size_t size);
/* The same without looking names up: for checking a configuration. */
bool listen_check(const char *text, char *error, size_t size);

/*
 * Turns HOST:PORT or [HOST]:PORT into that form, cut if too long for any host. False if there is no
 * colon.
 */
#define LISTEN_TEXT_MAX 400
bool listen_from_host_port(const char *host_port, char text[LISTEN_TEXT_MAX]);

/*
 * Makes way for a socket: removes a stale one, on which no process listens. 0, or a sysexits code
 * with the reason in error: a process listens, the path is no socket, the port is taken, the
 * address can't be bound.
 */
int listen_clear(const struct listen_address *address, char *error, size_t size);
/*
 * Gives a socket that was just bound this mode. The umask has done so already, unless the directory
 * has a default ACL that allows less. -1 with errno.
 */
int listen_set_mode(const char *path, mode_t mode);
/* The path of a unix socket, or NULL. */
const char *listen_path(const struct listen_address *address);

#endif
