/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns libmilter's callbacks into events of a session, and the session's verdicts into answers. */
#include "mta/filter.h"

#include <errno.h>
#include <libmilter/mfapi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "base/listen.h"
#include "base/log.h"
#include "session/session.h"

/*
 * Connections that may wait to be accepted: an MTA's burst must not be turned away. libmilter's
 * default is 20.
 */
#define BACKLOG 1024

/* libmilter hands no argument of ours to callbacks: these are set once, before libmilter runs. */
static struct tarpit *tarpit;
static struct listen_address own_address;
static _Atomic unsigned running;
static struct log_limit memory_limit, descriptors_limit;

static sfsistat leave(sfsistat status)
{
	atomic_fetch_sub(&running, 1);
	return status;
}

static struct session *enter(SMFICTX *ctx)
{
	atomic_fetch_add(&running, 1);
	return smfi_getpriv(ctx);
}

static sfsistat answer(SMFICTX *ctx, enum verdict verdict)
{
	/* smfi_setreply takes them as writable, and does not write. */
	static char code[] = "421", status[] = "4.7.0";
	static char text[] = "too many connections from your network, try again later";

	switch (verdict) {
	case VERDICT_ACCEPT:
		return leave(SMFIS_ACCEPT);
	case VERDICT_DEFER:
		if (smfi_setreply(ctx, code, status, text) == MI_SUCCESS)
			return leave(SMFIS_TEMPFAIL);
		break;
	case VERDICT_CONTINUE:
		break;
	}
	return leave(SMFIS_CONTINUE);
}

static const char *macro(SMFICTX *ctx, const char *name)
{
	char text[32];

	snprintf(text, sizeof(text), "%s", name);
	return smfi_getsymval(ctx, text);
}

/*
 * These lists take the place of the MTA's, which an administrator may have emptied. False without
 * memory.
 */
static bool ask_for_macros(SMFICTX *ctx)
{
	static char connect[] = "j v {client_name} {client_resolve} {client_connections} "
				"{client_rate} {daemon_family}";
	static char helo[] = "";
	static char mail[] = "{auth_type} {auth_authen} {verify} {cert_subject} {cn_subject} "
			     "{cert_fp} {cert_md5}";
	static char rcpt[] = "{rcpt_mailer} {rcpt_host} {nbadrcpts}";
	static char data[] = "{nbadrcpts}";

	return smfi_setsymlist(ctx, SMFIM_CONNECT, connect) == MI_SUCCESS &&
	       smfi_setsymlist(ctx, SMFIM_HELO, helo) == MI_SUCCESS &&
	       smfi_setsymlist(ctx, SMFIM_ENVFROM, mail) == MI_SUCCESS &&
	       smfi_setsymlist(ctx, SMFIM_ENVRCPT, rcpt) == MI_SUCCESS &&
	       smfi_setsymlist(ctx, SMFIM_DATA, data) == MI_SUCCESS;
}

/* The session of a connection; NULL without memory: then callbacks accept each mail. */
static struct session *open_session(SMFICTX *ctx, bool may_ask_for_macros)
{
	struct session *session = session_open(tarpit);

	if (session != NULL && ((may_ask_for_macros && !ask_for_macros(ctx)) ||
				smfi_setpriv(ctx, session) != MI_SUCCESS)) {
		session_close(session);
		session = NULL;
	}
	if (session == NULL && log_allowed(&memory_limit))
		log_message(LOG_WARNING, "limits", "out of memory: sessions pass unwatched");
	return session;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
			     unsigned long reserved2, unsigned long reserved3,
			     unsigned long *wanted_actions, unsigned long *wanted_steps,
			     unsigned long *wanted2, unsigned long *wanted3)
{
	unsigned long wanted =
		SMFIP_RCPT_REJ | SMFIP_NOBODY | SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOUNKNOWN;
	struct session *session;

	(void)reserved2;
	(void)reserved3;
	session = enter(ctx);
	/* A second negotiation is of the same session. libmilter lets none through. */
	if (session == NULL)
		session = open_session(ctx, (actions & SMFIF_SETSYMLIST) != 0);
	if (session != NULL) {
		if (!session_config(session)->stall_at[STAGE_HELO])
			wanted |= SMFIP_NOHELO;
		if ((steps & SMFIP_RCPT_REJ) == 0)
			session_rejects_not_offered(session);
	}
	*wanted_actions = actions & SMFIF_SETSYMLIST;
	*wanted_steps = steps & wanted;
	*wanted2 = 0;
	*wanted3 = 0;
	return leave(SMFIS_CONTINUE);
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	struct session *session = enter(ctx);
	struct connect_event event = {
		.host = host,
		.address = address,
		.mta = {.version = macro(ctx, "v"),
			.connections = macro(ctx, "{client_connections}"),
			.rate = macro(ctx, "{client_rate}"),
			.family = macro(ctx, "{daemon_family}")},
		.mta_name = macro(ctx, "j"),
		.client_name = macro(ctx, "{client_name}"),
		.client_resolve = macro(ctx, "{client_resolve}"),
	};

	return answer(ctx, session != NULL ? session_connect(session, &event) : VERDICT_ACCEPT);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	struct session *session = enter(ctx);

	(void)name;
	return answer(ctx, session != NULL ? session_helo(session) : VERDICT_ACCEPT);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
	struct session *session = enter(ctx);
	struct mail_event event = {
		.sender = arguments[0] != NULL ? arguments[0] : "",
		.auth_type = macro(ctx, "{auth_type}"),
		.auth_authen = macro(ctx, "{auth_authen}"),
		.certificate = {.verify = macro(ctx, "{verify}"),
				.subject = macro(ctx, "{cert_subject}"),
				.common_name = macro(ctx, "{cn_subject}"),
				.fingerprint = macro(ctx, "{cert_fp}"),
				.md5 = macro(ctx, "{cert_md5}")},
	};

	return answer(ctx, session != NULL ? session_mail(session, &event) : VERDICT_ACCEPT);
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
	struct session *session = enter(ctx);
	struct rcpt_event event = {
		.recipient = arguments[0] != NULL ? arguments[0] : "",
		.mailer = macro(ctx, "{rcpt_mailer}"),
		.host = macro(ctx, "{rcpt_host}"),
		.bad_count = macro(ctx, "{nbadrcpts}"),
	};

	return answer(ctx, session != NULL ? session_rcpt(session, &event) : VERDICT_ACCEPT);
}

static sfsistat on_data(SMFICTX *ctx)
{
	struct session *session = enter(ctx);

	return answer(ctx, session != NULL ? session_data(session, macro(ctx, "{nbadrcpts}"))
					   : VERDICT_ACCEPT);
}

static sfsistat on_end_of_message(SMFICTX *ctx)
{
	struct session *session = enter(ctx);

	return answer(ctx, session != NULL ? session_end_of_message(session) : VERDICT_ACCEPT);
}

static sfsistat on_abort(SMFICTX *ctx)
{
	struct session *session = enter(ctx);

	if (session != NULL)
		session_abort(session);
	return leave(SMFIS_CONTINUE);
}

/* For a connection of filter_nudge's this is the only callback. */
static sfsistat on_close(SMFICTX *ctx)
{
	struct session *session = enter(ctx);

	smfi_setpriv(ctx, NULL);
	session_close(session);
	return leave(SMFIS_CONTINUE);
}

int filter_register(struct tarpit *shared, const char *socket_text)
{
	static char name[] = "tarpit-milter";
	static char socket_copy[512];
	struct smfiDesc description = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_SETSYMLIST,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_data = on_data,
		.xxfi_eom = on_end_of_message,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};
	char error[256];

	tarpit = shared;
	if (strlen(socket_text) >= sizeof(socket_copy) ||
	    !listen_parse(socket_text, &own_address, error, sizeof(error)))
		return -1;
	snprintf(socket_copy, sizeof(socket_copy), "%s", socket_text);
	if (smfi_register(description) != MI_SUCCESS || smfi_setconn(socket_copy) != MI_SUCCESS ||
	    smfi_setbacklog(BACKLOG) != MI_SUCCESS)
		return -1;
	return 0;
}

int filter_open(void)
{
	return smfi_opensocket(0) == MI_SUCCESS ? 0 : -1;
}

void filter_run(void)
{
	smfi_main();
}

void filter_nudge(void)
{
	int fd = socket(own_address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);

	if (fd < 0) {
		if ((errno == EMFILE || errno == ENFILE) && log_allowed(&descriptors_limit))
			log_message(LOG_WARNING, "limits",
				    "no descriptor for a connection (%s): it waits",
				    strerror(errno));
		return;
	}
	/*
	 * A full backlog (EAGAIN) will do as well: each connection that waits there wakes a worker,
	 * too.
	 */
	(void)!connect(fd, (const struct sockaddr *)&own_address.storage, own_address.length);
	close(fd);
}

unsigned filter_callbacks(void)
{
	return atomic_load(&running);
}

const char *filter_version(void)
{
	static char text[40];
	unsigned major, minor, patch;

	smfi_version(&major, &minor, &patch);
	snprintf(text, sizeof(text), "libmilter %u.%u.%u", major, minor, patch);
	return text;
}
