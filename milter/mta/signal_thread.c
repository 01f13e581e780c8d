/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds libmilter's signal thread in /proc and puts it into a signal handler that never returns. */
#include "mta/signal_thread.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define STEP_NS 500000

/* Written by signal handlers. */
static _Atomic bool is_parked;
static _Atomic int stop_signal; /* a TERM or INT that came meanwhile; 0: none */

/* Runs in libmilter's signal thread, with all signals blocked. */
static void park(int number)
{
	sigset_t all;

	(void)number;
	atomic_store(&is_parked, true);
	sigfillset(&all);
	for (;;)
		sigsuspend(&all);
}

/* Runs in main. */
static void note_stop(int number)
{
	atomic_store(&stop_signal, number);
}

/* Whether a thread of this process blocks TERM; true, too, for one that has ended. */
static bool blocks_term(const char *thread)
{
	char path[64], line[128];
	uint64_t blocked = UINT64_MAX;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", thread);
	file = fopen(path, "re");
	if (file == NULL)
		return true;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "SigBlk: %" SCNx64, &blocked) == 1)
			break;
	fclose(file);
	return (blocked >> (SIGTERM - 1) & 1) != 0;
}

/*
 * The id of a thread, other than the caller, that does not block TERM: while a thread is in
 * sigwait(3), the kernel takes what is waited for out of the thread's blocked set. 0 if there is
 * none, -1 without /proc.
 */
static pid_t find(void)
{
	DIR *threads = opendir("/proc/self/task");
	const struct dirent *entry;
	pid_t found = 0;

	/* Without a descriptor for it, it is looked for again. */
	if (threads == NULL)
		return errno == ENOENT ? -1 : 0;
	while (found == 0 && (entry = readdir(threads)) != NULL) {
		pid_t id = isdigit((unsigned char)entry->d_name[0])
				   ? (pid_t)strtol(entry->d_name, NULL, 10)
				   : 0;

		if (id != 0 && id != gettid() && !blocks_term(entry->d_name))
			found = id;
	}
	closedir(threads);
	return found;
}

static void find_and_park(int64_t limit_ms)
{
	const struct timespec step = {.tv_nsec = STEP_NS};
	const struct clock *clock = &clock_system;
	struct sigaction action = {.sa_handler = park};
	int64_t end_ms = clock->mono_ms(clock) + limit_ms;
	pid_t id = 0;

	sigfillset(&action.sa_mask);
	sigaction(SIGRTMAX, &action, NULL);
	while (!atomic_load(&is_parked) && id >= 0 && clock->mono_ms(clock) < end_ms) {
		id = find();
		if (id > 0)
			syscall(SYS_tgkill, getpid(), id, SIGRTMAX);
		nanosleep(&step, NULL);
	}
	/* Sent twice or too late, the signal must not park another thread, nor end the process. */
	action.sa_handler = SIG_IGN;
	sigaction(SIGRTMAX, &action, NULL);
}

/*
 * Until the thread is parked, main does not block HUP, TERM and INT. The kernel keeps no HUP then,
 * since the process ignores it, and offers TERM and INT to main first.
 */
bool signal_thread_park(sem_t *start, int64_t limit_ms)
{
	struct sigaction note = {.sa_handler = note_stop, .sa_flags = SA_RESTART};
	sigset_t mask, pending;

	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigpending(&pending);
	signal(SIGHUP, SIG_IGN);
	sigaction(SIGTERM, &note, NULL);
	sigaction(SIGINT, &note, NULL);
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	sem_post(start);
	find_and_park(limit_ms);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	signal(SIGHUP, SIG_DFL);
	if (sigismember(&pending, SIGHUP) == 1)
		raise(SIGHUP);
	if (atomic_load(&stop_signal) != 0)
		raise(atomic_load(&stop_signal));
	return atomic_load(&is_parked);
}
