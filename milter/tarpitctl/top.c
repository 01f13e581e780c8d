/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl top`: the terminal, and the loop that waits for keys, signals and answers. */
#include "top.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <term.h>
#include <time.h>
#include <unistd.h>

/* A macro of term.h. */
#undef columns

#include "base/clock.h"
#include "base/error.h"
#include "screen.h"
#include "top_draw.h"
#include "top_feed.h"
#include "top_model.h"

#define FRAME_MS 200
/* After so long without an answer the screen says that the daemon is silent. */
#define SILENCE_MS 3000
#define ROWS_MAX 1000
#define COLUMNS_MAX 2000
#define CLIENTS_MIN 50
/* How long curses waits for the rest of an arrow key's sequence; ESC alone quits. */
#define ESCAPE_MS 50
#define KEY_ESCAPE 27
#define CONTROL(letter) ((letter)&0x1f)

/* Signals are read from a descriptor: a handler must not call curses. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

struct top {
	const char *socket_path;
	struct top_feed *feed;
	struct top_model *model;
	struct screen_grid grid;
	SCREEN *screen;
	attr_t styles[STYLE_COUNT];
	sigset_t mask_before;
	struct sigaction actions_before[SIGNALS];
	int signals; /* a signalfd */
	int deadly; /* the signal that ends the process, or 0 */
	bool quits, paused, gone; /* gone: the last round of questions failed */
	int64_t resumed_ms; /* when the last pause or stop ended */
	int64_t frozen_ms; /* the moment that the screen shows while it stands still; 0: it moves */
	time_t answered_at;
	char error[256];
};

/* --- signals */

static bool take_signals(struct top *top)
{
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < SIGNALS; i++) {
		sigaction(signals[i], NULL, &top->actions_before[i]);
		/* Signals that the parent made ignored, as nohup does, stay ignored. */
		if (top->actions_before[i].sa_handler != SIG_IGN)
			sigaddset(&mask, signals[i]);
	}
	top->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (top->signals < 0)
		return false;
	pthread_sigmask(SIG_BLOCK, &mask, &top->mask_before);
	return true;
}

static void give_signals_back(struct top *top)
{
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &top->actions_before[i], NULL);
	close(top->signals);
	pthread_sigmask(SIG_SETMASK, &top->mask_before, NULL);
}

/* --- the terminal */

/* Attributes that any terminal shows, and a colour pair, or 0, for those with colours. */
static const struct {
	attr_t attributes;
	short pair;
} looks[STYLE_COUNT] = {
	[STYLE_DIM] = {A_DIM, 0},
	[STYLE_BOLD] = {A_BOLD, 0},
	[STYLE_TITLE] = {A_REVERSE | A_BOLD, 0},
	[STYLE_HEADING] = {A_REVERSE, 4},
	[STYLE_BAR] = {0, 4},
	[STYLE_GOOD] = {0, 1},
	[STYLE_WARNING] = {A_BOLD, 2},
	[STYLE_BAD] = {A_BOLD, 3},
	[STYLE_ALARM] = {A_REVERSE | A_BOLD, 3},
};

static void choose_styles(struct top *top)
{
	static const short colours[] = {COLOR_GREEN, COLOR_YELLOW, COLOR_RED, COLOR_CYAN};
	const char *no_color = getenv("NO_COLOR");
	bool coloured =
		(no_color == NULL || *no_color == '\0') && has_colors() && start_color() == OK;
	short background = coloured && use_default_colors() == OK ? -1 : COLOR_BLACK;

	for (short i = 0; coloured && i < 4; i++)
		init_pair((short)(i + 1), colours[i], background);
	for (size_t i = 0; i < STYLE_COUNT; i++) {
		top->styles[i] = looks[i].attributes;
		if (coloured && looks[i].pair != 0)
			top->styles[i] |= COLOR_PAIR((attr_t)looks[i].pair);
	}
}

/* One that this machine has no description of is most likely like xterm, or else like ANSI's. */
static bool know_terminal(const char *name)
{
	const char *const names[] = {name, "xterm", "ansi"};
	int status = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (setupterm(names[i], STDOUT_FILENO, &status) == OK) {
			if (i > 0)
				setenv("TERM", names[i], 1);
			return true;
		}
	return false;
}

/* False with the reason in error: there is no terminal, or none whose cursor can be moved. */
static bool prepare_terminal(char *error, size_t size)
{
	const char *name = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return error_set(error, size, "top needs a terminal: take status, stalls and list");
	if (name == NULL || *name == '\0')
		return error_set(error, size, "top needs to know the terminal: TERM is not set");
	if (!know_terminal(name)) {
		snprintf(error, size, "top does not know the terminal '%.100s' (TERM)", name);
		return false;
	}
	if (cursor_address == NULL || clear_screen == NULL) {
		snprintf(error, size, "top can't move the cursor on the terminal '%.100s' (TERM)",
			 name);
		del_curterm(cur_term);
		return false;
	}
	del_curterm(cur_term);
	/* newterm fails at an absurd size of the terminal; fit() sets the true one. */
	setenv("LINES", "24", 1);
	setenv("COLUMNS", "80", 1);
	return true;
}

/* The console of Linux understands UTF-8, but its font lacks most block characters. */
static bool has_blocks(void)
{
	const char *name = getenv("TERM");

	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 && strncmp(name, "linux", 5) != 0;
}

static int within(int value, int max)
{
	return value < max ? value : max;
}

/* Asks for CLIENTS_MIN clients at least, so that a larger screen is filled at once. */
static void set_feed(const struct top *top)
{
	int clients = top->grid.rows > CLIENTS_MIN ? top->grid.rows : CLIENTS_MIN;

	top_feed_set(top->feed, top->paused, within(clients, TOP_CLIENTS_MAX));
}

static bool fit(struct top *top)
{
	struct winsize size;
	int rows, columns;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		resizeterm(within(size.ws_row, ROWS_MAX), within(size.ws_col, COLUMNS_MAX));
	getmaxyx(stdscr, rows, columns);
	/* A terminal whose size changes has wrapped its lines: curses must draw them all anew. */
	clearok(curscr, TRUE);
	if (!screen_resize(&top->grid, rows, columns))
		return false;
	set_feed(top);
	return true;
}

static bool open_screen(struct top *top)
{
	top->screen = newterm(NULL, stdout, stdin);
	if (top->screen == NULL)
		return false;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	leaveok(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	choose_styles(top);
	top->grid.has_blocks = has_blocks();
	return true;
}

static void close_screen(struct top *top)
{
	/* Without an alternate screen the picture stays: the prompt replaces its last line. */
	if (enter_ca_mode == NULL && move(top->grid.rows - 1, 0) == OK && clrtoeol() == OK)
		refresh();
	endwin();
	delscreen(top->screen);
	screen_free(&top->grid);
}

static void paint(const struct top *top)
{
	const struct screen_grid *grid = &top->grid;

	for (int row = 0; row < grid->rows; row++) {
		const wchar_t *glyphs = grid->glyphs + row * grid->columns;
		const uint8_t *styles = grid->styles + row * grid->columns;

		for (int from = 0, to; from < grid->columns; from = to) {
			for (to = from + 1; to < grid->columns && styles[to] == styles[from];)
				to++;
			attrset((int)top->styles[styles[from]]);
			mvaddnwstr(row, from, glyphs + from, to - from);
		}
	}
	refresh();
}

/* --- what the screen says */

static const char *time_of_day(time_t when, char *text, size_t size)
{
	struct tm tm;

	if (localtime_r(&when, &tm) == NULL || strftime(text, size, "%H:%M:%S", &tm) == 0)
		snprintf(text, size, "?");
	return text;
}

/* The error without the socket's path, for which there is no room. */
static const char *reason(const struct top *top)
{
	size_t length = strlen(top->socket_path);

	if (!top->gone)
		return "tarpit-milter is silent";
	if (strncmp(top->error, top->socket_path, length) == 0 &&
	    strncmp(top->error + length, ": ", 2) == 0)
		return top->error + length + 2;
	return top->error;
}

/* Why there are no new answers, in a sentence; NULL if there are. */
static const char *trouble(const struct top *top, char *text, size_t size)
{
	int64_t now_ms = clock_now_ms(), since_ms = now_ms - top->model->stalls_ms;
	char clock[16];

	if (!top->gone &&
	    (top->paused || now_ms - top->resumed_ms < SILENCE_MS || since_ms < SILENCE_MS))
		return NULL;
	snprintf(text, size, "No answer since %s (%lld s), trying again: %s",
		 time_of_day(top->answered_at, clock, sizeof(clock)), (long long)(since_ms / 1000),
		 reason(top));
	return text;
}

static void show(struct top *top)
{
	char text[512], clock[16];
	struct top_moment moment = {
		.clock = time_of_day(top->paused ? top->answered_at : time(NULL), clock,
				     sizeof(clock)),
		.trouble = trouble(top, text, sizeof(text)),
		.paused = top->paused,
	};

	if (!top->paused && moment.trouble == NULL)
		top->frozen_ms = 0;
	else if (top->frozen_ms == 0)
		top->frozen_ms = clock_now_ms();
	moment.now_ms = top->frozen_ms != 0 ? top->frozen_ms : clock_now_ms();
	top_draw(top->model, &moment, &top->grid);
	paint(top);
}

/* --- answers, signals and keys */

static void take_answers(struct top *top)
{
	struct top_answers answers;

	if (!top_feed_take(top->feed, &answers))
		return;
	/* The thread may have asked these before the pause began. */
	if (!top->paused) {
		top->gone = answers.error[0] != '\0';
		snprintf(top->error, sizeof(top->error), "%s", answers.error);
		if (!top->gone) {
			top_model_take(top->model, &answers);
			top->answered_at = time(NULL);
		}
	}
	top_feed_clear(&answers);
}

/* After the process was stopped: no answer could come meanwhile. */
static void resume(struct top *top)
{
	reset_prog_mode();
	top->resumed_ms = clock_now_ms();
	top->quits = !fit(top);
}

/* Leaves the screen, and stops by SIGTSTP itself, so that the shell sees what it expects. */
static void suspend(struct top *top)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t stop, before;

	endwin();
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigaction(SIGTSTP, &plain, NULL);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &stop, &before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	resume(top);
}

static void take_signal(struct top *top)
{
	struct signalfd_siginfo info;

	if (read(top->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGINT:
		top->quits = true;
		break;
	case SIGWINCH:
		top->quits = !fit(top);
		break;
	case SIGCONT:
		resume(top);
		break;
	case SIGTSTP:
		suspend(top);
		break;
	default:
		top->deadly = (int)info.ssi_signo;
		top->quits = true;
	}
}

static void take_key(struct top *top, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
	case KEY_ESCAPE:
	case CONTROL('C'):
		top->quits = true;
		break;
	case 'p':
	case 'P':
		top->paused = !top->paused;
		top->resumed_ms = clock_now_ms();
		set_feed(top);
		break;
	case CONTROL('L'):
		clearok(curscr, TRUE);
		break;
	default:
		break;
	}
}

static void run(struct top *top)
{
	struct pollfd polled[] = {
		{.fd = top->signals, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = top_feed_descriptor(top->feed), .events = POLLIN},
	};

	top->quits = !fit(top);
	while (!top->quits) {
		int key;

		show(top);
		if (poll(polled, 3, FRAME_MS) <= 0)
			continue;
		if (polled[0].revents != 0)
			take_signal(top);
		if ((polled[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			top->quits = true;
		while (!top->quits && (polled[1].revents & POLLIN) != 0 && (key = getch()) != ERR)
			take_key(top, key);
		if (polled[2].revents != 0)
			take_answers(top);
	}
}

/* Takes the connection. The model has its first answers already. */
static int run_on_terminal(struct top *top, int connection, char *error, size_t size)
{
	if (!take_signals(top)) {
		close(connection);
		snprintf(error, size, "signalfd: %s", strerror(errno));
		return EX_OSERR;
	}
	top->feed = top_feed_start(top->socket_path, connection);
	if (top->feed != NULL && open_screen(top)) {
		run(top);
		close_screen(top);
		give_signals_back(top);
		top_feed_stop(top->feed);
		if (top->deadly != 0)
			raise(top->deadly);
		return EX_OK;
	}
	give_signals_back(top);
	snprintf(error, size, "the screen can't be opened: %s",
		 top->feed == NULL ? "no memory or thread" : "no such terminal");
	if (top->feed != NULL)
		top_feed_stop(top->feed);
	return EX_OSERR;
}

int top_run(const char *socket_path, char *error, size_t size)
{
	struct top top = {.socket_path = socket_path, .answered_at = time(NULL)};
	struct top_answers answers;
	int connection = -1, status;

	if (!prepare_terminal(error, size))
		return EX_USAGE;
	top.model = calloc(1, sizeof(*top.model));
	if (top.model == NULL) {
		snprintf(error, size, "out of memory");
		return EX_OSERR;
	}
	/* Asks before the screen opens: a mistyped socket is reported as by any other command. */
	if (top_feed_ask(&connection, socket_path, TOP_CLIENTS_MAX, &answers)) {
		top_model_take(top.model, &answers);
		status = run_on_terminal(&top, connection, error, size);
	} else {
		snprintf(error, size, "%s", answers.error);
		status = answers.exit_status;
	}
	top_feed_clear(&answers);
	free(top.model);
	return status;
}
