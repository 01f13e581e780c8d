/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mta/packet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FD 7
/* Of a text that has NULs in it. */
#define BODY(text) text, sizeof(text) - 1

struct packet {
	char command;
	const char *body;
	size_t length;
	bool is_good;
};

/* As libmilter reads it, at most `at_once` bytes a time. */
static bool reads(struct packet_reader *reader, const struct packet *packet, size_t at_once)
{
	unsigned char header[PACKET_HEADER_LENGTH] = {0, 0, 0, (unsigned char)(packet->length + 1),
						      (unsigned char)packet->command};
	const struct {
		const void *bytes;
		size_t length;
	} parts[] = {{header, sizeof(header)}, {packet->body, packet->length}};
	bool is_good = true;

	for (size_t i = 0; i < COUNT(parts); i++) {
		size_t length;

		for (size_t at = 0; at < parts[i].length; at += length) {
			size_t left = parts[i].length - at;

			length = left < at_once ? left : at_once;
			assert_true(is_good);
			assert_true(packet_reader_expects(reader, FD, left));
			is_good = packet_reader_take(reader, (const char *)parts[i].bytes + at,
						     length);
		}
	}
	return is_good;
}

static void macros_come_in_pairs(void **state)
{
	static const struct packet packets[] = {
		{'O', BODY("\0\0\0\6\0\0\1\377\0\37\377\377"), true},
		{'D', BODY("C"), true},
		{'D', BODY(""), true},
		{'D', BODY("Cj\0mx\0v\0Postfix\0"), true},
		{'D', BODY("\0j\0mx\0"), true},
		{'C',
		 BODY("host\0"
		      "4\0\0"
		      "192.0.2.1\0"),
		 true},
		{'M', BODY("<a@b>\0"), true},
		{'R', BODY("<a@b>\0\0\0"), true},
		{'D', BODY("Rj\0"), false},
		{'D', BODY("\0\0"), false},
		{'D', BODY("Rj\0mx\0v\0"), false},
		{'D', BODY("Rj\0mx"), false},
		{'D', BODY("Rj\0mx\0v"), true},
		{'A', BODY(""), true},
	};

	(void)state;
	for (size_t at_once = 1; at_once < 20; at_once++) {
		struct packet_reader reader = {0};

		for (size_t i = 0; i < COUNT(packets); i++)
			if (reads(&reader, &packets[i], at_once) != packets[i].is_good)
				fail_msg("packet %zu, %zu bytes at once", i, at_once);
	}
}

static void other_reads_are_left_alone(void **state)
{
	struct packet_reader reader = {0};
	const struct packet macros = {'D', BODY("Rj\0"), false};

	(void)state;
	assert_false(packet_reader_expects(&reader, FD, 1));
	assert_false(packet_reader_expects(&reader, FD, 4096));
	assert_false(reads(&reader, &macros, 100));
	/* A packet is left unfinished, in its header and in its body, and another one begins. */
	assert_true(packet_reader_expects(&reader, FD, 5));
	assert_true(packet_reader_take(&reader, "\0\0", 2));
	assert_false(reads(&reader, &macros, 100));
	assert_true(packet_reader_expects(&reader, FD, 5));
	assert_true(packet_reader_take(&reader, "\0\0\0\7D", 5));
	assert_true(packet_reader_expects(&reader, FD, 6));
	assert_true(packet_reader_take(&reader, "C", 1));
	assert_false(packet_reader_expects(&reader, FD + 1, 4));
	assert_true(packet_reader_expects(&reader, FD + 1, 5));
	assert_false(reads(&reader, &macros, 100));
}

static void no_length_is_too_long(void **state)
{
	struct packet_reader reader = {0};

	(void)state;
	assert_true(packet_reader_expects(&reader, FD, 5));
	assert_true(packet_reader_take(&reader, "\377\377\377\377D", 5));
	assert_true(packet_reader_expects(&reader, FD, UINT32_MAX - 1));
	assert_true(packet_reader_take(&reader, "Rj\0", 3));
	assert_true(packet_reader_expects(&reader, FD, UINT32_MAX - 4));
	/* libmilter does not go on after a length of zero; if it does, this is a packet's end. */
	assert_true(packet_reader_expects(&reader, FD, 5));
	assert_true(packet_reader_take(&reader, "\0\0\0\0D", 5));
	assert_true(packet_reader_expects(&reader, FD, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(macros_come_in_pairs),
		cmocka_unit_test(other_reads_are_left_alone),
		cmocka_unit_test(no_length_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
