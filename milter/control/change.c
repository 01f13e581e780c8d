/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that change something, and leave a line in the log: flag, forgive and reload. */
#include "change.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "request.h"
#include "session/deferrals.h"
#include "session/open_sessions.h"
#include "session/stall.h"

#define NEEDS_RESTART_MAX 256
/* Faults in an answer, and bytes of each; a configuration may have more, and longer ones. */
#define FAULTS_MAX 100
#define FAULT_MAX 1000

static void log_command(struct log_line *line, const struct request *r, const char *command)
{
	char text[PREFIX_TEXT_MAX];

	log_begin(line, LOG_NOTICE, "control");
	log_put(line, "command", "%s", command);
	if (r->client.key.family != 0)
		log_put(line, "client", "%s", prefix_format(&r->client.key, text));
	log_put(line, "uid", "%lu", (unsigned long)r->uid);
}

/* memcached is what tells the other hosts. */
static void put_shared(struct request *r, bool is_shared)
{
	request_put_shared(r, is_shared, "memcached could not be told: done on this host only");
}

static void put_client(struct request *r)
{
	char text[PREFIX_TEXT_MAX];

	request_put_text(r, r->answer, "client", prefix_format(&r->client.key, text));
}

void change_flag(struct request *r)
{
	const struct clock *clock = r->tarpit->clock;
	struct store_query query = request_query(r);
	int64_t duration_s = r->number > 0 ? r->number : r->config->window_s;
	int64_t until_s = clock->wall_ms(clock) / 1000 + duration_s;
	char client[PREFIX_TEXT_MAX], rule_text[PREFIX_TEXT_MAX];
	struct prefix rule;
	struct log_line line;
	bool is_shared;

	if (request_is_exempt(r, &rule)) {
		request_refuse(r, COMMAND_REFUSED, "%s is exempt: exempt_clients has %s",
			       prefix_format(&r->written, client), prefix_format(&rule, rule_text));
		return;
	}
	is_shared = store_flag(r->tarpit->store, &query, until_s);
	put_client(r);
	request_put_integer(r, r->answer, "until", until_s);
	/* Open sessions ask the store again, and find the flag. */
	request_put_integer(r, r->answer, "sessions",
			    open_sessions_mark(r->tarpit->peers, &r->client.key, NULL));
	put_shared(r, is_shared);
	stats_add(STAT_FLAGGED_BY_HAND, 1);

	log_command(&line, r, "flag");
	log_put(&line, "duration_s", "%" PRId64, duration_s);
	log_put(&line, "shared", "%s", is_shared ? "yes" : "no");
	log_end(&line);
}

void change_forgive(struct request *r)
{
	struct store_query query = request_query(r);
	char text[PREFIX_TEXT_MAX];
	unsigned sessions, released;
	struct store_view view;
	struct log_line line;
	bool is_shared, is_known;

	store_lookup(r->tarpit->store, &query, &view);
	is_shared = store_forgive(r->tarpit->store, &query);
	/*
	 * Marks first, then stalls: a session looks for its mark after it has begun a stall. So a
	 * session that begins one meanwhile either finds the mark, or its stall is found here.
	 */
	sessions = open_sessions_mark(r->tarpit->peers, &r->client.key, NULL);
	released = stalls_forgive(r->tarpit->stalls, &r->client.key);
	deferrals_end(r->tarpit->deferrals, &r->client.key);
	is_known = request_is_remembered(&view) || sessions > 0 || released > 0;
	stats_add(STAT_FORGIVEN, is_known);

	log_command(&line, r, "forgive");
	log_put(&line, "released", "%u", released);
	log_put(&line, "shared", "%s", is_shared ? "yes" : "no");
	log_end(&line);

	if (!is_known && is_shared) {
		request_refuse(r, COMMAND_REFUSED, "no such client: %s",
			       prefix_format(&r->client.key, text));
		return;
	}
	put_client(r);
	request_put(r, r->answer, "known", json_boolean(is_known));
	request_put_integer(r, r->answer, "released", released);
	request_put_integer(r, r->answer, "sessions", sessions);
	put_shared(r, is_shared);
}

static void put_faults(struct request *r, const struct faults *faults)
{
	json_t *array = json_array();
	const char *text = faults->text != NULL ? faults->text : "";

	for (size_t count = 0; *text != '\0' && count < FAULTS_MAX; count++) {
		size_t length = strcspn(text, "\n");
		char *fault = strndup(text, length < FAULT_MAX ? length : FAULT_MAX);

		request_append(r, array, fault != NULL ? request_string(fault) : NULL);
		free(fault);
		text += length + (text[length] == '\n');
	}
	request_put(r, r->answer, "faults", array);
}

/* The words of a text, which is cut up, as an array. */
static json_t *words(struct request *r, char *text)
{
	json_t *array = json_array();
	char *rest = NULL;

	for (char *word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		request_append(r, array, json_string(word));
	return array;
}

void change_reload(struct request *r)
{
	char needs_restart[NEEDS_RESTART_MAX] = "";
	struct faults faults = {0};
	struct log_line line;
	bool is_done = r->host->reload(r->host->arg, &faults, needs_restart, sizeof(needs_restart));

	log_command(&line, r, "reload");
	log_put(&line, "done", "%s", is_done ? "yes" : "no");
	log_end(&line);

	if (is_done) {
		request_put(r, r->answer, "needs_restart", words(r, needs_restart));
	} else if (faults.count == 0) {
		request_refuse(r, COMMAND_CONFIG,
			       "out of memory: the configuration stays as it was");
	} else {
		request_refuse(r, COMMAND_CONFIG, "%zu fault%s: the configuration stays as it was",
			       faults.count, faults.count == 1 ? "" : "s");
		put_faults(r, &faults);
	}
	faults_free(&faults);
}
