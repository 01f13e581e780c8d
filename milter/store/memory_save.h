/* SPDX-License-Identifier: BSD-2-Clause */
/* All that a memory store remembers as records, some at a time, and back. */
#ifndef TARPIT_STORE_MEMORY_SAVE_H
#define TARPIT_STORE_MEMORY_SAVE_H

#include "entries.h"
#include "record.h"

/* Entries that are looked at in one go: sessions wait for some 50 us. */
#define SAVE_STEP 512

/* How far a writer has come. One at a time. */
struct save {
	struct window window;	/* counts of this one and the one before are of interest */
	enum record_kind kind;	/* RECORD_KINDS: all has been looked at */
	size_t left;		/* entries of this kind to be looked at, at most */
	size_t length;		/* of the records that the last step has made */
	uint8_t bytes[SAVE_STEP * RECORD_MAX];
};

void memory_save_begin(struct memory *memory, const struct window *window, struct save *save);
/*
 * Makes records of the next entries, which may be none; false if there is nothing more. What
 * changes between two steps is as of one moment or another, and may come twice: then the later
 * record holds.
 */
bool memory_save_step(struct memory *memory, struct save *save);

/* What of a file still holds. */
struct restore {
	struct window window;			/* now */
	const struct client_widths *widths;	/* only what is so wide is a client or network */
	bool has_counts;			/* windows are as long as they were */
	bool has_hashes;			/* key_prefix is what it was */
};

/*
 * Remembers what a record says, as far as it holds. True if that is a client. With the memory's
 * mutex held, after memory_note_time.
 */
bool memory_restore(struct memory *memory, const struct restore *restore, struct record *record);

#endif
