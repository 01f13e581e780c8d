/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection to the daemon: it may be gone, silent or lying, and none of that may hold us up. */
#include "ask.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/frame.h"

struct ctl_link {
	int descriptor;
};

/* What to do about it, where we know. */
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
			 CTL_TIMEOUT_S);
		break;
	default:
		snprintf(error, size, "%s: %s", path, strerror(cause));
	}
}

/* A unix socket's connect waits where too many others do; the time to send bounds that. */
static int connect_to(const struct sockaddr_un *address)
{
	struct timeval patience = {.tv_sec = CTL_TIMEOUT_S};
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status;

	if (descriptor < 0)
		return -1;
	status = setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (status == 0) {
		status = connect(descriptor, (const struct sockaddr *)address, sizeof(*address));
		if (status == 0)
			return descriptor;
		if (errno == EINTR)
			status = 0;
	}
	status = errno;
	close(descriptor);
	errno = status;
	return -1;
}

struct ctl_link *ctl_connect(const char *path, char *error, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ctl_link *link;

	if (*path == '\0' || strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, size, "'%.200s': no path of a socket", path);
		return NULL;
	}
	memcpy(address.sun_path, path, strlen(path));
	link = malloc(sizeof(*link));
	if (link == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	link->descriptor = connect_to(&address);
	if (link->descriptor < 0) {
		explain_refusal(path, errno, error, size);
		free(link);
		return NULL;
	}
	return link;
}

void ctl_close(struct ctl_link *link)
{
	if (link == NULL)
		return;
	close(link->descriptor);
	free(link);
}

static int64_t now_ms(void)
{
	return clock_system.mono_ms(&clock_system);
}

/* Until the socket can be read or written without a wait; false, with errno, at the deadline. */
static bool wait_ready(const struct ctl_link *link, short events, int64_t deadline_ms)
{
	struct pollfd pollfd = {.fd = link->descriptor, .events = events};

	int64_t left_ms;

	while ((left_ms = deadline_ms - now_ms()) > 0) {
		int ready = poll(&pollfd, 1, (int)left_ms);

		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
	}
	errno = ETIMEDOUT;
	return false;
}

static bool is_passing(int cause)
{
	return cause == EAGAIN || cause == EINTR;
}

static bool send_all(const struct ctl_link *link, const void *bytes, size_t length,
		     int64_t deadline_ms)
{
	const char *next = bytes;

	while (length > 0) {
		ssize_t sent = send(link->descriptor, next, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && !is_passing(errno))
			return false;
		if (sent < 0 && !wait_ready(link, POLLOUT, deadline_ms))
			return false;
		if (sent > 0) {
			next += sent;
			length -= (size_t)sent;
		}
	}
	return true;
}

static bool receive_all(const struct ctl_link *link, void *bytes, size_t length,
			int64_t deadline_ms)
{
	char *next = bytes;

	while (length > 0) {
		ssize_t received;

		/* Waits first: a daemon that trickles must not carry us past the deadline. */
		if (!wait_ready(link, POLLIN, deadline_ms))
			return false;
		received = recv(link->descriptor, next, length, MSG_DONTWAIT);
		if (received == 0)
			errno = ECONNRESET;
		if (received == 0 || (received < 0 && !is_passing(errno)))
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
		snprintf(error, size, "tarpit-milter has not answered within %d s", CTL_TIMEOUT_S);
	else if (cause == ECONNRESET || cause == EPIPE)
		snprintf(error, size, "tarpit-milter has hung up");
	else
		snprintf(error, size, "%s", strerror(cause));
	return false;
}

static bool put(const struct ctl_link *link, const char *request, int64_t deadline_ms, char *error,
		size_t size)
{
	uint8_t header[FRAME_HEADER];

	if (strlen(request) > FRAME_REQUEST_MAX) {
		snprintf(error, size, "the request is too long");
		return false;
	}
	frame_header(header, strlen(request));
	if (send_all(link, header, sizeof(header), deadline_ms) &&
	    send_all(link, request, strlen(request), deadline_ms))
		return true;
	/* Whom the daemon does not let in it tells so, and hangs up without having listened. */
	return errno == EPIPE || errno == ECONNRESET || explain_silence(errno, error, size);
}

static char *take(const struct ctl_link *link, int64_t deadline_ms, size_t *length, char *error,
		  size_t size)
{
	uint8_t header[FRAME_HEADER];
	char *reply;

	if (!receive_all(link, header, sizeof(header), deadline_ms)) {
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
	if (receive_all(link, reply, *length, deadline_ms))
		return reply;
	explain_silence(errno, error, size);
	free(reply);
	return NULL;
}

json_t *ctl_ask(struct ctl_link *link, const json_t *request, char *error, size_t size)
{
	int64_t deadline_ms = now_ms() + CTL_TIMEOUT_S * 1000;
	char *text = json_dumps(request, JSON_COMPACT), *reply = NULL;
	json_t *answer = NULL;
	json_error_t fault;
	size_t length;

	if (text == NULL)
		snprintf(error, size, "out of memory");
	else if (put(link, text, deadline_ms, error, size))
		reply = take(link, deadline_ms, &length, error, size);
	free(text);
	if (reply == NULL)
		return NULL;
	answer = json_loadb(reply, length, JSON_REJECT_DUPLICATES, &fault);
	free(reply);
	if (answer == NULL)
		snprintf(error, size, "tarpit-milter's answer is no JSON: %s", fault.text);
	else if (!json_is_object(answer))
		snprintf(error, size, "tarpit-milter's answer is no JSON object");
	if (answer != NULL && !json_is_object(answer)) {
		json_decref(answer);
		answer = NULL;
	}
	return answer;
}
