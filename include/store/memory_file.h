/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file that carries what a memory store remembers over a restart. It is checked as hostile
 * input: one that is not sound leaves the memory empty.
 */
#ifndef TARPIT_STORE_MEMORY_FILE_H
#define TARPIT_STORE_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "store/store.h"

struct config;

/* What is to be written or read, and how. */
struct memory_file_task {
	struct store *memory;
	/* Its memory_file is the path; its windows and prefixes are what clients are counted by. */
	const struct config *config;
	int64_t wall_ms;	/* now, since the epoch */
	/* Asked now and then; false has it given up. */
	bool (*may_go_on)(void *arg);
	void *arg;
	/*
	 * Written at a stop: without pauses for sessions, and without waiting for the disk, for a
	 * process can't end while one of its threads does that. Recipients that there is no time
	 * for are left out.
	 */
	bool is_last;
};

enum memory_file_result { MEMORY_FILE_WRITTEN, MEMORY_FILE_GIVEN_UP, MEMORY_FILE_FAILED };

/*
 * Writes what the memory store remembers, by way of PATH.new beside the file: unless it is written,
 * with the reason in error if it failed, the file is as it was. Sessions are held up for 0.1 ms at
 * a time. It may wait for the disk. For one thread at a time.
 */
enum memory_file_result memory_file_write(const struct memory_file_task *task, char *error,
					  size_t size);
/*
 * Reads into a memory store that is empty what of the file still holds; *clients is how many
 * offenders that were. A file that is missing is an empty one. False with the reason in error: the
 * memory remains empty.
 */
bool memory_file_read(const struct memory_file_task *task, size_t *clients, char *error,
		      size_t size);
/* The same of a file that is open. */
bool memory_file_load(const struct memory_file_task *task, FILE *file, size_t *clients, char *error,
		      size_t size);

#endif
