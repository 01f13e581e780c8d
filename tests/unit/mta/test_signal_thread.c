/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that waits for signals as libmilter's does, and main, which is to have them all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mta/signal_thread.h"

#define LIMIT_MS 5000
#define SHORT_MS 20
#define PAIRS 3000

static sigset_t taken;
static sem_t may_start;
static _Atomic unsigned stolen;

static void *wait_for_signals(void *argument)
{
	int number;

	(void)argument;
	while (sem_wait(&may_start) != 0)
		;
	while (sigwait(&taken, &number) == 0)
		atomic_fetch_add(&stolen, 1);
	return NULL;
}

static bool is_pending(int number)
{
	const struct timespec none = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	return sigtimedwait(&set, NULL, &none) == number;
}

static void no_such_thread_is_told(void **state)
{
	(void)state;
	assert_false(signal_thread_park(&may_start, SHORT_MS));
	assert_int_equal(sem_wait(&may_start), 0);
}

static void main_has_what_came_before(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, wait_for_signals, NULL), 0);
	kill(getpid(), SIGHUP);
	kill(getpid(), SIGTERM);
	assert_true(signal_thread_park(&may_start, LIMIT_MS));
	assert_true(is_pending(SIGHUP));
	assert_false(is_pending(SIGHUP));
	assert_true(is_pending(SIGTERM));
	assert_int_equal(stolen, 0);
}

/* The kernel offers a signal to another thread while main has not taken the one before. */
static void main_has_what_comes_in_pairs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PAIRS; i++) {
		kill(getpid(), SIGUSR1);
		kill(getpid(), SIGHUP);
		usleep(10);
		assert_true(is_pending(SIGUSR1));
		assert_true(is_pending(SIGHUP));
	}
	kill(getpid(), SIGTERM);
	assert_true(is_pending(SIGTERM));
	assert_int_equal(stolen, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_such_thread_is_told),
		cmocka_unit_test(main_has_what_came_before),
		cmocka_unit_test(main_has_what_comes_in_pairs),
	};
	sigset_t blocked;

	sigemptyset(&taken);
	sigaddset(&taken, SIGHUP);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGINT);
	blocked = taken;
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	sem_init(&may_start, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
