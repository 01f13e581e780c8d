/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads socket addresses and makes way for the sockets. */
#include "base/listen.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"

#define HOST_MAX 255

/* An address as written, taken apart. */
struct parts {
	int family;
	const char *path; /* of AF_UNIX; port and host are of the other families */
	char port[6];
	char host[HOST_MAX + 1];
};

static bool check_path(const char *path, char *error, size_t size)
{
	if (*path != '/')
		return error_set(error, size, "not an absolute path");
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_set(error, size, "the path is longer than a unix socket's may be");
	return true;
}

/* Cuts "PORT@HOST" or "PORT@[HOST]" apart. */
static bool split(const char *text, struct parts *parts, char *error, size_t size)
{
	const char *at = strchr(text, '@'), *host = at != NULL ? at + 1 : "";
	size_t digits = strspn(text, "0123456789"), length = strlen(host);
	long port;

	if (digits == 0 || digits >= sizeof(parts->port) ||
	    (text[digits] != '@' && text[digits] != '\0'))
		return error_set(error, size, "no port number");
	memcpy(parts->port, text, digits);
	parts->port[digits] = '\0';
	port = strtol(parts->port, NULL, 10);
	if (port < 1 || port > 65535)
		return error_set(error, size, "no such port");
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	}
	if (length == 0)
		return error_set(error, size, "no host named");
	if (length > HOST_MAX)
		return error_set(error, size, "the host's name is too long");
	memcpy(parts->host, host, length);
	parts->host[length] = '\0';
	return true;
}

static bool check_host(const struct parts *parts, char *error, size_t size)
{
	uint8_t address[16];

	if (inet_pton(parts->family, parts->host, address) == 1)
		return true;
	if (inet_pton(parts->family == AF_INET ? AF_INET6 : AF_INET, parts->host, address) == 1)
		return error_set(error, size, "address of the other protocol version");
	for (const char *p = parts->host; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-' && *p != '_')
			return error_set(error, size, "neither a host name nor an address");
	if (parts->host[strspn(parts->host, "0123456789.")] == '\0')
		return error_set(error, size, "not an address");
	return true;
}

/* Takes text apart, without looking names up. */
static bool take_apart(const char *text, struct parts *parts, char *error, size_t size)
{
	memset(parts, 0, sizeof(*parts));
	if (strncmp(text, "unix:", 5) == 0 || strncmp(text, "local:", 6) == 0) {
		parts->family = AF_UNIX;
		parts->path = strchr(text, ':') + 1;
		return check_path(parts->path, error, size);
	}
	if (strncmp(text, "inet:", 5) == 0)
		parts->family = AF_INET;
	else if (strncmp(text, "inet6:", 6) == 0)
		parts->family = AF_INET6;
	else
		return error_set(error, size, "no such kind of socket");
	return split(strchr(text, ':') + 1, parts, error, size) && check_host(parts, error, size);
}

bool listen_check(const char *text, char *error, size_t size)
{
	struct parts parts;

	return take_apart(text, &parts, error, size);
}

bool listen_parse(const char *text, struct listen_address *address, char *error, size_t size)
{
	struct parts parts;
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	int result;

	memset(address, 0, sizeof(*address));
	if (!take_apart(text, &parts, error, size))
		return false;
	if (parts.family == AF_UNIX) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};

		memcpy(un.sun_path, parts.path, strlen(parts.path) + 1);
		memcpy(&address->storage, &un, sizeof(un));
		address->length = sizeof(un);
		return true;
	}
	hints.ai_family = parts.family;
	result = getaddrinfo(parts.host, parts.port, &hints, &list);
	if (result != 0) {
		snprintf(error, size, "%s: %s", parts.host, gai_strerror(result));
		return false;
	}
	memcpy(&address->storage, list->ai_addr, list->ai_addrlen);
	address->length = list->ai_addrlen;
	freeaddrinfo(list);
	return true;
}

const char *listen_path(const struct listen_address *address)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;

	return address->storage.ss_family == AF_UNIX ? un->sun_path : NULL;
}

/* The errno of a connect that does not wait; 0 if a process listens. */
static int try_connect(const struct listen_address *address)
{
	int result = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0)
		result = errno == EAGAIN || errno == EINPROGRESS ? 0 : errno;
	close(fd);
	return result;
}

/* Nothing stands at path: tells whether its directory is there. */
static int check_directory(const char *path, char *error, size_t size)
{
	const char *slash = strrchr(path, '/');
	int length = slash == path ? 1 : (int)(slash - path);
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct stat status;

	snprintf(directory, sizeof(directory), "%.*s", length, path);
	if (stat(directory, &status) != 0) {
		snprintf(error, size, "%s: %s", directory, strerror(errno));
		return EX_CANTCREAT;
	}
	if (!S_ISDIR(status.st_mode)) {
		snprintf(error, size, "%s: not a directory", directory);
		return EX_CANTCREAT;
	}
	return 0;
}

static int clear_path(const struct listen_address *address, char *error, size_t size)
{
	const char *path = listen_path(address);
	struct stat status;
	int result;

	if (lstat(path, &status) != 0) {
		if (errno == ENOENT)
			return check_directory(path, error, size);
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return EX_CANTCREAT;
	}
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(error, size, "%s: exists and is no socket", path);
		return EX_CANTCREAT;
	}
	result = try_connect(address);
	if (result == 0) {
		snprintf(error, size, "%s: another process listens there", path);
		return EX_UNAVAILABLE;
	}
	if (result != ECONNREFUSED) {
		snprintf(error, size, "%s: %s", path, strerror(result));
		return EX_CANTCREAT;
	}
	if (unlink(path) != 0 && errno != ENOENT) {
		snprintf(error, size, "%s: a stale socket: %s", path, strerror(errno));
		return EX_CANTCREAT;
	}
	return 0;
}

/* Binds the address and lets go of it, for the reason if that fails: libmilter gives none. */
static int try_bind(const struct listen_address *address, char *error, size_t size)
{
	const char *path = listen_path(address);
	int yes = 1, result = 0;
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		snprintf(error, size, "no socket: %s", strerror(errno));
		return errno == EAFNOSUPPORT ? EX_UNAVAILABLE : EX_OSERR;
	}
	/* As libmilter does, so that connections of a former process in TIME_WAIT don't matter. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
	    bind(fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
		snprintf(error, size, "cannot bind: %s", strerror(errno));
		result = path != NULL ? EX_CANTCREAT : EX_UNAVAILABLE;
	} else if (path != NULL) {
		unlink(path);
	}
	close(fd);
	return result;
}

bool listen_from_host_port(const char *host_port, char text[LISTEN_TEXT_MAX])
{
	const char *colon = strrchr(host_port, ':');

	if (colon == NULL)
		return false;
	snprintf(text, LISTEN_TEXT_MAX, "%s:%s@%.*s", *host_port == '[' ? "inet6" : "inet",
		 colon + 1, (int)(colon - host_port), host_port);
	return true;
}

int listen_clear(const struct listen_address *address, char *error, size_t size)
{
	int code = listen_path(address) != NULL ? clear_path(address, error, size) : 0;

	return code == 0 ? try_bind(address, error, size) : code;
}

int listen_set_mode(const char *path, mode_t mode)
{
	struct stat status;

	if (lstat(path, &status) != 0)
		return -1;
	if ((status.st_mode & 07777) == mode)
		return 0;
	/*
	 * Not chmod: the directory may be another user's, who could have put a link there
	 * meanwhile.
	 */
	return fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
}
