/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzzing targets share. Each is one file with one LLVMFuzzerTestOneInput; configure
 * --enable-fuzzer links it with libFuzzer, any other build with fuzz_main.c, which plays its
 * corpus.
 */
#ifndef TARPIT_FUZZ_H
#define TARPIT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "session/session.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * For each input; may not keep anything, may not be told apart from a crash if it does not return.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is; assert() may be compiled out. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_failed(__FILE__, __LINE__, #condition);                               \
	} while (0)
void fuzz_failed(const char *file, int line, const char *condition) __attribute__((noreturn));

/* Input that is being taken apart. Past its end there are zeros and empty texts. */
struct input {
	const uint8_t *bytes;
	size_t length;
};
unsigned take_byte(struct input *input);
uint64_t take_number(struct input *input, size_t bytes);
/*
 * A text up to the next byte `end` or the input's end, in memory of just that size; free it. What
 * comes after a NUL in it is lost.
 */
char *take_text(struct input *input, char end);

/* "" to "~": all that a terminal, a log or a line-oriented reader can be told. */
bool is_printable(const char *text);

/* Once: no log, a key for hashes, UTC. Each target calls it first. */
void fuzz_begin(void);

/*
 * One of FUZZ_FILES temporary files, with this content, of 2026-11-21. They are beside each other,
 * and are called 0, 1 ...
 */
#define FUZZ_FILES 2
const char *fuzz_file(size_t which, const void *content, size_t length);

/*
 * --- a whole tarpit: memory store, fake clock, a journal of the target's choice
 * -------------------
 */

/*
 * The presets with these KEY=VALUE texts over them, which must be good, ended by NULL, and always
 * at the same place: each is loaded once. A reference of the caller's own.
 */
struct config *fuzz_config(const char *const *sets);
/* Takes the reference. Time is at the beginning of a window. */
void fuzz_tarpit_begin(struct tarpit *tarpit, struct config *config);
/* All sessions must have been closed: checks that the books are balanced, and frees it all. */
void fuzz_tarpit_end(struct tarpit *tarpit);

#endif
