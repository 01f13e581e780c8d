/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes and reads records: kind, family, prefix length, address, window, and what its kind has. */
#include "record.h"

#include <string.h>

/* Bytes of a counter: COUNTERS_MAX needs no more. Of a window, a moment and a hash. */
#define COUNTER_SIZE 5
#define NUMBER_SIZE 8
/* No index of a window and no second since the epoch is beyond this. */
#define TIME_MAX (INT64_C(1) << 40)

enum shape { SHAPE_ENTRY, SHAPE_GOOD, SHAPE_SEEN };

static const enum shape shapes[RECORD_KINDS] = {
	[RECORD_CLIENT] = SHAPE_ENTRY,	    [RECORD_NETWORK] = SHAPE_ENTRY,
	[RECORD_CLEAN_CLIENT] = SHAPE_GOOD, [RECORD_CLEAN_NETWORK] = SHAPE_GOOD,
	[RECORD_COUNTED] = SHAPE_SEEN,	    [RECORD_CREDITED] = SHAPE_SEEN,
	[RECORD_DOMAIN] = SHAPE_SEEN,
};

static const size_t sizes[] = {
	[SHAPE_ENTRY] = 6 * COUNTER_SIZE + 2 * NUMBER_SIZE + 1,
	[SHAPE_GOOD] = 2 * COUNTER_SIZE,
	[SHAPE_SEEN] = NUMBER_SIZE + 1,
};

static size_t address_size(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

size_t record_length(const uint8_t head[RECORD_HEAD])
{
	if (head[0] == RECORD_END || head[0] >= RECORD_KINDS || (head[1] != 4 && head[1] != 6))
		return 0;
	return RECORD_HEAD + 1 + address_size(head[1]) + NUMBER_SIZE + sizes[shapes[head[0]]];
}

/* The highest byte first. */
static void put(uint8_t **bytes, uint64_t number, size_t size)
{
	for (size_t i = 0; i < size; i++)
		(*bytes)[i] = (uint8_t)(number >> 8 * (size - 1 - i));
	*bytes += size;
}

static uint64_t take(const uint8_t **bytes, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | (*bytes)[i];
	*bytes += size;
	return number;
}

static void put_entry(uint8_t **bytes, const struct record *record)
{
	const struct tally *tally = &record->tally;

	put(bytes, tally->bad_now, COUNTER_SIZE);
	put(bytes, tally->bad_previous, COUNTER_SIZE);
	put(bytes, tally->good_now, COUNTER_SIZE);
	put(bytes, tally->good_previous, COUNTER_SIZE);
	put(bytes, tally->passed_now, COUNTER_SIZE);
	put(bytes, tally->passed_previous, COUNTER_SIZE);
	put(bytes, (uint64_t)record->trap_window, NUMBER_SIZE);
	put(bytes, (uint64_t)record->by_hand_until_s, NUMBER_SIZE);
	put(bytes, record->announced, 1);
}

size_t record_encode(const struct record *record, uint8_t *bytes)
{
	size_t address = address_size(record->prefix.family);
	uint8_t *next = bytes;

	put(&next, record->kind, 1);
	put(&next, record->prefix.family, 1);
	put(&next, record->prefix.bits, 1);
	memcpy(next, record->prefix.address, address);
	next += address;
	put(&next, (uint64_t)record->window, NUMBER_SIZE);
	switch (shapes[record->kind]) {
	case SHAPE_ENTRY:
		put_entry(&next, record);
		break;
	case SHAPE_GOOD:
		put(&next, record->tally.good_now, COUNTER_SIZE);
		put(&next, record->tally.good_previous, COUNTER_SIZE);
		break;
	case SHAPE_SEEN:
		put(&next, record->thing, NUMBER_SIZE);
		put(&next, record->count, 1);
		break;
	}
	return (size_t)(next - bytes);
}

static bool take_counter(const uint8_t **bytes, uint64_t *counter)
{
	*counter = take(bytes, COUNTER_SIZE);
	return *counter <= COUNTERS_MAX;
}

static bool take_time(const uint8_t **bytes, int64_t *number)
{
	uint64_t taken = take(bytes, NUMBER_SIZE);

	*number = (int64_t)taken;
	return taken <= (uint64_t)TIME_MAX;
}

static bool take_entry(const uint8_t **bytes, struct record *record)
{
	struct tally *tally = &record->tally;
	uint64_t announced;
	bool is_good = take_counter(bytes, &tally->bad_now) &&
		       take_counter(bytes, &tally->bad_previous) &&
		       take_counter(bytes, &tally->good_now) &&
		       take_counter(bytes, &tally->good_previous) &&
		       take_counter(bytes, &tally->passed_now) &&
		       take_counter(bytes, &tally->passed_previous) &&
		       take_time(bytes, &record->trap_window) &&
		       take_time(bytes, &record->by_hand_until_s);

	if (!is_good)
		return false;
	announced = take(bytes, 1);
	record->announced = (enum announcement)announced;
	return announced <= ANNOUNCED_FLAG;
}

/* A prefix as prefix.h has it: of a length that its family allows, without host bits. */
static bool take_prefix(const uint8_t **bytes, struct prefix *prefix)
{
	struct prefix cut;

	prefix->family = (uint8_t)take(bytes, 1);
	prefix->bits = (uint8_t)take(bytes, 1);
	memcpy(prefix->address, *bytes, address_size(prefix->family));
	*bytes += address_size(prefix->family);
	if (prefix->bits > (prefix->family == 4 ? 32 : 128))
		return false;
	cut = prefix_cut(prefix, prefix->bits);
	return prefix_equal(&cut, prefix);
}

bool record_decode(const uint8_t *bytes, struct record *record)
{
	*record = (struct record){.kind = (enum record_kind)take(&bytes, 1)};
	if (!take_prefix(&bytes, &record->prefix) || !take_time(&bytes, &record->window))
		return false;
	switch (shapes[record->kind]) {
	case SHAPE_ENTRY:
		return take_entry(&bytes, record);
	case SHAPE_GOOD:
		return take_counter(&bytes, &record->tally.good_now) &&
		       take_counter(&bytes, &record->tally.good_previous);
	case SHAPE_SEEN:
		record->thing = take(&bytes, NUMBER_SIZE);
		record->count = (unsigned)take(&bytes, 1);
		return record->count > 0;
	}
	return false;
}
