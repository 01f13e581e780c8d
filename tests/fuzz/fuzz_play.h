/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tarpit that fuzz_session and fuzz_filter play with: what is said to it, and what it may answer.
 */
#ifndef TARPIT_FUZZ_PLAY_H
#define TARPIT_FUZZ_PLAY_H

#include <sys/socket.h>

#include "fuzz.h"
#include "session/journal.h"
#include "base/prefix.h"
#include "session/stall.h"

enum event { EVENT_CONNECT, EVENT_HELO, EVENT_MAIL, EVENT_RCPT, EVENT_DATA };

#define PLAY_KEYS 32
#define PLAY_TEXTS 8
#define PLAY_PLACES 4

/* Whatever was counted against a client, ever. */
struct account {
	struct client client;
	uint64_t hundredths;
	unsigned passed; /* recipients that passed without a wait */
	bool by_hand;
};

struct play {
	struct journal journal; /* first */
	struct tarpit tarpit;
	struct account accounts[PLAY_KEYS];
	size_t accounts_count;
	/* places of the budget that others have */
	struct stall others[PLAY_PLACES];
	unsigned others_count;
	bool has_stopped;
	char *texts[PLAY_TEXTS]; /* of the event being played */
	size_t texts_count;
	bool has_decided; /* the session has said what it does about a flagged client */
};

/* A session, and what the play knows of it. */
struct slot {
	struct session *session;
	struct account *account; /* NULL: it has not connected, or has no address */
	bool is_left_alone; /* it is exempt, or has authenticated, or is one too many */
	bool may_be_trusted; /* it may have shown a certificate that is exempt */
	bool is_silent; /* the MTA tells nothing at connect that its kind shows by */
	bool may_heed; /* a 421 at RCPT */
	bool is_patient; /* mta_timeout = auto may be Postfix's */
	int64_t transaction_ms, session_ms; /* waited */
};

/* An event, and what came of it. */
struct told {
	struct sockaddr_storage address;
	struct connect_event connect;
	struct mail_event mail;
	struct rcpt_event rcpt;
	enum verdict verdict;
	int64_t waited_ms;
};

/* variant says which configuration it begins with. */
void play_begin(struct play *play, unsigned variant);
void play_end(struct play *play);
/* Makes an event out of input. play_check_event must follow. */
void play_begin_event(struct play *play, struct slot *slot, enum event event, struct input *input,
		      struct told *told);
void play_check_event(struct play *play, struct slot *slot, enum event event,
		      const struct told *told);
/* Time passes, or somebody does something beside the sessions. */
void play_administer(struct play *play, unsigned what, struct input *input);

#endif
