/* SPDX-License-Identifier: BSD-2-Clause */
#include "mta/packet.h"

#include <string.h>

/* The command of a packet of macros: the stage that they are of, then names and values in turn. */
#define COMMAND_MACROS 'D'

static uint32_t body_expected(const struct packet_reader *reader)
{
	const unsigned char *header = reader->header;
	uint32_t length = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 |
			  (uint32_t)header[2] << 8 | header[3];

	return length > 0 ? length - 1 : 0;
}

bool packet_reader_expects(struct packet_reader *reader, int fd, size_t length)
{
	size_t expected = PACKET_HEADER_LENGTH - reader->header_length;

	if (reader->header_length == PACKET_HEADER_LENGTH)
		expected = body_expected(reader) - reader->body_length;
	if (fd == reader->fd && length == expected)
		return true;
	/* The last packet was left unfinished, as where its session timed out. */
	*reader = (struct packet_reader){.fd = fd};
	return length == PACKET_HEADER_LENGTH;
}

bool packet_reader_take(struct packet_reader *reader, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	bool is_macros = reader->header[PACKET_HEADER_LENGTH - 1] == COMMAND_MACROS;
	bool is_good = true;

	if (reader->header_length < PACKET_HEADER_LENGTH) {
		memcpy(reader->header + reader->header_length, bytes, length);
		reader->header_length += length;
	} else {
		/* The first byte is the stage. */
		size_t i = reader->body_length == 0 ? 1 : 0;

		for (; is_macros && i < length; i++)
			reader->strings += bytes[i] == '\0';
		reader->body_length += (uint32_t)length;
	}
	if (reader->header_length == PACKET_HEADER_LENGTH &&
	    reader->body_length == body_expected(reader)) {
		is_good = reader->strings % 2 == 0;
		*reader = (struct packet_reader){.fd = reader->fd};
	}
	return is_good;
}
