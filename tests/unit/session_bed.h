/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of sessions share: a tarpit with a fake clock, tables of events, what was logged. */
#ifndef TARPIT_SESSION_BED_H
#define TARPIT_SESSION_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_clock.h"
#include "base/log.h"
#include "session/open_sessions.h"
#include "session/session.h"
#include "session/stall.h"
#include "store/store.h"

/* A step of a table says only what matters in it. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 2026-11-21 00:00:00 UTC, when a window of 4 h begins: each test does. */
#define MIDNIGHT INT64_C(1795219200000)
#define WINDOW_MS INT64_C(14400000)
#define SESSIONS 8

#define POSTFIX "Postfix 3.7.11"
#define SENDMAIL "8.17.1.9"
extern const char *const mtas[2];

/*
 * --- what was logged ----------------------------------------------------------------------------
 */

struct caught {
	char lines[100][LOG_LINE_MAX];
	int priorities[100];
	size_t count;
};
extern struct caught caught;

/* For log_to: the one keeps lines in `caught`, the other is for threads. */
void catch_line(int priority, const char *line);
void ignore_line(int priority, const char *line);
/* The events that were caught, "reject flag stall release". */
const char *caught_events(void);
bool caught_text(const char *text);

/*
 * --- what sessions share ------------------------------------------------------------------------
 */

/* The memory store, with a count of what it is asked. */
struct counting_store {
	struct store store;
	struct store *memory;
	_Atomic unsigned lookups, records, credits;
};
extern struct tarpit tarpit;
extern struct counting_store counting;
/* What the jitter gets. */
extern double next_chance;

/* Everything new and empty. Sets are KEY=VALUE, ended by NULL; jitter is 0 unless they say so. */
void start_over(const char *const *sets);
#define START(...) start_over((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
/* Checks that sessions and stalls are over, and frees it all. */
void finish(void);
struct config *load(const char *const *sets);
/* Before each test. */
int set_up(void **state);
#define TEST(name) cmocka_unit_test_setup(name, set_up)

struct store_query query_of(const char *address);
/* Offences that another daemon, or an earlier session, has counted. */
void has_offended(const char *address, unsigned offences);
struct tally counted(const char *address);
/* Takes so many places of the budget, 100 at most, or gives them back. */
void occupy(unsigned places);
void vacate(unsigned places);

/*
 * --- sessions ------------------------------------------------------------------------------------
 */

/* What an MTA of this {v} sends: SENDMAIL as Sendmail does, any other as Postfix. NULL: nothing. */
struct mta_signs signs_of(const char *mta);
enum verdict connect_as(struct session *session, const char *address, const char *mta);
/* A new session that has connected; it must be let in. */
struct session *open_as(const char *address, const char *mta);
enum verdict mail_from(struct session *session, const char *sender);
/* MAIL in a session that has authenticated. */
enum verdict log_in(struct session *session);
/* outcome is "good", "alias", "silent", or the code that the MTA rejects with. */
enum verdict rcpt_to(struct session *session, const char *recipient, const char *outcome,
		     const char *bad_count);

/* DATA goes on to the end of the message; DATA_BEGUN does not. */
enum kind { CONNECT, HELO, MAIL, LOGIN, RCPT, DATA, DATA_BEGUN, ABORT, CLOSE, PAUSE };

/* One event, and what must come of it. */
struct step {
	enum kind kind;
	const char *text; /* CONNECT: address; MAIL: sender; RCPT: recipient */
	const char *outcome; /* RCPT: see rcpt_to */
	const char *bad_count; /* RCPT, DATA */
	enum verdict verdict;
	int64_t waited_ms;
	const char *events; /* logged; NULL: none */
	const char *detail; /* that one of the lines holds */
	int64_t pause_ms; /* PAUSE */
	unsigned session;
};

/* In the words of a stall that ran its course. */
#define STALLED "stall release"
#define REJECTED_STALLED "reject stall release"

extern struct session *sessions[SESSIONS];

/* Plays one event, checks nothing. */
enum verdict do_step(const struct step *step, const char *mta);
/* Plays events and checks each, then closes the sessions. */
void play(const char *mta, const struct step *steps, size_t count);
#define PLAY(mta, steps) play(mta, steps, COUNT(steps))

#endif
