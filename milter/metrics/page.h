/* SPDX-License-Identifier: BSD-2-Clause */
/* The page of metrics that Prometheus reads, in either of its text formats. */
#ifndef TARPIT_METRICS_PAGE_H
#define TARPIT_METRICS_PAGE_H

#include <stddef.h>

struct tarpit;

enum metrics_format {
	METRICS_PLAIN,		/* Prometheus text, version 0.0.4 */
	METRICS_OPENMETRICS,	/* OpenMetrics 1.0.0 */
};

/* What pages are written from. tarpit must live as long. NULL if out of memory. */
struct metrics;
struct metrics *metrics_page_new(struct tarpit *tarpit);
void metrics_page_free(struct metrics *metrics);
/*
 * A page of `length` bytes, for the caller to free; NULL if out of memory. Blocks for a walk
 * through all clients in memory, which counts them; in the second after a walk, or longer if it
 * took long, pages show the numbers of that walk. Calls must not overlap.
 */
char *metrics_page_text(struct metrics *metrics, enum metrics_format format, size_t *length);
/* The format that a request with this Accept header (RFC 9110, 12.5.1) gets; accept may be NULL. */
enum metrics_format metrics_page_negotiate(const char *accept);
const char *metrics_page_content_type(enum metrics_format format);

#endif
