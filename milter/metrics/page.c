/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the page of metrics, and chooses its format by the Accept header. */
#include "page.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/printable.h"
#include "base/stats.h"
#include "config.h"
#include "judge/exempt.h"
#include "judge/policy.h"
#include "session/journal.h"
#include "session/session.h"
#include "session/site.h"
#include "session/stall.h"
#include "store/store.h"

/* After a walk through all clients: the least rest, and the rest in times of the walk. */
#define WALK_REST_MS 1000
#define WALK_REST_TIMES 20

/* How many clients there are in memory. */
struct census {
	uint64_t remembered, flagged;
};

struct metrics {
	struct tarpit *tarpit;
	int64_t started_wall_ms, started_mono_ms;
	struct census census;
	int64_t next_census_ms;
};

/* A page being written. */
struct page {
	FILE *out;
	enum metrics_format format;
};

enum type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM, TYPE_INFO };

static const char *const type_names[][2] = {
	[TYPE_COUNTER] = {"counter", "counter"},
	[TYPE_GAUGE] = {"gauge", "gauge"},
	[TYPE_HISTOGRAM] = {"histogram", "histogram"},
	[TYPE_INFO] = {"gauge", "info"},
};

static const char *suffix(enum type type)
{
	return type == TYPE_COUNTER ? "_total" : type == TYPE_INFO ? "_info" : "";
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/*
 * The head of a family. OpenMetrics names a counter without _total and knows units; in the older
 * format a family has the name of its samples.
 */
static void write_head(const struct page *page, const char *name, enum type type, const char *help)
{
	const char *end = page->format == METRICS_OPENMETRICS ? "" : suffix(type);

	fprintf(page->out, "# TYPE %s%s %s\n", name, end, type_names[type][page->format]);
	if (page->format == METRICS_OPENMETRICS && ends_with(name, "_seconds"))
		fprintf(page->out, "# UNIT %s seconds\n", name);
	fprintf(page->out, "# HELP %s%s %s\n", name, end, help);
}

/* A label's value. What is not printable ASCII becomes \xHH, so that the page is UTF-8. */
static void write_escaped(FILE *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '\n')
			fputs("\\n", out);
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (printable_is(*p))
			fputc(c, out);
		else
			fprintf(out, "\\\\x%02x", c);
	}
}

static void write_label(const struct page *page, const char *label, const char *value)
{
	fprintf(page->out, "%s=\"", label);
	write_escaped(page->out, value);
	fputc('"', page->out);
}

static void write_labelled(const struct page *page, const char *name, const char *label,
			   const char *value, uint64_t number)
{
	fprintf(page->out, "%s{", name);
	write_label(page, label, value);
	fprintf(page->out, "} %" PRIu64 "\n", number);
}

static void write_gauge(const struct page *page, const char *name, const char *help,
			uint64_t number)
{
	write_head(page, name, TYPE_GAUGE, help);
	fprintf(page->out, "%s %" PRIu64 "\n", name, number);
}

static void write_score(const struct page *page, const char *name, const char *help, double score)
{
	write_head(page, name, TYPE_GAUGE, help);
	fprintf(page->out, "%s %.2f\n", name, score);
}

static void write_time(const struct page *page, const char *name, const char *help, int64_t ms)
{
	write_head(page, name, TYPE_GAUGE, help);
	fprintf(page->out, "%s %" PRId64 ".%03d\n", name, ms / 1000, (int)(ms % 1000));
}

static const char *of_stage(unsigned index)
{
	return stage_name(index);
}

static const char *of_reason(unsigned index)
{
	return reason_name(index);
}

static const char *of_warning(unsigned index)
{
	static const char *const names[MTA_WARNING_COUNT] = {
		[MTA_TIMEOUT_SHORT] = "timeout-too-short",
		[MTA_REJECTS_NOT_OFFERED] = "rejects-not-offered",
		[MTA_PRIVATE_CLIENT] = "private-client-flagged",
		[MTA_ONE_CLIENT] = "most-sessions-of-one-client",
	};

	return names[index];
}

/* Counters by a label. Values in `usual`, a set of bits, are shown even while they are 0. */
static const struct labelled {
	enum stats_family family;
	const char *name, *help, *label;
	const char *(*value)(unsigned index);
	unsigned count, usual;
} labelled[] = {
	{FAMILY_STALLS_BY_STAGE, "tarpit_stalls", "Stalls that began, by stage.", "stage", of_stage,
	 STAGE_COUNT, (1U << STAGE_COUNT) - 1},
	{FAMILY_DEFERRED_BY_REASON, "tarpit_deferred",
	 "Commands of flagged clients that were answered with 421, by reason.", "reason", of_reason,
	 REASON_COUNT, 1U << REASON_SESSIONS | 1U << REASON_BUDGET},
	{FAMILY_PASSED_BY_REASON, "tarpit_passed",
	 "Commands of flagged clients that went on at full speed, by reason.", "reason", of_reason,
	 REASON_COUNT, ((1U << REASON_COUNT) - 1) & ~(1U << REASON_NONE)},
	{FAMILY_MTA_WARNINGS, "tarpit_mta_warnings",
	 "Warnings of the MTA's settings in the log, at most one a minute of a kind.", "warning",
	 of_warning, MTA_WARNING_COUNT, (1U << MTA_WARNING_COUNT) - 1},
};

static void write_all_labelled(const struct page *page)
{
	for (size_t i = 0; i < sizeof(labelled) / sizeof(labelled[0]); i++) {
		const struct labelled *row = &labelled[i];
		char name[64];

		write_head(page, row->name, TYPE_COUNTER, row->help);
		snprintf(name, sizeof(name), "%s_total", row->name);
		for (unsigned index = 0; index < row->count; index++) {
			uint64_t number = stats_get_labelled(row->family, index);

			if (number > 0 || (row->usual & 1U << index) != 0)
				write_labelled(page, name, row->label, row->value(index), number);
		}
	}
}

/* Counters without a label. */
static const struct plain {
	enum stats_counter counter;
	const char *name, *help;
} plain[] = {
	{STAT_SESSIONS_OPENED, "tarpit_sessions", "SMTP sessions that began."},
	{STAT_SESSIONS_EXEMPT, "tarpit_sessions_exempt",
	 "SMTP sessions that were left alone at connect, for exempt_clients, exempt_hosts or want "
	 "of an address."},
	{STAT_FLAGS, "tarpit_flags", "Times that a client was flagged."},
	{STAT_FLAGGED_BY_HAND, "tarpit_flagged_by_hand", "Clients flagged by an administrator."},
	{STAT_FORGIVEN, "tarpit_forgiven", "Clients forgiven by an administrator."},
	{STAT_SIEGES, "tarpit_sieges", "Sieges of the site that began."},
	{STAT_STORE_CALLS, "tarpit_store_calls", "Calls to memcached."},
	{STAT_STORE_FAILURES, "tarpit_store_errors",
	 "Calls to memcached that failed or came too late."},
};

static void write_all_plain(const struct page *page)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		write_head(page, plain[i].name, TYPE_COUNTER, plain[i].help);
		fprintf(page->out, "%s_total %" PRIu64 "\n", plain[i].name,
			stats_get(plain[i].counter));
	}
}

static void write_code(const char *code, uint64_t count, void *arg)
{
	write_labelled(arg, "tarpit_offences_total", "code", code, count);
}

static void write_offences(struct page *page)
{
	write_head(page, "tarpit_offences", TYPE_COUNTER,
		   "Rejected recipients that were counted, by enhanced status code.");
	stats_each_code(write_code, page);
}

static void write_reloads(const struct page *page)
{
	write_head(page, "tarpit_reloads", TYPE_COUNTER,
		   "Reloads of the configuration, by result; one that failed changed nothing.");
	write_labelled(page, "tarpit_reloads_total", "result", "ok", stats_get(STAT_RELOADS));
	write_labelled(page, "tarpit_reloads_total", "result", "failed",
		       stats_get(STAT_RELOADS_FAILED));
}

/* OpenMetrics wants a decimal point in bounds; both formats must name a series alike. */
static void write_bound(FILE *out, double bound)
{
	char text[32];

	if (isinf(bound)) {
		fputs("+Inf", out);
		return;
	}
	snprintf(text, sizeof(text), "%g", bound);
	fprintf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

static void write_histogram(const struct page *page, enum stats_histogram histogram,
			    const char *name, const char *help)
{
	struct stats_distribution distribution;
	uint64_t count = 0;

	stats_distribution(histogram, &distribution);
	write_head(page, name, TYPE_HISTOGRAM, help);
	for (size_t i = 0; i < distribution.buckets; i++) {
		count += distribution.counts[i];
		fprintf(page->out, "%s_bucket{le=\"", name);
		write_bound(page->out, distribution.bounds[i]);
		fprintf(page->out, "\"} %" PRIu64 "\n", count);
	}
	fprintf(page->out, "%s_count %" PRIu64 "\n", name, count);
	fprintf(page->out, "%s_sum %" PRIu64 ".%06" PRIu64 "\n", name,
		distribution.sum_us / 1000000, distribution.sum_us % 1000000);
}

static void write_server(const char *server, bool is_up, void *arg)
{
	write_labelled(arg, "tarpit_store_up", "server", server, is_up ? 1 : 0);
}

static void write_store(struct page *page, struct store *store)
{
	write_histogram(page, HISTOGRAM_STORE, "tarpit_store_call_seconds",
			"Duration of calls to memcached.");
	write_head(page, "tarpit_store_up", TYPE_GAUGE,
		   "Whether a memcached server is in use (1) or taken for dead (0).");
	store_servers(store, write_server, page);
}

static void write_infos(const struct page *page, const struct config *config)
{
	write_head(page, "tarpit_build", TYPE_INFO, "What this daemon was built from.");
	fprintf(page->out, "tarpit_build_info{");
	write_label(page, "version", PACKAGE_VERSION);
	fprintf(page->out, "} 1\n");
	write_head(page, "tarpit_configuration", TYPE_INFO, "The keys mode and store.");
	fprintf(page->out, "tarpit_configuration_info{");
	write_label(page, "mode", config->observe ? "observe" : "enforce");
	fputc(',', page->out);
	write_label(page, "store", config->use_memcached ? "memcached" : "memory");
	fprintf(page->out, "} 1\n");
}

/* A walk through all clients. */
struct count {
	const struct config *config;
	struct window window;
	struct circumstances circumstances;
	struct census census;
};

static void count_client(const struct client *client, const struct store_view *view, void *arg)
{
	struct count *count = arg;
	struct standing standing;

	policy_judge_view(&count->config->policy, client, view, &count->window,
			  count->circumstances, &standing);
	count->census.remembered++;
	/* The configuration may exempt a client that was flagged before. */
	if (standing.flagged && !exempt_has_client(count->config->exempt, &client->key, NULL))
		count->census.flagged++;
}

static void take_census(struct metrics *metrics, const struct config *config)
{
	const struct tarpit *tarpit = metrics->tarpit;
	const struct clock *clock = tarpit->clock;
	struct count count = {.config = config,
			      .circumstances = tarpit_circumstances(tarpit),
			      .window = window_at(clock->wall_ms(clock), config->window_s)};
	int64_t began_ms = clock->mono_ms(clock), end_ms, rest_ms;

	if (began_ms < metrics->next_census_ms)
		return;
	store_each(tarpit->store, &config->widths, &count.window, count_client, &count);
	metrics->census = count.census;
	end_ms = clock->mono_ms(clock);
	rest_ms = (end_ms - began_ms) * WALK_REST_TIMES;
	metrics->next_census_ms = end_ms + (rest_ms > WALK_REST_MS ? rest_ms : WALK_REST_MS);
}

static void write_gauges(const struct page *page, const struct metrics *metrics)
{
	const struct tarpit *tarpit = metrics->tarpit;
	int64_t now_ms = tarpit->clock->mono_ms(tarpit->clock);

	write_time(page, "tarpit_start_time_seconds", "When the daemon started, since the epoch.",
		   metrics->started_wall_ms);
	write_time(page, "tarpit_uptime_seconds", "How long the daemon has been running.",
		   now_ms - metrics->started_mono_ms);
	write_gauge(page, "tarpit_sessions_open", "SMTP sessions that are open.",
		    atomic_load(&tarpit->open_sessions));
	write_gauge(page, "tarpit_sessions_limit",
		    "Open SMTP sessions beyond which further ones pass unwatched.",
		    tarpit->max_sessions);
	write_gauge(page, "tarpit_stalls_active", "Stalls in progress.",
		    stalls_active(tarpit->stalls));
	write_gauge(page, "tarpit_stalls_budget", "Stalls that there may be at once.",
		    stalls_budget(tarpit->stalls));
	write_gauge(page, "tarpit_clients", "Clients that this daemon remembers.",
		    metrics->census.remembered);
	write_gauge(page, "tarpit_clients_flagged",
		    "Of the clients that this daemon remembers, those that are flagged now.",
		    metrics->census.flagged);
}

static void write_siege(const struct page *page, const struct tarpit *tarpit,
			const struct config *config)
{
	struct siege_settings settings = site_settings(config);
	struct siege_state state;

	site_state(tarpit->site, &settings, tarpit->clock->wall_ms(tarpit->clock), &state);
	write_gauge(page, "tarpit_siege", "Whether the site is under siege (1) or not (0).",
		    state.is_on ? 1 : 0);
	write_score(page, "tarpit_siege_score",
		    "Offences of clients without credit, halving every siege_half_life.",
		    state.score);
	write_score(page, "tarpit_siege_mean", "The mean of that score in the last day.",
		    state.mean);
}

struct metrics *metrics_page_new(struct tarpit *tarpit)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics == NULL)
		return NULL;
	metrics->tarpit = tarpit;
	metrics->started_wall_ms = tarpit->clock->wall_ms(tarpit->clock);
	metrics->started_mono_ms = tarpit->clock->mono_ms(tarpit->clock);
	return metrics;
}

void metrics_page_free(struct metrics *metrics)
{
	free(metrics);
}

static void write_page(struct page *page, struct metrics *metrics, const struct config *config)
{
	write_infos(page, config);
	write_gauges(page, metrics);
	write_siege(page, metrics->tarpit, config);
	write_all_plain(page);
	write_offences(page);
	write_all_labelled(page);
	write_histogram(page, HISTOGRAM_STALL, "tarpit_stall_seconds", "Duration of stalls.");
	write_histogram(page, HISTOGRAM_STAYED, "tarpit_stayed_seconds",
			"Delay of stalls after which the client was still there.");
	write_histogram(page, HISTOGRAM_LEFT, "tarpit_left_seconds",
			"Delay of stalls after which the client had gone.");
	write_reloads(page);
	write_store(page, metrics->tarpit->store);
	if (page->format == METRICS_OPENMETRICS)
		fputs("# EOF\n", page->out);
}

char *metrics_page_text(struct metrics *metrics, enum metrics_format format, size_t *length)
{
	char *text = NULL;
	struct page page = {.out = open_memstream(&text, length), .format = format};
	struct config *config;
	bool is_whole;

	if (page.out == NULL)
		return NULL;
	config = config_box_get(metrics->tarpit->config);
	take_census(metrics, config);
	write_page(&page, metrics, config);
	config_release(config);
	/* Prometheus would take a page that lacks its end for whole. */
	is_whole = ferror(page.out) == 0;
	if (fclose(page.out) == 0 && is_whole)
		return text;
	free(text);
	return NULL;
}

const char *metrics_page_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

/* Whether a parameter "name=value" of a media range rules OpenMetrics 1.0.0 out. */
static bool rules_out(const char *parameter, size_t length)
{
	if (length >= 8 && strncasecmp(parameter, "version=", 8) == 0)
		return length != 13 || strncmp(parameter + 8, "1.0.0", 5) != 0;
	if (length >= 3 && strncasecmp(parameter, "q=0", 3) == 0)
		return strspn(parameter + 3, ".0") >= length - 3;
	return false;
}

/* The text from *p up to one of the ends, without blanks around it; *p moves to that end. */
static const char *next_part(const char **p, const char *ends, size_t *length)
{
	const char *part = *p + strspn(*p, " \t");

	*length = strcspn(part, ends);
	*p = part + *length;
	while (*length > 0 && isblank((unsigned char)part[*length - 1]))
		--*length;
	return part;
}

enum metrics_format metrics_page_negotiate(const char *accept)
{
	static const char name[] = "application/openmetrics-text";

	while (accept != NULL && *accept != '\0') {
		size_t length;
		const char *part = next_part(&accept, ";,", &length);
		bool fits = length == sizeof(name) - 1 && strncasecmp(part, name, length) == 0;

		while (*accept == ';') {
			accept++;
			part = next_part(&accept, ";,", &length);
			fits = fits && !rules_out(part, length);
		}
		if (fits)
			return METRICS_OPENMETRICS;
		accept += *accept == ',';
	}
	return METRICS_PLAIN;
}
