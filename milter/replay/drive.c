/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns what a log tells of sessions into the commands that a filter sees, in a likely order. */
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"

#define COUNT_TEXT_MAX 12

static int64_t drive_now_ms(const struct clock *clock)
{
	const struct replay_drive *drive = (const struct replay_drive *)clock;

	return drive->now_ms;
}

struct replay_drive *replay_drive_new(void)
{
	struct replay_drive *drive = calloc(1, sizeof(*drive));

	if (drive == NULL)
		return NULL;
	/* No session waits in mode observe. */
	drive->clock = (struct clock){.wall_ms = drive_now_ms, .mono_ms = drive_now_ms};
	return drive;
}

void replay_drive_free(struct replay_drive *drive)
{
	if (drive == NULL)
		return;
	replay_sessions_free(drive->sessions);
	for (size_t i = 0; i < drive->scenarios_count; i++)
		replay_scenario_free(drive->scenarios[i]);
	free(drive->scenarios);
	free(drive);
}

bool replay_drive_add(struct replay_drive *drive, const char *name, struct config *config)
{
	struct replay_scenario **scenarios =
		reallocarray(drive->scenarios, drive->scenarios_count + 1, sizeof(*scenarios));

	if (scenarios == NULL) {
		config_release(config);
		return false;
	}
	drive->scenarios = scenarios;
	scenarios[drive->scenarios_count] = replay_scenario_new(name, config, &drive->clock);
	if (scenarios[drive->scenarios_count] == NULL)
		return false;
	drive->scenarios_count++;
	return true;
}

static const char *in_brackets(const char *address, char *text, size_t size)
{
	snprintf(text, size, "<%s>", address);
	return text;
}

/* Postfix writes "unknown", Sendmail "[address]", for a client without a verified name. */
static bool has_verified_name(const struct log_session *session)
{
	return session->host[0] != '\0' && session->host[0] != '[' &&
	       strcmp(session->host, "unknown") != 0;
}

static void connect_session(struct replay_drive *drive, struct log_session *session)
{
	bool has_address = session->address.ss_family != 0;
	static const struct mta_signs postfix = {.version = "Postfix 3", .connections = "1"};
	static const struct mta_signs sendmail = {.version = "8", .family = "inet"};
	struct connect_event event = {
		.host = session->host,
		.address = has_address ? (const struct sockaddr *)&session->address : NULL,
		.mta = session->mta == MAILLOG_POSTFIX ? postfix : sendmail,
		.mta_name = session->key.machine,
		.client_name = session->host,
		.client_resolve = has_verified_name(session) ? "OK" : "FAIL",
	};

	session->has_begun = true;
	for (size_t i = 0; i < drive->scenarios_count; i++)
		if (session->is_paused)
			replay_scenario_resume(drive->scenarios[i], &session->own[i], &event);
		else
			replay_scenario_connect(drive->scenarios[i], &session->own[i], &event);
	session->is_paused = false;
}

/*
 * The session in the next scenario, from *next on, that does not leave the client alone, or NULL.
 */
static struct session *next_session(struct replay_drive *drive, struct log_session *session,
				    size_t *next)
{
	struct session *found = NULL;

	for (; found == NULL && *next < drive->scenarios_count; ++*next)
		found = replay_scenario_session(drive->scenarios[*next], &session->own[*next]);
	return found;
}

/* A log does not tell when a client greets: it is taken to do so just before its first MAIL. */
static void greet(struct replay_drive *drive, struct log_session *session)
{
	struct session *filtered;
	size_t next = 0;

	session->has_greeted = true;
	while ((filtered = next_session(drive, session, &next)) != NULL)
		session_helo(filtered);
}

static void begin_mail(struct replay_drive *drive, struct log_session *session,
		       struct log_message *message, const char *sender)
{
	char text[REPLAY_ADDRESS_MAX + 2];
	struct mail_event event = {
		.sender = in_brackets(sender, text, sizeof(text)),
		.auth_type = session->authenticated ? "PLAIN" : NULL,
	};
	struct session *filtered;
	size_t next = 0;

	session->in_mail = true;
	session->mail = message;
	snprintf(session->sender, sizeof(session->sender), "%s", sender);
	while ((filtered = next_session(drive, session, &next)) != NULL)
		session_mail(filtered, &event);
}

/* Takes the session into the message's transaction, if it is not there. sender NULL: not known. */
static void enter(struct replay_drive *drive, struct log_session *session,
		  struct log_message *message, const char *sender)
{
	if (!session->has_begun || session->is_paused)
		connect_session(drive, session);
	if (!session->has_greeted)
		greet(drive, session);
	if (session->in_mail && session->mail == message && message != NULL)
		return;
	/* Postfix gives the queue id to the first accepted recipient, so the id may come later. */
	if (session->in_mail && session->mail == NULL &&
	    (sender == NULL || strcmp(sender, session->sender) == 0)) {
		session->mail = message;
		return;
	}
	begin_mail(drive, session, message, sender != NULL ? sender : "unknown");
}

static const char *sender_of(const struct log_event *event)
{
	if (event->sender != NULL)
		return event->sender;
	return event->message != NULL ? event->message->sender : NULL;
}

static void tell_rcpt(struct replay_drive *drive, struct log_session *session,
		      struct log_message *message, const char *recipient, const char *mailer,
		      const char *host)
{
	char address[REPLAY_ADDRESS_MAX + 2], count[COUNT_TEXT_MAX];
	struct rcpt_event event = {
		.recipient = in_brackets(recipient, address, sizeof(address)),
		.mailer = mailer,
		.host = host,
	};
	struct session *filtered;
	size_t next = 0;

	if (session->mta == MAILLOG_SENDMAIL && message != NULL) {
		snprintf(count, sizeof(count), "%u", message->bad_count);
		event.bad_count = count;
	}
	while ((filtered = next_session(drive, session, &next)) != NULL)
		session_rcpt(filtered, &event);
}

/* How many recipients were accepted, as far as the log has told up to now. */
static unsigned accepted_count(const struct log_message *message)
{
	unsigned all = message->names_count;

	if (!message->is_queued)
		return message->has_client_line ? 1 : 0;
	if (message->count == 0)
		return 0;
	if (!message->is_settled && message->name_lines < message->count)
		all += message->count - message->name_lines;
	return all > 0 ? all : 1;
}

/* NULL: no line has named that accepted recipient. */
static const char *accepted_name(const struct log_message *message, unsigned number)
{
	const struct log_recipient *name = message->names;

	while (name != NULL && number-- > 0)
		name = name->next;
	return name != NULL ? name->text : NULL;
}

/*
 * A recipient without a name gets one that no other has, for it counts as a different one, and a
 * domain of its own, for what one domain earns is bounded.
 */
static void tell_accepted(struct replay_drive *drive, struct log_message *message, unsigned upto)
{
	char made_up[2 * REPLAY_QUEUE_ID_MAX + 48];
	const char *recipient;

	while (message->driven_accepted < upto) {
		recipient = accepted_name(message, message->driven_accepted);
		if (recipient == NULL) {
			snprintf(made_up, sizeof(made_up), "%s.%u@%s.%u.invalid",
				 message->key.queue_id, message->driven_accepted,
				 message->key.queue_id, message->driven_accepted);
			recipient = made_up;
		}
		message->driven_accepted++;
		tell_rcpt(drive, message->session, message, recipient, "local", "");
	}
}

/*
 * Sendmail logs no end of a session, and most sessions end with their message. Left open, they
 * would count against max_flagged_sessions.
 */
static void pause_session(struct replay_drive *drive, struct log_session *session)
{
	session->is_paused = true;
	for (size_t i = 0; i < drive->scenarios_count; i++)
		replay_scenario_pause(drive->scenarios[i], &session->own[i]);
}

/* The message was taken: DATA, and its end. */
static void tell_data(struct replay_drive *drive, const struct log_message *message)
{
	bool is_sendmail = message->session->mta == MAILLOG_SENDMAIL;
	struct session *filtered;
	char count[COUNT_TEXT_MAX];
	size_t next = 0;

	snprintf(count, sizeof(count), "%u", message->bad_count);
	while ((filtered = next_session(drive, message->session, &next)) != NULL)
		if (session_data(filtered, is_sendmail ? count : NULL) == VERDICT_CONTINUE)
			session_end_of_message(filtered);
}

static void count_delivery(struct replay_drive *drive, const struct log_session *session,
			   unsigned recipients)
{
	for (size_t i = 0; i < drive->scenarios_count; i++)
		if (session->own[i].key.family != 0)
			replay_result_delivered(&drive->scenarios[i]->result, &session->own[i].key,
						session->host, recipients);
}

/* All recipients are known: those that remain, and DATA, end the transaction. */
static void finish_message(struct replay_drive *drive, struct log_message *message)
{
	unsigned accepted = accepted_count(message);
	bool is_taken = accepted > 0 && !message->is_aborted;

	if (!message->session->has_ended) {
		tell_accepted(drive, message, accepted);
		if (is_taken)
			tell_data(drive, message);
		message->session->in_mail = false;
	}
	if (is_taken)
		count_delivery(drive, message->session, accepted);
	replay_sessions_forget(drive->sessions, message);
}

/*
 * Of accepted and rejected recipients a log does not tell the order, but for the first accepted one
 * of Postfix: the others are spread evenly among the rejected ones.
 */
static void tell_accepted_before(struct replay_drive *drive, struct log_message *message)
{
	unsigned first = message->has_client_line ? 1 : 0, accepted = accepted_count(message);

	if (!message->is_queued || accepted < first || message->rejections == 0)
		return;
	tell_accepted(drive, message,
		      first + (unsigned)((uint64_t)(accepted - first) * message->driven_rejections /
					 ((uint64_t)message->rejections + 1)));
}

static void drive_rejected(struct replay_drive *drive, struct log_event *event)
{
	struct log_session *session = event->session;
	struct log_message *message = event->message;

	if (!session->has_client || session->has_ended) {
		drive->clients_unknown++;
		return;
	}
	enter(drive, session, message, sender_of(event));
	if (message != NULL) {
		message->driven_rejections++;
		tell_accepted_before(drive, message);
		message->bad_count++;
	}
	if (event->kind == MAILLOG_REJECTED && event->recipient != NULL)
		tell_rcpt(drive, session, message, event->recipient,
			  event->code[0] != '\0' ? "error" : NULL, event->code);
	if (message != NULL && message->is_queued && accepted_count(message) > 0 &&
	    message->driven_rejections == message->rejections)
		finish_message(drive, message);
}

/* Postfix's line at the first accepted recipient. */
static void drive_client(struct replay_drive *drive, struct log_event *event)
{
	struct log_session *session = event->session;
	struct log_message *message = event->message;

	if (message == NULL || message->is_finished || session->has_ended)
		return;
	enter(drive, session, message, message->sender);
	message->driven_rejections = 0;
	tell_accepted(drive, message, 1);
	if (message->is_queued && message->rejections == 0)
		finish_message(drive, message);
}

static void drive_queued(struct replay_drive *drive, struct log_event *event)
{
	struct log_session *session = event->session;
	struct log_message *message = event->message;

	if (!message->is_finished) {
		if (!session->has_ended)
			enter(drive, session, message, message->sender);
		finish_message(drive, message);
	}
	if (session->mta == MAILLOG_SENDMAIL && !session->has_ended)
		pause_session(drive, session);
}

static void drive_disconnect(struct replay_drive *drive, struct log_event *event)
{
	struct log_session *session = event->session;

	session->has_ended = true;
	for (size_t i = 0; i < drive->scenarios_count; i++)
		replay_scenario_close(drive->scenarios[i], &session->own[i]);
}

/* The client hung up within a transaction, or fell silent. */
static void drive_lost(struct replay_drive *drive, struct log_event *event)
{
	struct log_session *session = event->session;

	if (session->authenticated || session->has_left || session->has_ended)
		return;
	session->has_left = true;
	for (size_t i = 0; i < drive->scenarios_count; i++)
		replay_scenario_lost(drive->scenarios[i], &session->own[i],
				     (const struct sockaddr *)&session->address);
}

static void drive_event(struct log_event *event, void *arg)
{
	struct replay_drive *drive = arg;

	drive->now_ms = event->wall_ms;
	for (size_t i = 0; i < drive->scenarios_count; i++)
		replay_scenario_reach(drive->scenarios[i], drive->now_ms);
	if (event->kind == MAILLOG_CONNECT && !event->session->has_begun)
		connect_session(drive, event->session);
	else if (event->kind == MAILLOG_REJECTED || event->kind == MAILLOG_HIDDEN)
		drive_rejected(drive, event);
	else if (event->kind == MAILLOG_CLIENT)
		drive_client(drive, event);
	else if (event->kind == MAILLOG_QUEUED)
		drive_queued(drive, event);
	else if (event->kind == MAILLOG_LOST)
		drive_lost(drive, event);
	else if (event->kind == MAILLOG_DISCONNECT)
		drive_disconnect(drive, event);
}

static void note_accepted(struct replay_drive *drive, struct span recipient)
{
	char address[REPLAY_ADDRESS_MAX];

	span_copy(recipient, address, sizeof(address));
	for (size_t i = 0; i < drive->scenarios_count; i++)
		replay_candidates_accepted(drive->scenarios[i]->result.candidates, address);
}

/*
 * Of any message, for one that a user of the site has sent tells that the recipient is there, too.
 */
static void note_recipients(struct replay_drive *drive, const struct maillog_line *line)
{
	struct span others = line->others, recipient = line->recipient;

	if (line->kind != MAILLOG_RECIPIENT || recipient.text == NULL)
		return;
	do
		note_accepted(drive, recipient);
	while (maillog_line_next_recipient(&others, &recipient));
}

void replay_drive_take(struct replay_drive *drive, const struct maillog_line *line, int64_t wall_ms)
{
	if (drive->sessions == NULL)
		drive->sessions = replay_sessions_new(drive->scenarios_count, drive_event, drive);
	if (drive->sessions == NULL)
		return;
	if (drive->first_ms == 0) {
		drive->first_ms = wall_ms;
		for (size_t i = 0; i < drive->scenarios_count; i++)
			replay_concurrency_reach(&drive->scenarios[i]->result.concurrency, wall_ms);
	}
	if (wall_ms > drive->last_ms)
		drive->last_ms = wall_ms;
	note_recipients(drive, line);
	replay_sessions_take(drive->sessions, line, drive->last_ms);
}

void replay_drive_finish(struct replay_drive *drive)
{
	if (drive->sessions != NULL)
		replay_sessions_finish(drive->sessions, drive->last_ms);
	for (size_t i = 0; i < drive->scenarios_count; i++)
		replay_scenario_finish(drive->scenarios[i], drive->last_ms);
}
