/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of logs in, what the sessions' journal says out. */
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "maillog/line.h"
#include "replay/drive.h"

#define NOON INT64_C(1700000000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINE_MAX_BYTES 1000
#define SETS_MAX 8

#define P "mx postfix/smtpd[100]: "
#define Q "mx postfix/qmgr[7]: "
#define L "mx postfix/local[8]: "
#define S "mx sendmail[200]: "
#define FROM_P " from unknown[192.0.2.1]"
/* Refused by Postfix: queue id or NOQUEUE, number of the recipient. */
#define REFUSED(id, n)                                                                             \
	P id ": reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <no" n                             \
	     "@example.org>: Recipient address rejected: User unknown; from=<x@example.net> "      \
	     "to=<no" n "@example.org> proto=ESMTP helo=<client>"
#define NO(n) REFUSED("NOQUEUE", n)
#define ID "kAAAAA000200"
#define UNKNOWN(n) S ID ": <no" n "@example.org>... User unknown"
#define HIDDEN(n)                                                                                  \
	S ID ": ruleset=check_rcpt, arg1=<no" n                                                    \
	     "@example.org>, relay=[192.0.2.1], reject=550 5.7.1 <no" n                            \
	     "@example.org>... Relaying denied"
#define QUEUED_S(n)                                                                                \
	S ID ": from=<x@example.net>, size=22, class=0, nrcpts=" n                                 \
	     ", proto=ESMTP, daemon=MTA, relay=[192.0.2.1]"

/* From second 1 to 5, each of a recipient of its own. */
#define FIVE(line)                                                                                 \
	{1, line("1")}, {2, line("2")}, {3, line("3")}, {4, line("4")},                            \
	{                                                                                          \
		5, line("5")                                                                       \
	}

static struct replay_drive *drive;

static void start_over(const char *const *sets)
{
	const char *all[SETS_MAX + 2] = {"user=root", "jitter=0"};
	struct faults faults = {0};
	struct config *config;
	size_t count = 2;

	for (; sets != NULL && *sets != NULL; sets++) {
		assert_true(count < COUNT(all));
		all[count++] = *sets;
	}
	config = config_load(NULL, false, all, count, &faults);
	if (config == NULL)
		fail_msg("%s", faults.text);
	faults_free(&faults);
	drive = replay_drive_new();
	assert_non_null(drive);
	assert_true(replay_drive_add(drive, "one", config));
}

static struct replay_result *result(void)
{
	return &drive->scenarios[0]->result;
}

static void take(int64_t at_ms, const char *text)
{
	struct maillog_line line;

	maillog_line_parse(text, strlen(text), 0, &line);
	if (line.kind == MAILLOG_OTHER || line.kind == MAILLOG_UNREADABLE)
		fail_msg("not read: %s", text);
	replay_drive_take(drive, &line, NOON + at_ms);
}

struct said {
	int64_t at_s;
	const char *text;
};

static const struct {
	const char *what;
	const char *sets[4];
	struct said lines[16];
	struct {
		int64_t flagged_at_s; /* -1: never */
		double score; /* when flagged first */
		uint64_t rejected, recipients, stalls;
	} want;
} rows[] = {
	{"the fifth refusal flags",
	 {NULL},
	 {{0, P "connect" FROM_P}, FIVE(NO), {6, P "disconnect" FROM_P}},
	 {5, 5, 5, 0, 1}},
	{"the log begins in the middle", {NULL}, {FIVE(NO)}, {5, 5, 5, 0, 1}},
	{"the same recipient counts once",
	 {NULL},
	 {{1, NO("1")}, {2, NO("1")}, {3, NO("1")}, {4, NO("1")}, {5, NO("1")}},
	 {-1, 0, 5, 0, 0}},
	{"Postfix: accepted ones that are named later count where they were",
	 {NULL},
	 {{0, P "connect" FROM_P},
	  {1, NO("1")},
	  {2, NO("2")},
	  {4, P "AAAAAA: client=unknown[192.0.2.1]"},
	  {5, REFUSED("AAAAAA", "3")},
	  {6, REFUSED("AAAAAA", "4")},
	  {7, REFUSED("AAAAAA", "5")},
	  {8, REFUSED("AAAAAA", "6")},
	  {9, Q "AAAAAA: from=<x@example.net>, size=1, nrcpt=1 (queue active)"},
	  {99, L "AAAAAA: to=<good@example.org>, relay=local, delay=1, dsn=2.0.0, status=sent (x)"},
	  {99, Q "AAAAAA: removed"}},
	 {-1, 0, 6, 1, 0}},
	{"Postfix: an aborted message had one accepted recipient",
	 {"good_credit=10"},
	 {{0, P "connect" FROM_P},
	  {1, NO("1")},
	  {2, P "AAAAAA: client=unknown[192.0.2.1]"},
	  {3, REFUSED("AAAAAA", "2")},
	  {4, REFUSED("AAAAAA", "3")},
	  {5, REFUSED("AAAAAA", "4")},
	  {6, REFUSED("AAAAAA", "5")},
	  {7, REFUSED("AAAAAA", "6")},
	  {8, P "disconnect" FROM_P}},
	 {-1, 0, 6, 0, 0}},
	{"Postfix: all but the first are spread evenly",
	 {"threshold=4"},
	 {{1, NO("1")},
	  {2, P "AAAAAA: client=unknown[192.0.2.1]"},
	  {3, REFUSED("AAAAAA", "2")},
	  {4, REFUSED("AAAAAA", "3")},
	  {5, REFUSED("AAAAAA", "4")},
	  {6, REFUSED("AAAAAA", "5")},
	  {7, REFUSED("AAAAAA", "6")},
	  {8, REFUSED("AAAAAA", "7")},
	  {9, REFUSED("AAAAAA", "8")},
	  {10, Q "AAAAAA: from=<x@example.net>, size=1, nrcpt=3 (queue active)"},
	  {11, L "AAAAAA: to=<a@example.org>, relay=local, delay=1, dsn=2.0.0, status=sent (x)"},
	  {11, L "AAAAAA: to=<b@example.org>, relay=local, delay=1, dsn=2.0.0, status=sent (x)"},
	  {11, L "AAAAAA: to=<c@example.org>, relay=local, delay=1, dsn=2.0.0, status=sent (x)"}},
	 {9, 4, 8, 3, 2}},
	{"Postfix: the same accepted recipient counts once, though it is named later",
	 {NULL},
	 {{1, NO("1")},
	  {2, P "AAAAAA: client=unknown[192.0.2.1]"},
	  {2, Q "AAAAAA: from=<x@example.net>, size=1, nrcpt=1 (queue active)"},
	  {3, P "BBBBBB: client=unknown[192.0.2.1]"},
	  {3, Q "BBBBBB: from=<x@example.net>, size=1, nrcpt=1 (queue active)"},
	  {4, NO("2")},
	  {5, NO("3")},
	  {6, NO("4")},
	  {7, NO("5")},
	  {8, NO("6")},
	  {9, NO("7")},
	  {99, L "AAAAAA: to=<a@example.org>, relay=local, delay=1, dsn=2.0.0, status=sent (x)"},
	  {99, L "BBBBBB: to=<a@example.org>, relay=local, delay=1, dsn=2.0.0, status=sent (x)"}},
	 {9, 5, 7, 2, 1}},
	{"accepted ones that no line names count as different ones, each of its own domain",
	 {"good_credit=0.1", "threshold=1"},
	 {{1, P "AAAAAA: client=unknown[192.0.2.1]"},
	  {1, Q "AAAAAA: from=<x@example.net>, size=1, nrcpt=12 (queue active)"},
	  {401, NO("1")},
	  {402, NO("2")},
	  {403, NO("3")}},
	 {403, 1.8, 3, 12, 1}},
	{"who logs in is left alone, from then on",
	 {NULL},
	 {{0, P "connect" FROM_P},
	  {1, P "AAAAAA: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=bob"},
	  {2, REFUSED("AAAAAA", "1")},
	  {3, REFUSED("AAAAAA", "2")},
	  {4, REFUSED("AAAAAA", "3")},
	  {5, REFUSED("AAAAAA", "4")},
	  {6, REFUSED("AAAAAA", "5")},
	  {7, REFUSED("AAAAAA", "6")},
	  {8, P "disconnect" FROM_P}},
	 {-1, 0, 0, 0, 0}},
	{"Postfix: who logged in before is told at the end",
	 {"threshold=1"},
	 {{0, P "connect" FROM_P},
	  FIVE(NO),
	  {6, "mx postfix/smtpd[101]: connect from unknown[192.0.2.9]"},
	  {7,
	   "mx postfix/smtpd[101]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 550 5.1.1 <a@b>: "
	   "no; from=<x@y> to=<a@b> proto=ESMTP helo=<h>"},
	  {200, P "disconnect" FROM_P " ehlo=1 auth=1 mail=1 rcpt=0/5 quit=1 commands=4/9"}},
	 {7, 1, 1, 0, 1}},
	{"Postfix: but who tried in vain is not left alone",
	 {NULL},
	 {{0, P "connect" FROM_P},
	  FIVE(NO),
	  {200, P "disconnect" FROM_P " ehlo=1 auth=0/1 mail=1 rcpt=0/5 quit=1 commands=3/9"}},
	 {5, 5, 5, 0, 1}},
	{"Postfix: a session of more than ten minutes is not waited for",
	 {NULL},
	 {{0, P "connect" FROM_P},
	  FIVE(NO),
	  {700, P "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <a@b>: no; from=<x@y> "
		  "to=<a@b> proto=ESMTP helo=<h>"},
	  {701, P "disconnect" FROM_P " ehlo=1 auth=1 mail=1 rcpt=0/5 quit=1 commands=4/9"}},
	 {5, 5, 5, 0, 1}},
	{"Sendmail: who it was is told at the end",
	 {NULL},
	 {FIVE(UNKNOWN), {60, QUEUED_S("0")}},
	 {5, 5, 5, 0, 1}},
	{"Sendmail: hidden ones count half, at the next that is shown",
	 {NULL},
	 {{0, S "NOQUEUE: connect from [192.0.2.1]"},
	  FIVE(HIDDEN),
	  {6, HIDDEN("6")},
	  {7, HIDDEN("7")},
	  {8, HIDDEN("8")},
	  {9, UNKNOWN("9")},
	  {10, QUEUED_S("0")}},
	 {9, 5, 9, 0, 1}},
	{"Sendmail: hidden ones alone were never shown to a filter",
	 {"hidden_weight=1"},
	 {FIVE(HIDDEN), {6, QUEUED_S("0")}},
	 {-1, 0, 0, 0, 0}},
	{"Sendmail: or at an accepted one, which comes right after them",
	 {"hidden_weight=1", "good_credit=0"},
	 {FIVE(HIDDEN), {60, QUEUED_S("1")}},
	 {5, 5, 5, 1, 2}},
	{"Sendmail: an aborted message was not taken, and had no DATA",
	 {"threshold=1", "good_credit=0"},
	 {{1, UNKNOWN("1")},
	  {2, S ID ": from=<x@example.net>, size=0, class=0, nrcpts=1, proto=ESMTP, "
		   "daemon=MTA, relay=[192.0.2.1]"}},
	 {1, 1, 1, 0, 2}},
	{"Sendmail: who had logged in is told at the end",
	 {"threshold=1"},
	 {{1, UNKNOWN("1")},
	  {2, S ID ": from=<x@example.net>, size=9, class=0, nrcpts=1, proto=ESMTPA, "
		   "daemon=MTA, relay=[192.0.2.1]"}},
	 {-1, 0, 0, 1, 0}},
	{"another process is another session",
	 {"max_stall_per_session=5s"},
	 {{1, NO("1")},
	  {1, NO("2")},
	  {1, NO("3")},
	  {1, NO("4")},
	  {1, NO("5")},
	  {1, NO("6")},
	  {2, "mx postfix/smtpd[101]: connect" FROM_P}},
	 {1, 5, 6, 0, 2}},
	{"exempt",
	 {"exempt_clients={192.0.2.0/24}"},
	 {{1, NO("1")}, {1, NO("2")}, {1, NO("3")}, {1, NO("4")}, {1, NO("5")}},
	 {-1, 0, 0, 0, 0}},
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t flagged_at_s = -1;
		uint64_t stalls = 0;

		start_over(rows[i].sets);
		for (size_t j = 0; j < COUNT(rows[i].lines) && rows[i].lines[j].text != NULL; j++)
			take(1000 * rows[i].lines[j].at_s, rows[i].lines[j].text);
		replay_drive_finish(drive);
		if (result()->flags_count > 0) {
			flagged_at_s = (result()->flags[0].wall_ms - NOON) / 1000;
			assert_true(fabs(result()->flags[0].score - rows[i].want.score) < 0.001);
		}
		for (size_t j = 0; j < STAGE_COUNT; j++)
			stalls += result()->stalls[j];
		if (flagged_at_s != rows[i].want.flagged_at_s ||
		    result()->rejected != rows[i].want.rejected ||
		    result()->recipients != rows[i].want.recipients ||
		    stalls != rows[i].want.stalls)
			fail_msg("%s: flagged at %d, %d rejected, %d accepted, %d stalls",
				 rows[i].what, (int)flagged_at_s, (int)result()->rejected,
				 (int)result()->recipients, (int)stalls);
		replay_drive_free(drive);
	}
}

#define LOST_AFTER(command) P "lost connection after " command FROM_P
#define LOST_S S ID ": lost input channel from [192.0.2.1] to MTA after "
#define ENDED P "disconnect" FROM_P

static const struct {
	const char *what;
	const char *sets[4];
	struct said lines[12];
	uint64_t left;
} left_rows[] = {
	{"Postfix: hung up, once",
	 {NULL},
	 {FIVE(NO), {6, LOST_AFTER("RCPT")}, {6, LOST_AFTER("RCPT")}, {6, ENDED}},
	 1},
	{"Postfix: timed out",
	 {NULL},
	 {FIVE(NO), {6, P "timeout after MAIL" FROM_P}, {6, ENDED}},
	 1},
	{"Postfix: while it sent", {NULL}, {FIVE(NO), {6, LOST_AFTER("DATA (9 bytes)")}}, 1},
	{"Postfix: said QUIT", {NULL}, {FIVE(NO), {6, ENDED}}, 0},
	{"Postfix: outside a transaction",
	 {NULL},
	 {FIVE(NO), {6, LOST_AFTER("RSET")}, {6, ENDED}},
	 0},
	{"Postfix: before it was flagged",
	 {"threshold=6"},
	 {FIVE(NO), {6, LOST_AFTER("RCPT")}, {6, ENDED}, {7, NO("6")}, {8, ENDED}},
	 0},
	{"Postfix: when it was no longer flagged",
	 {"window=1m"},
	 {FIVE(NO), {6, ENDED}, {300, P "connect" FROM_P}, {301, LOST_AFTER("RCPT")}, {301, ENDED}},
	 0},
	{"Postfix: in two sessions",
	 {NULL},
	 {FIVE(NO),
	  {6, LOST_AFTER("RCPT")},
	  {6, ENDED},
	  {7, P "connect" FROM_P},
	  {8, LOST_AFTER("MAIL")},
	  {8, ENDED}},
	 2},
	{"Postfix: who has logged in",
	 {"threshold=1"},
	 {FIVE(NO),
	  {5, ENDED},
	  {6, P "connect" FROM_P},
	  {7, LOST_AFTER("RCPT")},
	  {7, ENDED " ehlo=1 auth=1 mail=1 rcpt=0/1 commands=3/4"}},
	 0},
	{"exempt in the second session, by its name",
	 {"exempt_hosts={.partner.test}"},
	 {FIVE(NO),
	  {6, ENDED},
	  {7, P "connect from mx.partner.test[192.0.2.1]"},
	  {8, P "lost connection after RCPT from mx.partner.test[192.0.2.1]"}},
	 0},
	{"Sendmail", {NULL}, {FIVE(UNKNOWN), {6, LOST_S "rcpt"}, {6, QUEUED_S("0")}}, 1},
	{"Sendmail: outside a transaction",
	 {NULL},
	 {FIVE(UNKNOWN), {6, LOST_S "rset"}, {6, QUEUED_S("0")}},
	 0},
};

static void test_who_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(left_rows); i++) {
		const struct replay_client *worst;
		uint64_t left = 0;

		start_over(left_rows[i].sets);
		for (size_t j = 0;
		     j < COUNT(left_rows[i].lines) && left_rows[i].lines[j].text != NULL; j++)
			take(1000 * left_rows[i].lines[j].at_s, left_rows[i].lines[j].text);
		replay_drive_finish(drive);
		if (replay_result_worst(result(), &worst, 1) > 0)
			left = worst->left;
		if (left != left_rows[i].left || result()->sessions_left != left)
			fail_msg("%s: left %d, in all %d", left_rows[i].what, (int)left,
				 (int)result()->sessions_left);
		replay_drive_free(drive);
	}
}

static void test_configurations_side_by_side(void **state)
{
	static const char *const sets[] = {"user=root", "threshold=3"};
	struct faults faults = {0};

	(void)state;
	start_over(NULL);
	assert_true(replay_drive_add(drive, "two", config_load(NULL, false, sets, 2, &faults)));
	for (int i = 0; i < 4; i++) {
		char text[LINE_MAX_BYTES];

		snprintf(text, sizeof(text),
			 P "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <%d@b>: no; "
			   "from=<x@y> to=<%d@b> proto=ESMTP helo=<h>",
			 i, i);
		take(1000 * i, text);
	}
	replay_drive_finish(drive);
	assert_int_equal(result()->clients_flagged, 0);
	assert_int_equal(drive->scenarios[1]->result.clients_flagged, 1);
	assert_int_equal(drive->scenarios[1]->result.flags[0].wall_ms, NOON + 2000);
	replay_drive_free(drive);
}

static void test_flagged_client_that_delivers(void **state)
{
	const struct replay_client *clients[3];

	(void)state;
	start_over(NULL);
	for (int i = 0; i < 6; i++) {
		char text[LINE_MAX_BYTES];

		snprintf(
			text, sizeof(text),
			P
			"NOQUEUE: reject: RCPT from mail.example.net[192.0.2.1]: 550 5.1.1 <%d@b>: "
			"no; from=<x@y> to=<%d@b> proto=ESMTP helo=<h>",
			i, i);
		take(0, text);
	}
	take(9000, P "AAAAAA: client=mail.example.net[192.0.2.1]");
	take(9000, Q "AAAAAA: from=<x@y>, size=1, nrcpt=2 (queue active)");
	take(9000, Q "AAAAAA: removed");
	take(9000, P "disconnect from mail.example.net[192.0.2.1]");
	replay_drive_finish(drive);
	assert_int_equal(result()->flagged_delivering, 1);
	assert_int_equal(replay_result_innocents(result(), clients, COUNT(clients)), 1);
	assert_string_equal(clients[0]->host, "mail.example.net");
	assert_int_equal(clients[0]->messages, 1);
	assert_int_equal(replay_result_worst(result(), clients, COUNT(clients)), 1);
	assert_int_equal(clients[0]->rejected, 6);
	replay_drive_free(drive);
}

/* A rejection of a client whose network is all its own. */
static void take_probe(int64_t at_ms, int client, int recipient)
{
	char text[LINE_MAX_BYTES];

	snprintf(text, sizeof(text),
		 "mx postfix/smtpd[%d]: NOQUEUE: reject: RCPT from unknown[10.0.%d.1]: 550 5.1.1 "
		 "<%d@b>: no; from=<x@y> to=<%d@b> proto=ESMTP helo=<h>",
		 1000 + client, client, recipient, recipient);
	take(at_ms, text);
}

static void test_siege(void **state)
{
	static const char *const never[] = {"siege_threshold=0", NULL};

	(void)state;
	for (int i = 0; i < 2; i++) {
		start_over(i == 0 ? NULL : never);
		for (int client = 0; client < 60; client++)
			take_probe(client * 1000, client, client);
		/* One of them goes on until it would have been flagged without a siege. */
		for (int recipient = 100; recipient < 104; recipient++)
			take_probe(60000, 59, recipient);
		take(3600000, P "connect" FROM_P);
		replay_drive_finish(drive);
		if (i == 0) {
			/* From the 31st probe on. */
			assert_int_equal(result()->clients_flagged, 30);
			assert_int_equal(result()->clients_by_siege, 29);
			assert_int_equal(result()->sieges, 1);
			/*
			 * It fell to five times its mean after nine minutes, and a minute later it
			 * ended.
			 */
			assert_in_range(result()->siege_ms, 540000, 660000);
		} else {
			assert_int_equal(result()->clients_flagged, 1);
			assert_int_equal(result()->clients_by_siege, 0);
			assert_int_equal(result()->sieges, 0);
			assert_int_equal(result()->siege_ms, 0);
		}
		replay_drive_free(drive);
	}
}

/* Which goes on as the log ends. */
static void test_siege_at_the_end(void **state)
{
	(void)state;
	start_over(NULL);
	for (int client = 0; client < 60; client++)
		take_probe(client * 1000, client, client);
	take(90000, P "connect" FROM_P);
	replay_drive_finish(drive);
	assert_int_equal(result()->sieges, 1);
	assert_int_equal(result()->siege_ms, 60000);
	replay_drive_free(drive);
}

/*
 * One that delivers all the time is still known after many others, and when it is flagged in the
 * end.
 */
static void test_regular_client_is_not_forgotten(void **state)
{
	struct prefix regular, other;

	(void)state;
	start_over(NULL);
	assert_true(prefix_parse("192.0.2.1", &regular));
	for (unsigned i = 0; i < REPLAY_UNFLAGGED_MAX + 10; i++) {
		char text[PREFIX_TEXT_MAX];

		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16 & 255U, i >> 8 & 255U,
			 i & 255U);
		assert_true(prefix_parse(text, &other));
		replay_result_delivered(result(), &other, "other.example.net", 1);
		if (i % 1000 == 0)
			replay_result_delivered(result(), &regular, "regular.example.net", 1);
	}
	for (int i = 0; i < 5; i++) {
		char text[LINE_MAX_BYTES];

		snprintf(text, sizeof(text),
			 P "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <%d@b>: no; "
			   "from=<x@y> to=<%d@b> proto=ESMTP helo=<h>",
			 i, i);
		take(0, text);
	}
	replay_drive_finish(drive);
	assert_int_equal(HASH_COUNT(result()->unflagged) + HASH_COUNT(result()->flagged),
			 REPLAY_UNFLAGGED_MAX);
	assert_int_equal(result()->flagged_delivering, 1);
	assert_string_equal(result()->flagged->host, "regular.example.net");
	assert_int_equal(result()->flagged->messages, REPLAY_UNFLAGGED_MAX / 1000 + 1);
	replay_drive_free(drive);
}

/* A concurrency of sessions that never end, and of messages that are never heard of again. */
static void be_busy(int64_t from, int64_t count, int64_t every_ms)
{
	for (int64_t i = from; i < from + count; i++) {
		char text[LINE_MAX_BYTES];
		int64_t at_ms = i * every_ms;
		int client = (int)(i % 60000);

		snprintf(text, sizeof(text), "mx postfix/smtpd[%d]: connect from h%d[10.0.%d.%d]",
			 (int)i + 1, client, client >> 8, client & 255);
		take(at_ms, text);
		snprintf(
			text, sizeof(text),
			"mx postfix/smtpd[%d]: %012X: reject: RCPT from h%d[10.0.%d.%d]: 550 5.1.1 "
			"<%d@b>: no; from=<x@y> to=<%d@b> proto=ESMTP helo=<h>",
			(int)i + 1, (unsigned)i + 1, client, client >> 8, client & 255, (int)i,
			(int)i);
		take(at_ms, text);
		snprintf(text, sizeof(text), "mx postfix/smtpd[%d]: %012X: client=h%d[10.0.%d.%d]",
			 (int)i + 1, (unsigned)i + 1, client, client >> 8, client & 255);
		take(at_ms, text);
	}
}

static void test_memory_is_constant(void **state)
{
	static const char *const sets[] = {"memory_clients=1000", "network_threshold=0", NULL};
	/* Over a year, and all in a minute. */
	static const int64_t paces_ms[] = {400000, 1};

	(void)state;
	for (size_t i = 0; i < COUNT(paces_ms); i++) {
		size_t before, after;

		start_over(sets);
		be_busy(0, 60000, paces_ms[i]);
		before = mallinfo2().uordblks;
		be_busy(60000, 20000, paces_ms[i]);
		after = mallinfo2().uordblks;
		if (after > before + before / 50)
			fail_msg("%zu bytes, then %zu", before, after);
		replay_drive_finish(drive);
		replay_drive_free(drive);
	}
}

static int set_up(void **state)
{
	(void)state;
	return hash_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_who_left),
		cmocka_unit_test(test_configurations_side_by_side),
		cmocka_unit_test(test_flagged_client_that_delivers),
		cmocka_unit_test(test_siege),
		cmocka_unit_test(test_siege_at_the_end),
		cmocka_unit_test(test_regular_client_is_not_forgotten),
		cmocka_unit_test(test_memory_is_constant),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
