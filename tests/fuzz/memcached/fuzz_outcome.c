/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker sends that a memcached server has taken over: any bytes, for a request of each
 * kind.
 */
#include <string.h>

#include "fuzz.h"
#include "memcached/errand.h"
#include "memcached/outcome.h"
#include "store/memory.h"

static void check_tally(const struct tally *tally)
{
	CHECK(tally->bad_now <= COUNTERS_MAX && tally->bad_previous <= COUNTERS_MAX);
	CHECK(tally->good_now <= COUNTERS_MAX && tally->good_previous <= COUNTERS_MAX);
}

static void check_view(const struct errand *errand, const struct message_outcome *outcome)
{
	const struct store_query *query = &errand->query;
	struct store_view view;

	errand_view(errand, outcome, &view);
	CHECK(view.window == query->window.index && !view.announced && !view.is_local);
	check_tally(&view.client);
	check_tally(&view.network);
	CHECK(client_has_network(&query->client) || tally_is_zero(&view.network));
	CHECK(view.by_hand_until_s == 0 ||
	      (view.by_hand && view.by_hand_until_s > window_now_s(&query->window)));
}

static struct store_query query_of(unsigned how)
{
	static const char *const addresses[] = {"192.0.2.1", "2001:db8::1"};
	bool has_network = (how & 2) == 0;
	struct client_widths widths = {.ipv4_prefix = 32,
				       .ipv4_network = has_network ? 24 : 32,
				       .ipv6_prefix = 64,
				       .ipv6_network = has_network ? 48 : 64};
	struct store_query query = {.window = window_at(INT64_C(1795219200000), 14400),
				    .key_prefix = "tarpit"};
	struct prefix address;

	CHECK(prefix_parse(addresses[how & 1], &address));
	client_identify(&address, &widths, &query.client);
	return query;
}

static void make(struct errand *errand, struct store *memory, const struct store_query *query,
		 unsigned what)
{
	const struct store_event event = {
		.side = SIDE_BAD, .amount = 100, .distinct = (what & 8) != 0, .recipient = 7};
	struct debts debts;

	switch (what % 8) {
	case 0:
		errand_probe(errand, query->key_prefix);
		break;
	case 1:
		errand_record(errand, query, &event, memory);
		break;
	case 2:
		debts_of_event(query, &event, &debts);
		errand_pay(errand, &debts, query->key_prefix, query->window.length_s);
		break;
	case 3:
		errand_flag(errand, query, window_now_s(&query->window) + 60);
		break;
	case 4:
		errand_forgive(errand, query);
		break;
	default:
		errand_look_up(errand, query);
	}
	CHECK(errand->request.keys_count <= MESSAGE_KEYS_MAX);
	CHECK(errand->request.counts_count <= MESSAGE_COUNTS_MAX);
	CHECK(errand->request.kind < MESSAGE_KINDS);
}

/* What is owed in the end is what was certainly not told. */
static void check_debts(struct store *memory, const struct errand *errand,
			const struct message_outcome *outcome)
{
	uint64_t owed = 0, not_done = 0;
	struct debts debts;

	while (debts_take(memory, 0, DEBTS_ENTRIES_MAX, &debts))
		for (size_t i = 0; i < debts.count; i++)
			owed += debts.of[i].amount;
	for (size_t i = 0; i < errand->debts.count; i++)
		not_done += outcome->counts[i] == MESSAGE_NOT_DONE ? errand->debts.of[i].amount : 0;
	CHECK(owed == (outcome->seen_before > 0 ? 0 : not_done));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct message_outcome outcome = {0};
	struct store *memory = memory_store_new(10);
	struct store_query query;
	struct errand errand;

	fuzz_begin();
	CHECK(memory != NULL);
	query = query_of(take_byte(&input));
	make(&errand, memory, &query, take_byte(&input));
	/* Of all serials one is right. */
	errand.request.serial = UINT64_C(0x0101010101010101);
	memcpy(&outcome, input.bytes,
	       input.length < sizeof(outcome) ? input.length : sizeof(outcome));
	if (outcome_is_valid(&outcome, input.length, &errand.request)) {
		CHECK(input.length == sizeof(outcome) &&
		      outcome.serial == errand.request.serial);
		errand_finish(&errand, &outcome, memory, 0, "server");
		check_debts(memory, &errand, &outcome);
		check_view(&errand, &outcome);
	}
	store_destroy(memory);
	return 0;
}
