/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker of upstream does at one memcached server: an errand of a session, or paying what is owed. */
#ifndef TARPIT_MEMCACHED_ERRAND_H
#define TARPIT_MEMCACHED_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "memcached/link.h"
#include "store/store.h"

enum errand_kind {
	ERRAND_LOOK_UP,
	ERRAND_RECORD,	/* and look up then */
	ERRAND_FLAG,
	ERRAND_FORGIVE,
};

struct errand {
	enum errand_kind kind;
	struct store_query query;
	struct store_event event;	/* of a record */
	int64_t until_s;		/* of a flag */
	/* the answer */
	bool counted;			/* of a record: the recipient had not been counted before */
	bool obeyed;			/* of a flag, or forgiving */
	struct store_view view;		/* of a look-up and a record */
};

/* Who runs it. */
struct errand_worker {
	const char *server;		/* its name */
	unsigned number;		/* its number, as memory knows it for an owner of debts */
	struct store *memory;
	struct link *link;		/* NULL: nothing may be asked */
};

/*
 * False if the server failed, or nothing may be asked: a record that the server was not told is then owed
 * to it. May take several round trips.
 */
bool errand_run(struct errand_worker *worker, struct errand *errand);
/* Pays the server what memory says is owed to it, until that moment at most. False if the server failed. */
bool errand_pay_debts(struct errand_worker *worker, const char *key_prefix, uint32_t window_s,
		      int64_t until_ms);

#endif
