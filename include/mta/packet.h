/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The milter protocol's packets as libmilter reads them, and whether it can bear them. Not
 * thread-safe: one reader for each thread, since libmilter reads a packet whole in one thread.
 */
#ifndef TARPIT_MTA_PACKET_H
#define TARPIT_MTA_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of what follows it, in network order, and the first byte of that: the command. */
#define PACKET_HEADER_LENGTH 5

/* Where libmilter is in a packet; all zero before the first one. */
struct packet_reader {
	int fd;
	unsigned char header[PACKET_HEADER_LENGTH];
	size_t header_length;	/* bytes of the header that have come */
	uint32_t body_length;	/* bytes of the body that have come */
	uint32_t strings;	/* that have ended in a packet of macros */
};

/*
 * Whether a read of that many bytes from fd is of a packet: libmilter asks for what is missing of
 * the header, then for what is missing of the body, and nobody else for just as much.
 */
bool packet_reader_expects(struct packet_reader *reader, int fd, size_t length);
/*
 * What that read brought. False at the end of a packet of macros whose strings come in no pairs:
 * smfi_getsymval would read beyond their end. Afterwards the reader expects a new packet.
 */
bool packet_reader_take(struct packet_reader *reader, const void *data, size_t length);

#endif
