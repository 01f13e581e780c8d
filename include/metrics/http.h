/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics for Prometheus over HTTP, by libmicrohttpd. */
#ifndef TARPIT_METRICS_HTTP_H
#define TARPIT_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct tarpit;

/* "0.9.75", of libmicrohttpd; NULL if this build is without it. */
const char *metrics_http_version(void);
/*
 * Binds HOST:PORT ("127.0.0.1:9810", "[::1]:9810"; a name is looked up, which may block) and serves
 * GET /metrics from a thread of its own until the process ends. To be called with signals blocked,
 * after the last fork. tarpit must live until the process ends. False with the reason in error.
 */
bool metrics_http_start(const char *address, struct tarpit *tarpit, char *error, size_t size);

#endif
