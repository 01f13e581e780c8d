/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session knows of its client: asks the store, adds to it, and tells of a flag once. */
#include "state.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "store/store.h"

/* A MAIL looks the client up again after this long. */
#define VIEW_FRESH_MS 1000

/* All sessions count in the same windows, also those that are older than a reload. */
static struct window window_now(const struct session *s)
{
	const struct clock *clock = s->tarpit->clock;

	return window_at(clock->wall_ms(clock), config_box_window_s(s->tarpit->config));
}

static struct store_query query_now(const struct session *s)
{
	return (struct store_query){
		.client = s->client,
		.window = window_now(s),
		.key_prefix = s->config->key_prefix,
	};
}

static void judge(const struct session *s, struct standing *st)
{
	struct window now = window_now(s);

	policy_judge_view(&s->config->policy, &s->client, &s->view, &now, st);
}

/* Judges a view that has just come from the store; the first that flags the client is told to the journal. */
static void judge_fresh(struct session *s, struct standing *st)
{
	const struct journal *journal = s->tarpit->journal;

	s->viewed_ms = session_mono_ms(s);
	judge(s, st);
	if (st->flagged == s->view.announced)
		return;
	s->view.announced = st->flagged;
	if (store_announce(s->tarpit->store, &s->client.key, st->flagged) && st->flagged) {
		struct journal_client client = session_journal_client(s);

		journal->flagged(journal, &client, st, policy_delay_ms(&s->config->policy, st, 0));
	}
}

void session_view_look_up(struct session *s, struct standing *st)
{
	struct store_query query = query_now(s);

	store_lookup(s->tarpit->store, &query, &s->view);
	judge_fresh(s, st);
}

void session_view_judge(struct session *s, struct standing *st)
{
	if (atomic_exchange(&s->peer.is_marked, false))
		session_view_look_up(s, st);
	else
		judge(s, st);
}

void session_view_expire(struct session *s)
{
	if (s->viewed_ms < 0 || session_mono_ms(s) - s->viewed_ms > VIEW_FRESH_MS)
		atomic_store(&s->peer.is_marked, true);
}

void session_view_forget(struct session *s)
{
	s->view = (struct store_view){.window = s->view.window};
	s->viewed_ms = -1;
}

uint64_t session_view_record(struct session *s, enum side side, uint64_t amount,
			     const char *recipient, struct standing *st)
{
	struct store_query query = query_now(s);
	struct store_event event = {.side = side, .amount = amount};
	bool counted;

	if (amount == 0) {
		judge(s, st);
		return 0;
	}
	if (recipient != NULL && s->config->count_distinct) {
		event.distinct = true;
		event.recipient = hash_recipient(s->config->key_prefix, side, recipient);
	}
	counted = store_record(s->tarpit->store, &query, &event, &s->view);
	judge_fresh(s, st);
	return counted ? amount : 0;
}
