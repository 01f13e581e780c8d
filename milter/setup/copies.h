/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of main.cf and master.cf from before setup, for postconf keeps neither line breaks
 * in a value nor where comments stand. They are put back only over what setup has left there.
 */
#ifndef TARPIT_SETUP_COPIES_H
#define TARPIT_SETUP_COPIES_H

#include <jansson.h>
#include <stdbool.h>

enum { COPY_MAIN, COPY_MASTER, COPIES };

struct copies {
	/* NULL: not kept, and so not put back. */
	char *before[COPIES], *after[COPIES];
};

/* Before the first change; copies are those of an earlier setup, unless is_first. */
void copies_begin(struct copies *copies, const char *directory, bool is_first);
/* After the last change. */
void copies_finish(struct copies *copies, const char *directory);
/*
 * Puts back each file that is as setup has left it, and says so; a dry run only says so. Fills in
 * which these were.
 */
void copies_restore(const struct copies *copies, const char *directory, bool dry_run,
		    bool restored[COPIES]);
void copies_free(struct copies *copies);

/* In the state file; a new reference. What is not UTF-8 is left out. */
json_t *copies_to_json(const struct copies *copies);
void copies_from_json(struct copies *copies, const json_t *document);

#endif
