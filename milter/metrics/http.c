/* SPDX-License-Identifier: BSD-2-Clause */
/* Serves the page of metrics over HTTP: the only source that knows libmicrohttpd. */
#include "metrics/http.h"

#include "base/error.h"
#include "config.h"

#ifdef HAVE_MICROHTTPD

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/listen.h"
#include "page.h"

#define CONNECTIONS 16
/* Half of them, so that one address never takes all. */
#define CONNECTIONS_PER_ADDRESS 8
/* Connections wait here while libmicrohttpd is at its limit. */
#define BACKLOG 128
/* The headers of a request have to fit into so many bytes. */
#define CONNECTION_BYTES (size_t)(16 * 1024)
/*
 * libmicrohttpd's timeout is for silence: a client that sends a byte now and then could stay for
 * ever. So a connection is for one request, and ends after this time whatever the client does.
 */
#define CONNECTION_MS 10000
#define CONNECTION_SILENCE_S 5U
/* Between calls of libmicrohttpd, which spins while there is no descriptor for a new connection. */
#define PAUSE_MS 1
/* How long the thread waits at most while there are connections, or were just now. */
#define STEP_MS 100

/* A connection, and when it ends; fd is -1 if there is none. */
struct slot {
	int fd;
	int64_t end_ms;
};

struct server {
	struct MHD_Daemon *mhd;
	struct metrics *metrics;
	int epoll;
	struct slot slots[CONNECTIONS];
};

static void note_connection(void *arg, struct MHD_Connection *connection, void **context,
			    enum MHD_ConnectionNotificationCode what)
{
	struct server *server = arg;
	const union MHD_ConnectionInfo *info;
	struct slot *slot = *context;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (slot != NULL)
			slot->fd = -1;
		return;
	}
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (size_t i = 0; info != NULL && i < CONNECTIONS; i++) {
		if (server->slots[i].fd >= 0)
			continue;
		server->slots[i] = (struct slot){info->connect_fd, clock_now_ms() + CONNECTION_MS};
		*context = &server->slots[i];
		return;
	}
}

/* Shuts connections down whose time is over; libmicrohttpd sees that, and closes them. */
static void shut_down_overdue(struct server *server)
{
	int64_t now = clock_now_ms();

	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct slot *slot = &server->slots[i];

		if (slot->fd < 0 || now < slot->end_ms)
			continue;
		shutdown(slot->fd, SHUT_RDWR);
		slot->end_ms = now + CONNECTION_MS;
	}
}

static bool has_connections(const struct server *server)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (server->slots[i].fd >= 0)
			return true;
	return false;
}

static int poll_timeout_ms(const struct server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (MHD_get_timeout(server->mhd, &timeout) == MHD_YES && timeout < STEP_MS)
		return (int)timeout;
	return STEP_MS;
}

/*
 * While libmicrohttpd is at a limit it does not watch its listening socket, and it only does so
 * again in the call after the one that closes a connection. So it is called until nothing has
 * happened for a while.
 */
static void *serve(void *arg)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
	struct server *server = arg;
	bool is_settled = false;

	for (;;) {
		struct pollfd fd = {.fd = server->epoll, .events = POLLIN};
		int events = poll(&fd, 1, is_settled ? -1 : poll_timeout_ms(server));

		is_settled = events == 0 && !has_connections(server);
		shut_down_overdue(server);
		(void)MHD_run(server->mhd);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* With MHD_RESPMEM_MUST_FREE the text is malloc's, and is freed here or by libmicrohttpd. */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, char *text,
			     size_t length, const char *type, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, text, mode);
	enum MHD_Result result;

	if (response == NULL) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, char *text)
{
	return reply(connection, status, text, strlen(text), "text/plain; charset=utf-8",
		     MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_page(struct server *server, struct MHD_Connection *connection)
{
	const char *accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	enum metrics_format format = metrics_page_negotiate(accept);
	size_t length;
	char *text = metrics_page_text(server->metrics, format, &length);
	static char sorry[] = "out of memory\n";

	if (text == NULL)
		return say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, sorry);
	return reply(connection, MHD_HTTP_OK, text, length, metrics_page_content_type(format),
		     MHD_RESPMEM_MUST_FREE);
}

/* A request may name the whole URL (RFC 9112, 3.2.2). */
static const char *path_of(const char *url)
{
	static const char scheme[] = "http://";
	size_t length = sizeof(scheme) - 1;
	const char *path;

	if (strncasecmp(url, scheme, length) != 0 || strcspn(url + length, "/?#") == 0)
		return url;
	path = strchr(url + length, '/');
	return path != NULL ? path : "/";
}

/* libmicrohttpd calls this when the headers are there; a body is never read. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *body,
			      size_t *body_size, void **request)
{
	static char hint[] = "tarpit-milter: metrics are at /metrics\n";
	static char not_found[] = "not found; metrics are at /metrics\n";
	static char not_allowed[] = "only GET and HEAD\n";

	(void)version;
	(void)body;
	(void)body_size;
	(void)request;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, not_allowed);
	url = path_of(url);
	if (strcmp(url, "/metrics") == 0)
		return send_page(arg, connection);
	if (strcmp(url, "/") == 0)
		return say(connection, MHD_HTTP_OK, hint);
	return say(connection, MHD_HTTP_NOT_FOUND, not_found);
}

const char *metrics_http_version(void)
{
	return MHD_get_version();
}

static bool parse(const char *text, struct listen_address *address, char *error, size_t size)
{
	char turned[LISTEN_TEXT_MAX];

	if (listen_from_host_port(text, turned))
		return listen_parse(turned, address, error, size);
	snprintf(error, size, "%s: not HOST:PORT", text);
	return false;
}

/* A listening socket, or -1 with the reason in error. */
static int open_socket(const char *text, char *error, size_t size)
{
	struct listen_address address;
	int yes = 1, fd;

	if (!parse(text, &address, error, size))
		return -1;
	fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    bind(fd, (const struct sockaddr *)&address.storage, address.length) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	snprintf(error, size, "%s: %s", text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool start_mhd(struct server *server, int fd)
{
	const union MHD_DaemonInfo *info;

	/* serve() calls libmicrohttpd, whose own thread would let a connection last for ever. */
	server->mhd = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, answer, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_PER_ADDRESS,
		MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_SILENCE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
		note_connection, server, MHD_OPTION_END);
	if (server->mhd == NULL)
		return false;
	info = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	server->epoll = info != NULL ? info->epoll_fd : -1;
	return server->epoll >= 0;
}

static struct server *new_server(struct tarpit *tarpit)
{
	struct server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	for (size_t i = 0; i < CONNECTIONS; i++)
		server->slots[i].fd = -1;
	server->metrics = metrics_page_new(tarpit);
	if (server->metrics != NULL)
		return server;
	free(server);
	return NULL;
}

bool metrics_http_start(const char *address, struct tarpit *tarpit, char *error, size_t size)
{
	struct server *server;
	pthread_t thread;
	int fd = open_socket(address, error, size);

	if (fd < 0)
		return false;
	server = new_server(tarpit);
	if (server != NULL && start_mhd(server, fd) &&
	    pthread_create(&thread, NULL, serve, server) == 0) {
		pthread_detach(thread);
		return true;
	}
	snprintf(error, size, "%s",
		 server == NULL ? "out of memory" : "libmicrohttpd does not start");
	if (server != NULL && server->mhd != NULL)
		MHD_stop_daemon(server->mhd); /* closes the socket too */
	else
		close(fd);
	if (server != NULL)
		metrics_page_free(server->metrics);
	free(server);
	return false;
}

#else

const char *metrics_http_version(void)
{
	return NULL;
}

bool metrics_http_start(const char *address, struct tarpit *tarpit, char *error, size_t size)
{
	(void)address;
	(void)tarpit;
	return error_set(error, size, "this build is without libmicrohttpd");
}

#endif
