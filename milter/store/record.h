/* SPDX-License-Identifier: BSD-2-Clause */
/* One record of the memory file, and its bytes, which are the same on every machine. Pure. */
#ifndef TARPIT_STORE_RECORD_H
#define TARPIT_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/prefix.h"
#include "base/store_view.h"

enum record_kind {
	RECORD_END,		/* after the last one; a single byte */
	RECORD_CLIENT,		/* one that has offended, or is flagged by hand */
	RECORD_NETWORK,
	RECORD_CLEAN_CLIENT,	/* what history.h keeps of one that has not */
	RECORD_CLEAN_NETWORK,
	RECORD_COUNTED,		/* a recipient that was counted for its client */
	RECORD_CREDITED,	/* a recipient that earned credit */
	RECORD_DOMAIN,		/* what was earned in a domain */
	RECORD_KINDS
};

struct record {
	enum record_kind kind;
	struct prefix prefix;	/* the client or network */
	int64_t window;
	/* Of RECORD_CLIENT and RECORD_NETWORK; of the clean ones only what is good. */
	struct tally tally;
	int64_t trap_window, by_hand_until_s;
	enum announcement announced;
	/* Of the last three: a hash, and how often. */
	uint64_t thing;
	unsigned count;
};

/* The first bytes of a record, which tell how long it is, and the length of the longest. */
#define RECORD_HEAD 2
#define RECORD_MAX 74

/* The length of the record that begins so; 0 if there is none. */
size_t record_length(const uint8_t head[RECORD_HEAD]);
/* bytes holds RECORD_MAX. Returns the length. The window must not be negative. */
size_t record_encode(const struct record *record, uint8_t *bytes);
/* Reads a record of record_length bytes. False if anything in it is no value of ours. */
bool record_decode(const uint8_t *bytes, struct record *record);

#endif
