/* SPDX-License-Identifier: BSD-2-Clause */
/* The milters in Postfix's smtpd_milters, and whether one is this daemon. Pure. */
#ifndef TARPIT_DOCTOR_MILTERS_H
#define TARPIT_DOCTOR_MILTERS_H

#include <stdbool.h>
#include <stdint.h>

struct doctor_facts;
struct postfix_service;

#define MILTER_WORD_MAX 300

/* A milter, with those of its options that matter here; empty where it does not set them. */
struct milter {
	char address[MILTER_WORD_MAX];
	char default_action[MILTER_WORD_MAX];
	char connect_timeout[MILTER_WORD_MAX], command_timeout[MILTER_WORD_MAX];
};

/* Takes the next one from a list, and moves on. False: there are no more. */
bool milter_next(const char **list, struct milter *milter);

enum milter_kind {
	MILTER_OTHER,
	MILTER_OURS,
	MILTER_UNSEEN	/* ours, by a path that smtpd does not see in its chroot */
};
/* Of a milter in the list of this service. */
enum milter_kind milter_kind(const struct doctor_facts *facts,
			     const struct postfix_service *service, const struct milter *milter);
/* The first of the service's milters that is ours, or else MILTER_OTHER. */
enum milter_kind milter_find(const struct doctor_facts *facts,
			     const struct postfix_service *service, struct milter *milter);
/* Whether master.cf has smtpd in a chroot there. */
bool milter_is_chrooted(const struct doctor_facts *facts, const struct postfix_service *service);

/* "30s", "5m", or seconds; false for what is no time. */
bool milter_time(const char *text, int64_t *seconds);

#endif
