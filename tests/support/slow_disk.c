/* SPDX-License-Identifier: BSD-2-Clause */
/* For LD_PRELOAD: a disk that takes a minute for what it is asked to keep. */
#include <unistd.h>

int fsync(int fd)
{
	(void)fd;
	sleep(60);
	return 0;
}
