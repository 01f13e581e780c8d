/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells whose session and message each line is of, and remembers both until no line can follow. */
#include "sessions.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"

#define SESSIONS_MAX 16384
#define MESSAGES_MAX 32768
/* Names of recipients that are kept, of a message and of all; further ones are only counted. */
#define NAMES_MAX 256
#define NAMES_BYTES_MAX (8U << 20)
/* How long a message may take from its first line to the one that tells its sender. */
#define QUEUED_WITHIN_MS 600000
/* The same once its session has ended or gone on to another message: it was aborted then. */
#define ABORTED_WITHIN_MS 10000
/* How long, from then, until all of its recipients have been named. */
#define NAMED_WITHIN_MS 300000

/* How long a session may log nothing before it is taken to have ended, for Sendmail logs no end. */
enum idle_limit { IDLE_TAKEN, IDLE_SENDMAIL, IDLE_POSTFIX, IDLE_COUNT };
static const int64_t idle_ms[IDLE_COUNT] = {
	[IDLE_TAKEN] = 5000, /* Sendmail, and its message has been taken */
	[IDLE_SENDMAIL] = 600000,
	[IDLE_POSTFIX] = 3600000,
};

struct replay_sessions {
	size_t scenarios;
	replay_sessions_handler *handler;
	void *arg;
	struct log_session *sessions, *idle[IDLE_COUNT]; /* silent for longest first */
	struct log_message *messages;
	struct replay_events events;
	size_t names_bytes;
	int64_t now_ms;
};

struct replay_sessions *replay_sessions_new(size_t scenarios, replay_sessions_handler *handler,
					    void *arg)
{
	struct replay_sessions *sessions = calloc(1, sizeof(*sessions));

	if (sessions == NULL)
		return NULL;
	sessions->scenarios = scenarios;
	sessions->handler = handler;
	sessions->arg = arg;
	return sessions;
}

static void release_session(struct log_session *session)
{
	if (--session->references == 0)
		free(session);
}

static void release_message(struct replay_sessions *sessions, struct log_message *message)
{
	struct log_recipient *name;

	if (--message->references > 0)
		return;
	while ((name = message->names) != NULL) {
		message->names = name->next;
		sessions->names_bytes -= name->length;
		free(name);
	}
	if (message->session->message == message)
		message->session->message = NULL;
	release_session(message->session);
	free(message->sender);
	free(message);
}

static void unlist_message(struct replay_sessions *sessions, struct log_message *message)
{
	if (!message->listed)
		return;
	message->listed = false;
	HASH_DEL(sessions->messages, message);
	release_message(sessions, message);
}

void replay_sessions_forget(struct replay_sessions *sessions, struct log_message *message)
{
	message->is_finished = true;
	unlist_message(sessions, message);
}

static void add_event(struct replay_sessions *sessions, enum maillog_kind kind,
		      struct log_session *session, struct log_message *message,
		      const struct maillog_line *line)
{
	struct log_event event = {
		.kind = kind, .wall_ms = sessions->now_ms, .session = session, .message = message};

	if (!replay_events_add(&sessions->events, &event, line))
		return;
	session->references++;
	if (message != NULL)
		message->references++;
}

static void handle(struct replay_sessions *sessions, struct log_event *event)
{
	struct log_message *message = event->message;

	/* A later line may have told that the message is of another session. */
	if (message != NULL) {
		message->session->references++;
		release_session(event->session);
		event->session = message->session;
	}
	sessions->handler(event, sessions->arg);
	if (message != NULL)
		release_message(sessions, message);
	release_session(event->session);
	free(event);
}

static void handle_events(struct replay_sessions *sessions, int64_t now_ms)
{
	struct log_event *event;

	while ((event = replay_events_take(&sessions->events, now_ms)) != NULL)
		handle(sessions, event);
}

/* The message's session has ended, or begun another message. */
static void shorten_deadline(struct replay_sessions *sessions, struct log_message *message)
{
	int64_t deadline_ms = sessions->now_ms + ABORTED_WITHIN_MS;

	if (message != NULL && !message->is_queued && message->deadline_ms > deadline_ms)
		message->deadline_ms = deadline_ms;
}

static void end_session(struct replay_sessions *sessions, struct log_session *session)
{
	static const struct maillog_line no_line;

	session->is_told = true;
	add_event(sessions, MAILLOG_DISCONNECT, session, NULL, &no_line);
	if (session->mta == MAILLOG_POSTFIX)
		shorten_deadline(sessions, session->message);
	HASH_DEL(sessions->sessions, session);
	DL_DELETE(sessions->idle[session->limit], session);
	release_session(session);
}

static void end_idle_sessions(struct replay_sessions *sessions)
{
	for (size_t i = 0; i < IDLE_COUNT; i++)
		while (sessions->idle[i] != NULL &&
		       sessions->idle[i]->touched_ms + idle_ms[i] <= sessions->now_ms)
			end_session(sessions, sessions->idle[i]);
}

static void end_oldest_session(struct replay_sessions *sessions)
{
	struct log_session *oldest = NULL;

	for (size_t i = 0; i < IDLE_COUNT; i++)
		if (sessions->idle[i] != NULL &&
		    (oldest == NULL || sessions->idle[i]->touched_ms < oldest->touched_ms))
			oldest = sessions->idle[i];
	if (oldest != NULL)
		end_session(sessions, oldest);
}

static enum idle_limit limit_of(enum maillog_mta mta)
{
	return mta == MAILLOG_POSTFIX ? IDLE_POSTFIX : IDLE_SENDMAIL;
}

static void enlist(struct replay_sessions *sessions, struct log_session *session,
		   enum idle_limit limit)
{
	session->limit = limit;
	session->touched_ms = sessions->now_ms;
	DL_APPEND(sessions->idle[limit], session);
}

static void touch(struct replay_sessions *sessions, struct log_session *session,
		  enum idle_limit limit)
{
	DL_DELETE(sessions->idle[session->limit], session);
	enlist(sessions, session, limit);
}

static struct log_session_key session_key(const struct maillog_line *line)
{
	struct log_session_key key = {.pid = line->pid, .mta = line->mta};

	span_copy(line->host_name, key.machine, sizeof(key.machine));
	return key;
}

static struct log_session *find_session(struct replay_sessions *sessions,
					const struct maillog_line *line)
{
	struct log_session_key key = session_key(line);
	struct log_session *session;

	HASH_FIND(hh, sessions->sessions, &key, sizeof(key), session);
	if (session != NULL)
		touch(sessions, session, limit_of(session->mta));
	return session;
}

static void parse_address(struct span span, struct sockaddr_storage *address)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;
	char text[INET6_ADDRSTRLEN + 1];

	memset(address, 0, sizeof(*address));
	span_copy(span, text, sizeof(text));
	if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1)
		ipv4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1)
		ipv6->sin6_family = AF_INET6;
}

static void set_client(struct log_session *session, const struct maillog_line *line)
{
	session->has_client = true;
	parse_address(line->address, &session->address);
	span_copy(line->host, session->host, sizeof(session->host));
}

static bool is_same_client(const struct log_session *session, const struct maillog_line *line)
{
	struct sockaddr_storage address;

	if (!session->has_client || line->address.text == NULL)
		return true;
	parse_address(line->address, &address);
	return memcmp(&address, &session->address, sizeof(address)) == 0;
}

/* A new session of the line's process, whose former one has ended then. NULL if out of memory. */
static struct log_session *add_session(struct replay_sessions *sessions,
				       const struct maillog_line *line)
{
	struct log_session *session = find_session(sessions, line);

	if (session != NULL)
		end_session(sessions, session);
	if (HASH_COUNT(sessions->sessions) >= SESSIONS_MAX)
		end_oldest_session(sessions);
	session = calloc(1, sizeof(*session) + sessions->scenarios * sizeof(session->own[0]));
	if (session == NULL)
		return NULL;
	session->key = session_key(line);
	session->mta = line->mta;
	HASH_ADD(hh, sessions->sessions, key, sizeof(session->key), session);
	if (session->hh.tbl == NULL) {
		free(session);
		return NULL;
	}
	session->references = 1;
	enlist(sessions, session, limit_of(line->mta));
	if (line->address.text != NULL)
		set_client(session, line);
	return session;
}

/* The session that this line is of, which may have begun before the log did. */
static struct log_session *session_of(struct replay_sessions *sessions,
				      const struct maillog_line *line)
{
	struct log_session *session = find_session(sessions, line);

	if (session == NULL || !is_same_client(session, line))
		return add_session(sessions, line);
	if (!session->has_client && line->address.text != NULL)
		set_client(session, line);
	return session;
}

static struct log_message_key message_key(const struct maillog_line *line)
{
	struct log_message_key key = {{0}, {0}};

	span_copy(line->host_name, key.machine, sizeof(key.machine));
	span_copy(line->queue_id, key.queue_id, sizeof(key.queue_id));
	return key;
}

static struct log_message *find_message(struct replay_sessions *sessions,
					const struct maillog_line *line)
{
	struct log_message_key key = message_key(line);
	struct log_message *message;

	HASH_FIND(hh, sessions->messages, &key, sizeof(key), message);
	return message;
}

static struct log_message *add_message(struct replay_sessions *sessions,
				       const struct maillog_line *line, struct log_session *session)
{
	struct log_message *message;

	if (HASH_COUNT(sessions->messages) >= MESSAGES_MAX)
		unlist_message(sessions, sessions->messages);
	message = calloc(1, sizeof(*message));
	if (message == NULL)
		return NULL;
	message->key = message_key(line);
	HASH_ADD(hh, sessions->messages, key, sizeof(message->key), message);
	if (message->hh.tbl == NULL) {
		free(message);
		return NULL;
	}
	message->listed = true;
	message->references = 1;
	message->session = session;
	message->deadline_ms = sessions->now_ms + QUEUED_WITHIN_MS;
	session->references++;
	shorten_deadline(sessions, session->message);
	session->message = message;
	return message;
}

/* The message that this line of the session is of; NULL if it is of none, or without memory. */
static struct log_message *message_of(struct replay_sessions *sessions,
				      const struct maillog_line *line, struct log_session *session)
{
	struct log_message *message;

	if (line->queue_id.text == NULL)
		return NULL;
	message = find_message(sessions, line);
	return message != NULL ? message : add_message(sessions, line, session);
}

static void take_connect(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_session *session = add_session(sessions, line);

	if (session == NULL)
		return;
	/* A client without an address is a local one. */
	session->has_client = true;
	add_event(sessions, MAILLOG_CONNECT, session, NULL, line);
}

static void set_sender(struct log_message *message, struct span sender)
{
	char text[REPLAY_ADDRESS_MAX];

	if (message->sender != NULL || sender.text == NULL)
		return;
	span_copy(sender, text, sizeof(text));
	message->sender = strdup(text);
}

static void note_authentication(struct log_session *session, const struct maillog_line *line)
{
	session->authenticated |= line->authenticated;
	session->is_told |= line->authenticated || line->kind == MAILLOG_CLIENT;
}

static void take_rejected(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_session *session = session_of(sessions, line);
	struct log_message *message;

	if (session == NULL)
		return;
	note_authentication(session, line);
	message = message_of(sessions, line, session);
	if (message != NULL) {
		message->rejections++;
		set_sender(message, line->sender);
	}
	add_event(sessions, line->kind, session, message, line);
}

static void take_client(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_session *session = session_of(sessions, line);
	struct log_message *message;

	if (session == NULL)
		return;
	note_authentication(session, line);
	message = message_of(sessions, line, session);
	if (message == NULL || message->has_client_line || line->mta != MAILLOG_POSTFIX)
		return;
	message->has_client_line = true;
	message->rejections = 0;
	add_event(sessions, MAILLOG_CLIENT, session, message, line);
}

static void settle_if_named(struct log_message *message)
{
	if (message->is_queued && message->names_count >= message->count)
		message->is_settled = true;
}

/* The message turns out to be of another session, begun by this line. False without memory. */
static bool move_message(struct replay_sessions *sessions, const struct maillog_line *line,
			 struct log_message *message)
{
	struct log_session *session = add_session(sessions, line);

	if (session == NULL)
		return false;
	session->references++;
	if (message->session->message == message)
		message->session->message = NULL;
	release_session(message->session);
	message->session = session;
	session->message = message;
	return true;
}

/* Sendmail's line tells the client of the message; of Postfix the message must be known. */
static struct log_message *queued_message(struct replay_sessions *sessions,
					  const struct maillog_line *line)
{
	struct log_message *message = find_message(sessions, line);
	struct log_session *session;

	if (line->mta == MAILLOG_POSTFIX)
		return message;
	if (message == NULL) {
		session = session_of(sessions, line);
		return session != NULL ? message_of(sessions, line, session) : NULL;
	}
	if (!is_same_client(message->session, line) && !move_message(sessions, line, message))
		return NULL;
	if (!message->session->has_client)
		set_client(message->session, line);
	return message;
}

static void take_queued(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_message *message = queued_message(sessions, line);

	if (message == NULL || message->is_queued)
		return;
	message->is_queued = true;
	message->count = line->count;
	message->is_aborted = line->aborted;
	message->session->authenticated |= line->authenticated;
	set_sender(message, line->sender);
	message->deadline_ms = sessions->now_ms + NAMED_WITHIN_MS;
	settle_if_named(message);
	add_event(sessions, MAILLOG_QUEUED, message->session, message, line);
	if (line->mta == MAILLOG_SENDMAIL && find_session(sessions, line) == message->session)
		touch(sessions, message->session, IDLE_TAKEN);
}

static bool has_name(const struct log_message *message, struct span name)
{
	for (const struct log_recipient *known = message->names; known != NULL; known = known->next)
		if (known->length == name.length &&
		    memcmp(known->text, name.text, name.length) == 0)
			return true;
	return false;
}

static void add_name(struct replay_sessions *sessions, struct log_message *message,
		     struct span span)
{
	struct log_recipient *name;

	if (span.length >= REPLAY_ADDRESS_MAX)
		span.length = REPLAY_ADDRESS_MAX - 1;
	message->name_lines++;
	if (message->names_count >= NAMES_MAX || has_name(message, span) ||
	    sessions->names_bytes + span.length > NAMES_BYTES_MAX)
		return;
	name = malloc(sizeof(*name) + span.length + 1);
	if (name == NULL)
		return;
	name->length = span_copy(span, name->text, span.length + 1);
	LL_APPEND2(message->names, name, next);
	message->names_count++;
	sessions->names_bytes += span.length;
}

static void take_recipient(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_message *message = find_message(sessions, line);
	struct span others = line->others, other;

	if (message == NULL || line->recipient.text == NULL)
		return;
	add_name(sessions, message, line->recipient);
	while (maillog_line_next_recipient(&others, &other))
		add_name(sessions, message, other);
	settle_if_named(message);
}

static void take_removed(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_message *message = find_message(sessions, line);

	if (message != NULL)
		message->is_settled = true;
}

static void take_lost(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_session *session = find_session(sessions, line);

	if (session != NULL && line->in_mail)
		add_event(sessions, MAILLOG_LOST, session, NULL, line);
}

static void take_disconnect(struct replay_sessions *sessions, const struct maillog_line *line)
{
	struct log_session *session = find_session(sessions, line);

	if (session == NULL)
		return;
	note_authentication(session, line);
	take_lost(sessions, line);
	end_session(sessions, session);
}

void replay_sessions_take(struct replay_sessions *sessions, const struct maillog_line *line,
			  int64_t wall_ms)
{
	typedef void take(struct replay_sessions * sessions, const struct maillog_line *line);
	static take *const takes[] = {
		[MAILLOG_CONNECT] = take_connect, [MAILLOG_DISCONNECT] = take_disconnect,
		[MAILLOG_LOST] = take_lost,	  [MAILLOG_REJECTED] = take_rejected,
		[MAILLOG_HIDDEN] = take_rejected, [MAILLOG_CLIENT] = take_client,
		[MAILLOG_QUEUED] = take_queued,	  [MAILLOG_RECIPIENT] = take_recipient,
		[MAILLOG_REMOVED] = take_removed,
	};

	if ((size_t)line->kind >= sizeof(takes) / sizeof(takes[0]) || takes[line->kind] == NULL)
		return;
	sessions->now_ms = wall_ms;
	end_idle_sessions(sessions);
	takes[line->kind](sessions, line);
	handle_events(sessions, wall_ms);
}

void replay_sessions_finish(struct replay_sessions *sessions, int64_t wall_ms)
{
	sessions->now_ms = wall_ms;
	handle_events(sessions, INT64_MAX);
	while (sessions->sessions != NULL)
		end_session(sessions, sessions->sessions);
	handle_events(sessions, INT64_MAX);
}

void replay_sessions_free(struct replay_sessions *sessions)
{
	if (sessions == NULL)
		return;
	replay_sessions_finish(sessions, sessions->now_ms);
	while (sessions->messages != NULL)
		unlist_message(sessions, sessions->messages);
	free(sessions);
}
