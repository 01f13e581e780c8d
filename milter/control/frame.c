/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of a frame of the control socket: written, and read from whatever bytes came. */
#include "control/frame.h"

enum frame_state frame_check(const void *bytes, size_t length, size_t body_max, size_t *body_length)
{
	const uint8_t *header = bytes;

	if (length < FRAME_HEADER)
		return FRAME_PARTIAL;
	*body_length = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 |
		       (size_t)header[3];
	if (*body_length == 0 || *body_length > body_max)
		return FRAME_TOO_LONG;
	return length - FRAME_HEADER < *body_length ? FRAME_PARTIAL : FRAME_WHOLE;
}

void frame_header(uint8_t header[FRAME_HEADER], size_t body_length)
{
	for (int i = 0; i < FRAME_HEADER; i++)
		header[i] = (uint8_t)(body_length >> (8 * (FRAME_HEADER - 1 - i)));
}
