/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is counted of a client, window by window, and the keys and values that memcached keeps it
 * under. Pure.
 */
#ifndef TARPIT_BASE_COUNTERS_H
#define TARPIT_BASE_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"

/* Longest key and its NUL: memcached allows 250 bytes. Longest key_prefix. */
#define COUNTERS_KEY_MAX 160
#define COUNTERS_KEY_PREFIX_MAX 32
/*
 * No counter goes beyond this, in hundredths: a greater one that memcached holds is not a count of
 * ours.
 */
#define COUNTERS_MAX UINT64_C(1000000000000)

/* A stretch of time in which offences are counted together. */
struct window {
	int64_t index;		/* number of windows since the epoch */
	uint32_t length_s;
	double elapsed;		/* fraction of the window that has gone, 0 to 1 */
};

/*
 * Counters of one client or network, of this window and the one before, in hundredths: of offences,
 * of recipients that earned credit, and of a flagged client's recipients that passed without a
 * wait.
 */
struct tally {
	uint64_t bad_now, bad_previous, good_now, good_previous, passed_now, passed_previous;
};

enum side { SIDE_BAD, SIDE_GOOD, SIDE_PASSED, SIDE_COUNT };

struct window window_at(int64_t wall_ms, uint32_t length_s);
/* The wall clock that window_at was given, in seconds since the epoch. */
int64_t window_now_s(const struct window *window);
/*
 * Turns a tally of window `from` into one of window `to`: counters move to `previous`, or are too
 * old.
 */
void tally_roll(struct tally *tally, int64_t from, int64_t to);
void tally_add(struct tally *tally, const struct tally *more);
/* Each counter becomes at least that of to. */
void tally_raise(struct tally *tally, const struct tally *to);
/* Never falls below 0. */
void tally_subtract(struct tally *tally, const struct tally *less);
/* Adds amount, in hundredths, to this window's counter. */
void tally_count(struct tally *tally, enum side side, uint64_t amount);
bool tally_is_zero(const struct tally *tally);

/* PREFIX:1:CLIENT:WINDOW:b, :g or :p; key holds COUNTERS_KEY_MAX. Returns its length. */
size_t counters_key(char *key, const char *prefix, const struct prefix *client, int64_t window,
		    enum side side);
/* PREFIX:1:CLIENT:f: the administrator has flagged the client. */
size_t counters_flag_key(char *key, const char *prefix, const struct prefix *client);
/* PREFIX:1:CLIENT:WINDOW:r:HASH: the client has named this recipient; see hash_recipient. */
size_t counters_seen_key(char *key, const char *prefix, const struct prefix *client, int64_t window,
			 uint64_t hash);

/* PREFIX:1:siege:MINUTE: what strangers offended on all hosts, in that minute since the epoch. */
size_t counters_site_key(char *key, const char *prefix, int64_t minute);

/*
 * Reads decimal digits with blanks behind, at most COUNTERS_MAX; value need not end in a NUL. False
 * for all else.
 */
bool counters_parse(const char *value, size_t length, uint64_t *counter);

#endif
