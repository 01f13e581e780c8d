/* SPDX-License-Identifier: BSD-2-Clause */
/* Sendmail's .mc files: adds and removes our lines, which stand between two marks. Pure. */
#ifndef TARPIT_SETUP_MC_H
#define TARPIT_SETUP_MC_H

#define MC_BEGIN "dnl # tarpit-milter: begin\n"
#define MC_END "dnl # tarpit-milter: end\n"

/*
 * The text without our lines, to be freed; equal to text if they are not there. NULL with a reason:
 * one of both marks is missing, or is there twice.
 */
char *mc_remove(const char *text, const char **reason);
/*
 * The text, in which our lines are not, with them before its MAILER lines, to be freed. NULL with a
 * reason: it names a filter like ours, or our socket; there is no place behind all other filters.
 */
char *mc_add(const char *text, const char *lines, const char *socket, const char **reason);

#endif
