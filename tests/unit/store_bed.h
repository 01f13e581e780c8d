/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of stores share: the memory store, a memcached started for the occasion, and one with
 * SASL.
 */
#ifndef TARPIT_STORE_BED_H
#define TARPIT_STORE_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/store.h"

/* For what comes in a moment. */
#define START_MS 5000
#define STEP_MS 10
void sleep_ms(long ms);

/* Windows of this century: an end of a flag by hand is a moment. */
#define WINDOW_NOW 490000
#define NOW_S (INT64_C(3600) * WINDOW_NOW)

/* Before and after all tests. False: there is nowhere to test. */
bool open_bed(void);
void close_bed(void);

extern char memcached_socket[128];
extern pid_t memcached;
/* Returns once memcached has stopped: SIGCONT lets it go on. */
void suspend_memcached(void);
/* Start-up does not wait long for a server on a busy machine. */
void await_up(struct store *store);
/* What the stores that are opened from now on say to a memcached with SASL. */
void set_password(const char *text);

enum kind { IN_MEMORY, IN_MEMCACHED, IN_MEMCACHED_WITH_SASL };

struct store *open_test_store(enum kind kind);
/* The state is the store. */
int setup_memory(void **state);
int setup_memcached(void **state);
int setup_sasl(void **state); /* NULL: this machine has no saslpasswd2 */
int teardown_memory(void **state);
int teardown_memcached(void **state);
int teardown_sasl(void **state);

/* Runs a test unless the machine lacks what it needs. */
#define WITH_SASL(test)                                                                            \
	static void test##_with_sasl(void **state)                                                 \
	{                                                                                          \
		if (*state == NULL)                                                                \
			skip();                                                                    \
		test(state);                                                                       \
	}

struct store_query make_query(const char *address, int64_t window);
bool offend(struct store *store, const char *address, int64_t window, uint64_t recipient,
	    struct store_view *view);
struct store_view look_up(struct store *store, const char *address, int64_t window);

#endif
