/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory_save.h"

/* An administrator flags nobody for longer: so a file can't, either. */
#define BY_HAND_MAX_S (30 * 86400)

/* Begins with all entries of a kind. Returns how many there are. */
static size_t begin_kind(struct memory *memory, enum record_kind kind)
{
	switch (kind) {
	case RECORD_CLIENT:
		memory->save_cursor = memory->clients;
		return HASH_COUNT(memory->clients);
	case RECORD_NETWORK:
		memory->save_cursor = memory->networks;
		return HASH_COUNT(memory->networks);
	case RECORD_CLEAN_CLIENT:
		return history_walk(&memory->history, false);
	case RECORD_CLEAN_NETWORK:
		return history_walk(&memory->history, true);
	case RECORD_COUNTED:
		return seen_walk(&memory->seen);
	case RECORD_CREDITED:
		return seen_walk(&memory->history.recipients);
	case RECORD_DOMAIN:
		return seen_walk(&memory->history.domains);
	case RECORD_END:
	case RECORD_KINDS:
		break;
	}
	return 0;
}

static void begin(struct memory *memory, struct save *save, enum record_kind kind)
{
	save->kind = kind;
	save->left = begin_kind(memory, kind);
	/* Those that came meanwhile are taken along, but could go on for ever. */
	save->left += save->left / 4 + SAVE_STEP;
}

void memory_save_begin(struct memory *memory, const struct window *window, struct save *save)
{
	save->window = *window;
	save->length = 0;
	pthread_mutex_lock(&memory->mutex);
	begin(memory, save, RECORD_CLIENT);
	pthread_mutex_unlock(&memory->mutex);
}

/* Whether a window is still open at `now`, or the one before, or begins in a moment. */
static bool is_recent(int64_t window, int64_t now)
{
	return window >= now - 1 && window <= now + 1;
}

/* Takes a record's counts on to the window `now`, or to the next one if they are of that. */
static void roll(struct record *record, int64_t now)
{
	if (record->window == now + 1)
		return;
	tally_roll(&record->tally, record->window, now);
	record->window = now;
}

static bool is_worth(const struct record *record, const struct window *now)
{
	return !tally_is_zero(&record->tally) || record->by_hand_until_s > window_now_s(now);
}

static bool next_entry(struct memory *memory, struct record *record)
{
	const struct entry *entry = memory->save_cursor;

	if (entry == NULL)
		return false;
	memory->save_cursor = entry->hh.next;
	record->prefix = entry->prefix;
	record->window = entry->window;
	record->tally = entry->known;
	record->trap_window = entry->trap_window;
	record->by_hand_until_s = entry->by_hand_until_s;
	record->announced = entry->announced;
	return true;
}

static bool next_clean(struct history *history, struct record *record)
{
	struct history_item item;

	if (!history_walk_next(history, &item))
		return false;
	record->prefix = item.prefix;
	record->window = item.window;
	record->tally.good_now = item.good_now;
	record->tally.good_previous = item.good_previous;
	return true;
}

static bool next_seen(struct seen *seen, struct record *record)
{
	struct seen_item item;

	if (!seen_walk_next(seen, &item))
		return false;
	record->prefix = item.client;
	record->window = item.window;
	record->thing = item.thing;
	record->count = item.count;
	return true;
}

/* Fills record in from the next entry of its kind; false at the end. */
static bool next(struct memory *memory, struct record *record)
{
	switch (record->kind) {
	case RECORD_CLIENT:
	case RECORD_NETWORK:
		return next_entry(memory, record);
	case RECORD_CLEAN_CLIENT:
	case RECORD_CLEAN_NETWORK:
		return next_clean(&memory->history, record);
	case RECORD_COUNTED:
		return next_seen(&memory->seen, record);
	case RECORD_CREDITED:
		return next_seen(&memory->history.recipients, record);
	case RECORD_DOMAIN:
		return next_seen(&memory->history.domains, record);
	case RECORD_END:
	case RECORD_KINDS:
		break;
	}
	return false;
}

static bool is_seen(enum record_kind kind)
{
	return kind == RECORD_COUNTED || kind == RECORD_CREDITED || kind == RECORD_DOMAIN;
}

static void put(struct save *save, struct record *record)
{
	if (is_seen(record->kind)) {
		if (!is_recent(record->window, save->window.index))
			return;
	} else {
		roll(record, save->window.index);
		if (!is_worth(record, &save->window))
			return;
	}
	save->length += record_encode(record, save->bytes + save->length);
}

bool memory_save_step(struct memory *memory, struct save *save)
{
	save->length = 0;
	if (save->kind == RECORD_KINDS)
		return false;
	pthread_mutex_lock(&memory->mutex);
	for (unsigned looked_at = 0; looked_at < SAVE_STEP; looked_at++) {
		struct record record = {.kind = save->kind};

		if (save->left == 0 || !next(memory, &record)) {
			begin(memory, save, save->kind + 1);
			break;
		}
		save->left--;
		put(save, &record);
	}
	pthread_mutex_unlock(&memory->mutex);
	return true;
}

/* How many bits make a client or network of that family. */
static uint8_t width_of(const struct client_widths *widths, uint8_t family, bool is_network)
{
	if (family == 4)
		return is_network ? widths->ipv4_network : widths->ipv4_prefix;
	return is_network ? widths->ipv6_network : widths->ipv6_prefix;
}

static int64_t bounded(int64_t until_s, int64_t now_s)
{
	return until_s < now_s + BY_HAND_MAX_S ? until_s : now_s + BY_HAND_MAX_S;
}

static void restore_entry(struct memory *memory, const struct record *record, bool is_network)
{
	struct entry *entry =
		entry_find_or_add(memory, is_network, &record->prefix, record->window);

	if (entry == NULL)
		return;
	entry->window = record->window;
	entry->known = record->tally;
	entry->announced = record->announced;
	if (is_recent(record->trap_window, memory->window))
		entry->trap_window = record->trap_window;
	if (record->by_hand_until_s > memory->now_s)
		entry->by_hand_until_s = bounded(record->by_hand_until_s, memory->now_s);
	entry_touch(memory, entry);
}

static void restore_clean(struct memory *memory, const struct record *record, bool is_network)
{
	const struct history_item item = {record->prefix, record->window, record->tally.good_now,
					  record->tally.good_previous};

	history_put(&memory->history, memory->max_clients, is_network, &item);
}

static void restore_seen(struct memory *memory, const struct restore *restore,
			 const struct record *record)
{
	struct history *history = &memory->history;
	size_t max = memory->max_clients;

	if (!restore->has_counts || !restore->has_hashes ||
	    !is_recent(record->window, restore->window.index))
		return;
	if (record->kind == RECORD_COUNTED)
		seen_note(&memory->seen, max * SEEN_PER_CLIENT, &record->prefix, record->window,
			  record->thing, record->count);
	else if (record->kind == RECORD_CREDITED)
		seen_note(&history->recipients, max * HISTORY_RECIPIENTS_PER_CLIENT,
			  &record->prefix, record->window, record->thing, record->count);
	else
		seen_note(&history->domains, max, &record->prefix, record->window, record->thing,
			  record->count);
}

bool memory_restore(struct memory *memory, const struct restore *restore, struct record *record)
{
	bool is_network = record->kind == RECORD_NETWORK || record->kind == RECORD_CLEAN_NETWORK;

	if (record->prefix.bits != width_of(restore->widths, record->prefix.family, is_network))
		return false;
	if (is_seen(record->kind)) {
		restore_seen(memory, restore, record);
		return false;
	}
	if (!restore->has_counts) {
		record->tally = (struct tally){0};
		record->trap_window = 0;
	}
	roll(record, restore->window.index);
	if (!is_worth(record, &restore->window))
		return false;
	if (record->kind == RECORD_CLIENT || record->kind == RECORD_NETWORK)
		restore_entry(memory, record, is_network);
	else
		restore_clean(memory, record, is_network);
	return record->kind == RECORD_CLIENT;
}
