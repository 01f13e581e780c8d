/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the MTA waits as long as we stall: learnt from sessions that end right after a stall. */
#ifndef TARPIT_SESSION_MTA_TIMEOUT_H
#define TARPIT_SESSION_MTA_TIMEOUT_H

#include <stdatomic.h>
#include <stdint.h>

/* What all sessions have shown. Zero it; thread-safe. */
struct mta_timeout {
	_Atomic unsigned abrupt_ends;
	_Atomic int64_t shortest_ms;	/* stall before one of them */
};

/* The last stall of a session that ran its course; end_ms 0: none, or the MTA has called since. */
struct mta_timeout_stall {
	int64_t delay_ms, end_ms;	/* monotonic */
};

/* A callback after a stall: the MTA had the patience. */
void mta_timeout_kept(struct mta_timeout *patience, struct mta_timeout_stall *stall);
/*
 * A session's end: the shortest stall, in milliseconds, that the MTA seems not to wait for, if so many
 * sessions say so that it is to be told; else 0.
 */
int64_t mta_timeout_lost(struct mta_timeout *patience, const struct mta_timeout_stall *stall, int64_t now_ms);

#endif
