/* SPDX-License-Identifier: BSD-2-Clause */
/* Draws the stalls at once over time as SVG: a curve for each scenario, and its max_stalls. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/printable.h"
#include "report.h"

#define WIDTH 960
#define HEIGHT 360
#define LEFT 64
#define RIGHT 48
#define TOP 56
#define BOTTOM 56
#define LEGEND_ROW 18
#define TICKS_X 7
#define TICKS_Y 5

static const char *const colours[] = {"#1f6fb4", "#c8501e", "#2c8c4a", "#8a4fb0", "#a07a00"};
#define COLOURS (sizeof(colours) / sizeof(colours[0]))

/* The part of the picture that the curves are in, in its units, and what that part stands for. */
struct plane {
	double top, left, width, height;
	double begin_ms, end_ms;
	unsigned most;
};

static double x_of(const struct plane *plane, double ms)
{
	return plane->left +
	       plane->width * (ms - plane->begin_ms) / (plane->end_ms - plane->begin_ms);
}

static double y_of(const struct plane *plane, unsigned count)
{
	return plane->top + plane->height * (1 - (double)count / plane->most);
}

static void put_escaped(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else
			fputc(printable_is(*text) ? *text : '?', out);
	}
}

static void put_text(FILE *out, double x, double y, const char *anchor, const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	put_escaped(text, out);
	fputs("</text>\n", out);
}

static void put_line(FILE *out, const char *class, double x1, double y1, double x2, double y2)
{
	fprintf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
		class, x1, y1, x2, y2);
}

/* The least step of 1, 2, 5, 10, 20 ... with which TICKS_Y ticks reach most. */
static unsigned step_y(unsigned most)
{
	static const unsigned factors[] = {2, 5, 10};
	unsigned base = 1, step = 1;

	for (size_t i = 0; most / step > TICKS_Y; i = (i + 1) % 3) {
		step = base * factors[i];
		if (factors[i] == 10)
			base *= 10;
	}
	return step;
}

static int64_t step_x_s(int64_t span_s)
{
	static const int64_t steps[] = {1,	2,	5,	 10,	  30,	   60,	    300,
					600,	1800,	3600,	 7200,	  21600,   43200,   86400,
					172800, 604800, 1209600, 2592000, 7776000, 31536000};
	size_t i = 0;

	while (i + 1 < sizeof(steps) / sizeof(steps[0]) && span_s / steps[i] > TICKS_X)
		i++;
	/* A log of centuries, which garbled stamps may make one, gets steps of any length. */
	return span_s / steps[i] > 2 * TICKS_X ? span_s / TICKS_X : steps[i];
}

static void put_axis_y(FILE *out, const struct plane *plane)
{
	unsigned step = step_y(plane->most);
	char text[16];

	for (unsigned count = 0; count <= plane->most; count += step) {
		double y = y_of(plane, count);

		put_line(out, "grid", plane->left, y, plane->left + plane->width, y);
		snprintf(text, sizeof(text), "%u", count);
		put_text(out, plane->left - 8, y + 4, "end", text);
	}
	fprintf(out,
		"<text text-anchor=\"middle\" transform=\"translate(16 %.1f) rotate(-90)\">"
		"stalls at once</text>\n",
		plane->top + plane->height / 2);
}

static void put_axis_x(FILE *out, const struct plane *plane)
{
	int64_t begin_s = (int64_t)(plane->begin_ms / 1000),
		end_s = (int64_t)(plane->end_ms / 1000);
	int64_t step_s = step_x_s(end_s - begin_s), first_s;
	time_t begin = (time_t)begin_s;
	struct tm local = {0};
	double bottom = plane->top + plane->height;
	char text[REPLAY_TIME_MAX];

	localtime_r(&begin, &local);
	first_s = begin_s + local.tm_gmtoff;
	first_s = first_s + (step_s - first_s % step_s) % step_s - local.tm_gmtoff;
	for (int64_t s = first_s; s <= end_s; s += step_s) {
		double x = x_of(plane, (double)s * 1000);

		put_line(out, "grid", x, plane->top, x, bottom + 5);
		put_text(out, x, bottom + 19, "middle",
			 replay_text_time(s * 1000,
					  step_s < 86400 ? REPLAY_TIME_CLOCK : REPLAY_TIME_DATE,
					  text));
		if (step_s < 86400)
			put_text(out, x, bottom + 34, "middle",
				 replay_text_time(s * 1000, REPLAY_TIME_DATE, text));
	}
	put_line(out, "axis", plane->left, bottom, plane->left + plane->width, bottom);
	put_line(out, "axis", plane->left, plane->top, plane->left, bottom);
}

static void put_curve(FILE *out, const struct plane *plane,
		      const struct replay_concurrency *concurrency, const char *colour)
{
	double begin = plane->begin_ms;

	fprintf(out, "<path class=\"curve\" stroke=\"%s\" fill=\"%s\" d=\"M%.1f %.1f", colour,
		colour, plane->left, y_of(plane, 0));
	for (size_t i = 0; i < concurrency->buckets_used; i++) {
		begin = (double)(concurrency->begin_ms + (int64_t)i * concurrency->width_ms);

		fprintf(out, " L%.1f %.1f L%.1f %.1f", x_of(plane, begin),
			y_of(plane, concurrency->buckets[i].peak),
			x_of(plane, begin + (double)concurrency->width_ms),
			y_of(plane, concurrency->buckets[i].peak));
	}
	fprintf(out, " L%.1f %.1f\"/>\n", x_of(plane, begin + (double)concurrency->width_ms),
		y_of(plane, 0));
}

static void put_max_stalls(FILE *out, const struct plane *plane,
			   const struct replay_concurrency *concurrency, const char *colour)
{
	double y = y_of(plane, concurrency->max_stalls);
	char text[64];

	fprintf(out,
		"<line class=\"budget\" stroke=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
		"y2=\"%.1f\"/>\n",
		colour, plane->left, y, plane->left + plane->width, y);
	snprintf(text, sizeof(text), "max_stalls = %u", concurrency->max_stalls);
	put_text(out, plane->left + plane->width - 4, y - 5, "end", text);
}

static struct replay_concurrency *concurrency_of(const struct replay_report *report, size_t i)
{
	return &report->drive->scenarios[i]->result.concurrency;
}

static struct plane plane_of(const struct replay_report *report, double top)
{
	struct plane plane = {.top = top,
			      .left = LEFT,
			      .width = WIDTH - LEFT - RIGHT,
			      .height = HEIGHT - TOP - BOTTOM,
			      .most = 1};
	double end_ms;

	for (size_t i = 0; i < report->drive->scenarios_count; i++) {
		const struct replay_concurrency *concurrency = concurrency_of(report, i);

		if (plane.begin_ms == 0 || (double)concurrency->begin_ms < plane.begin_ms)
			plane.begin_ms = (double)concurrency->begin_ms;
		end_ms = (double)(concurrency->begin_ms +
				  (int64_t)concurrency->buckets_used * concurrency->width_ms);
		plane.end_ms = fmax(plane.end_ms, end_ms);
		if (concurrency->peak > plane.most)
			plane.most = concurrency->peak;
		if (concurrency->max_stalls > plane.most)
			plane.most = concurrency->max_stalls;
	}
	plane.end_ms = fmax(plane.end_ms, plane.begin_ms + 1000);
	plane.most += plane.most / 10 + 1;
	return plane;
}

static void put_legend(FILE *out, const struct replay_report *report)
{
	for (size_t i = 0; i < report->drive->scenarios_count; i++) {
		double y = TOP - 16 + LEGEND_ROW * (double)i;

		fprintf(out, "<rect x=\"%d\" y=\"%.1f\" width=\"14\" height=\"4\" fill=\"%s\"/>\n",
			LEFT, y - 6, colours[i % COLOURS]);
		put_text(out, LEFT + 20, y, "start", report->drive->scenarios[i]->name);
	}
}

bool replay_svg_draw(const struct replay_report *report, FILE *out)
{
	size_t scenarios = report->drive->scenarios_count;
	double legend = LEGEND_ROW * ((double)scenarios - 1);
	struct plane plane = plane_of(report, TOP + legend);

	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
		"viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<title>Stalls over time</title>\n"
		"<style>.grid{stroke:#ddd}.axis{stroke:#333}.curve{fill-opacity:.15;stroke-width:1."
		"5}"
		".budget{stroke-dasharray:6 4}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, HEIGHT + legend, WIDTH, HEIGHT + legend);
	put_text(out, LEFT, 18, "start", "What tarpit-milter would have stalled");
	put_legend(out, report);
	put_axis_y(out, &plane);
	put_axis_x(out, &plane);
	for (size_t i = 0; i < scenarios; i++) {
		put_max_stalls(out, &plane, concurrency_of(report, i), colours[i % COLOURS]);
		put_curve(out, &plane, concurrency_of(report, i), colours[i % COLOURS]);
	}
	fputs("</svg>\n", out);
	return fflush(out) == 0 && ferror(out) == 0;
}
