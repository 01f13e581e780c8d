/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that is to hold memcached's password: its mode, and what is in it. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "base/secret.h"

static void check_secret(const struct secret *secret, const struct input *file)
{
	const uint8_t *rest = file->bytes + secret->length;
	size_t rest_length = file->length - secret->length;

	CHECK(secret->length > 0 && secret->length <= SECRET_MAX);
	CHECK(secret->length <= file->length);
	CHECK(memcmp(secret->bytes, file->bytes, secret->length) == 0);
	CHECK(memchr(secret->bytes, '\n', secret->length) == NULL);
	CHECK(memchr(secret->bytes, '\0', secret->length) == NULL);
	CHECK(rest_length == 0 || (rest_length == 1 && (*rest == '\n' || *rest == '\r')) ||
	      (rest_length == 2 && memcmp(rest, "\r\n", 2) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	mode_t mode = (mode_t)take_number(&input, 2) & 0777;
	const char *path = fuzz_file(0, input.bytes, input.length);
	char error[128] = "";
	struct secret *secret;

	CHECK(chmod(path, mode) == 0);
	secret = secret_read(path, error, sizeof(error));
	CHECK((secret != NULL) == (error[0] == '\0') && is_printable(error));
	if (secret != NULL) {
		CHECK((mode & 0027) == 0);
		check_secret(secret, &input);
	}
	secret_free(secret);
	CHECK(chmod(path, 0600) == 0);
	return 0;
}
