/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(const struct clock *clock)
{
	(void)clock;
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_now_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_mono_ms(const struct clock *clock)
{
	(void)clock;
	return clock_now_ms();
}

static bool system_wait_until(const struct clock *clock, pthread_cond_t *cond,
			      pthread_mutex_t *mutex, int64_t mono_ms)
{
	struct timespec end = {
		.tv_sec = (time_t)(mono_ms / 1000),
		.tv_nsec = (long)(mono_ms % 1000) * 1000000,
	};

	(void)clock;
	return pthread_cond_timedwait(cond, mutex, &end) != ETIMEDOUT;
}

const struct clock clock_system = {
	.wall_ms = system_wall_ms,
	.mono_ms = system_mono_ms,
	.wait_until = system_wait_until,
};

int clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	int error = pthread_condattr_init(&attributes);

	if (error != 0)
		return error;
	error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (error == 0)
		error = pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
	return error;
}
