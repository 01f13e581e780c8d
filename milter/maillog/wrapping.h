/* SPDX-License-Identifier: BSD-2-Clause */
/* What those who run containers put around the lines of a log. Pure. */
#ifndef TARPIT_MAILLOG_WRAPPING_H
#define TARPIT_MAILLOG_WRAPPING_H

#include "maillog/span.h"

/*
 * Takes what was put in front of the text off it, time stamps excepted: "mail-1  | " of `docker
 * compose logs`, "[pod/mail-0/postfix] " of `kubectl logs --prefix`, "stdout F " of a container
 * runtime's file, and colours.
 */
void maillog_wrapping_skip(struct span *text);

#endif
