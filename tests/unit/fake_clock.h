/* SPDX-License-Identifier: BSD-2-Clause */
/* A clock that the tests set: nothing that waits for it takes any time. Thread-safe. */
#ifndef TARPIT_FAKE_CLOCK_H
#define TARPIT_FAKE_CLOCK_H

#include <stdint.h>

#include "base/clock.h"

extern const struct clock fake_clock;

/* Sets both times and forgets hook and counts. Call it first in each test. */
void fake_clock_reset(int64_t wall_ms, int64_t mono_ms);
void fake_clock_set_wall(int64_t wall_ms);
/* Lets time pass, on both clocks. */
void fake_clock_advance(int64_t ms);

/*
 * A wait lets time pass until its deadline. The next one calls hook instead, once, without the
 * mutex, and then reports that it was woken: hook may wake the one that waits, or not (a spurious
 * wake-up).
 */
void fake_clock_on_next_wait(void (*hook)(int64_t deadline_ms));

/* Since the reset: how often something waited, and for how long in all. */
unsigned fake_clock_waits(void);
int64_t fake_clock_waited_ms(void);

#endif
