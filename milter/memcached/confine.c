/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits and a list of system calls for tarpit-store, in whose memory a hostile server may do as it
 * likes.
 */
#include "confine.h"

#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 8
#define MEMORY_MAX (64 << 20)

#ifdef WITH_SANITIZERS
/* Their shadow memory is terabytes, and they make calls of their own. */
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

static bool limit(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit both;

	if (getrlimit(resource, &both) != 0)
		return false;
	/* What is lower already, nobody but root may raise. */
	both.rlim_max = both.rlim_max < most ? both.rlim_max : most;
	both.rlim_cur = both.rlim_max;
	return setrlimit(resource, &both) == 0;
}

bool confine_resources(int last_fd)
{
	/* PDEATHSIG: it ends with the daemon, whatever runs in it by then. */
	return close_range((unsigned)last_fd + 1, ~0U, 0) == 0 &&
	       prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0L, 0L, 0L) == 0 &&
	       prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 && limit(RLIMIT_CORE, 0) &&
	       limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NPROC, 0) &&
	       limit(RLIMIT_NOFILE, DESCRIPTORS_MAX) &&
	       (IS_SANITIZED || limit(RLIMIT_AS, MEMORY_MAX));
}

/* Not fcntl: the owner that it gives a socket gets signals. */
static const int allowed[] = {
	/* talking; poll and ppoll are one function on different machines */
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(read),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	/* time, chance and locks; SASL wants the host's name, too */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(setitimer),
	SCMP_SYS(time),
	SCMP_SYS(uname),
	/* ending */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
};

static int allow_streams(scmp_filter_ctx filter, int family, int protocol)
{
	/*
	 * No datagrams: SASL would look this host's name up at every login, and may wait for that.
	 */
	const struct scmp_arg_cmp is_stream[] = {
		{.arg = 0,
		 .op = SCMP_CMP_MASKED_EQ,
		 .datum_a = UINT32_MAX, /* the rest of the register may be anything */
		 .datum_b = (scmp_datum_t)family},
		{.arg = 1,
		 .op = SCMP_CMP_MASKED_EQ,
		 .datum_a = UINT32_MAX & ~(scmp_datum_t)(SOCK_CLOEXEC | SOCK_NONBLOCK),
		 .datum_b = SOCK_STREAM},
		{.arg = 2,
		 .op = SCMP_CMP_MASKED_EQ,
		 .datum_a = UINT32_MAX,
		 .datum_b = (scmp_datum_t)protocol},
	};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, is_stream);
}

static int fill(scmp_filter_ctx filter, int family)
{
	const struct scmp_arg_cmp is_no_code = {
		.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0};
	int error = allow_streams(filter, family, 0);

	if (error == 0 && family == AF_INET)
		error = allow_streams(filter, AF_INET, IPPROTO_TCP);
	if (error == 0 && family == AF_INET)
		error = allow_streams(filter, AF_INET6, 0);
	if (error == 0 && family == AF_INET)
		error = allow_streams(filter, AF_INET6, IPPROTO_TCP);
	if (error == 0)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
					       &is_no_code);
	for (size_t i = 0; error == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	return error == 0 ? seccomp_load(filter) : error;
}

bool confine_calls(int family)
{
	scmp_filter_ctx filter;

	if (IS_SANITIZED)
		return true;
	/*
	 * What is not allowed gets an error, and does not end the process: glibc's resolver and
	 * SASL's plug-ins try what they can do without (a netlink socket, a file), and differ in
	 * that between releases. Code of an attacker gets no further for it.
	 */
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL) {
		errno = ENOMEM;
		return false;
	}
	errno = -fill(filter, family);
	seccomp_release(filter);
	return errno == 0;
}
