/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes into the log: each event is one line of printable ASCII, its values are cut and quoted.
 */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fuzz.h"
#include "base/log.h"

static unsigned lines;

static void take_line(int priority, const char *line)
{
	CHECK(priority == LOG_INFO || priority == LOG_WARNING);
	CHECK(strlen(line) < LOG_LINE_MAX && is_printable(line));
	lines++;
}

/*
 * One value as it was added: key=text, or key="text" where a reader would be misled without quotes.
 */
static void check_value(const char *added, const char *value)
{
	const char *text = strchr(added, '=') + 1;
	size_t length = strlen(text);
	bool is_quoted = text[0] == '"';

	CHECK(length > 0 && length <= LOG_VALUE_MAX);
	CHECK(is_quoted == (*value == '\0' || strchr(text, ' ') != NULL));
	CHECK(!is_quoted || (length >= 2 && text[length - 1] == '"'));
	/* Quotes and backslashes of the value itself are escaped. */
	for (size_t i = is_quoted; i < length - is_quoted; i++) {
		CHECK(text[i] != '"');
		CHECK(text[i] != '\\' || (i + 3 < length - is_quoted && text[i + 1] == 'x' &&
					  strspn(text + i + 2, "0123456789ABCDEF") >= 2));
	}
	if (is_printable(value) && strpbrk(value, "\"\\") == NULL &&
	    strlen(value) < LOG_VALUE_MAX - 2)
		CHECK(strncmp(text + is_quoted, value, strlen(value)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct log_line line;
	unsigned before;

	fuzz_begin();
	log_to(take_line);
	before = lines;
	log_begin(&line, LOG_INFO, "reject");
	while (input.length > 0) {
		char *value = take_text(&input, '\0');
		size_t length = line.length;

		log_put(&line, "rcpt", "%s", value);
		CHECK(line.length < LOG_LINE_MAX && strlen(line.text) == line.length);
		if (line.length < LOG_LINE_MAX - 1)
			check_value(line.text + length, value);
		log_message(LOG_WARNING, "mta", "name=%s", value);
		free(value);
	}
	log_end(&line);
	CHECK(lines > before);
	return 0;
}
