/* SPDX-License-Identifier: BSD-2-Clause */
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sessions.h"

#define COUNT_TEXT_MAX 12

struct player {
	struct clock clock; /* first */
	int64_t now_ms, first_ms, last_ms;
	struct replay_log *log;
	struct site **sites;
	size_t count;
	uint64_t lost;
};

static int64_t player_now_ms(const struct clock *clock)
{
	const struct player *player = (const struct player *)clock;

	return player->now_ms;
}

/* Nobody waits in mode observe. */
static bool player_wait_until(const struct clock *clock, pthread_cond_t *cond,
			      pthread_mutex_t *mutex, int64_t mono_ms)
{
	(void)clock;
	(void)cond;
	(void)mutex;
	(void)mono_ms;
	return false;
}

struct player *player_new(void)
{
	struct player *player = calloc(1, sizeof(*player));

	if (player == NULL)
		return NULL;
	player->clock = (struct clock){.wall_ms = player_now_ms,
				       .mono_ms = player_now_ms,
				       .wait_until = player_wait_until};
	return player;
}

void player_free(struct player *player)
{
	if (player == NULL)
		return;
	replay_log_free(player->log);
	for (size_t i = 0; i < player->count; i++)
		site_free(player->sites[i]);
	free(player->sites);
	free(player);
}

bool player_add(struct player *player, const char *name, struct config *config)
{
	struct site **sites = reallocarray(player->sites, player->count + 1, sizeof(*sites));

	if (sites == NULL) {
		config_release(config);
		return false;
	}
	player->sites = sites;
	sites[player->count] = site_new(name, config, &player->clock);
	if (sites[player->count] == NULL)
		return false;
	player->count++;
	return true;
}

size_t player_sites(const struct player *player)
{
	return player->count;
}

struct site *player_site(struct player *player, size_t index)
{
	return player->sites[index];
}

int64_t player_first_ms(const struct player *player)
{
	return player->first_ms;
}

int64_t player_last_ms(const struct player *player)
{
	return player->last_ms;
}

uint64_t player_lost(const struct player *player)
{
	return player->lost;
}

static const char *in_brackets(const char *address, char *text, size_t size)
{
	snprintf(text, size, "<%s>", address);
	return text;
}

/* Names that the MTA has not verified are "unknown", or the address. */
static bool has_verified_name(const struct visit *visit)
{
	return visit->host[0] != '\0' && visit->host[0] != '[' &&
	       strcmp(visit->host, "unknown") != 0;
}

static void connect_visit(struct player *player, struct visit *visit)
{
	bool has_address = visit->address.ss_family != 0;
	struct connect_event event = {
		.host = visit->host,
		.address = has_address ? (const struct sockaddr *)&visit->address : NULL,
		.mta_version = visit->mta == MAILLOG_POSTFIX ? "Postfix 3" : "8",
		.mta_name = visit->key.machine,
		.client_name = visit->host,
		.client_resolve = has_verified_name(visit) ? "OK" : "FAIL",
	};

	visit->has_begun = true;
	for (size_t i = 0; i < player->count; i++)
		if (visit->is_paused)
			site_resume(player->sites[i], &visit->sites[i], &event);
		else
			site_connect(player->sites[i], &visit->sites[i], &event);
	visit->is_paused = false;
}

/* A log does not tell when a client greets: it is taken to do so just before its first MAIL. */
static void greet(struct player *player, struct visit *visit)
{
	for (size_t i = 0; i < player->count; i++)
		site_helo(player->sites[i], &visit->sites[i]);
}

static void begin_mail(struct player *player, struct visit *visit, struct message *message,
		       const char *sender)
{
	char text[REPLAY_ADDRESS_MAX + 2];
	struct mail_event event = {
		.sender = in_brackets(sender, text, sizeof(text)),
		.auth_type = visit->authenticated ? "PLAIN" : NULL,
	};

	visit->in_mail = true;
	visit->mail = message;
	snprintf(visit->sender, sizeof(visit->sender), "%s", sender);
	for (size_t i = 0; i < player->count; i++)
		site_mail(player->sites[i], &visit->sites[i], &event);
}

/* Makes sure that the session is in the transaction that this is of. sender may be NULL: nobody knows. */
static void enter(struct player *player, struct visit *visit, struct message *message,
		  const char *sender)
{
	if (!visit->has_begun || visit->is_paused)
		connect_visit(player, visit);
	if (!visit->has_greeted) {
		visit->has_greeted = true;
		greet(player, visit);
	}
	if (visit->in_mail && visit->mail == message && message != NULL)
		return;
	/* Postfix gives a queue id with the first accepted recipient, so it may come later. */
	if (visit->in_mail && visit->mail == NULL &&
	    (sender == NULL || strcmp(sender, visit->sender) == 0)) {
		visit->mail = message;
		return;
	}
	begin_mail(player, visit, message, sender != NULL ? sender : "unknown");
}

static const char *sender_of(const struct happening *happening)
{
	if (happening->sender != NULL)
		return happening->sender;
	return happening->message != NULL ? happening->message->sender : NULL;
}

static void tell_rcpt(struct player *player, struct visit *visit, struct message *message,
		      const char *recipient, const char *mailer, const char *host)
{
	char address[REPLAY_ADDRESS_MAX + 2], count[COUNT_TEXT_MAX];
	struct rcpt_event event = {
		.recipient = in_brackets(recipient, address, sizeof(address)),
		.mailer = mailer,
		.host = host,
	};

	if (visit->mta == MAILLOG_SENDMAIL && message != NULL) {
		snprintf(count, sizeof(count), "%u", message->bad_count);
		event.bad_count = count;
	}
	for (size_t i = 0; i < player->count; i++)
		site_rcpt(player->sites[i], &visit->sites[i], &event);
}

/* How many recipients were accepted, as far as is known now. */
static unsigned accepted_count(const struct message *message)
{
	unsigned unnamed;

	if (!message->is_queued)
		return message->has_client_line ? 1 : 0;
	unnamed = message->name_lines < message->count ? message->count - message->name_lines : 0;
	if (message->is_settled)
		unnamed = 0;
	if (message->count == 0)
		return 0;
	return message->names_count + unnamed > 0 ? message->names_count + unnamed : 1;
}

/* NULL: it has not been named. */
static const char *accepted_name(const struct message *message, unsigned number)
{
	const struct accepted *name = message->names;

	while (name != NULL && number-- > 0)
		name = name->next;
	return name != NULL ? name->text : NULL;
}

static void tell_accepted(struct player *player, struct visit *visit, struct message *message,
			  unsigned upto)
{
	char made_up[REPLAY_QUEUE_ID_MAX + 32];
	const char *recipient;

	while (message->played_accepted < upto) {
		recipient = accepted_name(message, message->played_accepted);
		if (recipient == NULL) {
			snprintf(made_up, sizeof(made_up), "%s.%u", message->key.queue_id,
				 message->played_accepted);
			recipient = made_up;
		}
		message->played_accepted++;
		tell_rcpt(player, visit, message, recipient, "local", "");
	}
}

/*
 * Sendmail logs no end of a session, and most end with their message. Left open, they would count against
 * max_flagged_sessions.
 */
static void pause_visit(struct player *player, struct visit *visit)
{
	visit->is_paused = true;
	for (size_t i = 0; i < player->count; i++)
		site_pause(player->sites[i], &visit->sites[i]);
}

/* All of the message is known and told: what remains is DATA. */
static void finish_message(struct player *player, struct visit *visit, struct message *message)
{
	unsigned accepted = accepted_count(message);
	bool is_taken = accepted > 0 && !message->is_aborted;
	bool is_sendmail = visit->mta == MAILLOG_SENDMAIL;
	char count[COUNT_TEXT_MAX];

	if (!visit->has_ended) {
		tell_accepted(player, visit, message, accepted);
		snprintf(count, sizeof(count), "%u", message->bad_count);
		for (size_t i = 0; i < player->count && is_taken; i++)
			site_data(player->sites[i], &visit->sites[i], is_sendmail ? count : NULL);
		visit->in_mail = false;
	}
	for (size_t i = 0; i < player->count && is_taken; i++)
		site_delivered(player->sites[i], &visit->sites[i], visit->host, accepted);
	replay_log_finished(player->log, message);
}

/*
 * The order of accepted and rejected recipients is only known for the first accepted one of Postfix: the
 * others are spread evenly.
 */
static void tell_accepted_before(struct player *player, struct visit *visit,
				 struct message *message)
{
	unsigned first = message->has_client_line ? 1 : 0, accepted = accepted_count(message);

	if (!message->is_queued || accepted < first || message->rejections == 0)
		return;
	tell_accepted(player, visit, message,
		      first + (unsigned)((uint64_t)(accepted - first) * message->played_rejections /
					 ((uint64_t)message->rejections + 1)));
}

static void play_rejected(struct player *player, struct happening *happening)
{
	struct visit *visit = happening->visit;
	struct message *message = happening->message;

	if (!visit->has_client || visit->has_ended) {
		player->lost++;
		return;
	}
	enter(player, visit, message, sender_of(happening));
	if (message != NULL) {
		message->played_rejections++;
		tell_accepted_before(player, visit, message);
		message->bad_count++;
	}
	if (happening->kind == MAILLOG_REJECTED && happening->recipient != NULL)
		tell_rcpt(player, visit, message, happening->recipient,
			  happening->code[0] != '\0' ? "error" : NULL, happening->code);
	if (message != NULL && message->is_queued && accepted_count(message) > 0 &&
	    message->played_rejections == message->rejections)
		finish_message(player, visit, message);
}

/* Postfix's, at the first accepted recipient. */
static void play_client(struct player *player, struct happening *happening)
{
	struct visit *visit = happening->visit;
	struct message *message = happening->message;

	if (message == NULL || message->is_finished || visit->has_ended)
		return;
	enter(player, visit, message, message->sender);
	message->played_rejections = 0;
	tell_accepted(player, visit, message, 1);
	if (message->is_queued && message->rejections == 0)
		finish_message(player, visit, message);
}

static void play_queued(struct player *player, struct happening *happening)
{
	struct visit *visit = happening->visit;
	struct message *message = happening->message;

	if (!message->is_finished) {
		if (!visit->has_ended)
			enter(player, visit, message, message->sender);
		finish_message(player, visit, message);
	}
	if (visit->mta == MAILLOG_SENDMAIL && !visit->has_ended)
		pause_visit(player, visit);
}

static void play_disconnect(struct player *player, struct happening *happening)
{
	struct visit *visit = happening->visit;

	visit->has_ended = true;
	for (size_t i = 0; i < player->count; i++)
		site_close(player->sites[i], &visit->sites[i]);
}

static void play(struct happening *happening, void *arg)
{
	struct player *player = arg;

	player->now_ms = happening->wall_ms;
	for (size_t i = 0; i < player->count; i++)
		crowd_advance(&site_book(player->sites[i])->crowd, player->now_ms);
	if (happening->kind == MAILLOG_CONNECT && !happening->visit->has_begun)
		connect_visit(player, happening->visit);
	else if (happening->kind == MAILLOG_REJECTED || happening->kind == MAILLOG_HIDDEN)
		play_rejected(player, happening);
	else if (happening->kind == MAILLOG_CLIENT)
		play_client(player, happening);
	else if (happening->kind == MAILLOG_QUEUED)
		play_queued(player, happening);
	else if (happening->kind == MAILLOG_DISCONNECT)
		play_disconnect(player, happening);
}

void player_take(struct player *player, const struct maillog_line *line, int64_t wall_ms)
{
	if (player->log == NULL)
		player->log = replay_log_new(player->count, play, player);
	if (player->log == NULL)
		return;
	if (player->first_ms == 0) {
		player->first_ms = wall_ms;
		for (size_t i = 0; i < player->count; i++)
			crowd_reach(&site_book(player->sites[i])->crowd, wall_ms);
	}
	if (wall_ms > player->last_ms)
		player->last_ms = wall_ms;
	replay_log_take(player->log, line, player->last_ms);
}

void player_finish(struct player *player)
{
	if (player->log != NULL)
		replay_log_finish(player->log, player->last_ms);
	for (size_t i = 0; i < player->count; i++)
		book_finish(site_book(player->sites[i]), player->last_ms);
}
