/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes requests for workers of what sessions and the keeper want, and notes what came of them. */
#include "errand.h"

#include <stdio.h>
#include <syslog.h>

#include "base/log.h"
#include "base/stats.h"
#include "store/memory.h"

/*
 * Where the keys of a client, of its network and of the flag are in a request: see message_outcome.
 */
#define CLIENT_KEYS 0
#define NETWORK_KEYS MESSAGE_COUNTERS
/* 2001-09-09. Flags of before are other numbers. */
#define FIRST_MOMENT_S 1000000000
/* memcached takes longer lives for moments. */
#define TTL_MAX_S (30 * 24 * 3600)

_Static_assert(DEBTS_MAX == MESSAGE_COUNTS_MAX, "each debt is a count of a request");
_Static_assert((int)DEBT_NOT_TOLD == (int)MESSAGE_NOT_DONE && (int)DEBT_TOLD == (int)MESSAGE_DONE &&
		       (int)DEBT_MAYBE_TOLD == (int)MESSAGE_MAYBE_DONE,
	       "a step of the worker is one of the debt");

static struct log_limit refused_limit, bad_value_limit;

static void add_counter_keys(struct message_request *request, size_t first,
			     const struct store_query *query, const struct prefix *prefix)
{
	for (size_t i = 0; i < MESSAGE_COUNTERS; i++)
		counters_key(request->keys[first + i], query->key_prefix, prefix,
			     query->window.index - (int64_t)(i % 2), (enum side)(i / 2));
}

/* A request for all that there is of a client and its network. */
static void begin(struct errand *errand, enum message_kind kind, const struct store_query *query)
{
	struct message_request *request = &errand->request;

	*errand = (struct errand){.query = *query, .is_of_client = true};
	request->kind = kind;
	/* Below the 30 days that would make it a moment. */
	request->ttl_s = (int64_t)query->window.length_s * 2;
	request->keys_count = MESSAGE_KEYS_MAX;
	add_counter_keys(request, CLIENT_KEYS, query, &query->client.key);
	if (client_has_network(&query->client))
		add_counter_keys(request, NETWORK_KEYS, query, &query->client.network);
	counters_flag_key(request->keys[MESSAGE_FLAG_KEY], query->key_prefix, &query->client.key);
}

static void add_counts(struct errand *errand, const char *key_prefix)
{
	struct message_request *request = &errand->request;

	request->counts_count = (uint32_t)errand->debts.count;
	for (size_t i = 0; i < errand->debts.count; i++) {
		const struct debt *debt = &errand->debts.of[i];

		counters_key(request->counts[i].key, key_prefix, &debt->prefix, debt->window,
			     debt->side);
		request->counts[i].amount = debt->amount;
	}
}

void errand_probe(struct errand *errand, const char *key_prefix)
{
	*errand = (struct errand){.request = {.kind = MESSAGE_LOOK_UP, .keys_count = 1}};
	snprintf(errand->request.keys[0], COUNTERS_KEY_MAX, "%s:1:probe", key_prefix);
}

void errand_look_up(struct errand *errand, const struct store_query *query)
{
	begin(errand, MESSAGE_LOOK_UP, query);
}

static void add_seen(struct errand *errand, uint64_t recipient)
{
	struct message_request *request = &errand->request;
	const struct store_query *query = &errand->query;

	counters_seen_key(request->seen[request->seen_count++], query->key_prefix,
			  &query->client.key, query->window.index, recipient);
}

void errand_record(struct errand *errand, const struct store_query *query,
		   const struct store_event *event, struct store *memory)
{
	begin(errand, MESSAGE_RECORD, query);
	if (event->distinct)
		add_seen(errand, event->recipient);
	debts_of_event(query, event, &errand->debts);
	errand->debts_each = errand->debts.count;
	if (event->side == SIDE_BAD)
		debts_take_history(memory, query, &errand->debts);
	add_counts(errand, query->key_prefix);
}

void errand_credit(struct errand *errand, const struct store_query *query,
		   const struct store_recipient *recipients, size_t count)
{
	struct store_event event = {.side = SIDE_GOOD, .amount = STORE_CREDIT};

	begin(errand, MESSAGE_RECORD, query);
	for (size_t i = 0; i < count; i++)
		if (recipients[i].is_distinct)
			add_seen(errand, recipients[i].mailbox);
	if (errand->request.seen_count == 0)
		event.amount *= count;
	debts_of_event(query, &event, &errand->debts);
	errand->debts_each = errand->debts.count;
	add_counts(errand, query->key_prefix);
}

void errand_identify(struct errand *errand)
{
	*errand = (struct errand){.request = {.kind = MESSAGE_IDENTITY}};
}

bool errand_identity(const struct message_outcome *outcome, int64_t asked_ms, int64_t answered_ms,
		     struct server_identity *identity)
{
	const struct message_value_of *uptime = &outcome->values[0], *pid = &outcome->values[1];
	int64_t uptime_ms = (int64_t)uptime->number * 1000;

	if (uptime->state != MESSAGE_NUMBER || pid->state != MESSAGE_NUMBER)
		return false;
	*identity = (struct server_identity){pid->number, asked_ms - uptime_ms - 1000,
					     answered_ms - uptime_ms};
	return true;
}

void errand_restate(struct errand *errand, const struct memory_debt *known, const char *key_prefix,
		    uint32_t window_s)
{
	struct message_request *request = &errand->request;

	*errand = (struct errand){
		.request = {.kind = MESSAGE_RECORD, .ttl_s = (int64_t)window_s * 2}};
	/* A key that goes with the server's memory, and that no recipient has but by chance. */
	request->seen_count = 1;
	counters_seen_key(request->seen[0], key_prefix, &known->prefix, known->window, 0);
	debts_of_known(known, &errand->debts);
	add_counts(errand, key_prefix);
	/* Nothing of it is owed, whatever comes of it. */
	errand->debts.count = 0;
}

void errand_pay(struct errand *errand, const struct debts *debts, const char *key_prefix,
		uint32_t window_s)
{
	*errand = (struct errand){
		.debts = *debts,
		.request = {.kind = MESSAGE_RECORD, .ttl_s = (int64_t)window_s * 2},
	};
	add_counts(errand, key_prefix);
}

void errand_flag(struct errand *errand, const struct store_query *query, int64_t until_s)
{
	struct message_request *request = &errand->request;
	int64_t ttl_s = until_s - window_now_s(&query->window);

	*errand = (struct errand){.query = *query};
	request->kind = MESSAGE_SET;
	request->keys_count = 1;
	request->number = (uint64_t)until_s;
	request->ttl_s = ttl_s <= TTL_MAX_S ? ttl_s : until_s;
	counters_flag_key(request->keys[0], query->key_prefix, &query->client.key);
}

void errand_forgive(struct errand *errand, const struct store_query *query)
{
	begin(errand, MESSAGE_FORGIVE, query);
}

static void log_bad_value(const char *key, const char *what)
{
	if (log_allowed(&bad_value_limit))
		log_message(LOG_WARNING, "store", "value of %s is no number of ours: %s", key,
			    what);
}

static void log_oddities(const struct message_request *request,
			 const struct message_outcome *outcome, const char *server)
{
	for (size_t i = 0; i < request->counts_count; i++)
		if ((outcome->replaced >> i & 1) != 0)
			log_bad_value(request->counts[i].key, "replaced");
	for (size_t i = 0; i < request->keys_count; i++)
		if (outcome->values[i].state == MESSAGE_NO_NUMBER)
			log_bad_value(request->keys[i], "ignored");
	if (outcome->was_refused != 0 && log_allowed(&refused_limit))
		log_message(LOG_WARNING, "store", "%s refuses: %s", server, outcome->reason);
}

/* Whether values of the outcome are a client's. */
static bool has_view(const struct errand *errand)
{
	return errand->is_of_client && errand->request.kind != MESSAGE_FORGIVE;
}

static void settle(const struct errand *errand, const struct message_outcome *outcome,
		   struct store *memory, unsigned owner)
{
	struct debts debts = errand->debts;
	enum debt_step steps[DEBTS_MAX];

	/*
	 * Another host has counted the recipients that were seen before: of them there is nothing
	 * to tell.
	 */
	for (size_t i = 0; i < debts.count; i++) {
		steps[i] = (enum debt_step)outcome->counts[i];
		/* The view that came along has it. */
		if (steps[i] == DEBT_TOLD && outcome->result == MESSAGE_ANSWERED &&
		    has_view(errand))
			debts.of[i].amount = 0;
		if (i < errand->debts_each && errand->request.seen_count > 0)
			debts.of[i].amount *= errand->request.seen_count - outcome->seen_before;
	}
	debts_settle(memory, owner, &debts, steps);
}

void errand_finish(const struct errand *errand, const struct message_outcome *outcome,
		   struct store *memory, unsigned owner, const char *server)
{
	struct store_view view;

	stats_add(STAT_STORE_CALLS, outcome->calls);
	stats_add(STAT_STORE_FAILURES, outcome->failures);
	log_oddities(&errand->request, outcome, server);
	settle(errand, outcome, memory, owner);
	if (outcome->result != MESSAGE_ANSWERED || !has_view(errand))
		return;
	errand_view(errand, outcome, &view);
	memory_learn(memory, &errand->query, &view);
}

static struct tally tally_of(const struct message_outcome *outcome, size_t first)
{
	uint64_t numbers[MESSAGE_COUNTERS];

	for (size_t i = 0; i < MESSAGE_COUNTERS; i++)
		numbers[i] = outcome->values[first + i].state == MESSAGE_NUMBER
				     ? outcome->values[first + i].number
				     : 0;
	return (struct tally){numbers[0], numbers[1], numbers[2],
			      numbers[3], numbers[4], numbers[5]};
}

/* A number too small for a moment of this century is no end: the flag lasts as long as the key. */
static void view_flag(struct store_view *view, uint64_t until_s, int64_t now_s)
{
	bool has_end = until_s >= FIRST_MOMENT_S;

	view->by_hand = until_s != 0 && (!has_end || (int64_t)until_s > now_s);
	view->by_hand_until_s = view->by_hand && has_end ? (int64_t)until_s : 0;
}

void errand_view(const struct errand *errand, const struct message_outcome *outcome,
		 struct store_view *view)
{
	*view = (struct store_view){.window = errand->query.window.index};
	view->client = tally_of(outcome, CLIENT_KEYS);
	if (client_has_network(&errand->query.client))
		view->network = tally_of(outcome, NETWORK_KEYS);
	if (outcome->values[MESSAGE_FLAG_KEY].state == MESSAGE_NUMBER)
		view_flag(view, outcome->values[MESSAGE_FLAG_KEY].number,
			  window_now_s(&errand->query.window));
}
