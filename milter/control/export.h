/* SPDX-License-Identifier: BSD-2-Clause */
/* The command of the control socket that names who may be held off, for how long. */
#ifndef TARPIT_CONTROL_EXPORT_H
#define TARPIT_CONTROL_EXPORT_H

/* Clients of a page at most. */
#define EXPORT_MAX 50000

struct request;

void export_clients(struct request *request);

#endif
