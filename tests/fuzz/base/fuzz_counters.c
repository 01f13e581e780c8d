/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters as a memcached server gives them, what they make of a client, and the keys that they are
 * under.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "judge/explain.h"
#include "fuzz.h"
#include "judge/policy.h"
#include "base/counters.h"

static uint64_t read_counter(struct input *input)
{
	size_t length = take_byte(input) % 32;
	uint64_t counter = UINT64_MAX;
	char *value;

	length = length < input->length ? length : input->length;
	value = malloc(length > 0 ? length : 1);
	CHECK(value != NULL);
	if (length > 0)
		memcpy(value, input->bytes, length);
	input->bytes += length;
	input->length -= length;
	if (counters_parse(value, length, &counter))
		CHECK(counter <= COUNTERS_MAX);
	else
		CHECK(counter == UINT64_MAX);
	free(value);
	return counter != UINT64_MAX ? counter : 0;
}

static struct tally read_tally(struct input *input)
{
	return (struct tally){.bad_now = read_counter(input),
			      .bad_previous = read_counter(input),
			      .good_now = read_counter(input),
			      .good_previous = read_counter(input)};
}

/* Whatever a server lies, delays are as configured, and numbers are numbers. */
static void judge(struct input *input, const struct window *window)
{
	static const double thresholds[] = {0.01, 1, 5, 10000}, credits[] = {0, 2, 100};
	struct policy policy = {
		.threshold = thresholds[take_byte(input) % COUNT(thresholds)],
		.good_credit = credits[take_byte(input) % COUNT(credits)],
		.network_threshold = take_byte(input) % 2 != 0 ? 20 : 0,
		.jitter = take_byte(input) % 51,
		.delay_min_ms = 100,
		.delay_max_ms = 100 + (int64_t)take_number(input, 2) * 9,
	};
	struct tally client = read_tally(input), network = read_tally(input);
	struct standing standing;
	char text[EXPLAIN_MAX];
	int64_t delay_ms;

	tally_add(&client, &network);
	tally_subtract(&network, &client);
	policy_judge(&policy, &client, &network, &(struct circumstances){.elapsed = window->elapsed}, &standing);
	CHECK(isfinite(standing.effective_score) && isfinite(standing.network_score));
	CHECK(isfinite(standing.score) && standing.bad >= 0 && standing.good >= 0);
	CHECK(!standing.flagged || standing.bad > 0);
	delay_ms = policy_delay_ms(&policy, &standing, (double)take_byte(input) / 127.5 - 1);
	CHECK(!standing.flagged || (delay_ms > 0 && delay_ms <= policy.delay_max_ms));
	explain_standing(&policy, &standing, window->length_s, "192.0.2.0/24",
			 (int64_t)read_counter(input), text);
	CHECK(strlen(text) < EXPLAIN_MAX && is_printable(text));
}

static void check_keys(struct input *input, int64_t window)
{
	struct prefix client = {.family = 6, .bits = 128};
	char key[COUNTERS_KEY_MAX], *prefix;
	size_t length;

	for (size_t i = 0; i < sizeof(client.address); i++)
		client.address[i] = (uint8_t)take_byte(input);
	prefix = take_text(input, '\n');
	length = counters_key(key, prefix, &client, window, SIDE_BAD);
	CHECK(length < COUNTERS_KEY_MAX && strlen(key) == length);
	length = counters_seen_key(key, prefix, &client, window, take_number(input, 8));
	CHECK(length < COUNTERS_KEY_MAX && strlen(key) == length);
	length = counters_flag_key(key, prefix, &client);
	CHECK(length < COUNTERS_KEY_MAX && strlen(key) == length);
	free(prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t length_s = 60 + (uint32_t)(take_number(&input, 3) % (14 * 86400 - 59));
	struct window window = window_at((int64_t)take_number(&input, 8), length_s);
	struct tally rolled = read_tally(&input);

	CHECK(window.elapsed >= 0 && window.elapsed < 1 && window.index >= 0);
	CHECK(window_now_s(&window) >= 0);
	tally_roll(&rolled, (int64_t)take_number(&input, 7), window.index);
	judge(&input, &window);
	check_keys(&input, window.index);
	return 0;
}
