/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_clock.h"

#include <stdatomic.h>
#include <stddef.h>

static _Atomic int64_t wall, mono, waited;
static _Atomic unsigned waits;
static void (*_Atomic next_hook)(int64_t deadline_ms);

void fake_clock_reset(int64_t wall_ms, int64_t mono_ms)
{
	wall = wall_ms;
	mono = mono_ms;
	waited = 0;
	waits = 0;
	next_hook = NULL;
}

void fake_clock_set_wall(int64_t wall_ms)
{
	wall = wall_ms;
}

void fake_clock_advance(int64_t ms)
{
	wall += ms;
	mono += ms;
}

void fake_clock_on_next_wait(void (*hook)(int64_t deadline_ms))
{
	next_hook = hook;
}

unsigned fake_clock_waits(void)
{
	return waits;
}

int64_t fake_clock_waited_ms(void)
{
	return waited;
}

static int64_t fake_wall_ms(const struct clock *clock)
{
	(void)clock;
	return wall;
}

static int64_t fake_mono_ms(const struct clock *clock)
{
	(void)clock;
	return mono;
}

static bool fake_wait_until(const struct clock *clock, pthread_cond_t *cond, pthread_mutex_t *mutex,
			    int64_t mono_ms)
{
	void (*hook)(int64_t) = atomic_exchange(&next_hook, NULL);
	int64_t left = mono_ms - mono;

	(void)clock;
	(void)cond;
	waits++;
	if (hook != NULL) {
		pthread_mutex_unlock(mutex);
		hook(mono_ms);
		pthread_mutex_lock(mutex);
		return true;
	}
	if (left > 0) {
		waited += left;
		fake_clock_advance(left);
	}
	return false;
}

const struct clock fake_clock = {
	.wall_ms = fake_wall_ms,
	.mono_ms = fake_mono_ms,
	.wait_until = fake_wait_until,
};
