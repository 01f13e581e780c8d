/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uthash as this project uses it: keyed, so that no client can choose collisions, and without
 * exit() when memory runs out. An element that could not be added has hh.tbl NULL.
 */
#ifndef TARPIT_BASE_TABLE_H
#define TARPIT_BASE_TABLE_H

#include "base/hash.h"

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#define HASH_FUNCTION(key, length, value) ((value) = hash_table((key), (length)))
#include <uthash.h>
#include <utlist.h>

#endif
