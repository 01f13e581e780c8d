/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread of the control socket: lets users in, reads their requests, and sends the answers. */
#include "control/socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include "control/command.h"
#include "control/frame.h"

#define SOCKET_MODE 0660
#define BACKLOG 128
/* Beyond these, a new client takes the place of the one that has been idle for longest. */
#define CONNECTIONS_MAX 16
/* A client that needs longer to send a request, or to take its reply, is hung up on. */
#define PHASE_MS 10000
/* How long no client is let in after accept failed for lack of descriptors or memory. */
#define PAUSE_MS 500
/* A client may send so many bytes behind its last request before it is hung up on. */
#define DISCARD_MAX 65536
/* If a client is in more groups than these, they are read into allocated memory. */
#define GROUPS_USUAL 32

enum phase {
	READING,
	WRITING,
	LEAVING, /* the last reply is sent; what comes is discarded until the client closes */
};

struct connection {
	int fd; /* -1: this place is free */
	uid_t uid;
	enum phase phase;
	int64_t since_ms; /* when the phase began */
	uint64_t turn; /* orders phases that began in the same millisecond */
	bool is_last; /* the connection ends with this reply */
	size_t received;
	uint8_t request[FRAME_HEADER + FRAME_REQUEST_MAX];
	char *reply; /* with its header */
	size_t reply_length, sent;
};

struct control {
	struct control_host host;
	int listener;
	gid_t group; /* of the socket */
	int64_t open_again_ms; /* until then no client is let in */
	uint64_t turns;
	struct connection connections[CONNECTIONS_MAX];
};

static struct log_limit refused_limit, exhausted_limit;

static bool bind_socket(int fd, const struct listen_address *address, char *error, size_t size)
{
	const char *path = listen_path(address);
	/* So no other user can connect between bind and listen_set_mode. */
	mode_t umask_before = umask(0777 & ~SOCKET_MODE);
	int result = bind(fd, (const struct sockaddr *)&address->storage, address->length);

	umask(umask_before);
	if (result != 0) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return false;
	}
	if (listen_set_mode(path, SOCKET_MODE) != 0 || listen(fd, BACKLOG) != 0) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		unlink(path);
		return false;
	}
	return true;
}

int control_socket_open(const char *path, char *error, size_t size)
{
	struct listen_address address;
	char text[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
	int fd;

	/* A path that is cut here is still too long for a socket: listen_parse refuses it. */
	snprintf(text, sizeof(text), "unix:%s", path);
	if (!listen_parse(text, &address, error, size) || listen_clear(&address, error, size) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		snprintf(error, size, "no socket: %s", strerror(errno));
		return -1;
	}
	if (!bind_socket(fd, &address, error, size)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void enter(struct control *control, struct connection *connection, enum phase phase)
{
	connection->phase = phase;
	connection->since_ms = clock_now_ms();
	connection->turn = control->turns++;
}

static void hang_up(struct connection *connection)
{
	close(connection->fd);
	free(connection->reply);
	memset(connection, 0, sizeof(*connection));
	connection->fd = -1;
}

/* The connection longest in its phase, those in LEAVING first; NULL if there is none. */
static struct connection *find_idle(struct control *control)
{
	struct connection *idle = NULL;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &control->connections[i];

		if (c->fd < 0)
			continue;
		if (idle == NULL || (c->phase == LEAVING && idle->phase != LEAVING) ||
		    ((c->phase == LEAVING) == (idle->phase == LEAVING) && c->turn < idle->turn))
			idle = c;
	}
	return idle;
}

static struct connection *find_place(struct control *control)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (control->connections[i].fd < 0)
			return &control->connections[i];
	return NULL;
}

/* Takes the text, which is NULL if memory ran out: then the client is hung up on. */
static void reply(struct control *control, struct connection *connection, char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;

	if (length > FRAME_REPLY_MAX) {
		free(text);
		text = command_refusal(COMMAND_REFUSED, "the answer is too long");
		length = text != NULL ? strlen(text) : 0;
	}
	if (text != NULL)
		connection->reply = malloc(FRAME_HEADER + length);
	if (connection->reply == NULL) {
		free(text);
		hang_up(connection);
		return;
	}
	frame_header((uint8_t *)connection->reply, length);
	memcpy(connection->reply + FRAME_HEADER, text, length);
	free(text);
	connection->reply_length = FRAME_HEADER + length;
	connection->sent = 0;
	enter(control, connection, WRITING);
}

/* Answers the first request once it is whole. A frame too long or empty ends the connection. */
static void answer_request(struct control *control, struct connection *connection)
{
	size_t length = 0, rest;

	switch (frame_check(connection->request, connection->received, FRAME_REQUEST_MAX,
			    &length)) {
	case FRAME_PARTIAL:
		return;
	case FRAME_TOO_LONG:
		connection->is_last = true;
		reply(control, connection,
		      command_refusal(COMMAND_USAGE, "a request has 1 to 4096 bytes"));
		return;
	case FRAME_WHOLE:
		break;
	}
	reply(control, connection,
	      command_answer(&control->host, connection->uid,
			     (const char *)connection->request + FRAME_HEADER, length));
	if (connection->fd < 0)
		return;
	/* The client may have sent its next request with this one. */
	rest = connection->received - FRAME_HEADER - length;
	memmove(connection->request, connection->request + FRAME_HEADER + length, rest);
	connection->received = rest;
}

static bool is_transient(int error)
{
	return error == EAGAIN || error == EINTR;
}

static void send_more(struct control *control, struct connection *connection)
{
	ssize_t count = send(connection->fd, connection->reply + connection->sent,
			     connection->reply_length - connection->sent, MSG_NOSIGNAL);

	if (count < 0) {
		if (!is_transient(errno))
			hang_up(connection);
		return;
	}
	connection->sent += (size_t)count;
	if (connection->sent < connection->reply_length)
		return;
	free(connection->reply);
	connection->reply = NULL;
	connection->reply_length = 0;
	if (!connection->is_last) {
		enter(control, connection, READING);
		return;
	}
	/* A close with input unread is a reset: the client might lose the reply. */
	shutdown(connection->fd, SHUT_WR);
	connection->received = 0;
	enter(control, connection, LEAVING);
}

static void read_more(struct control *control, struct connection *connection)
{
	ssize_t count = recv(connection->fd, connection->request + connection->received,
			     sizeof(connection->request) - connection->received, 0);

	if (count > 0) {
		connection->received += (size_t)count;
		answer_request(control, connection);
	} else if (count == 0 || !is_transient(errno)) {
		hang_up(connection);
	}
}

static void discard(struct connection *connection)
{
	ssize_t count = recv(connection->fd, connection->request, sizeof(connection->request), 0);

	if (count > 0)
		connection->received += (size_t)count;
	if (count == 0 || (count < 0 && !is_transient(errno)) || connection->received > DISCARD_MAX)
		hang_up(connection);
}

static void go_on(struct control *control, struct connection *connection)
{
	if (connection->phase == READING)
		read_more(control, connection);
	else if (connection->phase == LEAVING)
		discard(connection);
	if (connection->fd >= 0 && connection->phase == WRITING)
		send_more(control, connection);
	/* A request that came together with the last one makes no descriptor readable. */
	if (connection->fd >= 0 && connection->phase == READING)
		answer_request(control, connection);
}

/* Whether one of the client's supplementary groups is this one. */
static bool has_group(int fd, gid_t group)
{
#ifdef SO_PEERGROUPS
	gid_t usual[GROUPS_USUAL], *groups = usual;
	socklen_t size = sizeof(usual);
	int result = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	bool found = false;

	if (result != 0 && errno == ERANGE) {
		groups = malloc(size);
		if (groups == NULL)
			return false;
		result = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	}
	for (size_t i = 0; result == 0 && i < size / sizeof(groups[0]); i++)
		found = found || groups[i] == group;
	if (groups != usual)
		free(groups);
	return found;
#else
	(void)fd;
	(void)group;
	return false;
#endif
}

/* The socket's mode keeps other users out already, unless the administrator has widened it. */
static bool may_ask(const struct control *control, int fd, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) != 0)
		return false;
	/* One that has ended can't be told from those that is_refused knows. */
	if (control->host.is_refused != NULL && peer->pid > 0 && kill(peer->pid, 0) != 0 &&
	    errno == ESRCH)
		return false;
	if (control->host.is_refused != NULL &&
	    control->host.is_refused(control->host.arg, peer->pid))
		return false;
	return peer->uid == 0 || peer->uid == geteuid() || peer->gid == control->group ||
	       has_group(fd, control->group);
}

/* The administrator may have given the socket to another group since the last client came. */
static void learn_group(struct control *control)
{
	struct sockaddr_un address = {.sun_family = AF_UNSPEC};
	socklen_t size = sizeof(address);
	struct stat status;

	if (getsockname(control->listener, (struct sockaddr *)&address, &size) == 0 &&
	    lstat(address.sun_path, &status) == 0 && S_ISSOCK(status.st_mode))
		control->group = status.st_gid;
}

static void let_in(struct control *control, int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	struct connection *place = find_place(control);
	bool is_welcome;

	learn_group(control);
	is_welcome = may_ask(control, fd, &peer);
	if (!is_welcome && log_allowed(&refused_limit))
		log_message(LOG_WARNING, "control", "uid %lu may not ask: refused",
			    (unsigned long)peer.uid);
	if (place == NULL) {
		place = find_idle(control);
		/* A client that may not ask only takes the place of one that is leaving anyway. */
		if (!is_welcome && place->phase != LEAVING) {
			close(fd);
			return;
		}
		hang_up(place);
	}
	place->fd = fd;
	place->uid = peer.uid;
	enter(control, place, READING);
	if (!is_welcome) {
		place->is_last = true;
		reply(control, place, command_refusal(COMMAND_REFUSED, "you may not ask"));
		if (place->fd >= 0)
			send_more(control, place);
	}
}

static void admit(struct control *control)
{
	struct connection *idle;

	/* At most a client for each place, so that those that are in are served in between. */
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		int fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			let_in(control, fd);
			continue;
		}
		if (is_transient(errno) || errno == ECONNABORTED)
			return;
		/* The listener stays readable: without a pause the thread would spin. */
		if (log_allowed(&exhausted_limit))
			log_message(LOG_WARNING, "control", "can't accept: %s", strerror(errno));
		idle = find_idle(control);
		if (idle != NULL)
			hang_up(idle);
		control->open_again_ms = clock_now_ms() + PAUSE_MS;
		return;
	}
}

/* Hangs up on clients whose time is over. Returns how long poll may wait, in ms; -1: for ever. */
static int expire(struct control *control)
{
	int64_t now = clock_now_ms(), next = INT64_MAX;

	if (control->open_again_ms > now)
		next = control->open_again_ms;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &control->connections[i];
		int64_t end_ms = connection->since_ms + PHASE_MS;

		if (connection->fd >= 0 && end_ms <= now)
			hang_up(connection);
		if (connection->fd >= 0 && end_ms < next)
			next = end_ms;
	}
	return next == INT64_MAX ? -1 : (int)(next - now);
}

static void serve_once(struct control *control)
{
	struct pollfd polls[CONNECTIONS_MAX + 1];
	int timeout_ms = expire(control);
	bool is_open = control->open_again_ms <= clock_now_ms();

	/* poll ignores entries with a negative descriptor: free places. */
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		const struct connection *connection = &control->connections[i];

		polls[i] =
			(struct pollfd){.fd = connection->fd,
					.events = connection->phase == WRITING ? POLLOUT : POLLIN};
	}
	polls[CONNECTIONS_MAX] =
		(struct pollfd){.fd = is_open ? control->listener : -1, .events = POLLIN};
	if (poll(polls, CONNECTIONS_MAX + 1, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (polls[i].revents != 0)
			go_on(control, &control->connections[i]);
	if (polls[CONNECTIONS_MAX].revents != 0)
		admit(control);
}

static void *serve(void *argument)
{
	struct control *control = argument;

	for (;;)
		serve_once(control);
	return NULL;
}

int control_socket_start(const struct control_host *host, int descriptor)
{
	struct control *control = calloc(1, sizeof(*control));
	pthread_t thread;
	int result;

	if (control == NULL)
		return ENOMEM;
	control->host = *host;
	control->listener = descriptor;
	control->group = getegid();
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		control->connections[i].fd = -1;
	result = pthread_create(&thread, NULL, serve, control);
	if (result != 0)
		free(control);
	else
		pthread_detach(thread);
	return result;
}
