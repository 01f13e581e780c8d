/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl doctor` and `tarpitctl check`. */
#ifndef TARPIT_TARPITCTL_DOCTOR_H
#define TARPIT_TARPITCTL_DOCTOR_H

#include <stdbool.h>

/*
 * argv[0] is "doctor" or "check". socket is of -S before the command, NULL: the configuration's.
 * 0, 1 or 2 as Nagios has it, or a sysexits code.
 */
int doctor_main(int argc, char **argv, const char *socket, bool as_json);

#endif
