/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file in which setup keeps what it changed, for --undo. root's, for what it says is given to
 * postconf: the daemon's own folder is no place for it.
 */
#ifndef TARPIT_SETUP_STATE_H
#define TARPIT_SETUP_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "change.h"
#include "copies.h"

struct state {
	char *path; /* of the file */
	bool exists; /* it was there */
	char *postfix; /* the directory of main.cf, as postconf names it */
	char *entry; /* ours in smtpd_milters; NULL if it does not exist */
	struct changes changes; /* in the order in which they were made */
	struct copies copies;
};

/*
 * Reads the file that belongs to that Postfix, from folder. False with the reason in error; a file
 * that is not there is none. state_free is due in any case.
 */
bool state_read(struct state *state, const char *folder, const char *postfix, char *error,
		size_t size);
/* Writes it whole or not at all, and makes the folder if it is missing. False with the reason. */
bool state_write(struct state *state, char *error, size_t size);
bool state_remove(struct state *state, char *error, size_t size);
void state_free(struct state *state);

#endif
