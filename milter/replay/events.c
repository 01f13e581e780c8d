/* SPDX-License-Identifier: BSD-2-Clause */
/* Holds events back until all is known that a filter would have seen. */
#include "events.h"

#include <stdlib.h>

/* How long until a Postfix session tells whether it has authenticated. */
#define TOLD_WITHIN_MS 600000

/* Copies a span behind what *text is at, and moves *text on. NULL if the line has no such span. */
static const char *keep(char **text, struct span span)
{
	const char *kept = *text;

	if (span.text == NULL)
		return NULL;
	*text += span_copy(span, *text, REPLAY_ADDRESS_MAX) + 1;
	return kept;
}

static size_t kept_size(struct span span)
{
	if (span.text == NULL)
		return 0;
	return span.length < REPLAY_ADDRESS_MAX ? span.length + 1 : REPLAY_ADDRESS_MAX;
}

bool replay_events_add(struct replay_events *events, const struct log_event *event,
		       const struct maillog_line *line)
{
	struct log_event *added =
		malloc(sizeof(*added) + kept_size(line->recipient) + kept_size(line->sender));
	char *text;

	if (added == NULL)
		return false;
	*added = *event;
	text = added->text;
	added->recipient = keep(&text, line->recipient);
	added->sender = keep(&text, line->sender);
	span_copy(line->code, added->code, sizeof(added->code));
	if (events->first == NULL)
		events->first = added;
	else
		events->last->next = added;
	events->last = added;
	events->count++;
	return true;
}

/* Without an accepted recipient, only the line that ends a Postfix session tells of AUTH. */
static bool may_be_authenticated(const struct log_event *event, int64_t now_ms)
{
	const struct log_session *session = event->session;

	return (event->kind == MAILLOG_REJECTED || event->kind == MAILLOG_LOST) &&
	       session->mta == MAILLOG_POSTFIX && !session->is_told &&
	       event->wall_ms + TOLD_WITHIN_MS > now_ms;
}

static bool must_wait(const struct replay_events *events, const struct log_event *event,
		      int64_t now_ms)
{
	const struct log_message *message = event->message;

	if (events->count > REPLAY_EVENTS_MAX)
		return false;
	if (may_be_authenticated(event, now_ms))
		return true;
	if (message == NULL || message->is_finished || message->is_settled)
		return false;
	if (event->kind == MAILLOG_REJECTED && message->has_client_line)
		return false;
	return message->deadline_ms > now_ms;
}

struct log_event *replay_events_take(struct replay_events *events, int64_t now_ms)
{
	struct log_event *first = events->first;

	if (first == NULL || must_wait(events, first, now_ms))
		return NULL;
	events->first = first->next;
	events->count--;
	return first;
}
