/* SPDX-License-Identifier: BSD-2-Clause */
/* Time, as a value that tests and replay can put in the place of the system's. */
#ifndef TARPIT_BASE_CLOCK_H
#define TARPIT_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct clock {
	/* Milliseconds since the epoch: decides only which counting window it is. */
	int64_t (*wall_ms)(const struct clock *clock);
	/* Milliseconds that never go back: everything that waits is measured with it. */
	int64_t (*mono_ms)(const struct clock *clock);
	/*
	 * Waits for cond, made by clock_cond_init, with mutex held, as pthread_cond_timedwait does.
	 * False once the moment mono_ms has come. May wake early, as condition variables do.
	 */
	bool (*wait_until)(const struct clock *clock, pthread_cond_t *cond, pthread_mutex_t *mutex,
			   int64_t mono_ms);
};

/* The machine's clocks. Thread-safe. */
extern const struct clock clock_system;
/* Milliseconds of the machine's monotonic clock. Thread-safe. */
int64_t clock_now_ms(void);

/* A condition variable on the monotonic clock. Returns 0 or an errno. */
int clock_cond_init(pthread_cond_t *cond);

#endif
