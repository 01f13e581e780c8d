/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of the control socket: a length in four bytes, big-endian, and as much JSON. Pure. */
#ifndef TARPIT_CONTROL_FRAME_H
#define TARPIT_CONTROL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER 4
#define FRAME_REQUEST_MAX 4096
#define FRAME_REPLY_MAX (8 * 1024 * 1024)

enum frame_state {
	FRAME_PARTIAL,
	FRAME_WHOLE,
	FRAME_TOO_LONG,	/* the body is longer than body_max, or empty */
};

/* What the first `length` bytes received are. body_length is set once the header is whole. */
enum frame_state frame_check(const void *bytes, size_t length, size_t body_max,
			     size_t *body_length);
/* Writes the header for a body of that many bytes, 2^32 - 1 at most. */
void frame_header(uint8_t header[FRAME_HEADER], size_t body_length);

#endif
