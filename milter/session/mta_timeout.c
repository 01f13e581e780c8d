/* SPDX-License-Identifier: BSD-2-Clause */
/* Learns from sessions that end right after a stall that the MTA's filter timeout is too short. */
#include "session/mta_timeout.h"

/*
 * A session that ends so soon after a stall ends abruptly; so many in a row are no chance. Measured
 * with Postfix 3.7 and Sendmail 8.17: where the client has hung up, the session mostly ends 0.1 to
 * 15 ms after the stall, and up to 100 ms on a busy machine; where it reads the answer and sends
 * QUIT, a millisecond and its round trip after that.
 */
#define ABRUPT_MS 20
#define ABRUPT_SESSIONS 5
/*
 * The shortest time that an MTA waits for a command: Postfix's smtpd_timeout under stress. QUIT
 * comes sooner.
 */
#define SILENT_MS 10000

static bool is_abrupt(const struct mta_timeout_stall *stall, int64_t now_ms)
{
	return stall->end_ms != 0 && now_ms - stall->end_ms <= ABRUPT_MS;
}

bool mta_timeout_has_left(const struct mta_timeout_stall *stall, int64_t now_ms)
{
	return is_abrupt(stall, now_ms) ||
	       (!stall->is_at_data && now_ms - stall->end_ms >= SILENT_MS);
}

void mta_timeout_kept(struct mta_timeout *timeout, struct mta_timeout_stall *stall)
{
	if (stall->end_ms == 0)
		return;
	stall->end_ms = 0;
	if (stall->delay_ms >= atomic_load(&timeout->shortest_ms))
		atomic_store(&timeout->abrupt_ends, 0);
}

/*
 * An MTA that gave the filter up, or whose client hung up, says nothing until the callback returns,
 * and closes at once then. One abrupt end may be either; many in a row, with no MTA that waited as
 * long, are the MTA.
 */
int64_t mta_timeout_lost(struct mta_timeout *timeout, const struct mta_timeout_stall *stall,
			 int64_t now_ms)
{
	if (!is_abrupt(stall, now_ms))
		return 0;
	if (atomic_load(&timeout->abrupt_ends) == 0 ||
	    stall->delay_ms < atomic_load(&timeout->shortest_ms))
		atomic_store(&timeout->shortest_ms, stall->delay_ms);
	if (atomic_fetch_add(&timeout->abrupt_ends, 1) + 1 < ABRUPT_SESSIONS)
		return 0;
	return atomic_load(&timeout->shortest_ms);
}
