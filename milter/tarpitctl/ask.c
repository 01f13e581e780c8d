/* SPDX-License-Identifier: BSD-2-Clause */
/* Talks to a daemon that may be gone, silent or hostile, for ASK_TIMEOUT_S at most. */
#include "ask.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "control/frame.h"

/* Says why there is no connection, and what the user can do about it. */
static void explain_refusal(const char *path, int cause, char *error, size_t size)
{
	struct stat status;
	const struct group *group = NULL;

	switch (cause) {
	case ENOENT:
	case ECONNREFUSED:
		snprintf(error, size,
			 "%s: %s: is tarpit-milter running, and is control_socket the same?", path,
			 cause == ENOENT ? "there is no such socket" : "nobody listens there");
		break;
	case EACCES:
	case EPERM:
		if (stat(path, &status) == 0)
			group = getgrgid(status.st_gid);
		snprintf(error, size, "%s: permission denied: you must be root or in the group %s",
			 path, group != NULL ? group->gr_name : "tarpit-milter");
		break;
	case EAGAIN:
		snprintf(error, size, "%s: tarpit-milter does not take the call within %d s", path,
			 ASK_TIMEOUT_S);
		break;
	default:
		snprintf(error, size, "%s: %s", path, strerror(cause));
	}
}

/* The time to send also bounds how long connect waits where the daemon's backlog is full. */
static int connect_to(const struct sockaddr_un *address)
{
	struct timeval timeout = {.tv_sec = ASK_TIMEOUT_S};
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status, cause;

	if (descriptor < 0)
		return -1;
	status = setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (status == 0)
		do
			status = connect(descriptor, (const struct sockaddr *)address,
					 sizeof(*address));
		while (status != 0 && errno == EINTR);
	if (status == 0)
		return descriptor;
	cause = errno;
	close(descriptor);
	errno = cause;
	return -1;
}

int ask_connect(const char *path, char *error, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int connection;

	if (*path == '\0' || strlen(path) >= sizeof(address.sun_path)) {
		errno = EINVAL;
		snprintf(error, size, "'%.200s': no path of a socket", path);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	connection = connect_to(&address);
	if (connection < 0) {
		int cause = errno;

		explain_refusal(path, cause, error, size);
		errno = cause;
	}
	return connection;
}

/* Waits until the connection can be read or written at once; false, with errno, at the deadline. */
static bool wait_ready(int connection, short events, int64_t deadline_ms)
{
	struct pollfd pollfd = {.fd = connection, .events = events};
	int64_t left_ms;

	while ((left_ms = deadline_ms - clock_now_ms()) > 0) {
		int ready = poll(&pollfd, 1, (int)left_ms);

		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
	}
	errno = ETIMEDOUT;
	return false;
}

static bool is_transient(int cause)
{
	return cause == EAGAIN || cause == EINTR;
}

static bool send_all(int connection, const void *bytes, size_t length, int64_t deadline_ms)
{
	const char *next = bytes;

	while (length > 0) {
		ssize_t sent = send(connection, next, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && !is_transient(errno))
			return false;
		if (sent < 0 && !wait_ready(connection, POLLOUT, deadline_ms))
			return false;
		if (sent > 0) {
			next += sent;
			length -= (size_t)sent;
		}
	}
	return true;
}

static bool receive_all(int connection, void *bytes, size_t length, int64_t deadline_ms)
{
	char *next = bytes;

	while (length > 0) {
		ssize_t received;

		/* Waits first: the deadline holds for a daemon that sends byte by byte too. */
		if (!wait_ready(connection, POLLIN, deadline_ms))
			return false;
		received = recv(connection, next, length, MSG_DONTWAIT);
		if (received == 0)
			errno = ECONNRESET;
		if (received == 0 || (received < 0 && !is_transient(errno)))
			return false;
		if (received > 0) {
			next += received;
			length -= (size_t)received;
		}
	}
	return true;
}

static bool explain_silence(int cause, char *error, size_t size)
{
	if (cause == ETIMEDOUT)
		snprintf(error, size, "tarpit-milter has not answered within %d s", ASK_TIMEOUT_S);
	else if (cause == ECONNRESET || cause == EPIPE)
		snprintf(error, size, "tarpit-milter has hung up");
	else
		snprintf(error, size, "%s", strerror(cause));
	return false;
}

static bool send_request(int connection, const char *request, int64_t deadline_ms, char *error,
			 size_t size)
{
	uint8_t header[FRAME_HEADER];

	if (strlen(request) > FRAME_REQUEST_MAX)
		return error_set(error, size, "the request is too long");
	frame_header(header, strlen(request));
	if (send_all(connection, header, sizeof(header), deadline_ms) &&
	    send_all(connection, request, strlen(request), deadline_ms))
		return true;
	/* A daemon that refuses this user replies without having read the request. */
	return errno == EPIPE || errno == ECONNRESET || explain_silence(errno, error, size);
}

static char *receive_reply(int connection, int64_t deadline_ms, size_t *length, char *error,
			   size_t size)
{
	uint8_t header[FRAME_HEADER];
	char *reply;

	if (!receive_all(connection, header, sizeof(header), deadline_ms)) {
		explain_silence(errno, error, size);
		return NULL;
	}
	if (frame_check(header, sizeof(header), FRAME_REPLY_MAX, length) == FRAME_TOO_LONG) {
		snprintf(error, size, "what answers there is no tarpit-milter");
		return NULL;
	}
	reply = malloc(*length);
	if (reply == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	if (receive_all(connection, reply, *length, deadline_ms))
		return reply;
	explain_silence(errno, error, size);
	free(reply);
	return NULL;
}

json_t *ask_daemon(int connection, const json_t *request, char *error, size_t size)
{
	int64_t deadline_ms = clock_now_ms() + ASK_TIMEOUT_S * 1000;
	char *text = json_dumps(request, JSON_COMPACT), *reply = NULL;
	json_t *answer;
	json_error_t fault;
	size_t length;

	if (text == NULL)
		snprintf(error, size, "out of memory");
	else if (send_request(connection, text, deadline_ms, error, size))
		reply = receive_reply(connection, deadline_ms, &length, error, size);
	free(text);
	if (reply == NULL)
		return NULL;
	answer = json_loadb(reply, length, JSON_REJECT_DUPLICATES, &fault);
	free(reply);
	if (json_is_object(answer))
		return answer;
	if (answer == NULL)
		snprintf(error, size, "tarpit-milter's answer is no JSON: %s", fault.text);
	else
		snprintf(error, size, "tarpit-milter's answer is no JSON object");
	json_decref(answer);
	return NULL;
}
