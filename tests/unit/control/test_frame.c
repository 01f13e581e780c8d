/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void what_has_come_is_told(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t length, body_max;
		enum frame_state state;
		size_t body_length;
	} rows[] = {
		{{0}, 0, 4096, FRAME_PARTIAL, 99},
		{{0, 0, 0}, 3, 4096, FRAME_PARTIAL, 99},
		{{0xff, 0xff, 0xff}, 3, 4096, FRAME_PARTIAL, 99},
		{{0, 0, 0, 0}, 4, 4096, FRAME_TOO_LONG, 0},
		{{0, 0, 0, 1}, 4, 4096, FRAME_PARTIAL, 1},
		{{0, 0, 0, 1, '{'}, 5, 4096, FRAME_WHOLE, 1},
		{{0, 0, 0, 1, '{', 0}, 6, 4096, FRAME_WHOLE, 1},
		{{0, 0, 0, 2, '{'}, 5, 4096, FRAME_PARTIAL, 2},
		{{0, 0, 0x10, 0}, 4, 4096, FRAME_PARTIAL, 4096},
		{{0, 0, 0x10, 1}, 4, 4096, FRAME_TOO_LONG, 4097},
		{{0, 1, 0, 0}, 4, 4096, FRAME_TOO_LONG, 65536},
		{{1, 2, 3, 4}, 4, SIZE_MAX, FRAME_PARTIAL, 0x01020304},
		{{0xff, 0xff, 0xff, 0xff}, 4, FRAME_REPLY_MAX, FRAME_TOO_LONG, 0xffffffff},
		{{0x80, 0, 0, 0}, 4, 4096, FRAME_TOO_LONG, 0x80000000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t body_length = 99;

		if (frame_check(rows[i].bytes, rows[i].length, rows[i].body_max, &body_length) !=
		    rows[i].state)
			fail_msg("row %zu", i);
		if (body_length != rows[i].body_length)
			fail_msg("row %zu: %zu", i, body_length);
	}
}

static void header_is_read_as_it_was_written(void **state)
{
	static const size_t lengths[] = {1, 255, 256, 4096, 65535, 65536, FRAME_REPLY_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		uint8_t header[FRAME_HEADER];
		size_t body_length = 0;

		frame_header(header, lengths[i]);
		assert_int_equal(
			frame_check(header, sizeof(header), FRAME_REPLY_MAX, &body_length),
			FRAME_PARTIAL);
		assert_int_equal(body_length, lengths[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_come_is_told),
		cmocka_unit_test(header_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
