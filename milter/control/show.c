/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that only look. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "request.h"
#include "config.h"
#include "judge/exempt.h"
#include "judge/explain.h"
#include "session/open_sessions.h"
#include "session/stall.h"
#include "judge/policy.h"
#include "base/stats.h"

#define LIST_DEFAULT 20
/* Answers are bounded, budgets hardly. */
#define STALLS_MAX 1000

/* What a walk over all clients finds: how many there are, and the worst of them. */
struct walk {
	struct request *request;
	struct window now;
	size_t clients, flagged;
	struct worst *heap; /* the least bad first; NULL if only numbers are asked for */
	size_t count, room;
};

struct worst {
	struct client client;
	struct store_view view;
	struct standing standing;
};

/* Exempt ones have a flag by hand at most, and are not flagged. */
static int rank(const struct standing *standing)
{
	return standing->flagged + (standing->flagged && standing->by_hand);
}

/* Less than 0 if a is worse. Ties are broken by the client, so that lists don't jump about. */
static int compare(const struct worst *a, const struct worst *b)
{
	int a_rank = rank(&a->standing), b_rank = rank(&b->standing);

	if (a_rank != b_rank)
		return b_rank - a_rank;
	if (a->standing.effective_score > b->standing.effective_score)
		return -1;
	if (a->standing.effective_score < b->standing.effective_score)
		return 1;
	return memcmp(&a->client.key, &b->client.key, sizeof(a->client.key));
}

static int compare_worst(const void *a, const void *b)
{
	return compare(a, b);
}

static void swap(struct worst *a, struct worst *b)
{
	struct worst kept = *a;

	*a = *b;
	*b = kept;
}

static void sift_up(struct worst *heap, size_t at)
{
	for (; at > 0 && compare(&heap[at], &heap[(at - 1) / 2]) > 0; at = (at - 1) / 2)
		swap(&heap[at], &heap[(at - 1) / 2]);
}

static void sift_down(struct worst *heap, size_t count, size_t at)
{
	for (;;) {
		size_t next = 2 * at + 1;

		if (next + 1 < count && compare(&heap[next + 1], &heap[next]) > 0)
			next++;
		if (next >= count || compare(&heap[next], &heap[at]) <= 0)
			return;
		swap(&heap[next], &heap[at]);
		at = next;
	}
}

static void visit(const struct client *client, const struct store_view *view, void *arg)
{
	struct walk *walk = arg;
	struct worst one = {.client = *client, .view = *view};

	policy_judge_view(&walk->request->config->policy, client, view, &walk->now, &one.standing);
	if (one.standing.bad <= 0 && !one.standing.by_hand)
		return;
	/* It may have been exempted since. */
	if (exempt_has_client(walk->request->config->exempt, &client->key, NULL))
		one.standing.flagged = false;
	walk->clients++;
	walk->flagged += one.standing.flagged;
	if (walk->count < walk->room) {
		walk->heap[walk->count] = one;
		sift_up(walk->heap, walk->count++);
	} else if (walk->room > 0 && compare(&one, &walk->heap[0]) < 0) {
		walk->heap[0] = one;
		sift_down(walk->heap, walk->count, 0);
	}
}

static void walk_all(struct walk *walk)
{
	const struct request *r = walk->request;
	struct store *store = r->tarpit->store;

	walk->now = command_now(r);
	store_each(store, &r->config->widths, &walk->now, visit, walk);
}

struct server_list {
	struct request *request;
	json_t *array;
};

static void visit_server(const char *server, bool is_up, void *arg)
{
	struct server_list *list = arg;
	json_t *row = json_object();

	command_put_text(list->request, row, "server", server);
	command_put_text(list->request, row, "state", is_up ? "up" : "down");
	command_append(list->request, list->array, row);
}

static void put_store(struct request *r)
{
	struct store *store = r->tarpit->store;
	struct server_list list = {.request = r, .array = json_array()};

	command_put_text(r, r->answer, "store", r->config->use_memcached ? "memcached" : "memory");
	command_put_text(r, r->answer, "store_state", store_state(store));
	store_servers(store, visit_server, &list);
	command_put(r, r->answer, "servers", list.array);
}

static void put_mode(struct request *r)
{
	command_put_text(r, r->answer, "mode", r->config->observe ? "observe" : "enforce");
}

void command_status(struct request *r)
{
	struct tarpit *tarpit = r->tarpit;
	struct walk walk = {.request = r};
	int64_t uptime_ms = tarpit->clock->mono_ms(tarpit->clock) - r->host->started_ms;
	json_t *counters = json_object();

	command_put_text(r, r->answer, "version", PACKAGE_VERSION);
	command_put_integer(r, r->answer, "uptime_s", uptime_ms / 1000);
	put_mode(r);
	put_store(r);
	command_put_integer(r, r->answer, "sessions", atomic_load(&tarpit->open_sessions));
	command_put_integer(r, r->answer, "max_sessions", tarpit->max_sessions);
	command_put_integer(r, r->answer, "stalls", stalls_active(tarpit->stalls));
	command_put_integer(r, r->answer, "max_stalls", stalls_budget(tarpit->stalls));
	walk_all(&walk);
	command_put_integer(r, r->answer, "clients", (int64_t)walk.clients);
	command_put_integer(r, r->answer, "flagged", (int64_t)walk.flagged);
	for (enum stats_counter c = 0; c < STAT_COUNT; c++)
		command_put_integer(r, counters, stats_name(c), (int64_t)stats_get(c));
	command_put(r, r->answer, "counters", counters);
}

static json_t *stall_row(struct request *r, const struct stall_row *stall)
{
	int64_t remains_ms = stall->delay_ms - stall->waited_ms;
	char text[PREFIX_TEXT_MAX];
	json_t *row = json_object();

	command_put_text(r, row, "client", prefix_format_address(&stall->address, text));
	command_put_text(r, row, "key", prefix_format(&stall->client, text));
	command_put_text(r, row, "stage", stall->stage);
	command_put_integer(r, row, "delay_ms", stall->delay_ms);
	command_put_integer(r, row, "waited_ms", stall->waited_ms);
	command_put_integer(r, row, "remains_ms", remains_ms > 0 ? remains_ms : 0);
	command_put_real(r, row, "score", stall->score);
	return row;
}

void command_stalls(struct request *r)
{
	struct stalls *stalls = r->tarpit->stalls;
	struct stall_row *rows = calloc(STALLS_MAX, sizeof(*rows));
	json_t *array = json_array();
	size_t count;

	if (rows == NULL) {
		r->lacks_memory = true;
		json_decref(array);
		return;
	}
	command_put_integer(r, r->answer, "active", stalls_active(stalls));
	command_put_integer(r, r->answer, "max_stalls", stalls_budget(stalls));
	count = stalls_list(stalls, rows, STALLS_MAX);
	for (size_t i = 0; i < count; i++)
		command_append(r, array, stall_row(r, &rows[i]));
	command_put(r, r->answer, "stalls", array);
	free(rows);
}

/* What a list and show have in common. */
static void put_entry(struct request *r, json_t *row, const struct client *client,
		      const struct store_view *view, const struct standing *st)
{
	const struct policy *policy = &r->config->policy;
	char text[PREFIX_TEXT_MAX];

	command_put_text(r, row, "client", prefix_format(&client->key, text));
	command_put_real(r, row, "bad", st->bad);
	command_put_real(r, row, "good", st->good);
	command_put_real(r, row, "score", st->score);
	command_put_real(r, row, "effective_score", st->effective_score);
	command_put(r, row, "network",
		    client_has_network(client) ? command_text(prefix_format(&client->network, text))
					       : json_null());
	command_put_real(r, row, "network_score", st->network_score);
	command_put(r, row, "flagged", json_boolean(st->flagged));
	command_put(r, row, "by_hand", json_boolean(st->by_hand));
	command_put(r, row, "by_hand_until",
		    st->by_hand && view->by_hand_until_s > 0 ? json_integer(view->by_hand_until_s)
							     : json_null());
	command_put_integer(r, row, "delay_ms", st->flagged ? policy_delay_ms(policy, st, 0) : 0);
	command_put_integer(r, row, "sessions", open_sessions_count(r->tarpit->peers, &client->key));
}

/* Sets "exempt"; whether it is. rule_text holds PREFIX_TEXT_MAX. */
static bool put_exempt(struct request *r, json_t *row, const struct prefix *client, char *rule_text)
{
	struct prefix rule;
	json_t *object;

	if (!exempt_has_client(r->config->exempt, client, &rule)) {
		command_put(r, row, "exempt", json_null());
		return false;
	}
	object = json_object();
	command_put_text(r, object, "key", "exempt_clients");
	command_put_text(r, object, "rule", prefix_format(&rule, rule_text));
	command_put(r, row, "exempt", object);
	return true;
}

void command_list(struct request *r)
{
	struct walk walk = {.request = r, .room = r->number > 0 ? (size_t)r->number : LIST_DEFAULT};
	char rule[PREFIX_TEXT_MAX];
	json_t *array = json_array();

	walk.heap = calloc(walk.room, sizeof(*walk.heap));
	if (walk.heap == NULL) {
		r->lacks_memory = true;
		json_decref(array);
		return;
	}
	walk_all(&walk);
	qsort(walk.heap, walk.count, sizeof(*walk.heap), compare_worst);
	for (size_t i = 0; i < walk.count; i++) {
		const struct worst *one = &walk.heap[i];
		json_t *row = json_object();

		put_exempt(r, row, &one->client.key, rule);
		put_entry(r, row, &one->client, &one->view, &one->standing);
		command_append(r, array, row);
	}
	command_put_integer(r, r->answer, "clients_total", (int64_t)walk.clients);
	command_put(r, r->answer, "clients", array);
	free(walk.heap);
}

static void put_arithmetic(struct request *r, const struct store_view *view,
			   const struct window *now, const struct standing *st)
{
	const struct policy *policy = &r->config->policy;
	struct tally network = view->network;
	struct standing around;

	tally_roll(&network, view->window, now->index);
	policy_judge(policy, &network, NULL, now->elapsed, false, &around);
	command_put_integer(r, r->answer, "window_s", r->config->window_s);
	command_put_real(r, r->answer, "threshold", policy->threshold);
	command_put_real(r, r->answer, "good_credit", policy->good_credit);
	command_put_real(r, r->answer, "network_bad", around.bad);
	command_put_real(r, r->answer, "network_good", around.good);
	command_put_real(r, r->answer, "network_threshold", policy->network_threshold);
	command_put(r, r->answer, "network_dirty", json_boolean(st->network_dirty));
	command_put_integer(r, r->answer, "delay_min_ms", policy->delay_min_ms);
	command_put_integer(r, r->answer, "delay_max_ms", policy->delay_max_ms);
}

static int64_t count_stalls(const struct request *r)
{
	struct stall_row *rows = calloc(STALLS_MAX, sizeof(*rows));
	size_t count = rows != NULL ? stalls_list(r->tarpit->stalls, rows, STALLS_MAX) : 0;
	int64_t stalls = 0;

	for (size_t i = 0; i < count; i++)
		stalls += prefix_equal(&rows[i].client, &r->client.key);
	free(rows);
	return stalls;
}

static void put_explanation(struct request *r, const struct store_view *view,
			    const struct standing *st, const char *exempt_rule)
{
	char network[PREFIX_TEXT_MAX], text[EXPLAIN_MAX];

	if (exempt_rule != NULL)
		snprintf(text, sizeof(text), "exempt (exempt_clients has %s): never slowed",
			 exempt_rule);
	else
		explain_standing(&r->config->policy, st, r->config->window_s,
				 client_has_network(&r->client)
					 ? prefix_format(&r->client.network, network)
					 : NULL,
				 view->by_hand_until_s, text);
	command_put_text(r, r->answer, "explanation", text);
}

/* Whether all is known that any host knows. */
static void put_shared(struct request *r, bool is_shared)
{
	command_put(r, r->answer, "shared", json_boolean(is_shared));
	if (is_shared)
		return;
	command_put_integer(r, r->answer, "status", STATUS_REFUSED);
	command_put_text(r, r->answer, "warning",
			 "memcached did not answer: this is what this host knows");
}

void command_show(struct request *r)
{
	struct store *store = r->tarpit->store;
	struct store_query query = command_query(r);
	char text[PREFIX_TEXT_MAX], rule[PREFIX_TEXT_MAX];
	struct store_view view;
	struct standing st;
	bool is_exempt, is_known;

	store_lookup(store, &query, &view);
	policy_judge_view(&r->config->policy, &r->client, &view, &query.window, &st);
	command_put_text(r, r->answer, "address", prefix_format_address(&r->client.address, text));
	/* A prefix is exempt if a rule has all of it. */
	is_exempt = put_exempt(r, r->answer, &r->prefix, rule);
	/* Whatever its counts, nothing will happen to it. */
	if (is_exempt)
		st.flagged = false;
	is_known = is_exempt || command_is_remembered(&view) ||
		   open_sessions_count(r->tarpit->peers, &r->client.key) > 0;
	command_put(r, r->answer, "known", json_boolean(is_known));
	put_entry(r, r->answer, &r->client, &view, &st);
	put_arithmetic(r, &view, &query.window, &st);
	command_put_integer(r, r->answer, "stalls", count_stalls(r));
	put_mode(r);
	put_explanation(r, &view, &st, is_exempt ? rule : NULL);
	put_shared(r, !view.is_local);
	if (!is_known)
		command_put_integer(r, r->answer, "status", STATUS_REFUSED);
}
