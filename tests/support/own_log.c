/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For LD_PRELOAD: a syslog(3) that tells what it is told to the socket TARPIT_TEST_LOG and not to /dev/log.
 * As glibc's does, it waits while the socket has no room.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un target = {.sun_family = AF_UNIX};
static const char *tag = "";
static int tag_facility = LOG_USER;

/* Before the program can clear its environment, as Sendmail does. */
__attribute__((constructor)) static void read_target(void)
{
	const char *path = getenv("TARPIT_TEST_LOG");

	if (path != NULL)
		strncpy(target.sun_path, path, sizeof target.sun_path - 1);
}

void openlog(const char *ident, int options, int facility)
{
	(void)options;
	tag = ident;
	tag_facility = facility;
}

void closelog(void)
{
}

static void tell(int priority, const char *format, va_list arguments)
{
	int saved = errno, sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char when[32], *text = NULL, *line = NULL;
	time_t now = time(NULL);
	struct tm local;

	strftime(when, sizeof when, "%b %e %T", localtime_r(&now, &local));
	if ((priority & LOG_FACMASK) == 0)
		priority |= tag_facility;
	errno = saved; /* for %m */
	if (vasprintf(&text, format, arguments) >= 0 &&
	    asprintf(&line, "<%d>%s %s[%d]: %s", priority, when, tag, (int)getpid(), text) >= 0)
		sendto(sock, line, strlen(line), MSG_NOSIGNAL, (struct sockaddr *)&target, sizeof target);
	free(text);
	free(line);
	close(sock);
	errno = saved;
}

void syslog(int priority, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(priority, format, arguments);
	va_end(arguments);
}

/* What syslog is called in a program built with _FORTIFY_SOURCE. */
void __syslog_chk(int priority, int flag, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list arguments;

	(void)flag;
	va_start(arguments, format);
	tell(priority, format, arguments);
	va_end(arguments);
}
