/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session knows of its client: asks the store, adds to it, and tells of a flag once. */
#include "state.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "session/site.h"
#include "store/store.h"

/* A MAIL or a RCPT looks the client up again after this long: another host may have flagged it. */
#define VIEW_FRESH_MS 1000

/* All sessions count in the same windows, also those that are older than a reload. */
static struct window window_now(const struct session *s)
{
	const struct clock *clock = s->tarpit->clock;

	return window_at(clock->wall_ms(clock), config_box_window_s(s->tarpit->config));
}

struct store_query session_query(const struct session *s)
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

	struct circumstances circumstances = tarpit_circumstances(s->tarpit);

	circumstances.pending_good = session_credit_pending(s);
	policy_judge_view(&s->config->policy, &s->client, &s->view, &now, circumstances, st);
}

void session_view_judge_fresh(struct session *s, struct standing *st)
{
	const struct journal *journal = s->tarpit->journal;
	enum announcement before = s->view.announced, now;
	struct journal_client client;

	s->viewed_ms = session_mono_ms(s);
	judge(s, st);
	now = !st->flagged ? ANNOUNCED_NOTHING : st->by_siege ? ANNOUNCED_SIEGE : ANNOUNCED_FLAG;
	/* Credit that is pending may be lost again with its transaction. */
	if (now == ANNOUNCED_NOTHING && session_credit_pending(s) > 0)
		return;
	s->view.announced = now;
	if (now == before || !store_announce(s->tarpit->store, &s->client.key, now) || now < before)
		return;
	client = session_journal_client(s);
	journal->flagged(journal, &client, st, policy_delay_ms(&s->config->policy, st, 0));
	session_gateway_flagged(s);
	/* One that went by what it knew before would tell by its speed which recipients exist. */
	open_sessions_mark(s->tarpit->peers, &s->client.key, &s->peer);
}

void session_view_look_up(struct session *s, struct standing *st)
{
	struct store_query query = session_query(s);

	store_lookup(s->tarpit->store, &query, &s->view);
	session_view_judge_fresh(s, st);
}

void session_view_judge(struct session *s, struct standing *st)
{
	if (atomic_exchange(&s->peer.is_marked, false))
		session_view_look_up(s, st);
	else
		judge(s, st);
}

void session_view_outdate(struct session *s)
{
	atomic_store(&s->peer.is_marked, true);
}

void session_view_expire(struct session *s)
{
	if (s->viewed_ms < 0 || session_mono_ms(s) - s->viewed_ms > VIEW_FRESH_MS)
		session_view_outdate(s);
}

void session_view_forget(struct session *s)
{
	s->view = (struct store_view){.window = s->view.window};
	s->viewed_ms = -1;
}

/* One whose address is too long to be kept whole counts each time. */
static void identify(const struct session *s, const struct address *recipient,
		     struct store_event *event)
{
	if (!recipient->is_whole || !s->config->count_distinct)
		return;
	event->distinct = true;
	event->recipient = hash_recipient(s->config->key_prefix, event->side, recipient->text);
}

/*
 * A stranger's counts against the site, too, before it is judged; not of one that was flagged
 * before for what it has done itself, or a single harvester would put the site under siege.
 */
static void note_offence(const struct session *s, uint64_t amount, const struct standing *before)
{
	const struct clock *clock = s->tarpit->clock;
	struct siege_settings settings = site_settings(s->config);

	if (!before->has_credit && (!before->flagged || before->by_siege))
		site_offence(s->tarpit->site, &settings, amount, clock->wall_ms(clock));
}

uint64_t session_view_record(struct session *s, struct store_event event,
			     const struct address *recipient, struct standing *st)
{
	struct store_query query = session_query(s);
	struct standing before;
	bool counted;

	if (event.amount == 0) {
		judge(s, st);
		return 0;
	}
	if (event.side == SIDE_BAD)
		judge(s, &before);
	if (recipient != NULL)
		identify(s, recipient, &event);
	counted = store_record(s->tarpit->store, &query, &event, &s->view);
	if (counted && event.side == SIDE_BAD)
		note_offence(s, event.amount, &before);
	session_view_judge_fresh(s, st);
	return counted ? event.amount : 0;
}

struct circumstances tarpit_circumstances(const struct tarpit *tarpit)
{
	return (struct circumstances){.in_siege = site_in_siege(tarpit->site)};
}
