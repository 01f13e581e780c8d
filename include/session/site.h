/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The siege of the site that all sessions share, and hosts through their store. Thread-safe;
 * nothing but site_exchange blocks. Times are milliseconds of the wall clock.
 */
#ifndef TARPIT_SESSION_SITE_H
#define TARPIT_SESSION_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "judge/siege.h"

struct config;
struct journal;
struct site;
struct store;

/*
 * The journal is told when a siege begins or ends, by whoever finds that out. NULL if out of
 * memory.
 */
struct site *site_new(const struct journal *journal, int64_t now_ms);
void site_free(struct site *site);	/* NULL is allowed */

struct siege_settings site_settings(const struct config *config);

/*
 * A stranger has offended: one without credit. It counts at once, and for other hosts from the next
 * exchange on.
 */
void site_offence(struct site *site, const struct siege_settings *settings, uint64_t hundredths,
		  int64_t now_ms);
/* As of the last call that was told the time. */
bool site_in_siege(const struct site *site);
/* A siege may have ended by now. */
void site_update(struct site *site, const struct siege_settings *settings, int64_t now_ms);
void site_state(struct site *site, const struct siege_settings *settings, int64_t now_ms,
		struct siege_state *state);

/*
 * site_update, and a shared store hears what this host has seen and tells what the others have. For
 * one thread, about once a second; blocks as long as the store does. A host that could not ask for
 * some minutes, or has just started, catches up. With a threshold of 0 nobody is asked.
 */
void site_exchange(struct site *site, struct store *store, const struct siege_settings *settings,
		   const char *key_prefix, int64_t now_ms);

#endif
