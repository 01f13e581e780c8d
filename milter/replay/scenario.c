/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets up what a daemon of one configuration consists of, and opens and closes its sessions. */
#include "scenario.h"

#include <limits.h>
#include <stdlib.h>

#include "judge/policy.h"
#include "store/memory.h"
#include "session/deferrals.h"
#include "session/open_sessions.h"
#include "session/site.h"
#include "session/stall.h"

/* Without jitter, so that the same log has the same result each time. */
static double no_chance(void)
{
	return 0;
}

struct replay_scenario *replay_scenario_new(const char *name, struct config *config,
					    const struct clock *clock)
{
	struct replay_scenario *scenario = calloc(1, sizeof(*scenario));
	struct tarpit *tarpit;
	bool has_result;

	if (scenario == NULL) {
		config_release(config);
		return NULL;
	}
	config->observe = true;
	scenario->name = name;
	scenario->config = config;
	has_result = replay_result_init(&scenario->result, clock, config);
	tarpit = &scenario->tarpit;
	tarpit->config = config_box_new(config_hold(config));
	tarpit->store = memory_store_new(config->memory_clients);
	tarpit->stalls = stalls_new(clock, config->max_stalls, NULL);
	tarpit->peers = open_sessions_new();
	tarpit->deferrals = deferrals_new(DEFERRALS_MAX);
	tarpit->journal = &scenario->result.journal;
	tarpit->site = site_new(tarpit->journal, clock->wall_ms(clock));
	tarpit->clock = clock;
	tarpit->chance = no_chance;
	tarpit->max_sessions = UINT_MAX;
	if (has_result && tarpit->config != NULL && tarpit->store != NULL &&
	    tarpit->stalls != NULL && tarpit->peers != NULL && tarpit->deferrals != NULL &&
	    tarpit->site != NULL)
		return scenario;
	if (tarpit->config == NULL)
		config_release(config);
	replay_scenario_free(scenario);
	return NULL;
}

void replay_scenario_free(struct replay_scenario *scenario)
{
	if (scenario == NULL)
		return;
	config_box_free(scenario->tarpit.config);
	if (scenario->tarpit.store != NULL)
		store_destroy(scenario->tarpit.store);
	stalls_free(scenario->tarpit.stalls);
	open_sessions_free(scenario->tarpit.peers);
	deferrals_free(scenario->tarpit.deferrals);
	site_free(scenario->tarpit.site);
	replay_result_free(&scenario->result);
	config_release(scenario->config);
	free(scenario);
}

void replay_scenario_reach(struct replay_scenario *scenario, int64_t now_ms)
{
	struct siege_settings settings = site_settings(scenario->config);

	site_update(scenario->tarpit.site, &settings, now_ms);
	replay_concurrency_advance(&scenario->result.concurrency, now_ms);
}

void replay_scenario_finish(struct replay_scenario *scenario, int64_t last_ms)
{
	replay_scenario_reach(scenario, last_ms);
	replay_result_finish(&scenario->result, last_ms);
}

struct session *replay_scenario_session(struct replay_scenario *scenario,
					struct scenario_session *own)
{
	scenario->result.run = &own->run;
	return own->session;
}

void replay_scenario_connect(struct replay_scenario *scenario, struct scenario_session *own,
			     const struct connect_event *event)
{
	struct prefix address;
	struct client client;

	if (prefix_from_sockaddr(event->address, &address)) {
		client_identify(&address, &scenario->config->widths, &client);
		own->key = client.key;
	}
	own->session = session_open(&scenario->tarpit);
	if (replay_scenario_session(scenario, own) == NULL)
		return;
	if (session_connect(own->session, event) != VERDICT_ACCEPT) {
		replay_result_session(&scenario->result, &own->key);
		return;
	}
	session_close(own->session);
	own->session = NULL;
	if (!scenario->result.is_muted)
		scenario->result.sessions_exempt++;
}

void replay_scenario_pause(struct replay_scenario *scenario, struct scenario_session *own)
{
	session_close(replay_scenario_session(scenario, own));
	own->session = NULL;
}

void replay_scenario_resume(struct replay_scenario *scenario, struct scenario_session *own,
			    const struct connect_event *event)
{
	scenario->result.is_muted = true;
	replay_scenario_connect(scenario, own, event);
	scenario->result.is_muted = false;
}

static bool is_flagged(const struct replay_scenario *scenario, const struct client *client)
{
	const struct tarpit *tarpit = &scenario->tarpit;
	const struct config *config = scenario->config;
	struct store_query query = {
		.client = *client,
		.window = window_at(tarpit->clock->wall_ms(tarpit->clock), config->window_s),
		.key_prefix = config->key_prefix,
	};
	struct store_view view;
	struct standing standing;

	store_lookup(tarpit->store, &query, &view);
	policy_judge_view(&config->policy, client, &view, &query.window,
			  tarpit_circumstances(tarpit), &standing);
	return standing.flagged;
}

void replay_scenario_lost(struct replay_scenario *scenario, const struct scenario_session *own,
			  const struct sockaddr *address)
{
	struct prefix prefix;
	struct client client;

	if (own->session == NULL || !prefix_from_sockaddr(address, &prefix))
		return;
	client_identify(&prefix, &scenario->config->widths, &client);
	if (is_flagged(scenario, &client))
		replay_result_left(&scenario->result, &own->key);
}

void replay_scenario_close(struct replay_scenario *scenario, struct scenario_session *own)
{
	replay_scenario_pause(scenario, own);
	scenario->result.run = NULL;
	replay_concurrency_disown(&own->run);
}
