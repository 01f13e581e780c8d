/* SPDX-License-Identifier: BSD-2-Clause */
/* Words the daemon's answers, and checks every value: what is not as promised is not shown. */
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/duration.h"
#include "table.h"

/* JSON numbers are exact up to here, and a thousand times as much still fits into an int64_t. */
#define INTEGER_MAX (INT64_C(1) << 53)
#define REAL_MAX 1e12
#define TIME_MAX 64
#define INDENT 2

struct view {
	FILE *out;
	bool colour;
	bool failed; /* the answer is not as promised */
};

/* --- members of the answer; a wrong one is noted, and reads as 0, false or "" --------------- */

static int64_t integer_of(struct view *view, const json_t *value)
{
	json_int_t number = json_integer_value(value);

	if (json_is_integer(value) && number >= 0 && number <= INTEGER_MAX)
		return number;
	view->failed = true;
	return 0;
}

static int64_t get_integer(struct view *view, const json_t *object, const char *name)
{
	return integer_of(view, json_object_get(object, name));
}

static double get_number(struct view *view, const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	double number = json_number_value(value);

	if (json_is_number(value) && fabs(number) <= REAL_MAX)
		return number;
	view->failed = true;
	return 0;
}

static bool get_boolean(struct view *view, const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	view->failed = view->failed || !json_is_boolean(value);
	return json_is_true(value);
}

static const char *get_text(struct view *view, const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_string(value))
		return json_string_value(value);
	view->failed = true;
	return "";
}

/* NULL for JSON null. */
static const char *get_text_or_null(struct view *view, const json_t *object, const char *name)
{
	return json_is_null(json_object_get(object, name)) ? NULL : get_text(view, object, name);
}

static const json_t *get_array(struct view *view, const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	view->failed = view->failed || !json_is_array(value);
	return value;
}

/* --- pieces of text ------------------------------------------------------------------------ */

static void say(struct view *view, enum table_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Prints a line. */
static void say(struct view *view, enum table_style style, const char *format, ...)
{
	char *escaped;
	va_list arguments;

	va_start(arguments, format);
	escaped = table_escape_format(format, arguments);
	va_end(arguments);
	if (escaped == NULL)
		view->failed = true;
	else
		fprintf(view->out, "%s%s%s\n", table_style_begin(style, view->colour), escaped,
			table_style_end(style, view->colour));
	free(escaped);
}

static void finish_table(struct view *view, struct table *table, size_t indent)
{
	if (!table_print(table, indent, view->colour, view->out))
		view->failed = true;
	table_free(table);
}

/* Local time; text holds TIME_MAX. */
static const char *format_time(int64_t epoch_s, char *text)
{
	time_t moment = (time_t)epoch_s;
	struct tm local;

	if (localtime_r(&moment, &local) == NULL ||
	    strftime(text, TIME_MAX, "%Y-%m-%d %H:%M:%S", &local) == 0)
		snprintf(text, TIME_MAX, "%" PRId64, epoch_s);
	return text;
}

static const char *plural(int64_t count)
{
	return count == 1 ? "" : "s";
}

/* Names and values, one pair a row. */
static const struct table_column pair_columns[] = {{NULL, false}, {NULL, false}};

static void add_pair(struct table *table, const char *name, enum table_style style,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add_pair(struct table *table, const char *name, enum table_style style,
		     const char *format, ...)
{
	va_list arguments;

	table_add(table, TABLE_PLAIN, "%s", name);
	va_start(arguments, format);
	table_add_arguments(table, style, format, arguments);
	va_end(arguments);
}

/* --- status -------------------------------------------------------------------------------- */

static const struct {
	const char *group, *title, *name;
	bool is_ms;
} counter_rows[] = {
	{"sessions", "opened", "sessions_opened", false},
	{"sessions", "closed", "sessions_closed", false},
	{"sessions", "exempt", "sessions_exempt", false},
	{"offences", "rejected recipients", "rejects", false},
	{"offences", "clients flagged", "flags", false},
	{"offences", "sieges", "sieges", false},
	{"stalls", "begun", "stalls_begun", false},
	{"stalls", "ended", "stalls_ended", false},
	{"stalls", "time waited", "stalled_ms", true},
	{"stalls", "client stayed", "stalls_stayed", false},
	{"stalls", "client had left", "stalls_left", false},
	{"instead", "deferred with 421", "deferred", false},
	{"instead", "passed", "passed", false},
	{"store", "calls", "store_calls", false},
	{"store", "failures", "store_failures", false},
	{"by hand", "forgiven", "forgiven", false},
	{"by hand", "flagged", "flagged_by_hand", false},
	{"reloads", "done", "reloads", false},
	{"reloads", "refused", "reloads_failed", false},
};
#define COUNTER_ROWS (sizeof(counter_rows) / sizeof(counter_rows[0]))

static bool has_row(const char *name)
{
	for (size_t i = 0; i < COUNTER_ROWS; i++)
		if (strcmp(counter_rows[i].name, name) == 0)
			return true;
	return false;
}

static void add_counter(struct table *table, const char *group, const char *title, int64_t value,
			bool is_ms)
{
	char duration[DURATION_TEXT_MAX];

	table_add(table, TABLE_PLAIN, "%s", group);
	table_add(table, TABLE_PLAIN, "%s", title);
	if (is_ms)
		table_add(table, TABLE_PLAIN, "%s", duration_describe(value, duration));
	else
		table_add(table, TABLE_PLAIN, "%" PRId64, value);
}

/* Each group's name stands in its first row only. Counters that have no row here come last. */
static void show_counters(struct view *view, const json_t *counters)
{
	static const struct table_column columns[] = {{NULL, false}, {NULL, false}, {NULL, true}};
	struct table table = {.columns = columns, .columns_count = 3};
	const char *group = "", *name;
	const json_t *value;

	view->failed = view->failed || !json_is_object(counters);
	for (size_t i = 0; i < COUNTER_ROWS; i++) {
		bool is_first = strcmp(group, counter_rows[i].group) != 0;

		group = counter_rows[i].group;
		add_counter(&table, is_first ? group : "", counter_rows[i].title,
			    get_integer(view, counters, counter_rows[i].name),
			    counter_rows[i].is_ms);
	}
	for (void *at = json_object_iter((json_t *)(uintptr_t)counters); at != NULL;
	     at = json_object_iter_next((json_t *)(uintptr_t)counters, at)) {
		name = json_object_iter_key(at);
		value = json_object_iter_value(at);
		if (!has_row(name))
			add_counter(&table, "other", name, integer_of(view, value), false);
	}
	finish_table(view, &table, INDENT);
}

static enum table_style style_of_state(const char *state)
{
	return strcmp(state, "up") == 0 ? TABLE_PLAIN : TABLE_ALARM;
}

static void add_siege(struct view *view, struct table *table, const json_t *siege)
{
	bool is_on = get_boolean(view, siege, "on");
	double score = get_number(view, siege, "score"), mean = get_number(view, siege, "mean");
	char since[TIME_MAX];

	if (is_on)
		add_pair(table, "siege", TABLE_ALARM, "since %s, score %.2f, mean %.2f",
			 format_time(get_integer(view, siege, "since"), since), score, mean);
	else
		add_pair(table, "siege", TABLE_PLAIN, "no, score %.2f, mean %.2f", score, mean);
}

static void show_status(struct view *view, const json_t *answer)
{
	struct table table = {.columns = pair_columns, .columns_count = 2};
	const json_t *servers = get_array(view, answer, "servers");
	const char *state = get_text(view, answer, "store_state");
	const json_t *mta = json_object_get(answer, "mta");
	char duration[DURATION_TEXT_MAX];

	say(view, TABLE_STRONG, "tarpit-milter %s, up %s, mode %s",
	    get_text(view, answer, "version"),
	    duration_describe(get_integer(view, answer, "uptime_s") * 1000, duration),
	    get_text(view, answer, "mode"));
	fputc('\n', view->out);
	add_pair(&table, "mta", TABLE_PLAIN, "%s: %s", get_text(view, mta, "kind"),
		 get_text(view, mta, "why"));
	add_pair(&table, "store", style_of_state(state), "%s, %s", get_text(view, answer, "store"),
		 state);
	for (size_t i = 0; i < json_array_size(servers); i++) {
		const json_t *server = json_array_get(servers, i);

		state = get_text(view, server, "state");
		add_pair(&table, i == 0 ? "servers" : "", style_of_state(state), "%s, %s",
			 get_text(view, server, "server"), state);
	}
	add_pair(&table, "sessions", TABLE_PLAIN, "%" PRId64 " of %" PRId64,
		 get_integer(view, answer, "sessions"), get_integer(view, answer, "max_sessions"));
	add_pair(&table, "stalls", TABLE_PLAIN, "%" PRId64 " of %" PRId64,
		 get_integer(view, answer, "stalls"), get_integer(view, answer, "max_stalls"));
	add_pair(&table, "clients", TABLE_PLAIN, "%" PRId64 ", %" PRId64 " flagged",
		 get_integer(view, answer, "clients"), get_integer(view, answer, "flagged"));
	add_siege(view, &table, json_object_get(answer, "siege"));
	finish_table(view, &table, INDENT);
	fputs("\nsince the start\n\n", view->out);
	show_counters(view, json_object_get(answer, "counters"));
}

/* --- stalls -------------------------------------------------------------------------------- */

static void add_stall(struct view *view, struct table *table, const json_t *stall)
{
	char waited[DURATION_TEXT_MAX], remains[DURATION_TEXT_MAX];

	table_add(table, TABLE_PLAIN, "%s", get_text(view, stall, "client"));
	table_add(table, TABLE_PLAIN, "%s", get_text(view, stall, "stage"));
	table_add(table, TABLE_PLAIN, "%s",
		  duration_describe(get_integer(view, stall, "waited_ms"), waited));
	table_add(table, TABLE_PLAIN, "%s",
		  duration_describe(get_integer(view, stall, "remains_ms"), remains));
	table_add(table, TABLE_PLAIN, "%.2f", get_number(view, stall, "score"));
}

static void show_stalls(struct view *view, const json_t *answer)
{
	static const struct table_column columns[] = {{"CLIENT", false},
						      {"STAGE", false},
						      {"WAITED", true},
						      {"REMAINS", true},
						      {"SCORE", true}};
	struct table table = {.columns = columns, .columns_count = 5};
	const json_t *stalls = get_array(view, answer, "stalls");
	int64_t max = get_integer(view, answer, "max_stalls");

	for (size_t i = 0; i < json_array_size(stalls); i++)
		add_stall(view, &table, json_array_get(stalls, i));
	finish_table(view, &table, 0);
	say(view, TABLE_PLAIN, "%" PRId64 " of %" PRId64 " stall%s",
	    get_integer(view, answer, "active"), max, plural(max));
}

/* --- list and show ------------------------------------------------------------------------- */

/* What a row of list and the answer to show have in common. */
struct entry {
	const char *client, *network; /* network may be NULL */
	double bad, good, score, effective_score, network_score;
	bool flagged, by_hand;
	const char *exempt_key, *exempt_rule; /* NULL: not exempt */
	int64_t delay_ms, sessions;
	char until[TIME_MAX]; /* the end of a flag by hand; empty: none, or not known */
};

static void read_entry(struct view *view, const json_t *object, struct entry *entry)
{
	const json_t *exempt = json_object_get(object, "exempt");

	*entry = (struct entry){
		.client = get_text(view, object, "client"),
		.network = get_text_or_null(view, object, "network"),
		.bad = get_number(view, object, "bad"),
		.good = get_number(view, object, "good"),
		.score = get_number(view, object, "score"),
		.effective_score = get_number(view, object, "effective_score"),
		.network_score = get_number(view, object, "network_score"),
		.flagged = get_boolean(view, object, "flagged"),
		.by_hand = get_boolean(view, object, "by_hand"),
		.delay_ms = get_integer(view, object, "delay_ms"),
		.sessions = get_integer(view, object, "sessions"),
	};
	if (!json_is_null(exempt)) {
		entry->exempt_key = get_text(view, exempt, "key");
		entry->exempt_rule = get_text(view, exempt, "rule");
	}
	if (!json_is_null(json_object_get(object, "by_hand_until")))
		format_time(get_integer(view, object, "by_hand_until"), entry->until);
}

static void add_entry(struct view *view, struct table *table, const json_t *object)
{
	struct entry entry;
	char duration[DURATION_TEXT_MAX];
	enum table_style style;

	read_entry(view, object, &entry);
	style = entry.flagged ? TABLE_ALARM : TABLE_PLAIN;
	table_add(table, style, "%s", entry.client);
	table_add(table, style, "%.2f", entry.effective_score);
	table_add(table, TABLE_PLAIN, "%.2f", entry.bad);
	table_add(table, TABLE_PLAIN, "%.2f", entry.good);
	if (entry.network != NULL)
		table_add(table, TABLE_PLAIN, "%.2f", entry.network_score);
	else
		table_add(table, TABLE_PLAIN, "-");
	table_add(table, TABLE_PLAIN, "%s",
		  entry.flagged ? duration_describe(entry.delay_ms, duration) : "-");
	table_add(table, TABLE_PLAIN, "%" PRId64, entry.sessions);
	if (entry.exempt_key != NULL)
		table_add(table, style, "exempt");
	else if (entry.by_hand && entry.until[0] != '\0')
		table_add(table, style, "by hand until %s", entry.until);
	else
		table_add(table, style, "%s",
			  entry.by_hand	  ? "by hand"
			  : entry.flagged ? "flagged"
					  : "-");
}

static void show_list(struct view *view, const json_t *answer)
{
	static const struct table_column columns[] = {
		{"CLIENT", false}, {"SCORE", true}, {"BAD", true},	{"GOOD", true},
		{"NETWORK", true}, {"DELAY", true}, {"SESSIONS", true}, {"STATE", false}};
	struct table table = {.columns = columns, .columns_count = 8};
	const json_t *clients = get_array(view, answer, "clients");
	int64_t total = get_integer(view, answer, "clients_total");

	for (size_t i = 0; i < json_array_size(clients); i++)
		add_entry(view, &table, json_array_get(clients, i));
	finish_table(view, &table, 0);
	say(view, TABLE_PLAIN, "%zu of %" PRId64 " client%s", json_array_size(clients), total,
	    plural(total));
}

static void add_exemption(struct table *table, const struct entry *entry)
{
	if (entry->exempt_key == NULL)
		add_pair(table, "exempt", TABLE_PLAIN, "no");
	else
		add_pair(table, "exempt", TABLE_STRONG, "yes: %s in %s", entry->exempt_rule,
			 entry->exempt_key);
}

static void add_network(struct view *view, struct table *table, const json_t *answer,
			const struct entry *entry)
{
	double threshold = get_number(view, answer, "network_threshold");
	double bad = get_number(view, answer, "network_bad");
	double good = get_number(view, answer, "network_good");
	bool is_dirty = get_boolean(view, answer, "network_dirty");

	if (entry->network == NULL || threshold == 0)
		add_pair(table, "network", TABLE_PLAIN, "does not matter");
	else
		add_pair(table, "network", is_dirty ? TABLE_ALARM : TABLE_PLAIN,
			 "%s: %.2f bad, %.2f good, score %.2f, %s at %g", entry->network, bad, good,
			 entry->network_score, is_dirty ? "dirty, as it is" : "dirty", threshold);
}

static void add_flag(struct table *table, const struct entry *entry)
{
	enum table_style style = entry->flagged ? TABLE_ALARM : TABLE_PLAIN;
	/* An exempt client keeps its flag by hand, which does nothing. */
	const char *answer = entry->flagged ? "" : "no, though ";

	if (!entry->by_hand)
		add_pair(table, "flagged", style, "%s", entry->flagged ? "yes" : "no");
	else if (entry->until[0] != '\0')
		add_pair(table, "flagged", style, "%sby hand until %s", answer, entry->until);
	else
		add_pair(table, "flagged", style, "%sby hand", answer);
}

static void show_client(struct view *view, const json_t *answer)
{
	struct table table = {.columns = pair_columns, .columns_count = 2};
	bool is_local = !get_boolean(view, answer, "shared");
	double passed = get_number(view, answer, "passed");
	struct entry entry;
	char duration[DURATION_TEXT_MAX];

	read_entry(view, answer, &entry);
	say(view, TABLE_STRONG, "%s", get_text(view, answer, "explanation"));
	fputc('\n', view->out);
	add_pair(&table, "client", TABLE_PLAIN, "%s%s", entry.client,
		 get_boolean(view, answer, "known") ? ""
		 : is_local			    ? ", of which this host knows nothing"
						    : ", of which nothing is known");
	add_exemption(&table, &entry);
	add_pair(&table, "score", TABLE_PLAIN, "%.2f: %.2f bad, %.2f good", entry.score, entry.bad,
		 entry.good);
	add_network(view, &table, answer, &entry);
	add_flag(&table, &entry);
	if (passed > 0)
		add_pair(&table, "passed", TABLE_PLAIN, "%.2f recipients without a wait, of %g",
			 passed, get_number(view, answer, "pass_limit"));
	add_pair(&table, "delay", TABLE_PLAIN, "%s",
		 entry.flagged ? duration_describe(entry.delay_ms, duration) : "none");
	add_pair(&table, "sessions", TABLE_PLAIN, "%" PRId64, entry.sessions);
	add_pair(&table, "stalls", TABLE_PLAIN, "%" PRId64, get_integer(view, answer, "stalls"));
	add_pair(&table, "mode", TABLE_PLAIN, "%s", get_text(view, answer, "mode"));
	finish_table(view, &table, INDENT);
}

/* --- what changes something ---------------------------------------------------------------- */

static void show_flag(struct view *view, const json_t *answer)
{
	int64_t sessions = get_integer(view, answer, "sessions");
	char until[TIME_MAX];

	get_boolean(view, answer, "shared");
	say(view, TABLE_PLAIN,
	    "%s is slowed until %s, in %" PRId64 " open session%s and in new ones",
	    get_text(view, answer, "client"),
	    format_time(get_integer(view, answer, "until"), until), sessions, plural(sessions));
}

static void show_forgive(struct view *view, const json_t *answer)
{
	int64_t released = get_integer(view, answer, "released");
	int64_t sessions = get_integer(view, answer, "sessions");
	bool is_known = get_boolean(view, answer, "known");

	get_boolean(view, answer, "shared");
	say(view, TABLE_PLAIN,
	    "%s is forgiven%s: %" PRId64 " stall%s released, %" PRId64 " open session%s",
	    get_text(view, answer, "client"), is_known ? "" : ", though nothing was known of it",
	    released, plural(released), sessions, plural(sessions));
}

static void show_reload(struct view *view, const json_t *answer)
{
	const json_t *keys = get_array(view, answer, "needs_restart");

	say(view, TABLE_PLAIN, "the configuration has been read again");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const char *key = json_string_value(json_array_get(keys, i));

		view->failed = view->failed || key == NULL;
		say(view, TABLE_STRONG, "note: %s has changed, but needs a restart",
		    key != NULL ? key : "");
	}
}

static const struct {
	const char *command;
	void (*show)(struct view *view, const json_t *answer);
} shows[] = {
	{"status", show_status}, {"stalls", show_stalls}, {"list", show_list},
	{"show", show_client},	 {"flag", show_flag},	  {"forgive", show_forgive},
	{"reload", show_reload},
};

bool text_print(const char *command, const json_t *answer, bool colour, FILE *out)
{
	struct view view = {.colour = colour, .failed = true};
	char *text = NULL;
	size_t length;

	view.out = open_memstream(&text, &length);
	if (view.out == NULL)
		return false;
	for (size_t i = 0; i < sizeof(shows) / sizeof(shows[0]); i++) {
		if (strcmp(shows[i].command, command) != 0)
			continue;
		view.failed = false;
		shows[i].show(&view, answer);
	}
	if (fclose(view.out) != 0)
		view.failed = true;
	/* A fault of out shows when main flushes it. */
	if (!view.failed)
		fwrite(text, 1, length, out);
	free(text);
	return !view.failed;
}
