/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 16384
#define MESSAGES_MAX 32768
#define WAITING_MAX 32768
/* Names of recipients that are kept, of a message and of all together; further ones are only counted. */
#define NAMES_MAX 256
#define NAMES_BYTES_MAX (8U << 20)
#define TEXT_MAX (REPLAY_ADDRESS_MAX - 1)
/* How long a message may take from its first line to the one that tells its sender. */
#define QUEUED_WITHIN_MS 600000
/* The same once its session has ended or gone on to another message: then it was aborted. */
#define ABORTED_WITHIN_MS 10000
/* How long, from then, until all of its recipients have been named. */
#define NAMED_WITHIN_MS 300000
/* How long until a Postfix session tells whether it has authenticated. */
#define TOLD_WITHIN_MS 600000

/* Sessions that the log does not see end, for Sendmail logs no end. */
enum patience { PATIENCE_DONE, PATIENCE_SENDMAIL, PATIENCE_POSTFIX, PATIENCE_COUNT };
static const int64_t patience_ms[PATIENCE_COUNT] = {
	[PATIENCE_DONE] = 5000, /* its message has been taken */
	[PATIENCE_SENDMAIL] = 600000,
	[PATIENCE_POSTFIX] = 3600000,
};

struct replay_sessions {
	size_t scenarios;
	replay_sessions_handler *play;
	void *arg;
	struct log_session *sessions, *idle[PATIENCE_COUNT];
	struct log_message *messages;
	struct log_event *first, *last;
	size_t waiting, names_bytes;
	int64_t now_ms;
	bool is_ending;
};

struct replay_sessions *replay_sessions_new(size_t scenarios, replay_sessions_handler *play,
					    void *arg)
{
	struct replay_sessions *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return NULL;
	log->scenarios = scenarios;
	log->play = play;
	log->arg = arg;
	return log;
}

static void session_release(struct log_session *session)
{
	if (session != NULL && --session->references == 0)
		free(session);
}

static void message_release(struct replay_sessions *log, struct log_message *message)
{
	struct log_recipient *name;

	if (message == NULL || --message->references > 0)
		return;
	while ((name = message->names) != NULL) {
		message->names = name->next;
		log->names_bytes -= name->length;
		free(name);
	}
	if (message->session->message == message)
		message->session->message = NULL;
	session_release(message->session);
	free(message->sender);
	free(message);
}

static void message_unlist(struct replay_sessions *log, struct log_message *message)
{
	if (!message->listed)
		return;
	message->listed = false;
	HASH_DEL(log->messages, message);
	message_release(log, message);
}

void replay_sessions_finished(struct replay_sessions *log, struct log_message *message)
{
	message->is_finished = true;
	message_unlist(log, message);
}

static void copy_span(char *text, size_t size, const struct span *span)
{
	size_t length = span->text == NULL ? 0 : span->length;

	if (length > size - 1)
		length = size - 1;
	if (length > 0)
		memcpy(text, span->text, length);
	text[length] = '\0';
}

/* Puts a span behind what text holds already; NULL if there is none. */
static const char *keep_span(char **text, const struct span *span)
{
	const char *kept = *text;

	if (span->text == NULL)
		return NULL;
	copy_span(*text, TEXT_MAX + 1, span);
	*text += strlen(kept) + 1;
	return kept;
}

static size_t span_size(const struct span *span)
{
	if (span->text == NULL)
		return 0;
	return (span->length < TEXT_MAX ? span->length : TEXT_MAX) + 1;
}

static void enqueue(struct replay_sessions *log, enum maillog_kind kind,
		    struct log_session *session, struct log_message *message,
		    const struct maillog_line *line)
{
	size_t size = line != NULL ? span_size(&line->recipient) + span_size(&line->sender) : 0;
	struct log_event *event = malloc(sizeof(*event) + size);
	char *text;

	if (event == NULL)
		return;
	*event = (struct log_event){
		.kind = kind, .wall_ms = log->now_ms, .session = session, .message = message};
	if (line != NULL) {
		text = event->text;
		event->recipient = keep_span(&text, &line->recipient);
		event->sender = keep_span(&text, &line->sender);
		copy_span(event->code, sizeof(event->code), &line->code);
	}
	session->references++;
	if (message != NULL)
		message->references++;
	if (log->first == NULL)
		log->first = event;
	else
		log->last->next = event;
	log->last = event;
	log->waiting++;
}

/* Before the first accepted recipient only the line that ends the session tells who it was. */
static bool may_be_authenticated(const struct replay_sessions *log, const struct log_event *event)
{
	const struct log_session *session = event->session;

	return event->kind == MAILLOG_REJECTED && session->mta == MAILLOG_POSTFIX &&
	       !session->is_told && event->wall_ms + TOLD_WITHIN_MS > log->now_ms &&
	       log->waiting <= WAITING_MAX;
}

/* What a log tells of a session or a message only later is worth waiting for. */
static bool must_wait(const struct replay_sessions *log, const struct log_event *event)
{
	const struct log_message *message = event->message;

	if (log->is_ending)
		return false;
	if (may_be_authenticated(log, event))
		return true;
	if (message == NULL || message->is_finished || message->is_settled)
		return false;
	if (event->kind == MAILLOG_REJECTED && message->has_client_line)
		return false;
	return message->deadline_ms > log->now_ms && log->waiting <= WAITING_MAX;
}

static void drain(struct replay_sessions *log)
{
	struct log_event *event;

	while ((event = log->first) != NULL && !must_wait(log, event)) {
		log->first = event->next;
		log->waiting--;
		/* Which session a message is of may have turned out since. */
		if (event->message != NULL) {
			event->message->session->references++;
			session_release(event->session);
			event->session = event->message->session;
		}
		log->play(event, log->arg);
		message_release(log, event->message);
		session_release(event->session);
		free(event);
	}
}

/* Its session has ended, or begun another message. */
static void hurry(struct replay_sessions *log, struct log_message *message)
{
	int64_t deadline_ms = log->now_ms + ABORTED_WITHIN_MS;

	if (message != NULL && !message->is_queued && message->deadline_ms > deadline_ms)
		message->deadline_ms = deadline_ms;
}

static void end_session(struct replay_sessions *log, struct log_session *session)
{
	session->is_told = true;
	enqueue(log, MAILLOG_DISCONNECT, session, NULL, NULL);
	if (session->mta == MAILLOG_POSTFIX)
		hurry(log, session->message);
	HASH_DEL(log->sessions, session);
	DL_DELETE(log->idle[session->patience], session);
	session_release(session);
}

static void expire(struct replay_sessions *log)
{
	for (size_t i = 0; i < PATIENCE_COUNT; i++)
		while (log->idle[i] != NULL &&
		       log->idle[i]->touched_ms + patience_ms[i] <= log->now_ms)
			end_session(log, log->idle[i]);
}

static void touch(struct replay_sessions *log, struct log_session *session, enum patience patience)
{
	DL_DELETE(log->idle[session->patience], session);
	session->patience = patience;
	session->touched_ms = log->now_ms;
	DL_APPEND(log->idle[patience], session);
}

static void session_key_of(const struct maillog_line *line, struct log_session_key *key)
{
	memset(key, 0, sizeof(*key));
	copy_span(key->machine, sizeof(key->machine), &line->host_name);
	key->pid = line->pid;
	key->mta = line->mta;
}

static struct log_session *find_session(struct replay_sessions *log,
					const struct maillog_line *line)
{
	struct log_session_key key;
	struct log_session *session;

	session_key_of(line, &key);
	HASH_FIND(hh, log->sessions, &key, sizeof(key), session);
	if (session != NULL)
		touch(log, session,
		      session->mta == MAILLOG_POSTFIX ? PATIENCE_POSTFIX : PATIENCE_SENDMAIL);
	return session;
}

static void parse_address(const struct span *span, struct sockaddr_storage *address)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;
	char text[INET6_ADDRSTRLEN + 1];

	memset(address, 0, sizeof(*address));
	copy_span(text, sizeof(text), span);
	if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1)
		ipv4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1)
		ipv6->sin6_family = AF_INET6;
}

/* Who the client is, as this line has it. */
static void set_client(struct log_session *session, const struct maillog_line *line)
{
	session->has_client = true;
	parse_address(&line->address, &session->address);
	copy_span(session->host, sizeof(session->host), &line->host);
}

static bool is_same_client(const struct log_session *session, const struct maillog_line *line)
{
	struct sockaddr_storage address;

	if (!session->has_client || line->address.text == NULL)
		return true;
	parse_address(&line->address, &address);
	return memcmp(&address, &session->address, sizeof(address)) == 0;
}

static void end_oldest_session(struct replay_sessions *log)
{
	struct log_session *oldest = NULL;

	for (size_t i = 0; i < PATIENCE_COUNT; i++)
		if (log->idle[i] != NULL &&
		    (oldest == NULL || log->idle[i]->touched_ms < oldest->touched_ms))
			oldest = log->idle[i];
	if (oldest != NULL)
		end_session(log, oldest);
}

/* NULL if out of memory. */
static struct log_session *add_session(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_session *session = find_session(log, line);

	if (session != NULL)
		end_session(log, session);
	if (HASH_COUNT(log->sessions) >= SESSIONS_MAX)
		end_oldest_session(log);
	session = calloc(1, sizeof(*session) + log->scenarios * sizeof(session->scenarios[0]));
	if (session == NULL)
		return NULL;
	session_key_of(line, &session->key);
	session->mta = line->mta;
	HASH_ADD(hh, log->sessions, key, sizeof(session->key), session);
	if (session->hh.tbl == NULL) {
		free(session);
		return NULL;
	}
	session->references = 1;
	session->patience = line->mta == MAILLOG_POSTFIX ? PATIENCE_POSTFIX : PATIENCE_SENDMAIL;
	session->touched_ms = log->now_ms;
	DL_APPEND(log->idle[session->patience], session);
	if (line->address.text != NULL)
		set_client(session, line);
	return session;
}

/* The session that this line is of, which may have begun before the log did. */
static struct log_session *session_of(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_session *session = find_session(log, line);

	if (session == NULL || !is_same_client(session, line))
		return add_session(log, line);
	if (!session->has_client && line->address.text != NULL)
		set_client(session, line);
	return session;
}

static struct log_message *find_message(struct replay_sessions *log,
					const struct maillog_line *line)
{
	struct log_message_key key = {{0}, {0}};
	struct log_message *message;

	copy_span(key.machine, sizeof(key.machine), &line->host_name);
	copy_span(key.queue_id, sizeof(key.queue_id), &line->queue_id);
	HASH_FIND(hh, log->messages, &key, sizeof(key), message);
	return message;
}

static struct log_message *add_message(struct replay_sessions *log, const struct maillog_line *line,
				       struct log_session *session)
{
	struct log_message *message;

	if (HASH_COUNT(log->messages) >= MESSAGES_MAX)
		message_unlist(log, log->messages);
	message = calloc(1, sizeof(*message));
	if (message == NULL)
		return NULL;
	copy_span(message->key.machine, sizeof(message->key.machine), &line->host_name);
	copy_span(message->key.queue_id, sizeof(message->key.queue_id), &line->queue_id);
	HASH_ADD(hh, log->messages, key, sizeof(message->key), message);
	if (message->hh.tbl == NULL) {
		free(message);
		return NULL;
	}
	message->listed = true;
	message->references = 1;
	message->session = session;
	message->deadline_ms = log->now_ms + QUEUED_WITHIN_MS;
	session->references++;
	hurry(log, session->message);
	session->message = message;
	return message;
}

/* The message that this line is of; NULL if it is of none, or there is no memory. */
static struct log_message *message_of(struct replay_sessions *log, const struct maillog_line *line,
				      struct log_session *session)
{
	struct log_message *message;

	if (line->queue_id.text == NULL)
		return NULL;
	message = find_message(log, line);
	return message != NULL ? message : add_message(log, line, session);
}

static void take_connect(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_session *session = add_session(log, line);

	if (session == NULL)
		return;
	/* Without an address it was a local one. */
	session->has_client = true;
	enqueue(log, MAILLOG_CONNECT, session, NULL, line);
}

static void set_sender(struct log_message *message, const struct span *sender)
{
	char text[TEXT_MAX + 1];

	if (message->sender != NULL || sender->text == NULL)
		return;
	copy_span(text, sizeof(text), sender);
	message->sender = strdup(text);
}

static void note_authentication(struct log_session *session, const struct maillog_line *line)
{
	session->authenticated |= line->authenticated;
	session->is_told |= line->authenticated || line->kind == MAILLOG_CLIENT;
}

static void take_rejected(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_session *session = session_of(log, line);
	struct log_message *message;

	if (session == NULL)
		return;
	note_authentication(session, line);
	message = message_of(log, line, session);
	if (message != NULL) {
		message->rejections++;
		set_sender(message, &line->sender);
	}
	enqueue(log, line->kind, session, message, line);
}

static void take_client(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_session *session = session_of(log, line);
	struct log_message *message;

	if (session == NULL)
		return;
	note_authentication(session, line);
	message = message_of(log, line, session);
	if (message == NULL || message->has_client_line || line->mta != MAILLOG_POSTFIX)
		return;
	message->has_client_line = true;
	message->rejections = 0;
	enqueue(log, MAILLOG_CLIENT, session, message, line);
}

static void settle(struct log_message *message)
{
	if (message->is_queued && message->names_count >= message->count)
		message->is_settled = true;
}

/* Of Sendmail, whose line tells whose message it was; of Postfix only if that is known already. */
static struct log_message *queued_message(struct replay_sessions *log,
					  const struct maillog_line *line)
{
	struct log_message *message = find_message(log, line);
	struct log_session *session;

	if (line->mta == MAILLOG_POSTFIX)
		return message;
	if (message == NULL) {
		session = session_of(log, line);
		return session != NULL ? message_of(log, line, session) : NULL;
	}
	session = message->session;
	if (!is_same_client(session, line)) {
		session = add_session(log, line);
		if (session == NULL)
			return NULL;
		session->references++;
		if (message->session->message == message)
			message->session->message = NULL;
		session_release(message->session);
		message->session = session;
		session->message = message;
	}
	if (!session->has_client)
		set_client(session, line);
	return message;
}

static void take_queued(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_message *message = queued_message(log, line);
	struct log_session *session;

	if (message == NULL || message->is_queued)
		return;
	message->is_queued = true;
	message->count = line->count;
	message->is_aborted = line->aborted;
	message->session->authenticated |= line->authenticated;
	set_sender(message, &line->sender);
	message->deadline_ms = log->now_ms + NAMED_WITHIN_MS;
	settle(message);
	enqueue(log, MAILLOG_QUEUED, message->session, message, NULL);
	session = line->mta == MAILLOG_SENDMAIL ? find_session(log, line) : NULL;
	if (session != NULL && session == message->session)
		touch(log, session, PATIENCE_DONE);
}

static bool has_name(const struct log_message *message, const struct span *name)
{
	for (const struct log_recipient *known = message->names; known != NULL; known = known->next)
		if (known->length == name->length &&
		    memcmp(known->text, name->text, name->length) == 0)
			return true;
	return false;
}

static void add_name(struct replay_sessions *log, struct log_message *message, struct span span)
{
	struct log_recipient *name;

	if (span.length > TEXT_MAX)
		span.length = TEXT_MAX;
	message->name_lines++;
	if (message->names_count >= NAMES_MAX || has_name(message, &span) ||
	    log->names_bytes + span.length > NAMES_BYTES_MAX)
		return;
	name = malloc(sizeof(*name) + span.length + 1);
	if (name == NULL)
		return;
	name->length = span.length;
	copy_span(name->text, span.length + 1, &span);
	LL_APPEND2(message->names, name, next);
	message->names_count++;
	log->names_bytes += span.length;
}

static void take_recipient(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_message *message = find_message(log, line);
	struct span others = line->others, other;

	if (message == NULL || line->recipient.text == NULL)
		return;
	add_name(log, message, line->recipient);
	while (maillog_line_next_recipient(&others, &other))
		add_name(log, message, other);
	settle(message);
}

static void take_removed(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_message *message = find_message(log, line);

	if (message != NULL)
		message->is_settled = true;
}

static void take_disconnect(struct replay_sessions *log, const struct maillog_line *line)
{
	struct log_session *session = find_session(log, line);

	if (session == NULL)
		return;
	note_authentication(session, line);
	end_session(log, session);
}

void replay_sessions_take(struct replay_sessions *log, const struct maillog_line *line,
			  int64_t wall_ms)
{
	typedef void take(struct replay_sessions * log, const struct maillog_line *line);
	static take *const takes[] = {
		[MAILLOG_CONNECT] = take_connect,     [MAILLOG_DISCONNECT] = take_disconnect,
		[MAILLOG_REJECTED] = take_rejected,   [MAILLOG_HIDDEN] = take_rejected,
		[MAILLOG_CLIENT] = take_client,	      [MAILLOG_QUEUED] = take_queued,
		[MAILLOG_RECIPIENT] = take_recipient, [MAILLOG_REMOVED] = take_removed,
	};

	if ((size_t)line->kind >= sizeof(takes) / sizeof(takes[0]) || takes[line->kind] == NULL)
		return;
	log->now_ms = wall_ms;
	expire(log);
	takes[line->kind](log, line);
	drain(log);
}

void replay_sessions_finish(struct replay_sessions *log, int64_t wall_ms)
{
	log->now_ms = wall_ms;
	log->is_ending = true;
	drain(log);
	while (log->sessions != NULL)
		end_session(log, log->sessions);
	drain(log);
}

void replay_sessions_free(struct replay_sessions *log)
{
	if (log == NULL)
		return;
	replay_sessions_finish(log, log->now_ms);
	while (log->messages != NULL)
		message_unlist(log, log->messages);
	free(log);
}
