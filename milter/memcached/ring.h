/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which server has what: a consistent hash (ketama, libmemcached's), alike on all hosts with the
 * same list.
 */
#ifndef TARPIT_MEMCACHED_RING_H
#define TARPIT_MEMCACHED_RING_H

#include "base/prefix.h"
#include "base/string_list.h"

struct ring;

struct ring *ring_new(const struct string_list *servers); /* NULL: no memory, or a bad one */
void ring_free(struct ring *ring);
/* The server's number in the list: all keys of one wide network are on one server. Thread-safe. */
unsigned ring_find(struct ring *ring, const struct prefix *network);

#endif
