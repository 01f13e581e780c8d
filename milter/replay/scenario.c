/* SPDX-License-Identifier: BSD-2-Clause */
#include "scenario.h"

#include <limits.h>
#include <stdlib.h>

#include "store/memory.h"
#include "session/open_sessions.h"
#include "session/stall.h"

struct replay_scenario {
	const char *name;
	struct config *config;
	struct tarpit tarpit;
	struct replay_result result;
};

static double no_chance(void)
{
	return 0;
}

struct replay_scenario *replay_scenario_new(const char *name, struct config *config,
					    const struct clock *clock)
{
	struct replay_scenario *scenario = calloc(1, sizeof(*scenario));
	struct tarpit *tarpit;

	if (scenario == NULL) {
		config_release(config);
		return NULL;
	}
	config->observe = true;
	scenario->name = name;
	scenario->config = config;
	replay_result_init(&scenario->result, clock, config->max_stalls);
	tarpit = &scenario->tarpit;
	tarpit->config = config_box_new(config_hold(config));
	tarpit->store = memory_store_new(config->memory_clients);
	tarpit->stalls = stalls_new(clock, config->max_stalls, NULL);
	tarpit->peers = open_sessions_new();
	tarpit->journal = &scenario->result.journal;
	tarpit->clock = clock;
	tarpit->chance = no_chance;
	tarpit->max_sessions = UINT_MAX;
	if (tarpit->config != NULL && tarpit->store != NULL && tarpit->stalls != NULL &&
	    tarpit->peers != NULL)
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
	replay_result_free(&scenario->result);
	config_release(scenario->config);
	free(scenario);
}

const char *replay_scenario_name(const struct replay_scenario *scenario)
{
	return scenario->name;
}

const struct config *replay_scenario_config(const struct replay_scenario *scenario)
{
	return scenario->config;
}

struct replay_result *replay_scenario_result(struct replay_scenario *scenario)
{
	return &scenario->result;
}

/* What the session tells the result from here on is about this session. */
static void turn_to(struct replay_scenario *scenario, struct replay_scenario_session *session)
{
	scenario->result.run = &session->run;
}

void replay_scenario_connect(struct replay_scenario *scenario,
			     struct replay_scenario_session *session,
			     const struct connect_event *event)
{
	struct prefix address;
	struct client client;
	enum verdict verdict;

	if (prefix_from_sockaddr(event->address, &address)) {
		client_identify(&address, &scenario->config->widths, &client);
		session->key = client.key;
	}
	session->session = session_open(&scenario->tarpit);
	if (session->session == NULL)
		return;
	turn_to(scenario, session);
	verdict = session_connect(session->session, event);
	if (verdict == VERDICT_ACCEPT) {
		session_close(session->session);
		session->session = NULL;
		replay_result_exempt(&scenario->result);
	} else {
		replay_result_session(&scenario->result, &session->key);
	}
}

void replay_scenario_helo(struct replay_scenario *scenario, struct replay_scenario_session *session)
{
	turn_to(scenario, session);
	if (session->session != NULL)
		session_helo(session->session);
}

void replay_scenario_mail(struct replay_scenario *scenario, struct replay_scenario_session *session,
			  const struct mail_event *event)
{
	turn_to(scenario, session);
	if (session->session != NULL)
		session_mail(session->session, event);
}

void replay_scenario_rcpt(struct replay_scenario *scenario, struct replay_scenario_session *session,
			  const struct rcpt_event *event)
{
	turn_to(scenario, session);
	if (session->session != NULL)
		session_rcpt(session->session, event);
}

void replay_scenario_data(struct replay_scenario *scenario, struct replay_scenario_session *session,
			  const char *bad_count)
{
	turn_to(scenario, session);
	if (session->session != NULL)
		session_data(session->session, bad_count);
}

void replay_scenario_delivered(struct replay_scenario *scenario,
			       struct replay_scenario_session *session, const char *name,
			       unsigned recipients)
{
	if (session->key.family != 0)
		replay_result_delivered(&scenario->result, &session->key, name, recipients);
}

void replay_scenario_pause(struct replay_scenario *scenario,
			   struct replay_scenario_session *session)
{
	turn_to(scenario, session);
	session_close(session->session);
	session->session = NULL;
}

void replay_scenario_resume(struct replay_scenario *scenario,
			    struct replay_scenario_session *session,
			    const struct connect_event *event)
{
	scenario->result.is_muted = true;
	replay_scenario_connect(scenario, session, event);
	scenario->result.is_muted = false;
}

void replay_scenario_close(struct replay_scenario *scenario,
			   struct replay_scenario_session *session)
{
	turn_to(scenario, session);
	session_close(session->session);
	session->session = NULL;
	scenario->result.run = NULL;
	replay_concurrency_disown(&session->run);
}
