/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an MTA may say, in any order and with anything in it, to several sessions, while an
 * administrator reloads, flags, forgives and stops. Waits end at once. Who has not offended enough
 * is left alone.
 */
#include "fuzz_play.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fake_clock.h"
#include "base/log.h"

#define SLOTS 6

static struct play play;
static struct slot slots[SLOTS];

/* The message goes on to its end, or is given up, or the client does something else. */
static void go_on(struct session *session, unsigned how, struct told *told)
{
	if (how % 3 == 0)
		told->verdict = session_end_of_message(session);
	else if (how % 3 == 1)
		session_abort(session);
}

/* One word of the MTA, and what must be true whatever it is. */
static void say(struct slot *slot, struct input *input, enum event event)
{
	struct told told = {0};
	int64_t before = fake_clock_waited_ms();

	play_begin_event(&play, slot, event, input, &told);
	switch (event) {
	case EVENT_CONNECT:
		told.verdict = session_connect(slot->session, &told.connect);
		break;
	case EVENT_HELO:
		told.verdict = session_helo(slot->session);
		break;
	case EVENT_MAIL:
		told.verdict = session_mail(slot->session, &told.mail);
		break;
	case EVENT_RCPT:
		told.verdict = session_rcpt(slot->session, &told.rcpt);
		break;
	case EVENT_DATA:
		told.verdict = session_data(slot->session, told.rcpt.bad_count);
		if (told.verdict == VERDICT_CONTINUE)
			go_on(slot->session, take_byte(input), &told);
		break;
	}
	told.waited_ms = fake_clock_waited_ms() - before;
	play_check_event(&play, slot, event, &told);
}

static void close_slot(struct slot *slot)
{
	session_close(slot->session);
	*slot = (struct slot){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	play_begin(&play, take_byte(&input));
	log_set_level(LOG_DEBUG);
	while (input.length > 0) {
		unsigned what = take_byte(&input);
		struct slot *slot = &slots[what / 16 % SLOTS];

		if (what % 16 > EVENT_DATA && what % 16 != 15) {
			play_administer(&play, what % 16, &input);
			continue;
		}
		if (slot->session == NULL) {
			slot->session = session_open(&play.tarpit);
			CHECK(slot->session != NULL);
		}
		if (what % 16 == 15)
			close_slot(slot);
		else
			say(slot, &input, (enum event)(what % 16));
	}
	for (size_t i = 0; i < SLOTS; i++)
		close_slot(&slots[i]);
	play_end(&play);
	return 0;
}
