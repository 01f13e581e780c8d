/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tarpit-store gives up before it connects: a server that has taken it over is the daemon's
 * own user.
 */
#ifndef TARPIT_MEMCACHED_CONFINE_H
#define TARPIT_MEMCACHED_CONFINE_H

#include <stdbool.h>

/*
 * Closes all descriptors above last_fd, and limits memory, files, processes and who may look into
 * this one. False with errno.
 */
bool confine_resources(int last_fd);
/*
 * From here on the process may only talk over stream sockets, of that address family (AF_INET
 * stands for AF_INET6 too), and end. False with errno. Files, libraries among them, must have been
 * opened before.
 */
bool confine_calls(int family);

#endif
