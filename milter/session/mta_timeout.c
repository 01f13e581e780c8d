/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/mta_timeout.h"

/* So soon after a stall an end is abrupt, and so many of these are no chance. */
#define ABRUPT_MS 20
#define ABRUPT_SESSIONS 5

void mta_timeout_kept(struct mta_timeout *patience, struct mta_timeout_stall *stall)
{
	if (stall->end_ms == 0)
		return;
	stall->end_ms = 0;
	if (stall->delay_ms >= atomic_load(&patience->shortest_ms))
		atomic_store(&patience->abrupt_ends, 0);
}

/*
 * An MTA that gave us up, or whose client hung up, says nothing until we return, and closes then at
 * once. One of these may be either; many in a row, and none that waited as long, are the MTA.
 */
int64_t mta_timeout_lost(struct mta_timeout *patience, const struct mta_timeout_stall *stall,
			 int64_t now_ms)
{
	if (stall->end_ms == 0 || now_ms - stall->end_ms > ABRUPT_MS)
		return 0;
	if (atomic_load(&patience->abrupt_ends) == 0 ||
	    stall->delay_ms < atomic_load(&patience->shortest_ms))
		atomic_store(&patience->shortest_ms, stall->delay_ms);
	if (atomic_fetch_add(&patience->abrupt_ends, 1) + 1 < ABRUPT_SESSIONS)
		return 0;
	return atomic_load(&patience->shortest_ms);
}
