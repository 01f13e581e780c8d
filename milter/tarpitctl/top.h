/* SPDX-License-Identifier: BSD-2-Clause */
/* What `tarpitctl top` is made of: who asks the daemon, a model of its answers, a picture of the model. */
#ifndef TARPIT_TARPITCTL_TOP_H
#define TARPIT_TARPITCTL_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctl_link;
struct picture;

/* --- asking: ctl_top_feed.c */

/* One round of questions. Either the answers are there, all with "ok":true, or error is not empty. */
struct top_answers {
	json_t *status, *stalls, *list;
	int64_t status_ms, stalls_ms; /* when they came, monotonic */
	int exit_status; /* of a failure: the daemon's own, or EX_UNAVAILABLE */
	char error[256];
};

/* The list of clients is asked for up to this length. */
#define TOP_CLIENTS_MAX 200

/*
 * Asks once; connects if *link is NULL, and closes it and makes it NULL on failure. May take as long as
 * ctl_ask. False on failure. top_answers_clear in any case.
 */
bool top_ask(struct ctl_link **link, const char *path, int clients, struct top_answers *answers);
void top_answers_clear(struct top_answers *answers);

/* A thread that asks each second, so that the screen need not wait for a daemon that is silent. */
struct top_feed;

/* Takes the link, which may be NULL. NULL if there is no memory or thread; the link is closed then. */
struct top_feed *top_feed_start(const char *path, struct ctl_link *link);
/* Readable once there is news. */
int top_feed_descriptor(const struct top_feed *feed);
/* False if there is no news; the answers are the caller's to clear. */
bool top_feed_take(struct top_feed *feed, struct top_answers *answers);
/* While paused nothing is asked; after a pause, at once. */
void top_feed_set(struct top_feed *feed, bool paused, int clients);
/* Does not wait for the thread, which may be waiting for the daemon: it ends by itself. */
void top_feed_stop(struct top_feed *feed);

/* --- the model: ctl_top_model.c, pure */

/* Whole numbers that the daemon did not say are TOP_UNKNOWN, others NAN, texts empty. */
#define TOP_UNKNOWN (-1)
#define TOP_STALLS_MAX 1000
#define TOP_SERVERS_MAX 16

enum top_counter {
	TOP_SESSIONS,
	TOP_REJECTS,
	TOP_FLAGS,
	TOP_STALLS,
	TOP_DEFERRED,
	TOP_PASSED,
	TOP_STORE_CALLS,
	TOP_STORE_FAILURES,
	TOP_COUNTERS
};

struct top_server {
	char name[64], state[12];
};

struct top_stall {
	char client[52], stage[12];
	int64_t delay_ms, remains_ms; /* remains at the model's stalls_ms */
	double score;
	size_t position; /* in the answer */
};

struct top_client {
	char client[52], network[52];
	double bad, good, score, network_score; /* score: the effective one, which decides */
	int64_t delay_ms, sessions;
	bool flagged, by_hand, exempt;
};

struct top_model {
	char version[32], mode[12], store[16], store_state[12];
	int64_t status_ms, stalls_ms;
	int64_t uptime_s, sessions, max_sessions, stalling, max_stalls, clients, flagged;
	int64_t totals[TOP_COUNTERS];
	double rates[TOP_COUNTERS]; /* a second; NAN until there are two answers of one daemon */
	size_t server_count, stall_count, client_count;
	size_t stalls_active; /* of which the daemon lists some, and TOP_STALLS_MAX are kept */
	/* How many rows stalls have lately needed: it shrinks late, lest the lines below jump. */
	size_t stall_rows;
	int64_t stall_rows_ms;
	struct top_server servers[TOP_SERVERS_MAX];
	struct top_stall stalls[TOP_STALLS_MAX]; /* the one that ends last first */
	struct top_client list[TOP_CLIENTS_MAX];
};

/* The model starts zeroed. Whatever the answers hold is bearable, JSON null too. */
void top_take(struct top_model *model, const struct top_answers *answers);
int64_t top_remains_ms(const struct top_model *model, const struct top_stall *stall,
		       int64_t now_ms);

/* --- the picture: ctl_top_draw.c, pure */

struct top_moment {
	int64_t now_ms;	     /* monotonic; stands still with the picture */
	const char *clock;   /* the time of day */
	const char *trouble; /* why there is no news, or NULL */
	bool paused;
};

/* Draws all of the picture, of whatever size. */
void top_draw(const struct top_model *model, const struct top_moment *moment,
	      struct picture *picture);

#endif
