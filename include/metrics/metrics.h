/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metrics for Prometheus. metrics_text.c writes the page; metrics.c serves it over HTTP, and is the only
 * one that knows libmicrohttpd.
 */
#ifndef TARPIT_METRICS_H
#define TARPIT_METRICS_H

#include <stdbool.h>
#include <stddef.h>

struct tarpit;

/* Whether this build can serve them. */
bool metrics_available(void);
/* "0.9.75", of libmicrohttpd; NULL without it. */
const char *metrics_version(void);
/*
 * Binds HOST:PORT ("127.0.0.1:9810", "[::1]:9810"; a name is looked up, which may block) and serves GET
 * /metrics from a thread of its own, to the end of the process. Call it with signals blocked, after the last
 * fork. tarpit must live as long. False with the reason in error.
 */
bool metrics_start(const char *address, struct tarpit *tarpit, char *error, size_t size);

enum metrics_format {
	METRICS_PLAIN,		/* Prometheus text, version 0.0.4 */
	METRICS_OPENMETRICS,	/* OpenMetrics 1.0.0 */
};

/* What a page is written from. For one thread. NULL if out of memory. */
struct metrics;
struct metrics *metrics_new(struct tarpit *tarpit);
void metrics_free(struct metrics *metrics);
/*
 * The page, which the caller frees; NULL if out of memory. Clients are counted by walking through all that
 * are remembered, but not more often than once a second: in between the page shows the numbers of before.
 */
char *metrics_text(struct metrics *metrics, enum metrics_format format, size_t *length);
/* What a client that sent this Accept header gets, which may be NULL; and how that is called. */
enum metrics_format metrics_negotiate(const char *accept);
const char *metrics_content_type(enum metrics_format format);

#endif
