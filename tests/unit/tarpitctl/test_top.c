/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tarpitctl/top_draw.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS_MAX 60
#define LINE_MAX 200
#define BEGIN_MS 1000000

#define COUNTERS(n)                                                                               \
	"{'sessions_opened':" n ",'rejects':" n ",'flags':" n ",'stalls_begun':" n                \
	",'deferred':" n ",'passed':" n ",'store_calls':" n ",'store_failures':" n "}"
#define STATUS                                                                                    \
	"{'ok':true,'version':'0.1.0','uptime_s':273912,'mode':'enforce','store':'memcached',"    \
	"'store_state':'degraded','servers':[{'server':'127.0.0.1:11211','state':'up'},"          \
	"{'server':'127.0.0.1:11212','state':'down'}],'sessions':1008,'max_sessions':4032,"       \
	"'stalls':2,'max_stalls':4,'clients':17,'flagged':2,'counters':" COUNTERS("10") "}"
#define STALL(client, remains)                                                                    \
	"{'client':'" client "','key':'x','stage':'RCPT','delay_ms':20000,'waited_ms':0,"         \
	"'remains_ms':" remains ",'score':6.25}"
#define STALLS(list) "{'ok':true,'max_stalls':4,'stalls':[" list "]}"
#define CLIENT(client, members)                                                                   \
	"{'client':'" client "','bad':8.25,'good':1,'score':6.25,'effective_score':6.25,"         \
	"'network':'192.0.2.0/24','network_score':12.5,'by_hand_until':null,'sessions':2" members \
	"}"
#define FLAGGED ",'flagged':true,'by_hand':false,'delay_ms':5900"
#define BY_HAND ",'flagged':true,'by_hand':true,'delay_ms':20000"
#define FREE ",'flagged':false,'by_hand':false,'delay_ms':0"
#define LIST(list) "{'ok':true,'clients_total':17,'clients':[" list "]}"

/* JSON, but with ' for ". */
static json_t *json(const char *text)
{
	char *copy = strdup(text);
	json_t *value;

	for (char *p = copy; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	value = json_loads(copy, JSON_DECODE_ANY, NULL);
	if (value == NULL)
		fail_msg("no JSON: %s", text);
	free(copy);
	return value;
}

static void take(struct top_model *model, const char *status, const char *stalls, const char *list,
		 int64_t now_ms)
{
	struct top_answers answers = {
		.status = json(status),
		.stalls = json(stalls),
		.list = json(list),
		.status_ms = now_ms,
		.stalls_ms = now_ms,
	};

	top_model_take(model, &answers);
	top_feed_clear(&answers);
}

/*
 * What the screen shows, line by line without blanks at the end; and the style of each first
 * character.
 */
struct screen {
	char lines[ROWS_MAX][LINE_MAX];
	enum screen_style styles[ROWS_MAX];
};

static void draw_moment(const struct top_model *model, const struct top_moment *moment, int rows,
			int columns, struct screen *screen)
{
	struct screen_grid grid = {0};

	assert_true(screen_resize(&grid, rows, columns));
	top_draw(model, moment, &grid);
	memset(screen, 0, sizeof(*screen));
	for (int row = 0; row < rows; row++) {
		int end = columns;

		while (end > 0 && grid.glyphs[row * columns + end - 1] == L' ')
			end--;
		for (int i = 0; i < end; i++)
			screen->lines[row][i] = (char)grid.glyphs[row * columns + i];
		screen->styles[row] = grid.styles[row * columns + (columns > 1)];
	}
	screen_free(&grid);
}

static void draw(const struct top_model *model, int64_t now_ms, int rows, int columns,
		 struct screen *screen)
{
	struct top_moment moment = {.now_ms = now_ms, .clock = "14:33:05"};

	draw_moment(model, &moment, rows, columns, screen);
}

static void assert_lines(const struct screen *screen, const char *const *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_string_equal(screen->lines[i], lines[i]);
	assert_string_equal(screen->lines[count], "");
}

static int find_line(const struct screen *screen, const char *start)
{
	for (int i = 0; i < ROWS_MAX; i++)
		if (strncmp(screen->lines[i], start, strlen(start)) == 0)
			return i;
	fail_msg("no line begins with '%s'", start);
	return -1;
}

static struct top_model *usual_model(void)
{
	struct top_model *model = calloc(1, sizeof(*model));

	take(model, STATUS,
	     STALLS(STALL("192.0.2.1", "5000") "," STALL("2001:db8:1234:5678:9abc:def0:1:2",
							  "15000")),
	     LIST(CLIENT("192.0.2.9/32", BY_HAND) "," CLIENT("192.0.2.1/32", FLAGGED) "," CLIENT(
		     "2001:db8:1234:5678::/64", FREE)),
	     BEGIN_MS);
	return model;
}

static void a_screen_of_80x24(void **state)
{
	static const char *const lines[] = {
		" tarpit-milter 0.1.0  enforce  up 3 d 04:05                            14:33:05",
		" Store     memcached degraded   127.0.0.1:11211 up  127.0.0.1:11212 down",
		" Sessions  [#######                      ]    1008 of 4032    Clients        17",
		" Stalls    [###############              ]       2 of 4       Flagged         2",
		"",
		"             SESSIONS  REJECTS   FLAGS  STALLS  DEFERRED  PASSED   STORE FAILED",
		" per second         -        -       -       -         -       -       -      -",
		" in all            10       10      10      10        10      10      10     10",
		"",
		" STALLED NOW               STAGE       SCORE                            REMAINS",
		" 2001:db8:1234:5678:9abc:~ RCPT         6.25 [################        ]  13.0 s",
		" 192.0.2.1                 RCPT         6.25 [####                    ]   3.0 s",
		"",
		"",
		" WORST CLIENTS                 BAD    GOOD   SCORE NETWORK  OPEN   FLAG   DELAY",
		" 192.0.2.9/32                 8.25    1.00    6.25   12.50     2   hand  20.0 s",
		" 192.0.2.1/32                 8.25    1.00    6.25   12.50     2    yes   5.9 s",
		" 2001:db8:1234:5678::/64      8.25    1.00    6.25   12.50     2      -       -",
		"",
		"",
		"",
		"",
		"",
		" q quit   p pause",
	};
	struct top_model *model = usual_model();
	struct screen screen;

	(void)state;
	draw(model, BEGIN_MS + 2000, 24, 80, &screen);
	assert_lines(&screen, lines, COUNT(lines));
	assert_int_equal(screen.styles[0], STYLE_TITLE);
	assert_int_equal(screen.styles[9], STYLE_HEADING);
	assert_int_equal(screen.styles[15], STYLE_BOLD);
	assert_int_equal(screen.styles[17], STYLE_PLAIN);
	free(model);
}

static void a_screen_of_40x10(void **state)
{
	static const char *const lines[] = {
		" tarpit-milter enforce  up 3 d 04:05",
		" Store     memcached degraded   127.0.0~",
		" Stalls    [#####    ]       2 of 4",
		" STALLED NOW                    REMAINS",
		" 2001:db8:1234:5~ [########  ]  15.0 s",
		" 192.0.2.1        [###       ]   5.0 s",
		" WORST CLIENTS            SCORE   DELAY",
		" 192.0.2.9/32              6.25  20.0 s",
		" 192.0.2.1/32              6.25   5.9 s",
		" q quit   p pause",
	};
	struct top_model *model = usual_model();
	struct screen screen;

	(void)state;
	draw(model, BEGIN_MS, 10, 40, &screen);
	assert_lines(&screen, lines, COUNT(lines));
	free(model);
}

static void exempt_clients_do_not_stand_out(void **state)
{
	struct top_model *model = calloc(1, sizeof(*model));
	struct screen screen;
	int row;

	(void)state;
	take(model, STATUS, STALLS(""),
	     LIST(CLIENT("192.0.2.9/32",
			 ",'flagged':false,'by_hand':true,'delay_ms':0,"
			 "'exempt':{'key':'exempt_clients','rule':'192.0.2.0/24'}")),
	     BEGIN_MS);
	draw(model, BEGIN_MS, 24, 80, &screen);
	row = find_line(&screen, " 192.0.2.9/32 ");
	assert_non_null(strstr(screen.lines[row], "12.50     2 exempt       -"));
	assert_int_equal(screen.styles[row], STYLE_PLAIN);
	free(model);
}

static void a_wide_screen_shows_more(void **state)
{
	struct top_model *model = usual_model();
	struct screen screen;
	int row;

	(void)state;
	draw(model, BEGIN_MS, 50, 132, &screen);
	row = find_line(&screen, " 2001:db8:1234:5678:9abc:def0:1:2 ");
	assert_non_null(strstr(screen.lines[row], "]  15.0 s of 20.0 s"));
	row = find_line(&screen, " 192.0.2.9/32");
	assert_non_null(strstr(screen.lines[row], "   192.0.2.0/24"));
	find_line(&screen, " q quit");
	free(model);
}

/* The last line says it, the first one does not wrap, and nothing is outside (which ASan sees). */
static void every_size_can_be_drawn(void **state)
{
	struct top_model *model = usual_model();
	const char *const troubles[] = {NULL, "No answer since 14:33:05 (3 s), trying again: x"};

	(void)state;
	for (int rows = 1; rows <= 30; rows++) {
		for (int columns = 1; columns <= 140; columns++) {
			struct top_moment moment = {
				.now_ms = BEGIN_MS,
				.clock = "14:33:05",
				.trouble = troubles[columns % 2],
				.paused = columns % 3 == 0,
			};
			struct screen screen;

			draw_moment(model, &moment, rows, columns, &screen);
			if (rows >= 3 && columns >= 16)
				assert_int_equal(strncmp(screen.lines[rows - 1], " q quit   p ",
							 12), 0);
			if (rows >= 2 && columns >= 20 && moment.trouble == NULL)
				find_line(&screen, " Stalls    ");
		}
	}
	free(model);
}

static void rates_are_of_the_time_between_two_answers(void **state)
{
	static const struct {
		const char *label, *first, *second;
		int64_t elapsed_ms;
		const char *rate;
	} rows[] = {
		{"a second", "10", "15", 1000, "5.0"},
		{"longer", "10", "15", 2500, "2.0"},
		{"nothing new", "10", "10", 1000, "0.0"},
		{"many", "0", "123456", 1000, "123.5k"},
		{"very many", "0", "999999999999999", 1000, "1000.0T"},
		{"more than fits", "0", "9223372036854775807", 1000, "1000.0T"},
		{"went down", "10", "9", 1000, "-"},
		{"too short a time", "10", "15", 20, "-"},
		{"no time", "10", "15", 0, "-"},
		{"time went back", "10", "15", -1000, "-"},
		{"was no number", "null", "15", 1000, "-"},
		{"is no number", "10", "'15'", 1000, "-"},
		{"negative", "10", "-15", 1000, "-"},
		{"a fraction", "10", "15.5", 1000, "-"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct top_model *model = calloc(1, sizeof(*model));
		struct screen screen;
		char status[512], expected[LINE_MAX];

		for (int answer = 0; answer < 2; answer++) {
			snprintf(status, sizeof(status),
				 "{'uptime_s':%d,'counters':{'sessions_opened':%s}}", 5 + answer,
				 answer == 0 ? rows[i].first : rows[i].second);
			take(model, status, "{}", "{}",
			     BEGIN_MS + (answer == 0 ? 0 : rows[i].elapsed_ms));
		}
		draw(model, BEGIN_MS, 24, 80, &screen);
		snprintf(expected, sizeof(expected), " per second%10s", rows[i].rate);
		if (strncmp(screen.lines[6], expected, strlen(expected)) != 0)
			fail_msg("%s: '%s'", rows[i].label, screen.lines[6]);
		free(model);
	}
}

static void a_restart_gives_no_rate_once(void **state)
{
	struct top_model *model = calloc(1, sizeof(*model));
	static const struct {
		const char *status;
		double rate;
	} rows[] = {
		{"{'uptime_s':100,'counters':{'rejects':10}}", NAN},
		{"{'uptime_s':101,'counters':{'rejects':20}}", 10},
		{"{'uptime_s':0,'counters':{'rejects':20}}", NAN},
		{"{'uptime_s':1,'counters':{'rejects':25}}", 5},
		{"{'counters':{'rejects':30}}", NAN},
		{"{'uptime_s':3,'counters':{'rejects':35}}", NAN},
		{"{'uptime_s':4,'counters':{'rejects':36}}", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		double rate;

		take(model, rows[i].status, "{}", "{}", BEGIN_MS + 1000 * (int64_t)i);
		rate = model->rates[TOP_REJECTS];
		if (isnan(rows[i].rate) ? !isnan(rate) : fabs(rate - rows[i].rate) > 1e-9)
			fail_msg("%zu: %g", i, rate);
	}
	free(model);
}

static void stalls_stand_in_a_steady_order(void **state)
{
	static const char *const expected[] = {"a", "b", "b", "c", "d", "e"};
	struct top_model *model = calloc(1, sizeof(*model));

	(void)state;
	take(model, "{}",
	     STALLS(STALL("d", "2") "," STALL("b", "7") "," STALL("e", "null") "," STALL(
		     "a", "9") "," STALL("b", "7") "," STALL("c", "7")),
	     "{}", BEGIN_MS);
	assert_int_equal(model->stall_count, COUNT(expected));
	for (size_t i = 0; i < COUNT(expected); i++)
		assert_string_equal(model->stalls[i].client, expected[i]);
	assert_true(model->stalls[1].position < model->stalls[2].position);
	free(model);
}

static void what_remains_runs_down_between_answers(void **state)
{
	static const struct {
		const char *remains;
		int64_t elapsed_ms, expected_ms;
	} rows[] = {
		{"5000", 0, 5000},     {"5000", 200, 4800}, {"5000", 4999, 1},
		{"5000", 5000, 0},     {"5000", 9000, 0},   {"null", 100, TOP_UNKNOWN},
		{"-5", 0, TOP_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct top_model *model = calloc(1, sizeof(*model));
		char stalls[512];

		snprintf(stalls, sizeof(stalls), STALLS(STALL("192.0.2.1", "%s")), rows[i].remains);
		take(model, "{}", stalls, "{}", BEGIN_MS);
		assert_int_equal(top_model_remains_ms(model, &model->stalls[0],
						BEGIN_MS + rows[i].elapsed_ms),
				 rows[i].expected_ms);
		free(model);
	}
}

/* So many stalls. */
static void take_stalls(struct top_model *model, int count, int64_t now_ms)
{
	char *text = calloc((size_t)count + 1, 200);

	strcpy(text, "{'stalls':[");
	for (int i = 0; i < count; i++) {
		char *end = text + strlen(text);

		sprintf(end, "%s{'client':'192.0.2.%d','delay_ms':5000,'remains_ms':%d}",
			i == 0 ? "" : ",", i, 5000 - i);
	}
	strcat(text, "]}");
	take(model, "{}", text, LIST(CLIENT("192.0.2.1/32", FLAGGED)), now_ms);
	free(text);
}

static void lines_below_stalls_do_not_jump(void **state)
{
	struct top_model *model = calloc(1, sizeof(*model));
	static const struct {
		int64_t at_s;
		int stalls, row;
	} rows[] = {
		{0, 0, 14}, {1, 3, 14},	 {2, 4, 15},  {3, 6, 17},  {4, 1, 17}, {20, 0, 17},
		{32, 2, 17}, {34, 2, 14}, {35, 5, 16}, {36, 5, 16}, {65, 5, 16}, {90, 4, 16},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct screen screen;

		take_stalls(model, rows[i].stalls, BEGIN_MS + 1000 * rows[i].at_s);
		draw(model, BEGIN_MS, 24, 80, &screen);
		assert_int_equal(find_line(&screen, " WORST"), rows[i].row);
	}
	free(model);
}

static void more_stalls_than_room(void **state)
{
	struct top_model *model = calloc(1, sizeof(*model));
	struct screen screen;
	int row;

	(void)state;
	take_stalls(model, 1200, BEGIN_MS);
	assert_int_equal(model->stall_count, TOP_STALLS_MAX);
	draw(model, BEGIN_MS, 24, 80, &screen);
	row = find_line(&screen, " STALLED");
	assert_int_equal(strncmp(screen.lines[row + 1], " 192.0.2.0 ", 11), 0);
	assert_int_equal(find_line(&screen, " and "), row + 10);
	assert_string_equal(screen.lines[row + 10], " and 1191 more");
	assert_string_equal(screen.lines[row + 11], "");
	assert_int_equal(find_line(&screen, " WORST"), row + 12);
	take(model, "{}", "{'active':5000,'stalls':[" STALL("x", "5") "]}", LIST(""), BEGIN_MS + 1);
	draw(model, BEGIN_MS, 24, 80, &screen);
	assert_int_equal(strncmp(screen.lines[row + 1], " x ", 3), 0);
	assert_string_equal(screen.lines[row + 2], " and 4999 more");
	free(model);
}

static void nobody_is_said(void **state)
{
	struct top_model *model = calloc(1, sizeof(*model));
	struct screen screen;

	(void)state;
	take(model, "{'mode':'enforce'}", STALLS(""), LIST(""), BEGIN_MS);
	draw(model, BEGIN_MS, 24, 80, &screen);
	assert_string_equal(screen.lines[find_line(&screen, " STALLED") + 1], " nobody");
	assert_string_equal(screen.lines[find_line(&screen, " WORST") + 1], " none");
	take(model, "{'mode':'observe'}", STALLS(""), LIST(""), BEGIN_MS);
	draw(model, BEGIN_MS, 24, 80, &screen);
	assert_string_equal(screen.lines[find_line(&screen, " STALLED") + 1],
			    " nobody: in this mode nobody is slowed");
	free(model);
}

static void numbers_fit_their_columns(void **state)
{
	static const struct {
		const char *score, *expected;
	} rows[] = {
		{"0", "0.00"},		  {"6.254", "6.25"},	{"9999.99", "9999.99"},
		{"12345.67", "12345.7"},  {"123456.7", "123457"}, {"12345678", "1e+07"},
		{"1e300", "1e+15"},	  {"-1.5", "-1.50"},	{"-1995", "-1995.0"},
		{"-1e300", "-1e+15"},	  {"null", "?"},	{"'6'", "?"},
		{"{'a':1}", "?"},	  {"7", "7.00"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct top_model *model = calloc(1, sizeof(*model));
		struct screen screen;
		char list[256], expected[LINE_MAX];

		snprintf(list, sizeof(list), "{'clients':[{'client':'x','effective_score':%s}]}",
			 rows[i].score);
		take(model, "{}", "{}", list, BEGIN_MS);
		draw(model, BEGIN_MS, 24, 80, &screen);
		snprintf(expected, sizeof(expected), " x%40s%8s", "?       ?", rows[i].expected);
		find_line(&screen, expected);
		free(model);
	}
}

static void trouble_takes_a_line_and_fades_the_rest(void **state)
{
	struct top_model *model = usual_model();
	struct top_moment moment = {
		.now_ms = BEGIN_MS, .clock = "14:33:05", .trouble = "No answer since 14:33:02"};
	struct screen screen;

	(void)state;
	draw_moment(model, &moment, 24, 80, &screen);
	assert_string_equal(screen.lines[1], " No answer since 14:33:02");
	assert_int_equal(screen.styles[1], STYLE_ALARM);
	assert_int_equal(screen.styles[15], STYLE_DIM);
	assert_int_equal(screen.styles[23], STYLE_BOLD);
	draw_moment(model, &moment, 3, 80, &screen);
	assert_string_equal(screen.lines[0], " No answer since 14:33:02");
	draw_moment(model, &moment, 1, 5, &screen);
	assert_string_equal(screen.lines[0], "No a~");
	free(model);
}

static void a_pause_is_told(void **state)
{
	struct top_model *model = usual_model();
	struct top_moment moment = {.now_ms = BEGIN_MS, .clock = "14:33:05", .paused = true};
	struct screen screen;

	(void)state;
	draw_moment(model, &moment, 24, 80, &screen);
	assert_non_null(strstr(screen.lines[0], " PAUSED 14:33:05"));
	assert_string_equal(screen.lines[23], " q quit   p go on");
	draw_moment(model, &moment, 24, 30, &screen);
	assert_non_null(strstr(screen.lines[0], " PAUSED"));
	free(model);
}

static void a_siege_stands_out(void **state)
{
	static const struct {
		int columns;
		const char *title;
	} rows[] = {
		{80, " tarpit-milter 0.1.0  enforce  up 3 d 04:05  SIEGE 45.26, mean 2.13    14:33:05"},
		{79, " tarpit-milter 0.1.0  enforce  up 3 d 04:05  SIEGE 45.26, mean 2.13   14:33:05"},
		{78, " tarpit-milter 0.1.0  enforce  up 3 d 04:05  SIEGE                   14:33:05"},
		{62, " tarpit-milter 0.1.0  enforce  up 3 d 04:05  SIEGE   14:33:05"},
		{61, " tarpit-milter 0.1.0  enforce  up 3 d 04:05         14:33:05"},
	};
	struct top_model *model = usual_model();

	(void)state;
	take(model,
	     "{'version':'0.1.0','uptime_s':273912,'mode':'enforce',"
	     "'siege':{'on':true,'since':1,'score':45.258,'mean':2.128}}",
	     "{}", "{}", BEGIN_MS);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct screen screen;

		draw(model, BEGIN_MS, 24, rows[i].columns, &screen);
		assert_string_equal(screen.lines[0], rows[i].title);
	}
	free(model);
}

static const char *const hostile[] = {
	"null",
	"[]",
	"{}",
	"'text'",
	"7",
	"{'ok':true,'version':7,'mode':[],'store':{},'store_state':null,'servers':{'a':1},"
	"'counters':[1,2],'stalls':{},'clients':'x','uptime_s':'long','max_stalls':true}",
	"{'active':9223372036854775807,'version':'\\u001b[2J\\u0007\\u0085\\u202e\\ud83d\\ude00\\r\\n\\t','mode':'\\u009b31m',"
	"'store':'a\\nb','store_state':'\\u0008\\u0008up',"
	"'servers':[null,7,'x',{},{'server':'\\u001b]0;x\\u0007','state':'\\u001bc'}],"
	"'stalls':[null,7,[],{'client':'\\u001b[31m','stage':'\\u000e','remains_ms':1e300}],"
	"'clients':[null,7,[],{'client':'\\u007f\\u0080','network':'\\u001b[0m'}]}",
	"{'uptime_s':9223372036854775807,'sessions':9223372036854775807,'max_sessions':1,"
	"'max_stalls':9223372036854775807,'clients':9223372036854775807,'flagged':-9,"
	"'counters':" COUNTERS("9223372036854775807") "}",
	"{'uptime_s':-9223372036854775808,'sessions':-1,'max_sessions':-1,'max_stalls':0,"
	"'counters':" COUNTERS("-9223372036854775808") "}",
	"{'siege':7}",
	"{'siege':{'on':true}}",
	"{'siege':{'on':true,'score':1e308,'mean':-1e308}}",
	"{'siege':{'on':true,'score':'\\u001b[31m','mean':[]}}",
	"{'stalls':[{'client':'x','delay_ms':9223372036854775807,"
	"'remains_ms':9223372036854775807,'score':1e308},{'delay_ms':0,'remains_ms':5},"
	"{'delay_ms':-5,'remains_ms':9223372036854775807,'score':-1e308}],"
	"'clients':[{'client':'x','bad':1e308,'good':-1e308,'effective_score':1e308,"
	"'network':'y','network_score':-1e308,'flagged':1,'by_hand':'yes',"
	"'delay_ms':9223372036854775807,'sessions':-9223372036854775808}]}",
};

static void assert_harmless(const struct top_model *model, int64_t now_ms, int rows, int columns,
			    const char *document)
{
	struct top_moment moment = {.now_ms = now_ms, .clock = "14:33:05"};
	struct screen_grid grid = {.has_blocks = true};

	assert_true(screen_resize(&grid, rows, columns));
	top_draw(model, &moment, &grid);
	for (int i = 0; i < rows * columns; i++) {
		wchar_t glyph = grid.glyphs[i];

		if ((glyph < L' ' || glyph > L'~') && (glyph < 0x2588 || glyph > 0x258f) &&
		    glyph != 0x2026)
			fail_msg("U+%04X from %s", (unsigned)glyph, document);
		assert_true(grid.styles[i] < STYLE_COUNT);
	}
	screen_free(&grid);
}

static void no_answer_does_harm(void **state)
{
	static const int sizes[][2] = {{24, 80}, {50, 200}, {7, 24}, {1, 1}, {5, 20}};

	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++) {
		struct top_model *model = usual_model();

		for (size_t n = 0; n < COUNT(hostile) + 1; n++) {
			/* After what is good, and after all that is bad. */
			if (n > 0)
				take(model, hostile[n - 1], hostile[n - 1], hostile[n - 1],
				     BEGIN_MS + (int64_t)n);
			take(model, hostile[i], hostile[i], hostile[i], BEGIN_MS + 5000);
			for (size_t size = 0; size < COUNT(sizes); size++)
				assert_harmless(model, BEGIN_MS + 6000, sizes[size][0],
						sizes[size][1], hostile[i]);
		}
		free(model);
	}
}

static void what_is_not_told_is_a_question_mark(void **state)
{
	struct top_model *model = calloc(1, sizeof(*model));
	struct screen screen;

	(void)state;
	take(model, "{}", "{'stalls':[{}]}", "{'clients':[{}]}", BEGIN_MS);
	draw(model, BEGIN_MS, 24, 80, &screen);
	assert_non_null(strstr(screen.lines[0], "up ?"));
	assert_non_null(strstr(screen.lines[2], "  ? of ?  "));
	assert_non_null(strstr(screen.lines[find_line(&screen, " STALLED") + 1], "]       ?"));
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_screen_of_80x24),
		cmocka_unit_test(a_screen_of_40x10),
		cmocka_unit_test(exempt_clients_do_not_stand_out),
		cmocka_unit_test(a_wide_screen_shows_more),
		cmocka_unit_test(every_size_can_be_drawn),
		cmocka_unit_test(rates_are_of_the_time_between_two_answers),
		cmocka_unit_test(a_restart_gives_no_rate_once),
		cmocka_unit_test(stalls_stand_in_a_steady_order),
		cmocka_unit_test(what_remains_runs_down_between_answers),
		cmocka_unit_test(lines_below_stalls_do_not_jump),
		cmocka_unit_test(more_stalls_than_room),
		cmocka_unit_test(nobody_is_said),
		cmocka_unit_test(numbers_fit_their_columns),
		cmocka_unit_test(trouble_takes_a_line_and_fades_the_rest),
		cmocka_unit_test(a_pause_is_told),
		cmocka_unit_test(a_siege_stands_out),
		cmocka_unit_test(no_answer_does_harm),
		cmocka_unit_test(what_is_not_told_is_a_question_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
