/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plays inputs to a fuzzing target without libFuzzer: those of the files and directories that are
 * named, or of the corpus that belongs to the program, fuzz_NAME. What it says is TAP, for
 * tests/tally.py.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define PATH_SIZE 1024
#define INPUT_MAX (1U << 20)

static unsigned played;

/* The target gets memory of just the right size, so that nothing is read past it unnoticed. */
static void play_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *all = malloc(INPUT_MAX), *exact;
	size_t length;

	if (file == NULL || all == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	length = fread(all, 1, INPUT_MAX, file);
	fclose(file);
	exact = malloc(length > 0 ? length : 1);
	CHECK(exact != NULL);
	memcpy(exact, all, length);
	free(all);
	fprintf(stderr, "# %s\n", path);
	LLVMFuzzerTestOneInput(exact, length);
	free(exact);
	played++;
}

static void play(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	char inside[PATH_SIZE];

	if (count < 0) {
		play_file(path);
		return;
	}
	for (int i = 0; i < count; i++) {
		snprintf(inside, sizeof(inside), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			play_file(inside);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	const char *name = strstr(program_invocation_short_name, "fuzz_");
	char corpus[PATH_SIZE];

	name = name != NULL ? name + strlen("fuzz_") : "";
	for (int i = 1; i < argc; i++)
		play(argv[i]);
	if (argc == 1) {
		snprintf(corpus, sizeof(corpus), "%s/%s", FUZZ_CORPUS, name);
		play(corpus);
	}
	printf("1..1\n%s 1 - %s: %u inputs\n", played > 0 ? "ok" : "not ok", name, played);
	return played > 0 ? 0 : 1;
}
