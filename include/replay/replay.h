/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a configuration would have done to the sessions of a mail log: drives session/session.c with
 * a memory store and a clock that the log's time stamps move.
 */
#ifndef TARPIT_REPLAY_H
#define TARPIT_REPLAY_H

#include <stdbool.h>

/* `tarpitctl replay`; argv[0] is "replay". as_json: --json was given before it. A sysexits code. */
int replay_main(int argc, char **argv, bool as_json);

#endif
