/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of the stages of an SMTP session. */
#include "judge/stage.h"

const char *stage_name(enum stage stage)
{
	static const char *const names[] = {"connect", "helo", "mail", "rcpt", "data"};

	return names[stage];
}

const char *stage_log_name(enum stage stage)
{
	static const char *const names[] = {"CONNECT", "HELO", "MAIL", "RCPT", "DATA"};

	return names[stage];
}
