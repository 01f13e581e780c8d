/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of months as journalctl writes them, in the language of its locale. Pure. */
#ifndef TARPIT_MAILLOG_MONTH_H
#define TARPIT_MAILLOG_MONTH_H

#include "maillog/span.h"

/*
 * 1 to 12; 0 for what is no month. A name that is another month elsewhere is not known (lip: July
 * in Polish, June in Croatian), but for out (Portuguese), jan, maj and kas, which only Haitian,
 * Sotho, Bislama and Belarusian in Latin letters have for another one.
 */
int maillog_month(struct span name);

#endif
