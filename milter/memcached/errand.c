/* SPDX-License-Identifier: BSD-2-Clause */
#include "errand.h"

#include <syslog.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/memory.h"
#include "base/stats.h"

static struct log_limit refused_limit;

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Returns the moment. */
static int64_t begin_call(void)
{
	stats_add(STAT_STORE_CALLS, 1);
	return now_us();
}

static enum link_result end_call(struct errand_worker *worker, int64_t began_us,
				 enum link_result result)
{
	stats_observe(HISTOGRAM_STORE, now_us() - began_us);
	if (result != LINK_OK)
		stats_add(STAT_STORE_FAILURES, 1);
	if (result == LINK_REFUSED && log_allowed(&refused_limit))
		log_message(LOG_WARNING, "store", "%s refuses: %s", worker->server,
			    link_error(worker->link));
	return result;
}

static enum link_result call_fetch(struct errand_worker *worker, struct errand *errand)
{
	int64_t began_us = begin_call();

	return end_call(worker, began_us, link_fetch(worker->link, &errand->query, &errand->view));
}

static enum link_result call_see(struct errand_worker *worker, struct errand *errand)
{
	int64_t began_us = begin_call();

	return end_call(
		worker, began_us,
		link_see(worker->link, &errand->query, errand->event.recipient, &errand->counted));
}

static enum link_result call_count(struct errand_worker *worker, const struct errand *errand,
				   const struct prefix *prefix)
{
	const struct window *window = &errand->query.window;
	int64_t began_us = begin_call();

	return end_call(worker, began_us,
			link_count(worker->link, errand->query.key_prefix, prefix, window->index,
				   errand->event.side, errand->event.amount, window->length_s));
}

/* Counts an event for a client or its network, or notes that this is still to be done. */
static enum link_result tell_counter(struct errand_worker *worker, const struct errand *errand,
				     bool is_network, bool may_call)
{
	struct memory_debt debt = {
		.prefix = is_network ? errand->query.client.network : errand->query.client.key,
		.is_network = is_network,
		.window = errand->query.window.index,
	};
	enum link_result result = LINK_REFUSED;

	tally_count(&debt.owed, errand->event.side, errand->event.amount);
	if (may_call)
		result = call_count(worker, errand, &debt.prefix);
	/* One without an answer may have been counted: telling it again could count it twice. */
	if (result == LINK_OK || result == LINK_FAILED)
		memory_settle_debt(worker->memory, &debt);
	else
		memory_return_debt(worker->memory, worker->number, &debt);
	return result;
}

/* Counts an event. False if the server failed; what it was not told is owed to it then. */
static bool tell(struct errand_worker *worker, struct errand *errand)
{
	bool may_call = worker->link != NULL;
	enum link_result result = may_call ? LINK_OK : LINK_UNREACHED;

	errand->counted = true;
	if (may_call && errand->event.distinct)
		result = call_see(worker, errand);
	if (result == LINK_OK && !errand->counted)
		return true;
	may_call = !link_is_broken(result);
	result = tell_counter(worker, errand, false, may_call);
	may_call = may_call && !link_is_broken(result);
	if (client_has_network(&errand->query.client)) {
		result = tell_counter(worker, errand, true, may_call);
		may_call = may_call && !link_is_broken(result);
	}
	return may_call;
}

/* What an administrator has asked for: many round trips. */
static bool obey(struct errand_worker *worker, struct errand *errand)
{
	enum link_result result;

	if (worker->link == NULL)
		return false;
	if (errand->kind == ERRAND_FLAG)
		result = link_flag(worker->link, &errand->query, errand->until_s);
	else
		result = link_forgive(worker->link, &errand->query);
	stats_add(STAT_STORE_CALLS, 1);
	if (result != LINK_OK)
		stats_add(STAT_STORE_FAILURES, 1);
	errand->obeyed = result == LINK_OK;
	return !link_is_broken(result);
}

bool errand_run(struct errand_worker *worker, struct errand *errand)
{
	if (errand->kind == ERRAND_FLAG || errand->kind == ERRAND_FORGIVE)
		return obey(worker, errand);
	if (errand->kind == ERRAND_RECORD && !tell(worker, errand))
		return false;
	if (worker->link == NULL || call_fetch(worker, errand) != LINK_OK)
		return false;
	memory_learn(worker->memory, &errand->query, &errand->view);
	return true;
}

static enum link_result pay_side(struct link *link, const char *key_prefix, uint32_t window_s,
				 const struct memory_debt *debt, int64_t window, enum side side,
				 uint64_t amount)
{
	return amount == 0 ? LINK_OK
			   : link_count(link, key_prefix, &debt->prefix, window, side, amount,
					window_s);
}

/* Pays one debt counter by counter. What was not paid, or refused, stays in debt. */
static enum link_result pay(struct link *link, const char *key_prefix, uint32_t window_s,
			    struct memory_debt *debt)
{
	struct {
		int64_t window;
		enum side side;
		uint64_t *amount;
	} parts[] = {
		{debt->window, SIDE_BAD, &debt->owed.bad_now},
		{debt->window - 1, SIDE_BAD, &debt->owed.bad_previous},
		{debt->window, SIDE_GOOD, &debt->owed.good_now},
		{debt->window - 1, SIDE_GOOD, &debt->owed.good_previous},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		enum link_result result =
			pay_side(link, key_prefix, window_s, debt, parts[i].window, parts[i].side,
				 *parts[i].amount);

		/* Without an answer it may have been counted: see tell_counter. */
		if (result == LINK_OK || result == LINK_FAILED)
			*parts[i].amount = 0;
		if (result != LINK_OK)
			return result;
	}
	return LINK_OK;
}

bool errand_pay_debts(struct errand_worker *worker, const char *key_prefix, uint32_t window_s,
		      int64_t until_ms)
{
	struct store *memory = worker->memory;
	struct memory_debt debt, paid;
	enum link_result result = LINK_OK;

	while (result == LINK_OK && clock_system.mono_ms(&clock_system) < until_ms &&
	       memory_take_debt(memory, worker->number, &debt)) {
		paid = debt;
		result = pay(worker->link, key_prefix, window_s, &debt);
		tally_subtract(&paid.owed, &debt.owed);
		memory_settle_debt(memory, &paid);
		if (!tally_is_zero(&debt.owed))
			memory_return_debt(memory, worker->number, &debt);
	}
	return !link_is_broken(result);
}
