/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the kernel's tables of TCP sockets. */
#include "listeners.h"

#include <stdio.h>
#include <string.h>

#define LISTENING 0x0a
#define LINE_LENGTH 400

static void take_line(const char *line, struct doctor_facts *facts)
{
	char address[33];
	unsigned port, state;

	if (sscanf(line, " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", address, &port, &state) !=
		    3 ||
	    state != LISTENING || facts->listeners_count == DOCTOR_LISTENERS_MAX)
		return;
	facts->listeners[facts->listeners_count++] = (struct doctor_listener){
		.port = port, .on_all = address[strspn(address, "0")] == '\0'};
}

void listeners_parse(const char *text, struct doctor_facts *facts)
{
	char line[LINE_LENGTH];

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s",
			 (int)(length < sizeof(line) ? length : sizeof(line) - 1), text);
		take_line(line, facts);
		text += length + (text[length] == '\n');
	}
}

static bool read_table(const char *path, struct doctor_facts *facts)
{
	FILE *file = fopen(path, "re");
	char line[LINE_LENGTH];

	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
		take_line(line, facts);
	fclose(file);
	return true;
}

void listeners_read(struct doctor_facts *facts)
{
	facts->knows_listeners = read_table("/proc/net/tcp", facts);
	read_table("/proc/net/tcp6", facts);
}
