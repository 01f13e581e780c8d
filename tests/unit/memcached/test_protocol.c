/* SPDX-License-Identifier: BSD-2-Clause */
/* What memcached may answer, and what it may not, in both protocols: over a pair of sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "memcached/protocol.h"
#include "base/secret.h"
#include "memcached/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TIMEOUT_MS 100

static const struct protocol_key keys[] = {{"one", 3}, {"two", 3}, {"three", 5}};

/* What a server says to the next question. */
struct answer {
	const char *bytes;
	size_t length;
};
#define ANSWER(text) {text, sizeof(text) - 1}

struct line {
	struct wire wire;
	int server;
	char asked[4096];
	size_t asked_length;
};

static void begin(struct line *line, const struct answer *answer)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	wire_init(&line->wire);
	line->wire.fd = pair[0];
	line->server = pair[1];
	assert_int_equal(write(line->server, answer->bytes, answer->length), answer->length);
	wire_begin(&line->wire, TIMEOUT_MS);
}

static void end(struct line *line)
{
	ssize_t got = read(line->server, line->asked, sizeof(line->asked));

	line->asked_length = got > 0 ? (size_t)got : 0;
	wire_close(&line->wire);
	close(line->server);
}

/* The values that a look-up brings, as "0=value 2=value". */
static void note_value(size_t index, const char *value, size_t length, void *arg)
{
	char *text = arg;

	assert_true(index < COUNT(keys));
	sprintf(text + strlen(text), "%zu=%.*s ", index, (int)length, value);
}

static enum reply fetch(const struct protocol *protocol, const struct answer *answer, char *values,
			struct line *line)
{
	enum reply reply;

	*values = '\0';
	begin(line, answer);
	reply = protocol->fetch(&line->wire, keys, COUNT(keys), note_value, values);
	end(line);
	return reply;
}

struct fetch_row {
	struct answer answer;
	enum reply reply;
	const char *values;
};

static void check_fetches(const struct protocol *protocol, const struct fetch_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct line line;
		char values[1024];
		enum reply reply = fetch(protocol, &rows[i].answer, values, &line);

		if (reply != rows[i].reply || strcmp(values, rows[i].values) != 0)
			fail_msg("row %zu: reply %d, values %s, %s", i, reply, values,
				 line.wire.error);
		if (reply == REPLY_FAILED || reply == REPLY_REFUSED)
			assert_true(line.wire.error[0] != '\0');
	}
}

#define K100                                                                                       \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"       \
	"kkkkkkkkkkkk"

static void text_values(void **state)
{
	static const struct fetch_row rows[] = {
		{ANSWER("END\r\n"), REPLY_DONE, ""},
		{ANSWER("VALUE one 0 3\r\n100\r\nEND\r\n"), REPLY_DONE, "0=100 "},
		{ANSWER("VALUE one 0 1\r\n1\r\nVALUE three 7 2\r\n22\r\nEND\r\n"), REPLY_DONE,
		 "0=1 2=22 "},
		{ANSWER("VALUE two 0 0\r\n\r\nEND\r\n"), REPLY_DONE, "1= "},
		/* too long to be one of ours, but the next is there */
		{ANSWER("VALUE one 0 100\r\n" K100 "\r\nVALUE two 0 1\r\n5\r\nEND\r\n"), REPLY_DONE,
		 "0= 1=5 "},
		{ANSWER("VALUE two 0 1\r\n1\r\nVALUE one 0 1\r\n1\r\nEND\r\n"), REPLY_FAILED,
		 "1=1 "},
		{ANSWER("VALUE one 0 1\r\n1\r\nVALUE one 0 1\r\n1\r\nEND\r\n"), REPLY_FAILED,
		 "0=1 "},
		{ANSWER("VALUE " K100 K100 K100 " 0 1\r\nx\r\nEND\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE on 0 1\r\n1\r\nEND\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE ones 0 1\r\n1\r\nEND\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE one 0 -1\r\n\r\nEND\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE one 0 99999999999\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE one 0 18446744073709551617\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE one 0 1\r\n1xEND\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE one 0 1 2\r\n1\r\nEND\r\n"), REPLY_FAILED, ""},
		{ANSWER("VALUE"), REPLY_FAILED, ""},
		{ANSWER("STORED\r\n"), REPLY_FAILED, ""},
		{ANSWER(""), REPLY_FAILED, ""},
		{ANSWER("\r\n"), REPLY_FAILED, ""},
		{ANSWER("ERROR Too many open connections\r\n"), REPLY_FAILED, ""},
		{ANSWER("SERVER_ERROR busy\r\n"), REPLY_REFUSED, ""},
		{ANSWER("CLIENT_ERROR unauthenticated\r\n"), REPLY_REFUSED, ""},
	};

	(void)state;
	check_fetches(&protocol_text, rows, COUNT(rows));
}

/* A response: opcode, status, lengths of extras, key and body, opaque. What follows is the body. */
#define HEAD(op, status, extras, key, body, opaque)                                                \
	"\x81" op "\0" key extras "\0\0" status "\0\0\0" body "\0\0\0" opaque "\0\0\0\0\0\0\0\0"
#define NOOP HEAD("\x0a", "\0", "\0", "\0", "\0", "\x03")

static void binary_values(void **state)
{
	static const struct fetch_row rows[] = {
		{ANSWER(NOOP), REPLY_DONE, ""},
		{ANSWER(HEAD("\x09", "\0", "\x04", "\0", "\x07", "\0") "\0\0\0\0" "100" NOOP),
		 REPLY_DONE, "0=100 "},
		{ANSWER(HEAD("\x09", "\0", "\x04", "\0", "\x05", "\x01") "\0\0\0\0" "1"
			HEAD("\x09", "\0", "\x04", "\0", "\x04", "\x02") "\0\0\0\0" NOOP),
		 REPLY_DONE, "1=1 2= "},
		{ANSWER(HEAD("\x09", "\x01", "\0", "\0", "\x09", "\0") "Not found" NOOP), REPLY_DONE,
		 ""},
		/* opaque: none of the questions, the same again, an earlier one */
		{ANSWER(HEAD("\x09", "\0", "\x04", "\0", "\x05", "\x03") "\0\0\0\0" "1" NOOP),
		 REPLY_FAILED, ""},
		{ANSWER(HEAD("\x09", "\0", "\x04", "\0", "\x05", "\x01") "\0\0\0\0" "1"
			HEAD("\x09", "\0", "\x04", "\0", "\x05", "\x01") "\0\0\0\0" "1" NOOP),
		 REPLY_FAILED, "1=1 "},
		/* more extras and key than body */
		{ANSWER(HEAD("\x09", "\0", "\x04", "\x20", "\x05", "\0") "\0\0\0\0" "1" NOOP),
		 REPLY_FAILED, ""},
		{ANSWER("\x81\x09\xff\xff\xff\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"),
		 REPLY_FAILED, ""},
		{ANSWER(HEAD("\x0b", "\0", "\0", "\0", "\x05", "\0") "1.6.1" NOOP), REPLY_FAILED, ""},
		{ANSWER("\x80" "\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0"), REPLY_FAILED,
		 ""},
		{ANSWER(HEAD("\x09", "\x82", "\0", "\0", "\0", "\0") NOOP), REPLY_FAILED, ""},
		{ANSWER(HEAD("\x0a", "\x20", "\0", "\0", "\0", "\x03")), REPLY_FAILED, ""},
		{ANSWER("VALUE one 0 1\r\n1\r\nEND\r\nEND\r\n"), REPLY_FAILED, ""},
		{ANSWER("\x81\x0a"), REPLY_FAILED, ""},
		{ANSWER(""), REPLY_FAILED, ""},
	};

	(void)state;
	check_fetches(&protocol_binary, rows, COUNT(rows));
}

enum verb { ADD, SET, INCREMENT, DECREMENT, REMOVE };

static enum reply ask(const struct protocol *protocol, enum verb verb, struct line *line, uint64_t *sum)
{
	switch (verb) {
	case ADD:
		return protocol->add(&line->wire, &keys[0], "100", 60);
	case SET:
		return protocol->set(&line->wire, &keys[0], "100", 60);
	case INCREMENT:
		return protocol->increment(&line->wire, &keys[0], 25, sum);
	case DECREMENT:
		return protocol->decrement(&line->wire, &keys[0], 25);
	case REMOVE:
		break;
	}
	return protocol->remove(&line->wire, &keys[0]);
}

struct verb_row {
	enum verb verb;
	struct answer answer;
	enum reply reply;
	uint64_t sum;
};

static void check_verbs(const struct protocol *protocol, const struct verb_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct line line;
		uint64_t sum = 0;
		enum reply reply;

		begin(&line, &rows[i].answer);
		reply = ask(protocol, rows[i].verb, &line, &sum);
		end(&line);
		if (reply != rows[i].reply || (reply == REPLY_DONE && sum != rows[i].sum))
			fail_msg("row %zu: reply %d, sum %llu, %s", i, reply,
				 (unsigned long long)sum, line.wire.error);
	}
}

static void text_verbs(void **state)
{
	static const struct verb_row rows[] = {
		{ADD, ANSWER("STORED\r\n"), REPLY_DONE, 0},
		{ADD, ANSWER("NOT_STORED\r\n"), REPLY_PRESENT, 0},
		{SET, ANSWER("STORED\r\n"), REPLY_DONE, 0},
		{SET, ANSWER("SERVER_ERROR out of memory storing object\r\n"), REPLY_REFUSED, 0},
		{SET, ANSWER("stored\r\n"), REPLY_FAILED, 0},
		{INCREMENT, ANSWER("125\r\n"), REPLY_DONE, 125},
		{INCREMENT, ANSWER("18446744073709551615\r\n"), REPLY_DONE, UINT64_MAX},
		{INCREMENT, ANSWER("18446744073709551616\r\n"), REPLY_FAILED, 0},
		{INCREMENT, ANSWER("-5\r\n"), REPLY_FAILED, 0},
		{INCREMENT, ANSWER("5x\r\n"), REPLY_FAILED, 0},
		{INCREMENT, ANSWER("NOT_FOUND\r\n"), REPLY_ABSENT, 0},
		{INCREMENT, ANSWER("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
		 REPLY_NO_NUMBER, 0},
		{INCREMENT, ANSWER("CLIENT_ERROR bad command line format\r\n"), REPLY_REFUSED, 0},
		{DECREMENT, ANSWER("75  \r\n"), REPLY_DONE, 0},
		{DECREMENT, ANSWER("NOT_FOUND\r\n"), REPLY_ABSENT, 0},
		{REMOVE, ANSWER("DELETED\r\n"), REPLY_DONE, 0},
		{REMOVE, ANSWER("NOT_FOUND\r\n"), REPLY_ABSENT, 0},
		{REMOVE, ANSWER("OK\r\n"), REPLY_FAILED, 0},
		{REMOVE, ANSWER("DELETED"), REPLY_FAILED, 0},
	};

	(void)state;
	check_verbs(&protocol_text, rows, COUNT(rows));
}

static void binary_verbs(void **state)
{
	static const struct verb_row rows[] = {
		{ADD, ANSWER(HEAD("\x02", "\0", "\0", "\0", "\0", "\0")), REPLY_DONE, 0},
		{ADD, ANSWER(HEAD("\x02", "\x02", "\0", "\0", "\x03", "\0") "yes"), REPLY_PRESENT, 0},
		{SET, ANSWER(HEAD("\x01", "\x82", "\0", "\0", "\0", "\0")), REPLY_REFUSED, 0},
		{SET, ANSWER(HEAD("\x02", "\0", "\0", "\0", "\0", "\0")), REPLY_FAILED, 0},
		{INCREMENT, ANSWER(HEAD("\x05", "\0", "\0", "\0", "\x08", "\0") "\0\0\0\0\0\0\0\x7d"),
		 REPLY_DONE, 125},
		{INCREMENT, ANSWER(HEAD("\x05", "\0", "\0", "\0", "\x04", "\0") "\0\0\0\x7d"),
		 REPLY_FAILED, 0},
		{INCREMENT, ANSWER(HEAD("\x05", "\x01", "\0", "\0", "\0", "\0")), REPLY_ABSENT, 0},
		{INCREMENT, ANSWER(HEAD("\x05", "\x06", "\0", "\0", "\0", "\0")), REPLY_NO_NUMBER, 0},
		{INCREMENT, ANSWER(HEAD("\x05", "\x20", "\0", "\0", "\0", "\0")), REPLY_FAILED, 0},
		{DECREMENT, ANSWER(HEAD("\x06", "\0", "\0", "\0", "\x08", "\0") "\0\0\0\0\0\0\0\0"),
		 REPLY_DONE, 0},
		{REMOVE, ANSWER(HEAD("\x04", "\0", "\0", "\0", "\0", "\0")), REPLY_DONE, 0},
		{REMOVE, ANSWER(HEAD("\x04", "\x01", "\0", "\0", "\0", "\0")), REPLY_ABSENT, 0},
		{REMOVE, ANSWER(HEAD("\x04", "\x81", "\0", "\0", "\0", "\0")), REPLY_FAILED, 0},
	};

	(void)state;
	check_verbs(&protocol_binary, rows, COUNT(rows));
}

static void questions_are_memcacheds(void **state)
{
	static const struct answer stored = ANSWER("STORED\r\n");
	static const char plain[] = "\x80\x21\0\x05\0\0\0\0\0\0\0\x0f\0\0\0\0\0\0\0\0\0\0\0\0"
				    "PLAIN\0user\0word";
	static const struct answer welcome = ANSWER(HEAD("\x21", "\0", "\0", "\0", "\x02", "\0") "OK");
	struct secret secret = {.length = 4, .bytes = "word"};
	struct line line;

	(void)state;
	begin(&line, &stored);
	assert_int_equal(protocol_text.add(&line.wire, &keys[0], "100", 60), REPLY_DONE);
	end(&line);
	assert_int_equal(line.asked_length, strlen("add one 0 60 3\r\n100\r\n"));
	assert_memory_equal(line.asked, "add one 0 60 3\r\n100\r\n", line.asked_length);

	begin(&line, &welcome);
	assert_int_equal(protocol_binary.log_in(&line.wire, "user", &secret), REPLY_DONE);
	end(&line);
	assert_int_equal(line.asked_length, sizeof(plain) - 1);
	assert_memory_equal(line.asked, plain, sizeof(plain) - 1);
}

/* Each byte comes long before the time is over; all of them do not. */
static void drops_gain_no_time(void **state)
{
	static const struct answer nothing = ANSWER("");
	struct line line;
	uint64_t sum;
	pid_t server;

	(void)state;
	begin(&line, &nothing);
	server = fork();
	if (server == 0) {
		for (int i = 0; i < 100; i++) {
			usleep(TIMEOUT_MS * 100);
			if (write(line.server, "1", 1) != 1)
				break;
		}
		_exit(0);
	}
	assert_int_equal(protocol_text.increment(&line.wire, &keys[0], 1, &sum), REPLY_FAILED);
	assert_string_equal(line.wire.error, "no answer in time");
	assert_true(line.wire.was_sent);
	assert_true(line.wire.have < 50);
	end(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_values),
		cmocka_unit_test(binary_values),
		cmocka_unit_test(text_verbs),
		cmocka_unit_test(binary_verbs),
		cmocka_unit_test(questions_are_memcacheds),
		cmocka_unit_test(drops_gain_no_time),
	};

	return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
