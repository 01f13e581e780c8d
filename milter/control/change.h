/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of the control socket that change something; each leaves a line in the log. */
#ifndef TARPIT_CONTROL_CHANGE_H
#define TARPIT_CONTROL_CHANGE_H

struct request;

void change_flag(struct request *request);
void change_forgive(struct request *request);
void change_reload(struct request *request);

#endif
