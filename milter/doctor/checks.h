/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks, by what they look at. Each adds what it finds to the report, and needs
 * facts->config. Pure.
 */
#ifndef TARPIT_DOCTOR_CHECKS_H
#define TARPIT_DOCTOR_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct doctor_facts;
struct postfix_service;
struct report;

/* The configuration, the daemon's answer, the gateways that it saw. */
void check_daemon(const struct doctor_facts *facts, struct report *report);
/* Who can reach the milter's socket: too many, or not even the MTA. */
void check_socket(const struct doctor_facts *facts, struct report *report);
void check_memcached(const struct doctor_facts *facts, struct report *report);

/* The next ones need facts->postfix. How Postfix asks the milter; */
void check_postfix_milter(const struct doctor_facts *facts, struct report *report);
/* and what it has the milter see, and tells without it. */
void check_postfix_recipients(const struct doctor_facts *facts, struct report *report);
/* The next service from *number on that takes mail from strangers and asks the milter; or NULL. */
const struct postfix_service *next_served(const struct doctor_facts *facts, size_t *number);

/* Needs facts->sendmail_cf. */
void check_sendmail(const struct doctor_facts *facts, struct report *report);

/* Seconds that the MTA must wait for an answer: the longest delay, and two more. */
int64_t needed_timeout_s(const struct doctor_facts *facts, bool is_postfix);
/* What a milter's socket looks like in main.cf, for mends. */
void socket_in_main_cf(const struct doctor_facts *facts, char *text, size_t size);

#endif
