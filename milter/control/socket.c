/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/command.h"
#include "control/frame.h"
#include "base/listen.h"
#include "base/log.h"
#include "session/session.h"

#define SOCKET_MODE 0660
#define BACKLOG 128
/* Whoever comes when there are so many takes the place of the one that has done nothing for longest. */
#define CONNECTIONS_MAX 16
/* A request must have come, or its reply gone, within this long. */
#define PATIENCE_MS 10000
/* Without descriptors or memory: how long nobody new is let in. */
#define PAUSE_MS 500
/* What one that is being sent away may still say. */
#define DISCARD_MAX 65536
/* More groups than these of a client are read into allocated memory. */
#define GROUPS_USUAL 32

enum phase {
	READING,
	WRITING,
	LEAVING, /* we have said all; what it says is discarded until it closes */
};

struct connection {
	int fd; /* -1: this place is free */
	uid_t uid;
	enum phase phase;
	int64_t since_ms; /* when the phase began */
	uint64_t turn; /* the same, as an order: many may begin in one millisecond */
	bool is_last; /* this reply is */
	size_t received;
	uint8_t request[FRAME_HEADER + FRAME_REQUEST_MAX];
	char *reply; /* with its header */
	size_t reply_length, sent;
};

struct control {
	struct control_host host;
	int listener;
	gid_t group; /* of the socket */
	int64_t open_again_ms;
	uint64_t turns;
	struct connection connections[CONNECTIONS_MAX];
};

static struct log_limit refused_limit, exhausted_limit;

static bool bind_socket(int fd, const struct listen_address *address, char *error, size_t size)
{
	const char *path = listen_path(address);
	/* Never wider than this, not even for a moment. */
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

int control_open(const char *path, char *error, size_t size)
{
	struct listen_address address;
	char text[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
	int fd;

	/* Cut, it is still too long for a socket. */
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

static int64_t now_ms(const struct control *control)
{
	const struct clock *clock = control->host.tarpit->clock;

	return clock->mono_ms(clock);
}

static void enter(struct control *control, struct connection *connection, enum phase phase)
{
	connection->phase = phase;
	connection->since_ms = now_ms(control);
	connection->turn = control->turns++;
}

static void hang_up(struct connection *connection)
{
	close(connection->fd);
	free(connection->reply);
	memset(connection, 0, sizeof(*connection));
	connection->fd = -1;
}

/* The one that has been in its phase for longest, those that leave anyway first; NULL if there is none. */
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

/* Takes the text; without memory the client is hung up on. */
static void reply(struct control *control, struct connection *connection, char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;

	if (length > FRAME_REPLY_MAX) {
		free(text);
		text = command_refusal(1, "the answer is too long");
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

/* Answers the request that has come whole, if one has. Frames that can't be one end the connection. */
static void attend(struct control *control, struct connection *connection)
{
	size_t length = 0, rest;

	switch (frame_check(connection->request, connection->received, FRAME_REQUEST_MAX,
			    &length)) {
	case FRAME_PARTIAL:
		return;
	case FRAME_TOO_LONG:
		connection->is_last = true;
		reply(control, connection, command_refusal(64, "a request has 1 to 4096 bytes"));
		return;
	case FRAME_WHOLE:
		break;
	}
	reply(control, connection,
	      command_answer(&control->host, connection->uid,
			     (const char *)connection->request + FRAME_HEADER, length));
	if (connection->fd < 0)
		return;
	/* The next request may have come with it. */
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
	/* Closed at once, it could lose the reply that it has not read yet. */
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
		attend(control, connection);
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
	/* What came with the last request makes no socket readable. */
	if (connection->fd >= 0 && connection->phase == READING)
		attend(control, connection);
}

/* Whether a process that has these groups, beside its first, is in the socket's. */
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

/* The mode keeps others out; this does so where somebody has changed it. */
static bool may_ask(const struct control *control, int fd, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) != 0)
		return false;
	if (control->host.is_refused != NULL &&
	    control->host.is_refused(control->host.arg, peer->pid))
		return false;
	return peer->uid == 0 || peer->uid == geteuid() || peer->gid == control->group ||
	       has_group(fd, control->group);
}

/* The socket's group is whatever the administrator has made it. */
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
		/* One who may not ask takes nobody's place but his like's. */
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
		reply(control, place, command_refusal(1, "you may not ask"));
		if (place->fd >= 0)
			send_more(control, place);
	}
}

static void admit(struct control *control)
{
	struct connection *idle;

	/* No more than there are places, so that those who wait in them are looked after. */
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		int fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			let_in(control, fd);
			continue;
		}
		if (is_transient(errno) || errno == ECONNABORTED)
			return;
		/* It stays readable: without a pause we would spin. */
		if (log_allowed(&exhausted_limit))
			log_message(LOG_WARNING, "control", "can't accept: %s", strerror(errno));
		idle = find_idle(control);
		if (idle != NULL)
			hang_up(idle);
		control->open_again_ms = now_ms(control) + PAUSE_MS;
		return;
	}
}

/* How long poll may wait, having hung up on those whose time has come. -1: for ever. */
static int expire(struct control *control)
{
	int64_t now = now_ms(control), next = INT64_MAX;

	if (control->open_again_ms > now)
		next = control->open_again_ms;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &control->connections[i];
		int64_t end_ms = connection->since_ms + PATIENCE_MS;

		if (connection->fd >= 0 && end_ms <= now)
			hang_up(connection);
		if (connection->fd >= 0 && end_ms < next)
			next = end_ms;
	}
	return next == INT64_MAX ? -1 : (int)(next - now);
}

static void attend_all(struct control *control)
{
	struct pollfd polls[CONNECTIONS_MAX + 1];
	int timeout_ms = expire(control);
	bool is_open = control->open_again_ms <= now_ms(control);

	/* poll passes over descriptors below 0. */
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

static void *attend_for_ever(void *argument)
{
	struct control *control = argument;

	for (;;)
		attend_all(control);
	return NULL;
}

int control_start(const struct control_host *host, int descriptor)
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
	result = pthread_create(&thread, NULL, attend_for_ever, control);
	if (result != 0)
		free(control);
	else
		pthread_detach(thread);
	return result;
}
