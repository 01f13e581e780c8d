/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parks the thread in which libmilter waits for HUP, TERM and INT: libmilter stops for each of
 * them.
 */
#ifndef TARPIT_MTA_SIGNAL_THREAD_H
#define TARPIT_MTA_SIGNAL_THREAD_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * For main, once, with HUP, TERM and INT blocked in all threads. Posts start when smfi_main may be
 * called in another thread, and blocks for limit_ms (monotonic milliseconds) at most, until
 * libmilter's signal thread will never run again: a millisecond or two. A TERM or INT that comes
 * meanwhile is pending in main then; a HUP is lost. False if that thread is not found, as without
 * /proc: a HUP may then stop libmilter at any time.
 */
bool signal_thread_park(sem_t *start, int64_t limit_ms);

#endif
