/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the daemon for what the live screen shows: once, or each second in a thread of its own. */
#ifndef TARPIT_TARPITCTL_TOP_FEED_H
#define TARPIT_TARPITCTL_TOP_FEED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The list of clients is asked for up to this length. */
#define TOP_CLIENTS_MAX 200

/* A round of questions: all answers are there, with "ok":true, or error is not empty. */
struct top_answers {
	json_t *status, *stalls, *list;
	int64_t status_ms, stalls_ms; /* when these came, monotonic */
	int exit_status; /* EX_OK, the status of the daemon's refusal, or EX_UNAVAILABLE */
	char error[256];
};

/*
 * Asks once; connects if *connection is negative, closes it and makes it -1 on failure. Blocks as
 * long as ask_connect and ask_daemon do. False on failure. top_feed_clear is due in any case.
 */
bool top_feed_ask(int *connection, const char *path, int clients, struct top_answers *answers);
void top_feed_clear(struct top_answers *answers);

/* A thread that asks each second, so that the screen does not wait for a daemon that is silent. */
struct top_feed;

/* Takes the connection, or -1. NULL, with it closed, if there is no memory or thread. */
struct top_feed *top_feed_start(const char *path, int connection);
/* A descriptor to poll: readable once there are answers to take. */
int top_feed_descriptor(const struct top_feed *feed);
/* False if there are no new answers; those taken are the caller's to clear. */
bool top_feed_take(struct top_feed *feed, struct top_answers *answers);
/* While paused the thread asks nothing; after a pause it asks at once. */
void top_feed_set(struct top_feed *feed, bool paused, int clients);
/* Does not wait for the thread, which may wait for the daemon and ends by itself. */
void top_feed_stop(struct top_feed *feed);

#endif
