/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that looks after one memcached server: starts its workers and ends them, tries a dead
 * server again, reads outcomes that came too late for their sessions, and pays the server what it
 * is owed.
 */
#ifndef TARPIT_MEMCACHED_KEEPER_H
#define TARPIT_MEMCACHED_KEEPER_H

#include <stdbool.h>

struct server;

/* Sets server->has_keeper. False if there is no thread. server_stop ends it. */
bool keeper_start(struct server *server);

#endif
