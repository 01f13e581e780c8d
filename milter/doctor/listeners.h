/* SPDX-License-Identifier: BSD-2-Clause */
/* Which TCP ports of this host are listened on, by /proc/net/tcp and tcp6. */
#ifndef TARPIT_DOCTOR_LISTENERS_H
#define TARPIT_DOCTOR_LISTENERS_H

#include <stddef.h>

#include "doctor/facts.h"

/* Adds those of such a file's text to the facts. Pure. */
void listeners_parse(const char *text, struct doctor_facts *facts);
/* Reads the files; facts->knows_listeners says whether tcp could be. */
void listeners_read(struct doctor_facts *facts);

#endif
