/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl top`: the live screen. */
#ifndef TARPIT_TARPITCTL_TOP_H
#define TARPIT_TARPITCTL_TOP_H

#include <stddef.h>

/* Returns when the user quits. A sysexits code, with the reason in error unless it is EX_OK. */
int top_run(const char *socket_path, char *error, size_t size);

#endif
