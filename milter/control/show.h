/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of the control socket that change nothing. */
#ifndef TARPIT_CONTROL_SHOW_H
#define TARPIT_CONTROL_SHOW_H

struct request;

void show_status(struct request *request);
void show_stalls(struct request *request);
void show_list(struct request *request);
void show_client(struct request *request);

#endif
