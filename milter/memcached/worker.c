/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts, asks and ends processes tarpit-store. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "outcome.h"

/* It finds its end of the pair at MESSAGE_DESCRIPTOR, /dev/null below that, and nothing beyond. */
static int place_descriptors(posix_spawn_file_actions_t *actions, int theirs)
{
	int error = 0;

	for (int fd = STDIN_FILENO; error == 0 && fd <= STDERR_FILENO; fd++)
		error = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, theirs, MESSAGE_DESCRIPTOR);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(actions, MESSAGE_DESCRIPTOR + 1);
	return error;
}

/* No signal blocked or ignored, and none from a terminal. */
static int reset_signals(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	error = posix_spawnattr_setsigmask(attributes, &none);
	if (error == 0)
		error = posix_spawnattr_setsigdefault(attributes, &all);
	if (error == 0)
		error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
								     POSIX_SPAWN_SETSIGDEF |
								     POSIX_SPAWN_SETPGROUP);
	return error;
}

/* 0, or an errno. The environment is empty: nothing of ours is anything to the program. */
static int spawn(const char *program, int theirs, pid_t *pid)
{
	char *const arguments[] = {(char[]){"tarpit-store"}, NULL};
	char *const environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error = posix_spawn_file_actions_init(&actions);

	if (error != 0)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error == 0) {
		error = place_descriptors(&actions, theirs);
		if (error == 0)
			error = reset_signals(&attributes);
		if (error == 0)
			error = posix_spawn(pid, program, &actions, &attributes, arguments,
					    environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static bool send_all(int fd, const void *message, size_t length)
{
	return send(fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

bool worker_start(struct worker *worker, const char *program, const struct message_setup *setup,
		  char *error, size_t size)
{
	int ends[2], result;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		snprintf(error, size, "can't start tarpit-store: %s", strerror(errno));
		return false;
	}
	result = spawn(program, ends[1], &pid);
	close(ends[1]);
	if (result != 0) {
		close(ends[0]);
		snprintf(error, size, "can't start tarpit-store: %s", strerror(result));
		return false;
	}
	worker->fd = ends[0];
	worker->pid = pid;
	memcpy(worker->address, setup->host, sizeof(worker->address));
	/* One that has ended already shows at the first request. */
	(void)send_all(worker->fd, setup, sizeof(*setup));
	return true;
}

void worker_end(struct worker *worker)
{
	if (worker->pid == 0)
		return;
	close(worker->fd);
	kill(worker->pid, SIGKILL);
	while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
		;
	worker->pid = 0;
}

/* As far as the kernel knows already; the process is left for worker_end. */
static const char *describe_end(const struct worker *worker, char text[MESSAGE_REASON_MAX])
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid != 0)
		snprintf(text, MESSAGE_REASON_MAX, "tarpit-store ended: %s %d",
			 info.si_code == CLD_EXITED ? "exit status" : "signal", info.si_status);
	else
		snprintf(text, MESSAGE_REASON_MAX, "tarpit-store ended");
	return text;
}

bool worker_send(const struct worker *worker, const struct message_request *request,
		 struct message_outcome *outcome)
{
	char reason[MESSAGE_REASON_MAX];

	if (send_all(worker->fd, request, sizeof(*request)))
		return true;
	outcome_not_asked(outcome, describe_end(worker, reason));
	return false;
}

bool worker_receive(const struct worker *worker, const struct message_request *request,
		    struct message_outcome *outcome)
{
	/* MSG_TRUNC: the length is the message's own. */
	ssize_t length = recv(worker->fd, outcome, sizeof(*outcome), MSG_DONTWAIT | MSG_TRUNC);
	char reason[MESSAGE_REASON_MAX];

	if (length > 0 && outcome_is_valid(outcome, (size_t)length, request))
		return true;
	outcome_lost(outcome,
		     length > 0 ? "tarpit-store makes no sense" : describe_end(worker, reason));
	return false;
}
