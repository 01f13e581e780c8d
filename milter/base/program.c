/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define CHUNK 4096
/* How often it is looked whether a program that says no more has ended. */
#define STEP_MS 2
/* What the child exits with if the program can't be run. */
#define NOT_RUN 127
/* An administrator who is not root often has none of sbin in PATH. */
#define SBIN ":/usr/local/sbin:/usr/sbin:/sbin"

/* What comes from one pipe; text has room for a NUL more. */
struct stream {
	int fd;
	char *text;
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void fail(struct program_result *result,
						       const char *format, ...)
{
	va_list arguments;
	char text[256];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	free(result->error);
	result->status = -1;
	result->error = strdup(text);
}

/* In the child. Does not return. */
static void execute(const char *const *argv, const int pipes[2])
{
	const char *path = getenv("PATH");
	char wide[CHUNK];
	int null = open("/dev/null", O_RDONLY);

	snprintf(wide, sizeof(wide), "%s" SBIN, path != NULL ? path : "/usr/bin:/bin");
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(pipes[0], STDOUT_FILENO) >= 0 &&
	    dup2(pipes[1], STDERR_FILENO) >= 0 && setenv("PATH", wide, 1) == 0 &&
	    setenv("LC_ALL", "C", 1) == 0)
		/* execvp takes the texts as writable, and does not write. */
		execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "%s", strerror(errno));
	_exit(NOT_RUN);
}

/* False at its end, and when it has said too much. */
static bool read_some(struct stream *stream)
{
	char *grown = realloc(stream->text, stream->length + CHUNK + 1);
	ssize_t length;

	if (grown == NULL)
		return false;
	stream->text = grown;
	do {
		length = read(stream->fd, stream->text + stream->length, CHUNK);
	} while (length < 0 && errno == EINTR);
	if (length > 0)
		stream->length += (size_t)length;
	stream->text[stream->length] = '\0';
	return length > 0 && stream->length < PROGRAM_OUTPUT_MAX;
}

/* Reads both until they end. False if that takes too long, or is too much. */
static bool listen_to(struct stream *streams, int64_t end_ms)
{
	bool is_open[2] = {true, true};

	while (is_open[0] || is_open[1]) {
		struct pollfd polls[2];
		int64_t left_ms = end_ms - clock_now_ms();

		for (size_t i = 0; i < 2; i++)
			polls[i] = (struct pollfd){is_open[i] ? streams[i].fd : -1, POLLIN, 0};
		if (left_ms <= 0 || (poll(polls, 2, (int)left_ms) < 0 && errno != EINTR))
			return false;
		for (size_t i = 0; i < 2; i++)
			if (is_open[i] && polls[i].revents != 0)
				is_open[i] = read_some(&streams[i]);
		if (streams[0].length >= PROGRAM_OUTPUT_MAX ||
		    streams[1].length >= PROGRAM_OUTPUT_MAX)
			return false;
	}
	return true;
}

/* False if it has not ended by then; it is ended now. */
static bool has_ended_by(pid_t child, int64_t end_ms, int *status)
{
	pid_t ended;

	while ((ended = waitpid(child, status, WNOHANG)) == 0 && clock_now_ms() < end_ms)
		poll(NULL, 0, STEP_MS);
	if (ended == child)
		return true;
	kill(child, SIGKILL);
	while (waitpid(child, status, 0) < 0 && errno == EINTR)
		;
	return false;
}

static void await(pid_t child, int64_t end_ms, struct program_result *result)
{
	int status = 0;

	if (!has_ended_by(child, end_ms, &status))
		fail(result, "did not end in time, or said too much");
	else if (!WIFEXITED(status))
		fail(result, "ended by signal %d", WTERMSIG(status));
	else
		result->status = WEXITSTATUS(status) != NOT_RUN ? WEXITSTATUS(status) : -1;
}

void program_run(const char *const *argv, int timeout_ms, struct program_result *result)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1};
	struct stream streams[2] = {{0}, {0}};
	pid_t child = -1;

	*result = (struct program_result){.status = -1};
	if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0)
		child = fork();
	if (child == 0)
		execute(argv, (const int[2]){out[1], err[1]});
	if (child > 0) {
		int64_t end_ms = clock_now_ms() + timeout_ms;

		close(out[1]);
		close(err[1]);
		out[1] = err[1] = -1;
		streams[0].fd = out[0];
		streams[1].fd = err[0];
		if (!listen_to(streams, end_ms))
			end_ms = 0;
		result->output = streams[0].text;
		result->error = streams[1].text;
		await(child, end_ms, result);
	} else {
		fail(result, "%s", strerror(errno));
	}
	for (size_t i = 0; i < 2; i++) {
		if (out[i] >= 0)
			close(out[i]);
		if (err[i] >= 0)
			close(err[i]);
	}
	if (result->output == NULL)
		result->output = strdup("");
	if (result->error == NULL)
		result->error = strdup("");
	/* Without memory for an empty text nothing can be told. */
	if (result->output == NULL || result->error == NULL)
		abort();
}

void program_result_free(struct program_result *result)
{
	free(result->output);
	free(result->error);
	*result = (struct program_result){0};
}
