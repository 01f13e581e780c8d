/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the MTA waits as long as we stall: learnt from sessions that end right after a stall. */
#ifndef TARPIT_SESSION_MTA_TIMEOUT_H
#define TARPIT_SESSION_MTA_TIMEOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What all sessions have shown. Zero it; thread-safe. */
struct mta_timeout {
	_Atomic unsigned abrupt_ends;
	_Atomic int64_t shortest_ms;	/* stall before one of them */
};

/*
 * A session's last stall that ran its course; end_ms 0: there is none, or the MTA has called since.
 */
struct mta_timeout_stall {
	int64_t delay_ms, end_ms;	/* monotonic */
	bool is_at_data;	/* the message comes next, of which the MTA may tell nothing */
};

/*
 * Whether the client of a session that ends now, with no command after the stall, had gone: the
 * session ends too soon for the client to have read the answer, or so late that it must have been
 * silent until somebody lost patience.
 */
bool mta_timeout_has_left(const struct mta_timeout_stall *stall, int64_t now_ms);
/* For a callback: the MTA has waited for the stall before it. */
void mta_timeout_kept(struct mta_timeout *timeout, struct mta_timeout_stall *stall);
/*
 * For a session's end: the shortest stall, in milliseconds, that the MTA seems not to wait for,
 * once so many sessions in a row say so that the administrator is to be told; else 0.
 */
int64_t mta_timeout_lost(struct mta_timeout *timeout, const struct mta_timeout_stall *stall,
			 int64_t now_ms);

#endif
