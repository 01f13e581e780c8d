/* SPDX-License-Identifier: BSD-2-Clause */
/* Postfix's main.cf, after a NUL its master.cf, and after another one our own socket. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "daemon/postfix_limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	char *main_cf = take_text(&input, '\0'), *master_cf = take_text(&input, '\0');
	char *socket = take_text(&input, '\0');
	struct postfix_limit limit;

	if (postfix_limit_parse(main_cf, master_cf, *socket != '\0' ? socket : "unix:/t/m.sock",
				&limit)) {
		CHECK(limit.processes > 0);
		CHECK(strnlen(limit.service, sizeof(limit.service)) < sizeof(limit.service));
		/* What it found was in there. */
		CHECK(strstr(master_cf, "smtpd") != NULL);
	}
	free(socket);
	free(master_cf);
	free(main_cf);
	return 0;
}
