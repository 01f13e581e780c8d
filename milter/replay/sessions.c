/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define VISITS_MAX 16384
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

struct replay_log {
	size_t sites;
	replay_play *play;
	void *arg;
	struct visit *visits, *idle[PATIENCE_COUNT];
	struct message *messages;
	struct happening *first, *last;
	size_t waiting, names_bytes;
	int64_t now_ms;
	bool is_ending;
};

struct replay_log *replay_log_new(size_t sites, replay_play *play, void *arg)
{
	struct replay_log *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return NULL;
	log->sites = sites;
	log->play = play;
	log->arg = arg;
	return log;
}

static void visit_release(struct visit *visit)
{
	if (visit != NULL && --visit->references == 0)
		free(visit);
}

static void message_release(struct replay_log *log, struct message *message)
{
	struct accepted *name;

	if (message == NULL || --message->references > 0)
		return;
	while ((name = message->names) != NULL) {
		message->names = name->next;
		log->names_bytes -= name->length;
		free(name);
	}
	if (message->visit->message == message)
		message->visit->message = NULL;
	visit_release(message->visit);
	free(message->sender);
	free(message);
}

static void message_unlist(struct replay_log *log, struct message *message)
{
	if (!message->listed)
		return;
	message->listed = false;
	HASH_DEL(log->messages, message);
	message_release(log, message);
}

void replay_log_finished(struct replay_log *log, struct message *message)
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

static void enqueue(struct replay_log *log, enum maillog_kind kind, struct visit *visit,
		    struct message *message, const struct maillog_line *line)
{
	size_t size = line != NULL ? span_size(&line->recipient) + span_size(&line->sender) : 0;
	struct happening *happening = malloc(sizeof(*happening) + size);
	char *text;

	if (happening == NULL)
		return;
	*happening = (struct happening){
		.kind = kind, .wall_ms = log->now_ms, .visit = visit, .message = message};
	if (line != NULL) {
		text = happening->text;
		happening->recipient = keep_span(&text, &line->recipient);
		happening->sender = keep_span(&text, &line->sender);
		copy_span(happening->code, sizeof(happening->code), &line->code);
	}
	visit->references++;
	if (message != NULL)
		message->references++;
	if (log->first == NULL)
		log->first = happening;
	else
		log->last->next = happening;
	log->last = happening;
	log->waiting++;
}

/* Before the first accepted recipient only the line that ends the session tells who it was. */
static bool may_be_authenticated(const struct replay_log *log, const struct happening *happening)
{
	const struct visit *visit = happening->visit;

	return happening->kind == MAILLOG_REJECTED && visit->mta == MAILLOG_POSTFIX &&
	       !visit->is_told && happening->wall_ms + TOLD_WITHIN_MS > log->now_ms &&
	       log->waiting <= WAITING_MAX;
}

/* What a log tells of a session or a message only later is worth waiting for. */
static bool must_wait(const struct replay_log *log, const struct happening *happening)
{
	const struct message *message = happening->message;

	if (log->is_ending)
		return false;
	if (may_be_authenticated(log, happening))
		return true;
	if (message == NULL || message->is_finished || message->is_settled)
		return false;
	if (happening->kind == MAILLOG_REJECTED && message->has_client_line)
		return false;
	return message->deadline_ms > log->now_ms && log->waiting <= WAITING_MAX;
}

static void drain(struct replay_log *log)
{
	struct happening *happening;

	while ((happening = log->first) != NULL && !must_wait(log, happening)) {
		log->first = happening->next;
		log->waiting--;
		/* Which session a message is of may have turned out since. */
		if (happening->message != NULL) {
			happening->message->visit->references++;
			visit_release(happening->visit);
			happening->visit = happening->message->visit;
		}
		log->play(happening, log->arg);
		message_release(log, happening->message);
		visit_release(happening->visit);
		free(happening);
	}
}

/* Its session has ended, or begun another message. */
static void hurry(struct replay_log *log, struct message *message)
{
	int64_t deadline_ms = log->now_ms + ABORTED_WITHIN_MS;

	if (message != NULL && !message->is_queued && message->deadline_ms > deadline_ms)
		message->deadline_ms = deadline_ms;
}

static void end_visit(struct replay_log *log, struct visit *visit)
{
	visit->is_told = true;
	enqueue(log, MAILLOG_DISCONNECT, visit, NULL, NULL);
	if (visit->mta == MAILLOG_POSTFIX)
		hurry(log, visit->message);
	HASH_DEL(log->visits, visit);
	DL_DELETE(log->idle[visit->patience], visit);
	visit_release(visit);
}

static void expire(struct replay_log *log)
{
	for (size_t i = 0; i < PATIENCE_COUNT; i++)
		while (log->idle[i] != NULL &&
		       log->idle[i]->touched_ms + patience_ms[i] <= log->now_ms)
			end_visit(log, log->idle[i]);
}

static void touch(struct replay_log *log, struct visit *visit, enum patience patience)
{
	DL_DELETE(log->idle[visit->patience], visit);
	visit->patience = patience;
	visit->touched_ms = log->now_ms;
	DL_APPEND(log->idle[patience], visit);
}

static void visit_key_of(const struct maillog_line *line, struct visit_key *key)
{
	memset(key, 0, sizeof(*key));
	copy_span(key->machine, sizeof(key->machine), &line->host_name);
	key->pid = line->pid;
	key->mta = line->mta;
}

static struct visit *find_visit(struct replay_log *log, const struct maillog_line *line)
{
	struct visit_key key;
	struct visit *visit;

	visit_key_of(line, &key);
	HASH_FIND(hh, log->visits, &key, sizeof(key), visit);
	if (visit != NULL)
		touch(log, visit,
		      visit->mta == MAILLOG_POSTFIX ? PATIENCE_POSTFIX : PATIENCE_SENDMAIL);
	return visit;
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
static void set_client(struct visit *visit, const struct maillog_line *line)
{
	visit->has_client = true;
	parse_address(&line->address, &visit->address);
	copy_span(visit->host, sizeof(visit->host), &line->host);
}

static bool is_same_client(const struct visit *visit, const struct maillog_line *line)
{
	struct sockaddr_storage address;

	if (!visit->has_client || line->address.text == NULL)
		return true;
	parse_address(&line->address, &address);
	return memcmp(&address, &visit->address, sizeof(address)) == 0;
}

static void end_oldest_visit(struct replay_log *log)
{
	struct visit *oldest = NULL;

	for (size_t i = 0; i < PATIENCE_COUNT; i++)
		if (log->idle[i] != NULL &&
		    (oldest == NULL || log->idle[i]->touched_ms < oldest->touched_ms))
			oldest = log->idle[i];
	if (oldest != NULL)
		end_visit(log, oldest);
}

/* NULL if out of memory. */
static struct visit *add_visit(struct replay_log *log, const struct maillog_line *line)
{
	struct visit *visit = find_visit(log, line);

	if (visit != NULL)
		end_visit(log, visit);
	if (HASH_COUNT(log->visits) >= VISITS_MAX)
		end_oldest_visit(log);
	visit = calloc(1, sizeof(*visit) + log->sites * sizeof(visit->sites[0]));
	if (visit == NULL)
		return NULL;
	visit_key_of(line, &visit->key);
	visit->mta = line->mta;
	HASH_ADD(hh, log->visits, key, sizeof(visit->key), visit);
	if (visit->hh.tbl == NULL) {
		free(visit);
		return NULL;
	}
	visit->references = 1;
	visit->patience = line->mta == MAILLOG_POSTFIX ? PATIENCE_POSTFIX : PATIENCE_SENDMAIL;
	visit->touched_ms = log->now_ms;
	DL_APPEND(log->idle[visit->patience], visit);
	if (line->address.text != NULL)
		set_client(visit, line);
	return visit;
}

/* The session that this line is of, which may have begun before the log did. */
static struct visit *visit_of(struct replay_log *log, const struct maillog_line *line)
{
	struct visit *visit = find_visit(log, line);

	if (visit == NULL || !is_same_client(visit, line))
		return add_visit(log, line);
	if (!visit->has_client && line->address.text != NULL)
		set_client(visit, line);
	return visit;
}

static struct message *find_message(struct replay_log *log, const struct maillog_line *line)
{
	struct message_key key = {{0}, {0}};
	struct message *message;

	copy_span(key.machine, sizeof(key.machine), &line->host_name);
	copy_span(key.queue_id, sizeof(key.queue_id), &line->queue_id);
	HASH_FIND(hh, log->messages, &key, sizeof(key), message);
	return message;
}

static struct message *add_message(struct replay_log *log, const struct maillog_line *line,
				   struct visit *visit)
{
	struct message *message;

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
	message->visit = visit;
	message->deadline_ms = log->now_ms + QUEUED_WITHIN_MS;
	visit->references++;
	hurry(log, visit->message);
	visit->message = message;
	return message;
}

/* The message that this line is of; NULL if it is of none, or there is no memory. */
static struct message *message_of(struct replay_log *log, const struct maillog_line *line,
				  struct visit *visit)
{
	struct message *message;

	if (line->queue_id.text == NULL)
		return NULL;
	message = find_message(log, line);
	return message != NULL ? message : add_message(log, line, visit);
}

static void take_connect(struct replay_log *log, const struct maillog_line *line)
{
	struct visit *visit = add_visit(log, line);

	if (visit == NULL)
		return;
	/* Without an address it was a local one. */
	visit->has_client = true;
	enqueue(log, MAILLOG_CONNECT, visit, NULL, line);
}

static void set_sender(struct message *message, const struct span *sender)
{
	char text[TEXT_MAX + 1];

	if (message->sender != NULL || sender->text == NULL)
		return;
	copy_span(text, sizeof(text), sender);
	message->sender = strdup(text);
}

static void note_authentication(struct visit *visit, const struct maillog_line *line)
{
	visit->authenticated |= line->authenticated;
	visit->is_told |= line->authenticated || line->kind == MAILLOG_CLIENT;
}

static void take_rejected(struct replay_log *log, const struct maillog_line *line)
{
	struct visit *visit = visit_of(log, line);
	struct message *message;

	if (visit == NULL)
		return;
	note_authentication(visit, line);
	message = message_of(log, line, visit);
	if (message != NULL) {
		message->rejections++;
		set_sender(message, &line->sender);
	}
	enqueue(log, line->kind, visit, message, line);
}

static void take_client(struct replay_log *log, const struct maillog_line *line)
{
	struct visit *visit = visit_of(log, line);
	struct message *message;

	if (visit == NULL)
		return;
	note_authentication(visit, line);
	message = message_of(log, line, visit);
	if (message == NULL || message->has_client_line || line->mta != MAILLOG_POSTFIX)
		return;
	message->has_client_line = true;
	message->rejections = 0;
	enqueue(log, MAILLOG_CLIENT, visit, message, line);
}

static void settle(struct message *message)
{
	if (message->is_queued && message->names_count >= message->count)
		message->is_settled = true;
}

/* Of Sendmail, whose line tells whose message it was; of Postfix only if that is known already. */
static struct message *queued_message(struct replay_log *log, const struct maillog_line *line)
{
	struct message *message = find_message(log, line);
	struct visit *visit;

	if (line->mta == MAILLOG_POSTFIX)
		return message;
	if (message == NULL) {
		visit = visit_of(log, line);
		return visit != NULL ? message_of(log, line, visit) : NULL;
	}
	visit = message->visit;
	if (!is_same_client(visit, line)) {
		visit = add_visit(log, line);
		if (visit == NULL)
			return NULL;
		visit->references++;
		if (message->visit->message == message)
			message->visit->message = NULL;
		visit_release(message->visit);
		message->visit = visit;
		visit->message = message;
	}
	if (!visit->has_client)
		set_client(visit, line);
	return message;
}

static void take_queued(struct replay_log *log, const struct maillog_line *line)
{
	struct message *message = queued_message(log, line);
	struct visit *visit;

	if (message == NULL || message->is_queued)
		return;
	message->is_queued = true;
	message->count = line->count;
	message->is_aborted = line->aborted;
	message->visit->authenticated |= line->authenticated;
	set_sender(message, &line->sender);
	message->deadline_ms = log->now_ms + NAMED_WITHIN_MS;
	settle(message);
	enqueue(log, MAILLOG_QUEUED, message->visit, message, NULL);
	visit = line->mta == MAILLOG_SENDMAIL ? find_visit(log, line) : NULL;
	if (visit != NULL && visit == message->visit)
		touch(log, visit, PATIENCE_DONE);
}

static bool has_name(const struct message *message, const struct span *name)
{
	for (const struct accepted *known = message->names; known != NULL; known = known->next)
		if (known->length == name->length &&
		    memcmp(known->text, name->text, name->length) == 0)
			return true;
	return false;
}

static void add_name(struct replay_log *log, struct message *message, struct span span)
{
	struct accepted *name;

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

static void take_recipient(struct replay_log *log, const struct maillog_line *line)
{
	struct message *message = find_message(log, line);
	struct span others = line->others, other;

	if (message == NULL || line->recipient.text == NULL)
		return;
	add_name(log, message, line->recipient);
	while (maillog_line_next_recipient(&others, &other))
		add_name(log, message, other);
	settle(message);
}

static void take_removed(struct replay_log *log, const struct maillog_line *line)
{
	struct message *message = find_message(log, line);

	if (message != NULL)
		message->is_settled = true;
}

static void take_disconnect(struct replay_log *log, const struct maillog_line *line)
{
	struct visit *visit = find_visit(log, line);

	if (visit == NULL)
		return;
	note_authentication(visit, line);
	end_visit(log, visit);
}

void replay_log_take(struct replay_log *log, const struct maillog_line *line, int64_t wall_ms)
{
	typedef void take(struct replay_log * log, const struct maillog_line *line);
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

void replay_log_finish(struct replay_log *log, int64_t wall_ms)
{
	log->now_ms = wall_ms;
	log->is_ending = true;
	drain(log);
	while (log->visits != NULL)
		end_visit(log, log->visits);
	drain(log);
}

void replay_log_free(struct replay_log *log)
{
	if (log == NULL)
		return;
	replay_log_finish(log, log->now_ms);
	while (log->messages != NULL)
		message_unlist(log, log->messages);
	free(log);
}
