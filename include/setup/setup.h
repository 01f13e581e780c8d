/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl setup`: shows, makes and undoes what an MTA's configuration needs. */
#ifndef TARPIT_SETUP_H
#define TARPIT_SETUP_H

#include <stdbool.h>

/* argv begins with the command's name. Returns the exit status. */
int setup_main(int argc, char **argv, bool as_json);

#endif
