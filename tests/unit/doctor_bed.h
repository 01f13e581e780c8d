/* SPDX-License-Identifier: BSD-2-Clause */
/* A sound installation, made up, for tests of doctor to plant faults in. */
#ifndef TARPIT_TEST_DOCTOR_BED_H
#define TARPIT_TEST_DOCTOR_BED_H

#include <stddef.h>
#include <sys/types.h>

#include "doctor/facts.h"
#include "doctor/report.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POSTFIX_UID 100
#define POSTFIX_GID 101
#define OUR_UID 200
#define OUR_GID 201
#define OURS "/var/spool/postfix/tarpit/milter.sock"

/* A line of main.cf. */
#define MILTERS(options) "smtpd_milters = { unix:tarpit/milter.sock, " options " }\n"

/* A case: what differs from sound facts, and the ids that are to be found, separated by blanks. */
struct plant {
	const char *what, *found;
	const char *says; /* is in a finding's level, text and mend; NULL: anything */
	const char *main_cf, *master_cf, *options; /* further lines */
	const char *sets[2]; /* of our configuration */
	void (*change)(struct doctor_facts *facts);
};

/* KEY=VALUE, of its configuration. */
#define SOUND_SETS 3
extern const char *const sound_sets[SOUND_SETS];

/* All but the configuration and Postfix. */
void make_sound(struct doctor_facts *facts);
void set_step(struct doctor_step *step, const char *path, mode_t mode, uid_t uid, gid_t gid);
/* Fills report, for which there is room. */
void examine(const struct plant *plant, struct report *report);
/* The ids of the findings, separated by blanks. Returns text. */
char *ids(const struct report *report, char *text, size_t size);
/* Each of these alone finds what it is to find, and nothing else; unchecked: so many places. */
void assert_found(const struct plant *plants, size_t count, size_t unchecked);

#endif
