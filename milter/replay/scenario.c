/* SPDX-License-Identifier: BSD-2-Clause */
#include "scenario.h"

#include <limits.h>
#include <stdlib.h>

#include "store/memory.h"
#include "session/open_sessions.h"
#include "session/stall.h"

struct site {
	const char *name;
	struct config *config;
	struct tarpit tarpit;
	struct book book;
};

static double no_chance(void)
{
	return 0;
}

struct site *site_new(const char *name, struct config *config, const struct clock *clock)
{
	struct site *site = calloc(1, sizeof(*site));
	struct tarpit *tarpit;

	if (site == NULL) {
		config_release(config);
		return NULL;
	}
	config->observe = true;
	site->name = name;
	site->config = config;
	book_init(&site->book, clock, config->max_stalls);
	tarpit = &site->tarpit;
	tarpit->config = config_box_new(config_hold(config));
	tarpit->store = memory_store_new(config->memory_clients);
	tarpit->stalls = stalls_new(clock, config->max_stalls, NULL);
	tarpit->peers = open_sessions_new();
	tarpit->journal = &site->book.journal;
	tarpit->clock = clock;
	tarpit->chance = no_chance;
	tarpit->max_sessions = UINT_MAX;
	if (tarpit->config != NULL && tarpit->store != NULL && tarpit->stalls != NULL &&
	    tarpit->peers != NULL)
		return site;
	if (tarpit->config == NULL)
		config_release(config);
	site_free(site);
	return NULL;
}

void site_free(struct site *site)
{
	if (site == NULL)
		return;
	config_box_free(site->tarpit.config);
	if (site->tarpit.store != NULL)
		store_destroy(site->tarpit.store);
	stalls_free(site->tarpit.stalls);
	open_sessions_free(site->tarpit.peers);
	book_free(&site->book);
	config_release(site->config);
	free(site);
}

const char *site_name(const struct site *site)
{
	return site->name;
}

const struct config *site_config(const struct site *site)
{
	return site->config;
}

struct book *site_book(struct site *site)
{
	return &site->book;
}

/* What the session tells the book from here on is about this visit. */
static void turn_to(struct site *site, struct site_session *visit)
{
	site->book.run = &visit->run;
}

void site_connect(struct site *site, struct site_session *visit, const struct connect_event *event)
{
	struct prefix address;
	struct client client;
	enum verdict verdict;

	if (prefix_from_sockaddr(event->address, &address)) {
		client_identify(&address, &site->config->widths, &client);
		visit->key = client.key;
	}
	visit->session = session_open(&site->tarpit);
	if (visit->session == NULL)
		return;
	turn_to(site, visit);
	verdict = session_connect(visit->session, event);
	if (verdict == VERDICT_ACCEPT) {
		session_close(visit->session);
		visit->session = NULL;
		book_exempt(&site->book);
	} else {
		book_session(&site->book, &visit->key);
	}
}

void site_helo(struct site *site, struct site_session *visit)
{
	turn_to(site, visit);
	if (visit->session != NULL)
		session_helo(visit->session);
}

void site_mail(struct site *site, struct site_session *visit, const struct mail_event *event)
{
	turn_to(site, visit);
	if (visit->session != NULL)
		session_mail(visit->session, event);
}

void site_rcpt(struct site *site, struct site_session *visit, const struct rcpt_event *event)
{
	turn_to(site, visit);
	if (visit->session != NULL)
		session_rcpt(visit->session, event);
}

void site_data(struct site *site, struct site_session *visit, const char *bad_count)
{
	turn_to(site, visit);
	if (visit->session != NULL)
		session_data(visit->session, bad_count);
}

void site_delivered(struct site *site, struct site_session *visit, const char *name,
		    unsigned recipients)
{
	if (visit->key.family != 0)
		book_delivered(&site->book, &visit->key, name, recipients);
}

void site_pause(struct site *site, struct site_session *visit)
{
	turn_to(site, visit);
	session_close(visit->session);
	visit->session = NULL;
}

void site_resume(struct site *site, struct site_session *visit, const struct connect_event *event)
{
	site->book.is_muted = true;
	site_connect(site, visit, event);
	site->book.is_muted = false;
}

void site_close(struct site *site, struct site_session *visit)
{
	turn_to(site, visit);
	session_close(visit->session);
	visit->session = NULL;
	site->book.run = NULL;
	crowd_disown(&visit->run);
}
