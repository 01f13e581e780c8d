/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarpit-store: asks one memcached server, with libmemcached, what the daemon wants to know, one
 * request at a time. A server that makes libmemcached crash or wait ends this process, not the
 * daemon.
 */
#include "config.h"

#include <errno.h>
#include <sasl/sasl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "confine.h"
#include "request.h"

/* Not by exit, here and below: sanitizers would want a process for a last look. */
static _Noreturn void end_with(const char *what)
{
	fprintf(stderr, "tarpit-store: %s: %s\n", what, strerror(errno));
	_exit(EX_OSERR);
}

static bool is_ours(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

/* Ends if the daemon has gone, or sends anything else. */
static void receive(void *message, size_t size)
{
	ssize_t got = recv(MESSAGE_DESCRIPTOR, message, size, MSG_TRUNC);

	if (got <= 0)
		_exit(got == 0 || errno == ECONNRESET ? EX_OK : EX_OSERR);
	if ((size_t)got != size)
		_exit(EX_PROTOCOL);
}

/* The descriptor that the next socket gets. */
static int next_fd(void)
{
	int fd = dup(MESSAGE_DESCRIPTOR);

	if (fd < 0)
		end_with("dup");
	close(fd);
	return fd;
}

static void set_up(struct message_setup *setup, int *connection_fd)
{
	receive(setup, sizeof(*setup));
	if (strncmp(setup->version, PACKAGE_VERSION, sizeof(setup->version)) != 0)
		_exit(EX_CONFIG);
	if (setup->host[sizeof(setup->host) - 1] != '\0' ||
	    setup->user[sizeof(setup->user) - 1] != '\0' || setup->password.length > SECRET_MAX)
		_exit(EX_PROTOCOL);
	/* Its plug-ins are files. */
	if (setup->user[0] != '\0' && sasl_client_init(NULL) != SASL_OK)
		_exit(EX_UNAVAILABLE);
	*connection_fd = next_fd();
	if (!confine_calls(setup->port == 0 ? AF_UNIX : AF_INET))
		end_with("cannot confine itself");
}

static struct message_outcome outcome;

/*
 * The server has taken too long: the daemon is told what was done and what was not even begun, which
 * it owes still. Signal-safe, and does not return: libmemcached is in the midst of something.
 */
static void give_up(int number)
{
	static const char reason[] = "no answer in time";

	(void)number;
	outcome.result = MESSAGE_FAILED;
	outcome.failures++;
	memset(outcome.values, 0, sizeof(outcome.values));
	memcpy(outcome.reason, reason, sizeof(reason));
	(void)!send(MESSAGE_DESCRIPTOR, &outcome, sizeof(outcome), MSG_NOSIGNAL | MSG_DONTWAIT);
	_exit(EX_TEMPFAIL);
}

/*
 * The daemon's settings are inherited, and systemd and terminals signal to all processes of a
 * daemon at once.
 */
static void set_signals(void)
{
	static const int of_the_daemon[] = {SIGHUP, SIGINT, SIGTERM};
	sigset_t none;

	sigemptyset(&none);
	for (size_t i = 0; i < sizeof(of_the_daemon) / sizeof(of_the_daemon[0]); i++)
		signal(of_the_daemon[i], SIG_IGN);
	signal(SIGALRM, give_up);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Whatever the server does, SIGALRM ends the process after that time. */
static void set_timer(int64_t after_ms)
{
	const struct itimerval timer = {
		.it_value = {.tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000}};

	if (setitimer(ITIMER_REAL, &timer, NULL) != 0)
		end_with("setitimer");
}

static _Noreturn void serve(struct connection *connection)
{
	static struct message_request request;

	for (;;) {
		receive(&request, sizeof(request));
		if (!request_is_valid(&request))
			_exit(EX_PROTOCOL);
		/* A timeout before the daemon ends this process, so that it still listens. */
		set_timer((int64_t)(MESSAGE_TIMEOUTS_MAX - 1) * request.timeout_ms);
		request_run(connection, &request, &outcome);
		set_timer(0);
		if (send(MESSAGE_DESCRIPTOR, &outcome, sizeof(outcome), MSG_NOSIGNAL) !=
		    (ssize_t)sizeof(outcome))
			_exit(EX_OK);
	}
}

int main(int argc, char **argv)
{
	static struct message_setup setup;
	static struct connection connection = {.setup = &setup};

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("tarpit-store %s\n", PACKAGE_VERSION);
		return EX_OK;
	}
	if (argc > 1 || !is_ours(MESSAGE_DESCRIPTOR)) {
		fprintf(stderr, "tarpit-store asks a memcached server for tarpit-milter, which "
				"starts it.\n");
		return EX_USAGE;
	}
	set_signals();
	if (!confine_resources(MESSAGE_DESCRIPTOR))
		end_with("cannot confine itself");
	set_up(&setup, &connection.fd);
	serve(&connection);
}
