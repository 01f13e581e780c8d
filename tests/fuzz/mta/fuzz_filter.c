/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter.c below a libmilter of our own: its callbacks in any order, with whatever macros, and with
 * calls of libmilter that fail. Beside them the same goes on as in fuzz_session.
 */
#include "fuzz_play.h"

#include <libmilter/mfapi.h>
#include <stdlib.h>
#include <string.h>

#include "fake_clock.h"
#include "mta/filter.h"

#define SLOTS 4

/* What libmilter keeps of a session; slot.session is the private pointer. */
struct smfi_str {
	struct slot slot;
	const struct told *told;
	bool fails, has_reply;
};

static struct play play;
static struct smfi_str contexts[SLOTS];
static struct smfiDesc filter;

/*
 * --- libmilter ----------------------------------------------------------------------------------
 */

int smfi_register(struct smfiDesc description)
{
	filter = description;
	return MI_SUCCESS;
}

int smfi_setconn(char *connection)
{
	return connection != NULL ? MI_SUCCESS : MI_FAILURE;
}

int smfi_setbacklog(int backlog)
{
	return backlog > 0 ? MI_SUCCESS : MI_FAILURE;
}

int smfi_setsymlist(SMFICTX *ctx, int stage, char *macros)
{
	CHECK(stage >= SMFIM_FIRST && stage <= SMFIM_LAST && macros != NULL);
	return ctx->fails ? MI_FAILURE : MI_SUCCESS;
}

int smfi_setpriv(SMFICTX *ctx, void *private)
{
	if (ctx->fails && private != NULL)
		return MI_FAILURE;
	if (private != ctx->slot.session)
		ctx->slot = (struct slot){.session = private};
	return MI_SUCCESS;
}

void *smfi_getpriv(SMFICTX *ctx)
{
	return ctx->slot.session;
}

int smfi_setreply(SMFICTX *ctx, char *code, char *status, char *text)
{
	CHECK(strcmp(code, "421") == 0 && strcmp(status, "4.7.0") == 0 && is_printable(text));
	ctx->has_reply = true;
	return ctx->fails ? MI_FAILURE : MI_SUCCESS;
}

char *smfi_getsymval(SMFICTX *ctx, char *name)
{
	const struct told *told = ctx->told;
	const struct {
		const char *name, *value;
	} macros[] = {
		{"v", told->connect.mta.version},
		{"{client_connections}", told->connect.mta.connections},
		{"{client_rate}", told->connect.mta.rate},
		{"{daemon_family}", told->connect.mta.family},
		{"j", told->connect.mta_name},
		{"{client_name}", told->connect.client_name},
		{"{client_resolve}", told->connect.client_resolve},
		{"{auth_type}", told->mail.auth_type},
		{"{auth_authen}", told->mail.auth_authen},
		{"{verify}", told->mail.certificate.verify},
		{"{cert_subject}", told->mail.certificate.subject},
		{"{cn_subject}", told->mail.certificate.common_name},
		{"{cert_fp}", told->mail.certificate.fingerprint},
		{"{cert_md5}", told->mail.certificate.md5},
		{"{rcpt_mailer}", told->rcpt.mailer},
		{"{rcpt_host}", told->rcpt.host},
		{"{nbadrcpts}", told->rcpt.bad_count},
	};

	for (size_t i = 0; i < COUNT(macros); i++)
		if (strcmp(macros[i].name, name) == 0)
			return (char *)(uintptr_t)macros[i].value;
	fuzz_failed(name, 0, "a macro that is asked for");
}

/*
 * --- an MTA -------------------------------------------------------------------------------------
 */

static void negotiate(SMFICTX *ctx, struct input *input)
{
	unsigned long actions = take_byte(input), steps = (unsigned long)take_number(input, 4);
	unsigned long wanted_actions = ~0UL, wanted_steps = ~0UL, wanted2, wanted3;
	sfsistat status = filter.xxfi_negotiate(ctx, actions << 1, steps, 0, 0, &wanted_actions,
						&wanted_steps, &wanted2, &wanted3);

	CHECK(status == SMFIS_CONTINUE || (status == SMFIS_REJECT && ctx->fails));
	if (status == SMFIS_CONTINUE)
		CHECK((wanted_actions & ~(actions << 1)) == 0 && (wanted_steps & ~steps) == 0);
}

static sfsistat call(SMFICTX *ctx, enum event event, const struct told *told)
{
	char *sender[] = {(char *)(uintptr_t)told->mail.sender, NULL};
	char *recipient[] = {(char *)(uintptr_t)told->rcpt.recipient, NULL};

	ctx->told = told;
	switch (event) {
	case EVENT_CONNECT:
		return filter.xxfi_connect(ctx, (char *)(uintptr_t)told->connect.host,
					   (_SOCK_ADDR *)(uintptr_t)told->connect.address);
	case EVENT_HELO:
		return filter.xxfi_helo(ctx, NULL);
	case EVENT_MAIL:
		return filter.xxfi_envfrom(ctx, sender);
	case EVENT_RCPT:
		return filter.xxfi_envrcpt(ctx, recipient);
	case EVENT_DATA:
		return filter.xxfi_data(ctx);
	}
	return SMFIS_CONTINUE;
}

/* The message goes on to its end, or is given up. */
static sfsistat go_on(SMFICTX *ctx, unsigned how)
{
	return how % 2 == 0 ? filter.xxfi_eom(ctx) : filter.xxfi_abort(ctx);
}

static void say(SMFICTX *ctx, struct input *input, enum event event)
{
	struct told told = {0};
	int64_t before = fake_clock_waited_ms();
	sfsistat status;

	ctx->has_reply = false;
	if (ctx->slot.session == NULL) {
		CHECK(call(ctx, event, &told) == SMFIS_ACCEPT);
		return;
	}
	play_begin_event(&play, &ctx->slot, event, input, &told);
	status = call(ctx, event, &told);
	if (event == EVENT_DATA && status == SMFIS_CONTINUE && !ctx->has_reply)
		status = go_on(ctx, take_byte(input));
	CHECK(status == SMFIS_CONTINUE || status == SMFIS_ACCEPT || status == SMFIS_TEMPFAIL);
	CHECK((status == SMFIS_TEMPFAIL) == (ctx->has_reply && !ctx->fails));
	told.verdict = ctx->has_reply		? VERDICT_DEFER
		       : status == SMFIS_ACCEPT ? VERDICT_ACCEPT
						: VERDICT_CONTINUE;
	told.waited_ms = fake_clock_waited_ms() - before;
	play_check_event(&play, &ctx->slot, event, &told);
}

static void hang_up(SMFICTX *ctx)
{
	filter.xxfi_close(ctx);
	CHECK(ctx->slot.session == NULL);
	*ctx = (SMFICTX){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	play_begin(&play, take_byte(&input));
	CHECK(filter_register(&play.tarpit, "inet:1@127.0.0.1") == 0);
	while (input.length > 0) {
		unsigned what = take_byte(&input);
		SMFICTX *ctx = &contexts[what / 16 % SLOTS];

		ctx->fails = what >= 0xc0;
		if (what % 16 <= EVENT_DATA)
			say(ctx, &input, (enum event)(what % 16));
		else if (what % 16 == 13)
			negotiate(ctx, &input);
		else if (what % 16 == 15)
			hang_up(ctx);
		else
			play_administer(&play, what % 16, &input);
		CHECK(filter_callbacks() == 0);
	}
	for (size_t i = 0; i < SLOTS; i++)
		hang_up(&contexts[i]);
	play_end(&play);
	return 0;
}
