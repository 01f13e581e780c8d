/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that change nothing: status, stalls, list and show. */
#include "show.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "config.h"
#include "judge/exempt.h"
#include "judge/explain.h"
#include "judge/mta_kind.h"
#include "judge/policy.h"
#include "request.h"
#include "session/gateway.h"
#include "session/open_sessions.h"
#include "session/site.h"
#include "session/stall.h"

#define LIST_DEFAULT 20
/* max_stalls may be larger than the rows that fit into an answer. */
#define STALLS_MAX 1000

/* --- all clients --------------------------------------------------------------------------- */

struct worst {
	struct client client;
	struct store_view view;
	struct standing standing;
};

/* What a walk over all clients finds: how many there are, and the worst of them. */
struct walk {
	struct request *request;
	struct window now;
	size_t clients, flagged;
	size_t wanted; /* of the worst; 0: only the numbers */
	struct worst *worst; /* room for twice as many as are wanted */
	size_t count;
	bool is_sorted; /* the first `wanted` are in order, and the worst of those seen by then */
};

/* A flag by hand before other flags; an exempt client has no rank, whatever its flag. */
static int rank(const struct standing *standing)
{
	return standing->flagged + (standing->flagged && standing->by_hand);
}

/* Less than 0 if left is worse. Ties are broken by the address, so that lists don't jump. */
static int compare(const void *left, const void *right)
{
	const struct worst *a = left, *b = right;
	int a_rank = rank(&a->standing), b_rank = rank(&b->standing);

	if (a_rank != b_rank)
		return b_rank - a_rank;
	if (a->standing.effective_score > b->standing.effective_score)
		return -1;
	if (a->standing.effective_score < b->standing.effective_score)
		return 1;
	return memcmp(&a->client.key, &b->client.key, sizeof(a->client.key));
}

static void keep_worst(struct walk *walk)
{
	qsort(walk->worst, walk->count, sizeof(*walk->worst), compare);
	walk->is_sorted = walk->count >= walk->wanted;
	if (walk->count > walk->wanted)
		walk->count = walk->wanted;
}

static void visit_client(const struct client *client, const struct store_view *view, void *arg)
{
	struct walk *walk = arg;
	const struct config *config = walk->request->config;
	struct worst one = {.client = *client, .view = *view};

	policy_judge_view(&config->policy, client, view, &walk->now,
			  tarpit_circumstances(walk->request->tarpit), &one.standing);
	if (one.standing.bad <= 0 && !one.standing.by_hand)
		return;
	/* The configuration may exempt a client that was flagged before. */
	if (exempt_has_client(config->exempt, &client->key, NULL))
		one.standing.flagged = false;
	walk->clients++;
	walk->flagged += one.standing.flagged;
	if (walk->wanted == 0 ||
	    (walk->is_sorted && compare(&one, &walk->worst[walk->wanted - 1]) > 0))
		return;
	walk->worst[walk->count++] = one;
	if (walk->count == 2 * walk->wanted)
		keep_worst(walk);
}

static void walk_all(struct walk *walk)
{
	const struct request *r = walk->request;

	walk->now = request_window(r);
	store_each(r->tarpit->store, &r->config->widths, &walk->now, visit_client, walk);
}

/* --- status -------------------------------------------------------------------------------- */

struct server_list {
	struct request *request;
	json_t *array;
};

static void visit_server(const char *server, bool is_up, void *arg)
{
	struct server_list *list = arg;
	json_t *row = json_object();

	request_put_text(list->request, row, "server", server);
	request_put_text(list->request, row, "state", is_up ? "up" : "down");
	request_append(list->request, list->array, row);
}

static void put_store(struct request *r)
{
	struct store *store = r->tarpit->store;
	struct server_list list = {.request = r, .array = json_array()};

	request_put_text(r, r->answer, "store", r->config->use_memcached ? "memcached" : "memory");
	request_put_text(r, r->answer, "store_state", store_state(store));
	store_servers(store, visit_server, &list);
	request_put(r, r->answer, "servers", list.array);
}

static void put_mode(struct request *r)
{
	request_put_text(r, r->answer, "mode", r->config->observe ? "observe" : "enforce");
}

static void put_mta(struct request *r)
{
	enum mta_finding finding = (enum mta_finding)atomic_load(&r->tarpit->mta);
	json_t *object = json_object();

	request_put_text(r, object, "kind", mta_kind_name(mta_kind_of(finding)));
	request_put_text(r, object, "why", mta_finding_text(finding));
	request_put(r, r->answer, "mta", object);
}

static void put_siege(struct request *r)
{
	struct siege_settings settings = site_settings(r->config);
	const struct clock *clock = r->tarpit->clock;
	json_t *object = json_object();
	struct siege_state state;

	site_state(r->tarpit->site, &settings, clock->wall_ms(clock), &state);
	request_put(r, object, "on", json_boolean(state.is_on));
	request_put(r, object, "since",
		    state.is_on ? json_integer(state.changed_ms / 1000) : json_null());
	request_put_real(r, object, "score", state.score);
	request_put_real(r, object, "mean", state.mean);
	request_put(r, r->answer, "siege", object);
}

static void put_found(struct request *r, json_t *object, const char *key,
		      const struct prefix *address)
{
	char text[PREFIX_TEXT_MAX];

	request_put(r, object, key,
		    address->family != 0 ? request_string(prefix_format_address(address, text))
					 : json_null());
}

static void put_warnings(struct request *r)
{
	json_t *object = json_object();
	struct prefix majority, flagged_private;

	gateway_found(&r->tarpit->gateway, &majority, &flagged_private);
	request_put_integer(r, object, "timeout_too_short",
			    (int64_t)stats_get_labelled(FAMILY_MTA_WARNINGS, MTA_TIMEOUT_SHORT));
	request_put_integer(
		r, object, "rejects_not_offered",
		(int64_t)stats_get_labelled(FAMILY_MTA_WARNINGS, MTA_REJECTS_NOT_OFFERED));
	request_put_integer(r, object, "log_lines_lost", (int64_t)log_lost_total());
	put_found(r, object, "private_client", &flagged_private);
	put_found(r, object, "most_sessions_of", &majority);
	request_put(r, r->answer, "warnings", object);
}

void show_status(struct request *r)
{
	struct tarpit *tarpit = r->tarpit;
	struct walk walk = {.request = r};
	int64_t uptime_ms = tarpit->clock->mono_ms(tarpit->clock) - r->host->started_ms;
	json_t *counters = json_object();

	request_put_text(r, r->answer, "version", PACKAGE_VERSION);
	request_put_integer(r, r->answer, "uptime_s", uptime_ms / 1000);
	put_mode(r);
	put_mta(r);
	put_store(r);
	request_put_integer(r, r->answer, "sessions", atomic_load(&tarpit->open_sessions));
	request_put_integer(r, r->answer, "max_sessions", tarpit->max_sessions);
	request_put_integer(r, r->answer, "stalls", stalls_active(tarpit->stalls));
	request_put_integer(r, r->answer, "max_stalls", stalls_budget(tarpit->stalls));
	walk_all(&walk);
	request_put_integer(r, r->answer, "clients", (int64_t)walk.clients);
	request_put_integer(r, r->answer, "flagged", (int64_t)walk.flagged);
	put_siege(r);
	put_warnings(r);
	for (enum stats_counter c = 0; c < STAT_COUNT; c++)
		request_put_integer(r, counters, stats_name(c), (int64_t)stats_get(c));
	request_put(r, r->answer, "counters", counters);
}

/* --- stalls -------------------------------------------------------------------------------- */

static json_t *stall_row(struct request *r, const struct stall_row *stall)
{
	int64_t remains_ms = stall->delay_ms - stall->waited_ms;
	char text[PREFIX_TEXT_MAX];
	json_t *row = json_object();

	request_put_text(r, row, "client", prefix_format_address(&stall->address, text));
	request_put_text(r, row, "key", prefix_format(&stall->client, text));
	request_put_text(r, row, "stage", stall->stage);
	request_put_integer(r, row, "delay_ms", stall->delay_ms);
	request_put_integer(r, row, "waited_ms", stall->waited_ms);
	request_put_integer(r, row, "remains_ms", remains_ms > 0 ? remains_ms : 0);
	request_put_real(r, row, "score", stall->score);
	return row;
}

void show_stalls(struct request *r)
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
	request_put_integer(r, r->answer, "active", stalls_active(stalls));
	request_put_integer(r, r->answer, "max_stalls", stalls_budget(stalls));
	count = stalls_list(stalls, rows, STALLS_MAX);
	for (size_t i = 0; i < count; i++)
		request_append(r, array, stall_row(r, &rows[i]));
	request_put(r, r->answer, "stalls", array);
	free(rows);
}

/* --- list and show ------------------------------------------------------------------------- */

/* What a row of list and the answer to show have in common. */
static void put_entry(struct request *r, json_t *row, const struct client *client,
		      const struct store_view *view, const struct standing *st)
{
	const struct policy *policy = &r->config->policy;
	char text[PREFIX_TEXT_MAX];

	request_put_text(r, row, "client", prefix_format(&client->key, text));
	request_put_real(r, row, "bad", st->bad);
	request_put_real(r, row, "good", st->good);
	request_put_real(r, row, "score", st->score);
	request_put_real(r, row, "effective_score", st->effective_score);
	request_put(r, row, "network",
		    client_has_network(client)
			    ? request_string(prefix_format(&client->network, text))
			    : json_null());
	request_put_real(r, row, "network_score", st->network_score);
	request_put(r, row, "flagged", json_boolean(st->flagged));
	request_put(r, row, "by_hand", json_boolean(st->by_hand));
	request_put(r, row, "by_hand_until",
		    st->by_hand && view->by_hand_until_s > 0 ? json_integer(view->by_hand_until_s)
							     : json_null());
	request_put_integer(r, row, "delay_ms", st->flagged ? policy_delay_ms(policy, st, 0) : 0);
	request_put_integer(r, row, "sessions",
			    open_sessions_count(r->tarpit->peers, &client->key));
}

/* Sets "exempt" to the rule; NULL for none. rule_text holds PREFIX_TEXT_MAX. */
static void put_exempt(struct request *r, json_t *row, const struct prefix *rule, char *rule_text)
{
	json_t *object;

	if (rule == NULL) {
		request_put(r, row, "exempt", json_null());
		return;
	}
	object = json_object();
	request_put_text(r, object, "key", "exempt_clients");
	request_put_text(r, object, "rule", prefix_format(rule, rule_text));
	request_put(r, row, "exempt", object);
}

void show_list(struct request *r)
{
	struct walk walk = {.request = r,
			    .wanted = r->number > 0 ? (size_t)r->number : LIST_DEFAULT};
	char rule_text[PREFIX_TEXT_MAX];
	json_t *array = json_array();

	walk.worst = calloc(2 * walk.wanted, sizeof(*walk.worst));
	if (walk.worst == NULL) {
		r->lacks_memory = true;
		json_decref(array);
		return;
	}
	walk_all(&walk);
	keep_worst(&walk);
	for (size_t i = 0; i < walk.count; i++) {
		const struct worst *one = &walk.worst[i];
		json_t *row = json_object();
		struct prefix rule;
		bool is_exempt = exempt_has_client(r->config->exempt, &one->client.key, &rule);

		put_exempt(r, row, is_exempt ? &rule : NULL, rule_text);
		put_entry(r, row, &one->client, &one->view, &one->standing);
		request_append(r, array, row);
	}
	request_put_integer(r, r->answer, "clients_total", (int64_t)walk.clients);
	request_put(r, r->answer, "clients", array);
	free(walk.worst);
}

static void put_arithmetic(struct request *r, const struct store_view *view,
			   const struct window *now, const struct standing *st)
{
	const struct policy *policy = &r->config->policy;
	struct tally network = view->network;
	struct standing around;

	tally_roll(&network, view->window, now->index);
	policy_judge(policy, &network, NULL, &(struct circumstances){.elapsed = now->elapsed},
		     &around);
	request_put_integer(r, r->answer, "window_s", r->config->window_s);
	request_put_real(r, r->answer, "threshold", policy->threshold);
	request_put_real(r, r->answer, "good_credit", policy->good_credit);
	request_put_real(r, r->answer, "network_bad", around.bad);
	request_put_real(r, r->answer, "network_good", around.good);
	request_put_real(r, r->answer, "network_threshold", policy->network_threshold);
	request_put(r, r->answer, "network_dirty", json_boolean(st->network_dirty));
	request_put_real(r, r->answer, "passed", st->passed);
	request_put_integer(r, r->answer, "pass_limit", r->config->pass_limit);
	request_put_integer(r, r->answer, "delay_min_ms", policy->delay_min_ms);
	request_put_integer(r, r->answer, "delay_max_ms", policy->delay_max_ms);
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
	request_put_text(r, r->answer, "explanation", text);
}

void show_client(struct request *r)
{
	struct store_query query = request_query(r);
	char text[PREFIX_TEXT_MAX], rule_text[PREFIX_TEXT_MAX];
	struct prefix rule;
	struct store_view view;
	struct standing st;
	bool is_exempt, is_known;

	store_lookup(r->tarpit->store, &query, &view);
	policy_judge_view(&r->config->policy, &r->client, &view, &query.window,
			  tarpit_circumstances(r->tarpit), &st);
	request_put_text(r, r->answer, "address", prefix_format_address(&r->client.address, text));
	is_exempt = request_is_exempt(r, &rule);
	put_exempt(r, r->answer, is_exempt ? &rule : NULL, rule_text);
	/* An exempt client is never slowed, whatever its counts. */
	if (is_exempt)
		st.flagged = false;
	is_known = is_exempt || request_is_remembered(&view) ||
		   open_sessions_count(r->tarpit->peers, &r->client.key) > 0;
	request_put(r, r->answer, "known", json_boolean(is_known));
	put_entry(r, r->answer, &r->client, &view, &st);
	put_arithmetic(r, &view, &query.window, &st);
	request_put_integer(r, r->answer, "stalls", count_stalls(r));
	put_mode(r);
	put_explanation(r, &view, &st, is_exempt ? rule_text : NULL);
	request_put_shared(r, !view.is_local,
			   "memcached did not answer: this is what this host knows");
	if (!is_known)
		request_put_integer(r, r->answer, "status", COMMAND_REFUSED);
}
