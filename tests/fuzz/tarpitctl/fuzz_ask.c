/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tarpitctl reads from the control socket, whoever sits there: frames, or bytes that need not
 * be any, and then the end. The live screen has three questions a round, and shows why one has no
 * answer.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/frame.h"
#include "fuzz.h"
#include "tarpitctl/ask.h"
#include "tarpitctl/top_draw.h"
#include "tarpitctl/top_feed.h"

enum { HANGS_UP = 1, IS_RAW = 2, IS_SCREEN = 4 };

static int listener = -1;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void listen_once(void)
{
	if (listener >= 0)
		return;
	strncpy(address.sun_path, fuzz_file(0, "", 0), sizeof(address.sun_path) - 1);
	CHECK(unlink(address.sun_path) == 0);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(listener, 1) == 0);
}

/* A frame for each text up to a NUL. */
static void put_frames(struct input *input, FILE *out)
{
	uint8_t header[FRAME_HEADER];

	while (input->length > 0) {
		char *text = take_text(input, '\0');

		frame_header(header, strlen(text));
		fwrite(header, 1, sizeof(header), out);
		fputs(text, out);
		free(text);
	}
}

/* All that the daemon will ever say, at once: socket buffers hold few small pieces. */
static void answer(int daemon, struct input *input, unsigned how)
{
	char *bytes = NULL;
	size_t length;
	FILE *out = open_memstream(&bytes, &length);

	CHECK(out != NULL);
	if ((how & IS_RAW) == 0)
		put_frames(input, out);
	else if (input->length > 0)
		fwrite(input->bytes, 1, input->length, out);
	CHECK(fclose(out) == 0);
	CHECK(send(daemon, bytes, length, MSG_NOSIGNAL) == (ssize_t)length);
	CHECK(shutdown(daemon, (how & HANGS_UP) != 0 ? SHUT_RDWR : SHUT_WR) == 0);
	free(bytes);
}

static void *serve(void *arg)
{
	struct input *input = arg;
	unsigned how = take_byte(input);
	int daemon = accept(listener, NULL, NULL);

	CHECK(daemon >= 0);
	answer(daemon, input, how);
	return (void *)(intptr_t)daemon;
}

static void ask(void)
{
	json_t *request = json_pack("{s:s}", "command", "status"), *reply;
	char error[256] = "";
	int connection = ask_connect(address.sun_path, error, sizeof(error));

	CHECK(connection >= 0 && request != NULL);
	do {
		error[0] = '\0';
		reply = ask_daemon(connection, request, error, sizeof(error));
		CHECK((reply != NULL) == (error[0] == '\0'));
		CHECK(reply == NULL || json_is_object(reply));
		json_decref(reply);
	} while (reply != NULL);
	json_decref(request);
	close(connection);
}

static void draw_trouble(const struct top_answers *answers)
{
	static const struct top_model model;
	struct top_moment moment = {.clock = "12:34:56", .trouble = answers->error};
	struct screen_grid grid = {0};

	CHECK(answers->error[0] != '\0');
	CHECK(answers->exit_status > 0 && answers->exit_status < 126);
	CHECK(screen_resize(&grid, 24, 80));
	top_draw(&model, &moment, &grid);
	for (int i = 0; i < 24 * 80; i++)
		CHECK(grid.glyphs[i] >= ' ' && grid.glyphs[i] < 0x7f);
	screen_free(&grid);
}

static void ask_for_screen(void)
{
	struct top_answers answers;
	int connection = -1;

	if (top_feed_ask(&connection, address.sun_path, TOP_CLIENTS_MAX, &answers)) {
		CHECK(connection >= 0 && answers.exit_status == 0);
		CHECK(answers.status != NULL && answers.stalls != NULL && answers.list != NULL);
	} else {
		CHECK(connection == -1);
		draw_trouble(&answers);
	}
	top_feed_clear(&answers);
	if (connection >= 0)
		close(connection);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	bool is_screen = size > 0 && (data[0] & IS_SCREEN) != 0;
	pthread_t thread;
	void *daemon;

	fuzz_begin();
	listen_once();
	CHECK(pthread_create(&thread, NULL, serve, &input) == 0);
	if (is_screen)
		ask_for_screen();
	else
		ask();
	CHECK(pthread_join(thread, &daemon) == 0);
	close((int)(intptr_t)daemon);
	return 0;
}
