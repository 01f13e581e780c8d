/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

#include "base/hash.h"
#include "session/deferrals.h"
#include "session/journal.h"
#include "session/site.h"
#include "store/memory.h"

const char *const mtas[2] = {POSTFIX, SENDMAIL};

struct caught caught;

void catch_line(int priority, const char *line)
{
	if (caught.count >= COUNT(caught.lines))
		return;
	caught.priorities[caught.count] = priority;
	snprintf(caught.lines[caught.count++], LOG_LINE_MAX, "%s", line);
}

void ignore_line(int priority, const char *line)
{
	(void)priority;
	(void)line;
}

const char *caught_events(void)
{
	static char events[2000];
	size_t length = 0;

	events[0] = '\0';
	for (size_t i = 0; i < caught.count; i++) {
		const char *line = caught.lines[i];

		length += (size_t)snprintf(events + length, sizeof(events) - length, "%s%.*s",
					   i > 0 ? " " : "", (int)strcspn(line, ":"), line);
		assert_true(length < sizeof(events));
	}
	return events;
}

bool caught_text(const char *text)
{
	for (size_t i = 0; i < caught.count; i++)
		if (strstr(caught.lines[i], text) != NULL)
			return true;
	return false;
}

struct tarpit tarpit;
struct counting_store counting;
double next_chance;

static double chance(void)
{
	return next_chance;
}

static void counting_lookup(struct store *store, const struct store_query *query,
			    struct store_view *view)
{
	(void)store;
	counting.lookups++;
	store_lookup(counting.memory, query, view);
}

static bool counting_record(struct store *store, const struct store_query *query,
			    const struct store_event *event, struct store_view *view)
{
	(void)store;
	counting.records++;
	return store_record(counting.memory, query, event, view);
}

static unsigned counting_credit_left(struct store *store, const struct store_query *query,
				     const struct store_recipient *recipient)
{
	(void)store;
	return store_credit_left(counting.memory, query, recipient);
}

static bool counting_credit(struct store *store, const struct store_query *query,
			    struct store_recipient *recipients, size_t count,
			    struct store_view *view)
{
	(void)store;
	counting.credits++;
	return store_credit(counting.memory, query, recipients, count, view);
}

static bool counting_announce(struct store *store, const struct prefix *client,
			      enum announcement announcement)
{
	(void)store;
	return store_announce(counting.memory, client, announcement);
}

static const struct store_ops counting_ops = {
	.lookup = counting_lookup,
	.record = counting_record,
	.credit_left = counting_credit_left,
	.credit = counting_credit,
	.announce = counting_announce,
};

#define SETS_MAX 12

struct config *load(const char *const *sets)
{
	const char *all[SETS_MAX + 2] = {"user=root", "jitter=0"};
	struct faults faults = {0};
	struct config *config;
	size_t count = 2;

	while (sets != NULL && *sets != NULL) {
		assert_true(count < COUNT(all));
		all[count++] = *sets++;
	}
	config = config_load(NULL, false, all, count, &faults);
	if (config == NULL)
		fail_msg("%s", faults.text);
	faults_free(&faults);
	return config;
}

void start_over(const char *const *sets)
{
	struct config *config = load(sets);

	fake_clock_reset(MIDNIGHT, 1000000);
	caught.count = 0;
	next_chance = 0;
	counting = (struct counting_store){.store.ops = &counting_ops,
					   .memory = memory_store_new(config->memory_clients)};
	assert_non_null(counting.memory);
	tarpit = (struct tarpit){
		.store = &counting.store,
		.stalls = stalls_new(&fake_clock, config->max_stalls, NULL),
		.peers = open_sessions_new(),
		.deferrals = deferrals_new(100),
		.site = site_new(&journal_log, MIDNIGHT),
		.clock = &fake_clock,
		.chance = chance,
		.journal = &journal_log,
		.max_sessions = 1000,
		.config = config_box_new(config),
	};
	assert_non_null(tarpit.stalls);
	assert_non_null(tarpit.peers);
	assert_non_null(tarpit.site);
	assert_non_null(tarpit.config);
}

void finish(void)
{
	assert_int_equal(tarpit.open_sessions, 0);
	assert_int_equal(stalls_active(tarpit.stalls), 0);
	store_destroy(counting.memory);
	stalls_free(tarpit.stalls);
	open_sessions_free(tarpit.peers);
	deferrals_free(tarpit.deferrals);
	site_free(tarpit.site);
	config_box_free(tarpit.config);
	tarpit = (struct tarpit){0};
}

struct store_query query_of(const char *address)
{
	struct config *config = config_box_get(tarpit.config);
	struct store_query query = {
		.window = window_at(fake_clock.wall_ms(&fake_clock), config->window_s),
		.key_prefix = "tarpit"};
	struct prefix prefix;

	assert_true(prefix_parse(address, &prefix));
	client_identify(&prefix, &config->widths, &query.client);
	config_release(config);
	return query;
}

void has_offended(const char *address, unsigned offences)
{
	const struct store_query query = query_of(address);
	const struct store_event event = {.side = SIDE_BAD, .amount = 100};
	struct store_view view;

	for (unsigned i = 0; i < offences; i++)
		store_record(counting.memory, &query, &event, &view);
}

struct tally counted(const char *address)
{
	const struct store_query query = query_of(address);
	struct store_view view;

	store_lookup(counting.memory, &query, &view);
	return view.client;
}

static struct stall occupied[100];

void occupy(unsigned places)
{
	for (unsigned i = 0; i < places; i++) {
		occupied[i] = (struct stall){.stage = "RCPT",
					     .network = {4, 24, {10, (uint8_t)i}}};
		assert_true(stall_begin(tarpit.stalls, &occupied[i], STALL_RESERVE));
	}
}

void vacate(unsigned places)
{
	int64_t waited_ms;

	for (unsigned i = 0; i < places; i++)
		stall_wait(tarpit.stalls, &occupied[i], &waited_ms);
}

struct mta_signs signs_of(const char *mta)
{
	bool is_sendmail = mta != NULL && strcmp(mta, SENDMAIL) == 0;

	return (struct mta_signs){.version = mta,
				  .connections = mta != NULL ? "1" : NULL,
				  .rate = is_sendmail ? "1" : NULL,
				  .family = is_sendmail ? "inet" : NULL};
}

enum verdict connect_as(struct session *session, const char *address, const char *mta)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	struct connect_event event = {
		.host = "client.example.net", .mta = signs_of(mta), .mta_name = "mx.example.org"};

	if (address != NULL && inet_pton(AF_INET, address, &ipv4.sin_addr) == 1)
		event.address = (const struct sockaddr *)&ipv4;
	else if (address != NULL && inet_pton(AF_INET6, address, &ipv6.sin6_addr) == 1)
		event.address = (const struct sockaddr *)&ipv6;
	return session_connect(session, &event);
}

struct session *open_as(const char *address, const char *mta)
{
	struct session *session = session_open(&tarpit);

	assert_non_null(session);
	assert_int_equal(connect_as(session, address, mta), VERDICT_CONTINUE);
	return session;
}

enum verdict mail_from(struct session *session, const char *sender)
{
	return session_mail(session, &(struct mail_event){.sender = sender});
}

enum verdict log_in(struct session *session)
{
	return session_mail(session, &(struct mail_event){.sender = "<bob@example.org>",
							  .auth_type = "PLAIN",
							  .auth_authen = "bob"});
}

enum verdict rcpt_to(struct session *session, const char *recipient, const char *outcome,
		     const char *bad_count)
{
	struct rcpt_event event = {
		.recipient = recipient, .mailer = "error", .host = outcome, .bad_count = bad_count};

	if (strcmp(outcome, "good") == 0) {
		event.mailer = "local";
		event.host = "";
	} else if (strcmp(outcome, "alias") == 0) {
		event.host = "5.1.1 User unknown in virtual alias table";
	} else if (strcmp(outcome, "silent") == 0) {
		event.mailer = event.host = NULL;
	}
	return session_rcpt(session, &event);
}

struct session *sessions[SESSIONS];

enum verdict do_step(const struct step *step, const char *mta)
{
	struct session **session = &sessions[step->session];
	enum verdict verdict;

	switch (step->kind) {
	case CONNECT:
		assert_null(*session);
		*session = session_open(&tarpit);
		assert_non_null(*session);
		return connect_as(*session, step->text, mta);
	case HELO:
		return session_helo(*session);
	case MAIL:
		return mail_from(*session, step->text);
	case LOGIN:
		return log_in(*session);
	case RCPT:
		return rcpt_to(*session, step->text, step->outcome, step->bad_count);
	case DATA:
		verdict = session_data(*session, step->bad_count);
		return verdict == VERDICT_CONTINUE ? session_end_of_message(*session) : verdict;
	case DATA_BEGUN:
		return session_data(*session, step->bad_count);
	case ABORT:
		session_abort(*session);
		return VERDICT_CONTINUE;
	case CLOSE:
		session_close(*session);
		*session = NULL;
		return VERDICT_CONTINUE;
	case PAUSE:
		fake_clock_advance(step->pause_ms);
		return VERDICT_CONTINUE;
	}
	return VERDICT_CONTINUE;
}

void play(const char *mta, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct step *step = &steps[i];
		int64_t before = fake_clock_waited_ms(), waited;
		enum verdict verdict;
		const char *events;

		caught.count = 0;
		verdict = do_step(step, mta);
		waited = fake_clock_waited_ms() - before;
		events = caught_events();
		if (verdict != step->verdict)
			fail_msg("%s, step %zu: verdict %d, not %d", mta, i, (int)verdict,
				 (int)step->verdict);
		if (waited != step->waited_ms)
			fail_msg("%s, step %zu: waited %lld ms, not %lld", mta, i,
				 (long long)waited, (long long)step->waited_ms);
		if (strcmp(events, step->events != NULL ? step->events : "") != 0)
			fail_msg("%s, step %zu: logged \"%s\"", mta, i, events);
		if (step->detail != NULL && !caught_text(step->detail))
			fail_msg("%s, step %zu: no \"%s\" in \"%s\"", mta, i, step->detail,
				 caught.lines[0]);
	}
	for (size_t i = 0; i < SESSIONS; i++) {
		session_close(sessions[i]);
		sessions[i] = NULL;
	}
}

int set_up(void **state)
{
	(void)state;
	/* A test that failed may have left some. */
	memset(sessions, 0, sizeof(sessions));
	log_to(catch_line);
	log_set_level(LOG_INFO);
	return hash_init();
}
