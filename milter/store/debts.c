/* SPDX-License-Identifier: BSD-2-Clause */
/* Decides who owes a count: this host, or nobody. */
#include "store/debts.h"

#include "store/memory.h"

/* Each has two windows and three sides. */
_Static_assert(DEBTS_ENTRIES_MAX * 6 <= DEBTS_MAX, "there must be room");

/* What a rejected recipient adds at weight 1. Hundredths. */
#define OFFENCE 100

static void add(struct debts *debts, const struct memory_debt *owed, int64_t window, enum side side,
		uint64_t amount)
{
	if (amount > 0)
		debts->of[debts->count++] = (struct debt){
			.prefix = owed->prefix,
			.is_network = owed->is_network,
			.window = window,
			.side = side,
			.amount = amount,
		};
}

static void add_all(struct debts *debts, const struct memory_debt *owed)
{
	add(debts, owed, owed->window, SIDE_BAD, owed->owed.bad_now);
	add(debts, owed, owed->window - 1, SIDE_BAD, owed->owed.bad_previous);
	add(debts, owed, owed->window, SIDE_GOOD, owed->owed.good_now);
	add(debts, owed, owed->window - 1, SIDE_GOOD, owed->owed.good_previous);
	add(debts, owed, owed->window, SIDE_PASSED, owed->owed.passed_now);
	add(debts, owed, owed->window - 1, SIDE_PASSED, owed->owed.passed_previous);
}

void debts_of_event(const struct store_query *query, const struct store_event *event,
		    struct debts *debts)
{
	struct memory_debt owed = {.prefix = query->client.key, .window = query->window.index};

	debts->count = 0;
	tally_count(&owed.owed, event->side, event->amount);
	add_all(debts, &owed);
	if (!client_has_network(&query->client))
		return;
	owed.prefix = query->client.network;
	owed.is_network = true;
	add_all(debts, &owed);
}

void debts_of_known(const struct memory_debt *known, struct debts *debts)
{
	debts->count = 0;
	add_all(debts, known);
}

void debts_take_history(struct store *memory, const struct store_query *query, struct debts *debts)
{
	struct memory_debt client = {.prefix = query->client.key, .window = query->window.index};
	struct memory_debt network = {
		.prefix = query->client.network, .is_network = true, .window = query->window.index};

	memory_take_history(memory, query, &client.owed, &network.owed);
	add_all(debts, &client);
	add_all(debts, &network);
}

bool debts_take(struct store *memory, unsigned owner, unsigned entries, struct debts *debts)
{
	struct memory_debt owed;

	debts->count = 0;
	for (; entries > 0 && memory_take_debt(memory, owner, &owed); entries--)
		add_all(debts, &owed);
	return debts->count > 0;
}

bool debts_take_one(struct store *memory, unsigned owner, struct debts *debts)
{
	const enum debt_step untold[DEBTS_MAX] = {DEBT_NOT_TOLD};
	struct debts rest;
	uint64_t amount;

	if (!debts_take(memory, owner, 1, debts))
		return false;
	rest = *debts;
	amount = debts->of[0].amount < OFFENCE ? debts->of[0].amount : OFFENCE;
	rest.of[0].amount -= amount;
	if (rest.of[0].amount == 0)
		rest.of[0] = rest.of[--rest.count];
	debts->count = 1;
	debts->of[0].amount = amount;
	debts_settle(memory, owner, &rest, untold);
	return true;
}

void debts_settle(struct store *memory, unsigned owner, const struct debts *debts,
		  const enum debt_step *steps)
{
	for (size_t i = 0; i < debts->count; i++) {
		const struct debt *debt = &debts->of[i];
		struct memory_debt owed = {.prefix = debt->prefix,
					   .is_network = debt->is_network,
					   .window = debt->window};

		if (debt->amount == 0)
			continue;
		tally_count(&owed.owed, debt->side, debt->amount);
		if (steps[i] == DEBT_NOT_TOLD)
			memory_return_debt(memory, owner, &owed);
		else
			memory_settle_debt(memory, &owed);
	}
}
