/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is remembered of clients, wherever it is kept. All calls are thread-safe, and none fails: a
 * store that can't do better answers with what it has. A call may block as long as the store says.
 */
#ifndef TARPIT_STORE_H
#define TARPIT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/prefix.h"
#include "base/store_view.h"

struct config;
struct store;

struct store_event {
	enum side side;
	uint64_t amount;	/* hundredths */
	bool distinct;		/* count this recipient once a window */
	uint64_t recipient;	/* hash_recipient */
	bool is_trap;
	uint64_t domain;	/* the same of a rejected recipient's "@domain"; 0: none */
};

/* Hundredths that a recipient earns. */
#define STORE_CREDIT 100

/* What hosts tell each other of the site's siege: see session/site.h. */
#define STORE_SITE_MINUTES 10
enum store_site_step {
	STORE_SITE_NOT_TOLD,	/* certainly */
	STORE_SITE_TOLD,
	STORE_SITE_MAYBE_TOLD	/* without an answer: never to be repeated */
};
struct store_site {
	const char *key_prefix;
	int64_t minute;		/* since the epoch */
	uint64_t amount;	/* hundredths to be added to it; 0: none */
	enum store_site_step step;		/* out: how far the adding came */
	uint64_t sums[STORE_SITE_MINUTES];	/* out: of this minute, the one before ... */
};

/*
 * An accepted recipient, by hashes as hash_recipient makes them of its mailbox and of its
 * "@domain".
 */
struct store_recipient {
	uint64_t mailbox, domain;
	bool is_distinct;	/* earns credit once a window */
};

/* Recipients of one message that may earn credit: Postfix takes no more. */
#define STORE_RECIPIENTS_MAX 1000

typedef void store_visit(const struct client *client, const struct store_view *view, void *arg);
typedef void store_server_visit(const char *server, bool is_up, void *arg);

struct store_ops {
	void (*lookup)(struct store *store, const struct store_query *query, struct store_view *view);
	/* False if the recipient had been counted already. view shows what is remembered then. */
	bool (*record)(struct store *store, const struct store_query *query,
		       const struct store_event *event, struct store_view *view);
	/*
	 * How many recipients of its domain, this one among them, may still earn credit for the
	 * client in this window: 0 for one that has done so, UINT_MAX for any number. As far as
	 * this host knows; never asks another one.
	 */
	unsigned (*credit_left)(struct store *store, const struct store_query *query,
				const struct store_recipient *recipient);
	/*
	 * The message of these recipients, STORE_RECIPIENTS_MAX at most, has reached its end. What
	 * they earn is kept on this host as long as the client has not offended, and goes along
	 * with its first offence. Their order changes. Whether view shows now what is remembered;
	 * else it is as it was.
	 */
	bool (*credit)(struct store *store, const struct store_query *query,
		       struct store_recipient *recipients, size_t count, struct store_view *view);
	/* Notes what the log has of a client's flag; true if that is news. */
	bool (*announce)(struct store *store, const struct prefix *client,
			 enum announcement announcement);
	/*
	 * By an administrator: flags a client by hand until that moment (seconds since the epoch),
	 * or forgets all there is of it, what it added to its network's counters included. False if
	 * a shared store could not be told; what this process remembers has changed all the same.
	 */
	bool (*flag)(struct store *store, const struct store_query *query, int64_t until_s);
	bool (*forgive)(struct store *store, const struct store_query *query);
	/*
	 * Shows each client that this process remembers, in no order, with its counts as of that
	 * window. Sessions are not held up meanwhile; other callers of `each` are.
	 */
	void (*each)(struct store *store, const struct client_widths *widths,
		     const struct window *window, store_visit *visit, void *arg);
	/* Each server, with its state; none for a memory store. */
	void (*servers)(struct store *store, store_server_visit *visit, void *arg);
	/* False if the sums are not known, as without a shared store; then it may be NULL, too. */
	bool (*share_site)(struct store *store, struct store_site *site);
	/* Takes new settings. */
	void (*configure)(struct store *store, const struct config *config);
	/* "up", "down" or "degraded"; never NULL. */
	const char *(*state)(struct store *store);
	void (*destroy)(struct store *store);
};

/* The head of every store. */
struct store {
	const struct store_ops *ops;
};

/* What store_ops says of each. */
static inline void store_lookup(struct store *store, const struct store_query *query,
				struct store_view *view)
{
	store->ops->lookup(store, query, view);
}

static inline bool store_record(struct store *store, const struct store_query *query,
				const struct store_event *event, struct store_view *view)
{
	return store->ops->record(store, query, event, view);
}

static inline unsigned store_credit_left(struct store *store, const struct store_query *query,
					 const struct store_recipient *recipient)
{
	return store->ops->credit_left(store, query, recipient);
}

static inline bool store_credit(struct store *store, const struct store_query *query,
				struct store_recipient *recipients, size_t count,
				struct store_view *view)
{
	return store->ops->credit(store, query, recipients, count, view);
}

static inline bool store_announce(struct store *store, const struct prefix *client,
				  enum announcement announcement)
{
	return store->ops->announce(store, client, announcement);
}

static inline bool store_flag(struct store *store, const struct store_query *query, int64_t until_s)
{
	return store->ops->flag(store, query, until_s);
}

static inline bool store_forgive(struct store *store, const struct store_query *query)
{
	return store->ops->forgive(store, query);
}

static inline void store_each(struct store *store, const struct client_widths *widths,
			      const struct window *window, store_visit *visit, void *arg)
{
	store->ops->each(store, widths, window, visit, arg);
}

static inline void store_servers(struct store *store, store_server_visit *visit, void *arg)
{
	store->ops->servers(store, visit, arg);
}

static inline bool store_share_site(struct store *store, struct store_site *site)
{
	return store->ops->share_site != NULL && store->ops->share_site(store, site);
}

static inline void store_configure(struct store *store, const struct config *config)
{
	store->ops->configure(store, config);
}

static inline const char *store_state(struct store *store)
{
	return store->ops->state(store);
}

static inline void store_destroy(struct store *store)
{
	store->ops->destroy(store);
}

#endif
