/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names the flagged clients that somebody else may hold off, a page at a time. Whoever holds them
 * off knows less than a session does, so clients that a session would not refuse are left out.
 */
#include "export.h"

#include <stdlib.h>

#include "control/frame.h"
#include "judge/exempt.h"
#include "judge/forecast.h"
#include "judge/policy.h"
#include "request.h"

/* The longest row: {"client":"...","remains_s":2419200,"by_hand":false,"score":...}, and a comma. */
#define ROW_MAX (PREFIX_TEXT_MAX + 100)
_Static_assert(1000 + EXPORT_MAX * ROW_MAX < FRAME_REPLY_MAX, "a page is one answer");

struct exported {
	struct prefix key;
	int64_t remains_s;
	bool by_hand;
	double score;
};

/* What a walk over all clients finds: the first that come after a prefix. */
struct page {
	struct request *request;
	struct window now;
	size_t wanted;
	struct exported *rows; /* room for twice as many as are wanted */
	size_t count;
	bool is_full; /* the first `wanted` are in order, and there are more behind them */
};

static int compare(const void *left, const void *right)
{
	const struct exported *a = left, *b = right;

	return prefix_compare(&a->key, &b->key);
}

static void keep_first(struct page *page)
{
	qsort(page->rows, page->count, sizeof(*page->rows), compare);
	if (page->count <= page->wanted)
		return;
	page->count = page->wanted;
	page->is_full = true;
}

/* Whether a session judges a client by this prefix: a reload may have changed how wide one is. */
static bool is_key(const struct config *config, const struct prefix *key)
{
	return key->bits ==
	       (key->family == 4 ? config->widths.ipv4_prefix : config->widths.ipv6_prefix);
}

/*
 * Whether a session of the client would be refused, as far as an address tells. One that has credit
 * delivers mail; but an administrator's flag is meant. Of a client of which a part is exempt no
 * address is named.
 */
static bool may_be_held_off(const struct config *config, const struct client *client,
			    const struct standing *st)
{
	if (!st->flagged || !is_key(config, &client->key))
		return false;
	if (!st->by_hand && policy_is_protected(st, config->pass_limit))
		return false;
	return !exempt_touches(config->exempt, &client->key);
}

static void visit_client(const struct client *client, const struct store_view *view, void *arg)
{
	struct page *page = arg;
	const struct request *r = page->request;
	struct exported one = {.key = client->key};
	struct standing st;

	if (r->after.family != 0 && prefix_compare(&one.key, &r->after) <= 0)
		return;
	/* Whom nothing but a siege has flagged may be any newcomer: so there is none. */
	policy_judge_view(&r->config->policy, client, view, &page->now, (struct circumstances){0},
			  &st);
	if (!may_be_held_off(r->config, client, &st))
		return;
	if (page->is_full && compare(&one, &page->rows[page->wanted - 1]) > 0)
		return;
	one.remains_s = forecast_flagged_s(&r->config->policy, client, view, &page->now);
	one.by_hand = st.by_hand;
	one.score = st.effective_score;
	if (one.remains_s == 0)
		return;
	page->rows[page->count++] = one;
	if (page->count == 2 * page->wanted)
		keep_first(page);
}

static json_t *row_of(struct request *r, const struct exported *one)
{
	char text[PREFIX_TEXT_MAX];
	json_t *row = json_object();

	request_put_text(r, row, "client", prefix_format(&one->key, text));
	request_put_integer(r, row, "remains_s", one->remains_s);
	request_put(r, row, "by_hand", json_boolean(one->by_hand));
	request_put_real(r, row, "score", one->score);
	return row;
}

void export_clients(struct request *r)
{
	struct page page = {.request = r,
			    .now = request_window(r),
			    .wanted = r->number > 0 ? (size_t)r->number : EXPORT_MAX};
	json_t *array = json_array();

	page.rows = calloc(2 * page.wanted, sizeof(*page.rows));
	if (page.rows == NULL) {
		r->lacks_memory = true;
		json_decref(array);
		return;
	}
	store_each(r->tarpit->store, &r->config->widths, &page.now, visit_client, &page);
	keep_first(&page);
	/* The walk shows a client twice that was forgotten and came back meanwhile. */
	for (size_t i = 0; i < page.count; i++)
		if (i == 0 || compare(&page.rows[i - 1], &page.rows[i]) != 0)
			request_append(r, array, row_of(r, &page.rows[i]));
	request_put_text(r, r->answer, "mode", r->config->observe ? "observe" : "enforce");
	request_put(r, r->answer, "clients", array);
	request_put(r, r->answer, "more", json_boolean(page.is_full));
	free(page.rows);
}
