/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz_play.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fake_clock.h"
#include "control/command.h"
#include "judge/exempt.h"
#include "judge/recipients.h"
#include "session/open_sessions.h"
#include "session/site.h"

#define MAX_SESSIONS 4

static const char *const addresses[] = {
	"192.0.2.1",	    "192.0.2.2",       "198.51.100.1",
	"2001:db8:0:1::1",  "2001:db8:0:1::2", "2001:db8:0:2::1",
	"::ffff:192.0.2.1", "127.0.0.1",       "::1",
	"203.0.113.9",
};
/* Where it takes a text: one of these, or with a higher number what follows. The first is none. */
static const char *const words[] = {
	NULL,
	"",
	"error",
	"local",
	"5.1.1",
	"4.7.1",
	"OK",
	"postmaster",
	"<a@b>",
	"<>",
	"mail.example.com",
	"Postfix 3",
	"8.17.1",
	"PLAIN",
	"5.1.1 alias",
	"100000",
	"3",
	"unknown",
};
static const char *const variants[][8] = {
	{NULL},
	{"jitter=50", "threshold=1", "mta=sendmail", NULL},
	{"threshold=0.01", "max_stalls=1", "max_flagged_sessions=1", "exempt_hosts=.example.com",
	 "exempt_certificates=verified", NULL},
	{"threshold=0.01", "max_stalls=2", "when_full=pass", "max_flagged_sessions=0",
	 "max_stall_per_transaction=7s", "max_stall_per_session=20s", "mta=postfix", NULL},
	{"threshold=2", "exempt_clients=", "exempt_authenticated=no", "good_credit=0",
	 "count_distinct=no", "stall_at={connect,helo,mail,rcpt,data}", NULL},
	{"threshold=1", "mode=observe", "max_stall_per_transaction=30s",
	 "exempt_certificates=mail.example.com, /CN=unknown", NULL},
	{"threshold=0.1", "network_threshold=1", "hidden_weight=10", "null_sender_weight=10",
	 "mta_timeout=3s", "delay_min=100ms", "window=1m", NULL},
	{"threshold=1", "stall_at={}", "network_threshold=0", "delay_max=10m", "mta_timeout=1h",
	 "exempt_clients=203.0.113.0/24", NULL},
};

static struct play *current; /* fake_clock's hooks carry no argument */

static struct account *account_of(struct play *play, const struct prefix *address)
{
	static const struct client_widths widths = {32, 24, 64, 48, NULL, 0};
	struct account *account = play->accounts;
	struct client client;

	client_identify(address, &widths, &client);
	for (; account < play->accounts + play->accounts_count; account++)
		if (prefix_equal(&account->client.key, &client.key))
			return account;
	CHECK(play->accounts_count < PLAY_KEYS);
	play->accounts_count++;
	*account = (struct account){.client = client};
	return account;
}

/*
 * --- the journal --------------------------------------------------------------------------------
 */

static void on_rejected(const struct journal *journal, const struct journal_client *who,
			const struct journal_rejection *rejection)
{
	struct play *play = current;

	(void)journal;
	account_of(play, &who->client->address)->hundredths += rejection->amount;
	CHECK(rejection->count > 0 && rejection->code[0] != '\0');
	journal_log.rejected(&journal_log, who, rejection);
}

static void on_flagged(const struct journal *journal, const struct journal_client *who,
		       const struct standing *standing, int64_t delay_ms)
{
	(void)journal;
	CHECK(standing->flagged && delay_ms > 0);
	journal_log.flagged(&journal_log, who, standing, delay_ms);
}

static void on_decided(const struct journal *journal, const struct journal_client *who,
		       const struct journal_decision *decision)
{
	(void)journal;
	current->has_decided = true;
	if (decision->stage == STAGE_RCPT && decision->action == ACTION_PASS &&
	    decision->instead_of == ACTION_PASS)
		account_of(current, &who->client->address)->passed++;
	CHECK(decision->delay_ms >= 0 &&
	      (decision->action != ACTION_STALL || decision->delay_ms > 0));
	journal_log.decided(&journal_log, who, decision);
}

static void on_released(const struct journal *journal, const struct journal_client *who,
			const struct stall *stall, int64_t waited_ms, enum stall_end end)
{
	(void)journal;
	CHECK(waited_ms >= 0 && waited_ms <= stall->delay_ms);
	CHECK(end != STALL_ELAPSED || waited_ms == stall->delay_ms);
	journal_log.released(&journal_log, who, stall, waited_ms, end);
}

static void on_warned(const struct journal *journal, const char *mta_name, enum mta_warning kind,
		      const char *warning)
{
	(void)journal;
	journal_log.warned(&journal_log, mta_name, kind, warning);
}

/*
 * --- begin and end ------------------------------------------------------------------------------
 */

void play_begin(struct play *play, unsigned variant)
{
	*play = (struct play){
		.journal = {journal_log.session, on_rejected, on_flagged, on_decided,
			    journal_log.deferred, on_released,
			    journal_log.outlasted, on_warned, journal_log.siege}};
	current = play;
	fuzz_tarpit_begin(&play->tarpit, fuzz_config(variants[variant % COUNT(variants)]));
	play->tarpit.journal = &play->journal;
	play->tarpit.max_sessions = MAX_SESSIONS;
}

static void vacate(struct play *play)
{
	int64_t waited_ms;

	while (play->others_count > 0)
		stall_wait(play->tarpit.stalls, &play->others[--play->others_count], &waited_ms);
}

void play_end(struct play *play)
{
	vacate(play);
	for (size_t i = 0; i < play->accounts_count; i++)
		CHECK(open_sessions_count(play->tarpit.peers, &play->accounts[i].client.key) == 0);
	fuzz_tarpit_end(&play->tarpit);
}

/*
 * --- what an administrator and time do ----------------------------------------------------------
 */

static void command(struct play *play, const char *name, const char *address)
{
	struct control_host host = {.tarpit = &play->tarpit};
	struct prefix prefix;
	char request[200], *answer;

	CHECK(prefix_parse(address, &prefix));
	if (strcmp(name, "flag") == 0)
		account_of(play, &prefix)->by_hand = true;
	snprintf(request, sizeof(request), "{\"command\":\"%s\",\"client\":\"%s\"}", name, address);
	answer = command_answer(&host, 0, request, strlen(request));
	CHECK(answer != NULL);
	free(answer);
}

static unsigned next_intrusion;

/* While a session waits. */
static void intrude(int64_t deadline_ms)
{
	(void)deadline_ms;
	if (next_intrusion < COUNT(addresses)) {
		command(current, "forgive", addresses[next_intrusion]);
	} else if (next_intrusion == 255) {
		stalls_stop(current->tarpit.stalls);
		current->has_stopped = true;
	}
}

void play_administer(struct play *play, unsigned what, struct input *input)
{
	unsigned byte = take_byte(input);
	const char *address = addresses[byte % COUNT(addresses)];

	switch (what) {
	case 5:
		fake_clock_advance((int64_t)byte * byte * 500);
		break;
	case 6:
		command(play, "forgive", address);
		break;
	case 7:
		command(play, "flag", address);
		break;
	case 8:
		config_box_put(play->tarpit.config, fuzz_config(variants[byte % COUNT(variants)]));
		break;
	case 9:
		next_intrusion = byte;
		fake_clock_on_next_wait(intrude);
		break;
	case 10:
		if (play->others_count < PLAY_PLACES) {
			struct stall *other = &play->others[play->others_count];

			*other = (struct stall){.stage = "RCPT", .network = {4, 24, {10, (uint8_t)byte}}};
			play->others_count += stall_begin(play->tarpit.stalls, other,
							  (enum stall_share)(byte % 4));
		}
		break;
	case 11:
		vacate(play);
		break;
	case 12:
		stalls_set_budget(play->tarpit.stalls, byte % 4);
		break;
	default:
		fake_clock_advance(byte);
	}
}

/*
 * --- events -------------------------------------------------------------------------------------
 */

static const char *take_word(struct play *play, struct input *input)
{
	unsigned which = take_byte(input);

	if (which < COUNT(words))
		return words[which];
	CHECK(play->texts_count < PLAY_TEXTS);
	return play->texts[play->texts_count++] = take_text(input, '\n');
}

static const struct sockaddr *take_address(struct input *input, struct sockaddr_storage *storage)
{
	unsigned which = take_byte(input);
	struct prefix prefix;

	if (which >= COUNT(addresses)) {
		storage->ss_family = (sa_family_t)which;
		return which == 255 ? NULL : (const struct sockaddr *)storage;
	}
	CHECK(prefix_parse(addresses[which], &prefix));
	storage->ss_family = prefix.family == 4 ? AF_INET : AF_INET6;
	if (prefix.family == 4)
		memcpy(&((struct sockaddr_in *)storage)->sin_addr, prefix.address, 4);
	else
		memcpy(&((struct sockaddr_in6 *)storage)->sin6_addr, prefix.address, 16);
	return (const struct sockaddr *)storage;
}

static bool has_text(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/*
 * What an MTA of this {v} sends: Postfix and Sendmail what they do, and others, by the length of
 * it, any of the macros that tell them apart.
 */
static struct mta_signs signs_of(const char *version)
{
	size_t which = version == NULL			     ? 0
		       : strcmp(version, "Postfix 3") == 0 ? 1
		       : strcmp(version, "8.17.1") == 0    ? 7
							     : strlen(version);

	return (struct mta_signs){.version = version,
				  .connections = (which & 1) != 0 ? version : NULL,
				  .rate = (which & 2) != 0 ? version : NULL,
				  .family = (which & 4) != 0 ? version : NULL};
}

/* What may be expected of the MTA at most: to wait so long, and to heed a 421 at RCPT. */
static void note_mta(struct slot *slot, const struct config *config, const struct mta_signs *signs)
{
	bool is_auto = config->mta == MTA_UNKNOWN;
	bool has_sendmails = has_text(signs->rate) || has_text(signs->family);

	slot->is_silent = is_auto && !has_sendmails &&
			  (!has_text(signs->connections) || !has_text(signs->version));
	slot->may_heed = config->mta == MTA_SENDMAIL || (is_auto && has_sendmails);
	slot->is_patient =
		config->mta == MTA_POSTFIX || (is_auto && !has_sendmails && !slot->is_silent);
}

static void connect_slot(struct play *play, struct slot *slot, const struct told *told)
{
	const struct config *config = session_config(slot->session);
	const struct connect_event *event = &told->connect;
	const char *name = event->client_name != NULL ? event->client_name : event->host;
	struct prefix address;
	bool has_address = prefix_from_sockaddr(event->address, &address);

	slot->account = has_address ? account_of(play, &address) : NULL;
	note_mta(slot, config, &event->mta);
	slot->is_left_alone = !has_address || exempt_has_client(config->exempt, &address, NULL) ||
			      play->tarpit.open_sessions > MAX_SESSIONS ||
			      (name != NULL && event->client_resolve != NULL &&
			       strcmp(event->client_resolve, "OK") == 0 &&
			       exempt_host_rule(config->exempt, name));
}

/* Whether the configuration exempts certificates, and the MTA may trust this one. */
static bool may_be_exempt(const struct slot *slot, const struct certificate *certificate)
{
	const struct string_list *list = &session_config(slot->session)->exempt_certificates;

	return list->count > 0 && strcmp(list->items[0], "no") != 0 &&
	       (has_text(certificate->verify) ? strcmp(certificate->verify, "OK") == 0
					      : has_text(certificate->subject));
}

void play_begin_event(struct play *play, struct slot *slot, enum event event, struct input *input,
		      struct told *told)
{
	play->has_decided = false;
	if (event == EVENT_CONNECT) {
		told->connect.address = take_address(input, &told->address);
		told->connect.host = take_word(play, input);
		told->connect.mta = signs_of(take_word(play, input));
		told->connect.mta_name = take_word(play, input);
		told->connect.client_name = take_word(play, input);
		told->connect.client_resolve = take_word(play, input);
		connect_slot(play, slot, told);
	} else if (event == EVENT_MAIL) {
		/* filter.c puts "" where libmilter has none. */
		const char *sender = take_word(play, input);

		told->mail.sender = sender != NULL ? sender : "";
		told->mail.auth_type = take_word(play, input);
		told->mail.auth_authen = take_word(play, input);
		told->mail.certificate.verify = take_word(play, input);
		told->mail.certificate.subject = take_word(play, input);
		told->mail.certificate.common_name = told->mail.certificate.subject;
		told->mail.certificate.fingerprint = told->mail.certificate.subject;
		told->mail.certificate.md5 = told->mail.certificate.verify;
		slot->transaction_ms = 0;
		if (session_config(slot->session)->exempt_authenticated &&
		    (has_text(told->mail.auth_type) || has_text(told->mail.auth_authen)))
			slot->is_left_alone = true;
		if (may_be_exempt(slot, &told->mail.certificate))
			slot->may_be_trusted = true;
	} else if (event == EVENT_RCPT) {
		const char *recipient = take_word(play, input);

		told->rcpt.recipient = recipient != NULL ? recipient : "";
		told->rcpt.mailer = take_word(play, input);
		told->rcpt.host = take_word(play, input);
		told->rcpt.bad_count = take_word(play, input);
		slot->may_heed = slot->may_heed || (slot->is_silent && has_text(told->rcpt.bad_count));
	} else if (event == EVENT_DATA) {
		told->rcpt.bad_count = take_word(play, input);
	}
}

/*
 * Whether all that was ever counted suffices to slow this client. Good recipients and time only
 * help it.
 */
static bool may_be_flagged(const struct play *play, const struct slot *slot)
{
	const struct policy *policy = &session_config(slot->session)->policy;
	const struct account *own = slot->account;
	const struct siege_settings siege = site_settings(session_config(slot->session));
	uint64_t network = 0, site = 0;

	if (own == NULL)
		return false;
	if (own->by_hand || (double)own->hundredths >= 100 * policy->threshold - 1e-6)
		return true;
	for (size_t i = 0; i < play->accounts_count; i++)
		if (prefix_equal(&play->accounts[i].client.network, &own->client.network))
			network += play->accounts[i].hundredths;
	for (size_t i = 0; i < play->accounts_count; i++)
		site += play->accounts[i].hundredths;
	if (siege.threshold > 0 && own->hundredths > 0 &&
	    (double)site >= 100 * siege.threshold - 1e-6)
		return true;
	return policy->network_threshold > 0 && own->hundredths > 0 &&
	       (double)network >= 100 * policy->network_threshold - 1e-6;
}

/*
 * Whether as many recipients of the client, or of its network, have passed as may: then limits are
 * none.
 */
static bool may_be_spent(const struct play *play, const struct slot *slot)
{
	unsigned passed = 0;

	for (size_t i = 0; slot->account != NULL && i < play->accounts_count; i++)
		if (prefix_equal(&play->accounts[i].client.network, &slot->account->client.network))
			passed += play->accounts[i].passed;
	return passed >= session_config(slot->session)->pass_limit;
}

static void check_verdict(const struct slot *slot, enum event event, const struct told *told)
{
	struct address recipient;

	if (event == EVENT_RCPT) {
		address_parse(told->rcpt.recipient, &recipient);
		if (recipients_rule(session_config(slot->session)->exempt_mailboxes, &recipient) != NULL)
			CHECK(told->waited_ms == 0 && told->verdict != VERDICT_DEFER);
		/*
		 * An accepted one is treated as a rejected one, for which only Sendmail heeds a
		 * 421.
		 */
		CHECK(told->verdict != VERDICT_DEFER || slot->may_heed);
	}
	/* HELO ends nothing. */
	CHECK(event != EVENT_HELO || told->verdict != VERDICT_ACCEPT);
	CHECK(event != EVENT_MAIL || told->verdict != VERDICT_ACCEPT || slot->account == NULL ||
	      slot->is_left_alone || slot->may_be_trusted);
	if (slot->account == NULL || slot->is_left_alone)
		CHECK(told->verdict == (event == EVENT_HELO ? VERDICT_CONTINUE : VERDICT_ACCEPT));
}

/* Those that have not made way. */
static unsigned count_others(const struct play *play)
{
	unsigned count = 0;

	for (unsigned i = 0; i < play->others_count; i++)
		count += play->others[i].is_listed;
	return count;
}

void play_check_event(struct play *play, struct slot *slot, enum event event,
		      const struct told *told)
{
	const struct config *config = session_config(slot->session);
	bool is_slowed = told->waited_ms > 0 || told->verdict == VERDICT_DEFER;
	int64_t timeout_ms = config->mta_timeout_ms > 0 ? config->mta_timeout_ms
			     : slot->is_patient		? 30000
							: 10000;

	check_verdict(slot, event, told);
	if (is_slowed || play->has_decided)
		CHECK(!slot->is_left_alone && may_be_flagged(play, slot));
	CHECK(!is_slowed || !config->observe);
	CHECK(told->waited_ms <= config->policy.delay_max_ms);
	CHECK(told->waited_ms <= timeout_ms - 2000);
	CHECK(told->waited_ms == 0 || (config->stall_at[event] && !play->has_stopped));
	slot->transaction_ms += told->waited_ms;
	slot->session_ms += told->waited_ms;
	CHECK(slot->transaction_ms <= config->max_stall_per_transaction_ms || may_be_spent(play, slot));
	CHECK(slot->session_ms <= config->max_stall_per_session_ms || may_be_spent(play, slot));
	CHECK(stalls_active(play->tarpit.stalls) == count_others(play));
	while (play->texts_count > 0)
		free(play->texts[--play->texts_count]);
}
