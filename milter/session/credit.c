/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps a transaction's accepted recipients until its message has reached its end, when they earn
 * credit.
 */
#include "state.h"

#include <stdlib.h>
#include <stdio.h>

#include "base/hash.h"
#include "judge/recipients.h"

#define FIRST_ROOM 8

uint64_t session_credit_domain(const struct session *s, const struct address *recipient)
{
	char text[ADDRESS_TEXT_MAX + 1];

	/* No mailbox is written so. */
	snprintf(text, sizeof(text), "@%s", address_domain(recipient));
	return hash_recipient(s->config->key_prefix, SIDE_GOOD, text);
}

/*
 * Whether the recipient is one more that may earn credit, beside those that were accepted before.
 */
static bool is_worth_more(const struct session *s, const struct store_recipient *recipient)
{
	const struct transaction *t = &s->transaction;
	struct store_query query = session_query(s);
	unsigned left = store_credit_left(s->tarpit->store, &query, recipient);
	unsigned same_domain = 0;

	for (size_t i = 0; i < t->accepted_count; i++) {
		if (t->accepted[i].domain != recipient->domain)
			continue;
		same_domain++;
		if (recipient->is_distinct && t->accepted[i].mailbox == recipient->mailbox)
			return false;
	}
	return same_domain < left;
}

/* False without memory, or for more recipients than a message may have. */
static bool make_room(struct transaction *t)
{
	size_t room = t->accepted_room == 0 ? FIRST_ROOM : 2 * t->accepted_room;
	struct store_recipient *accepted;

	if (t->accepted_count < t->accepted_room)
		return true;
	if (room > STORE_RECIPIENTS_MAX)
		room = STORE_RECIPIENTS_MAX;
	if (t->accepted_count == room)
		return false;
	accepted = reallocarray(t->accepted, room, sizeof(*accepted));
	if (accepted == NULL)
		return false;
	t->accepted = accepted;
	t->accepted_room = room;
	return true;
}

/*
 * No credit is for a mailbox that is exempt or a trap, or that may be another one's in a new
 * spelling, of which an offender could have as many as it likes.
 */
void session_credit_note(struct session *s, const struct address *recipient)
{
	const struct config *config = s->config;
	struct transaction *t = &s->transaction;
	struct store_recipient accepted = {.is_distinct = config->count_distinct};
	struct address mailbox;

	if (!address_mailbox(recipient, config->recipient_delimiter, &mailbox) ||
	    recipients_rule(config->exempt_mailboxes, &mailbox) != NULL)
		return;
	accepted.mailbox = hash_recipient(config->key_prefix, SIDE_GOOD, mailbox.text);
	accepted.domain = session_credit_domain(s, &mailbox);
	if (is_worth_more(s, &accepted) && make_room(t))
		t->accepted[t->accepted_count++] = accepted;
}

uint64_t session_credit_pending(const struct session *s)
{
	return s->transaction.accepted_count * STORE_CREDIT;
}

static void forget(struct transaction *t)
{
	free(t->accepted);
	t->accepted = NULL;
	t->accepted_count = t->accepted_room = 0;
}

void session_credit_earn(struct session *s)
{
	struct transaction *t = &s->transaction;
	struct store_query query = session_query(s);
	struct standing st;
	bool is_fresh;

	if (t->accepted_count == 0)
		return;
	is_fresh = store_credit(s->tarpit->store, &query, t->accepted, t->accepted_count, &s->view);
	forget(t);
	if (is_fresh)
		session_view_judge_fresh(s, &st);
}

void session_credit_drop(struct session *s)
{
	struct transaction *t = &s->transaction;

	if (t->accepted_count == 0)
		return;
	/* Without it an offender may be flagged, which the next look-up tells the journal. */
	if ((s->view.client.bad_now | s->view.client.bad_previous) > 0)
		session_view_outdate(s);
	forget(t);
}
