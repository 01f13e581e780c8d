/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To be preloaded into tarpit-store: at its first errand, which begins with setitimer, attempts what it must no
 * longer be able to do, each with arguments that do no harm, and writes "ATTEMPT ERRNO" lines to stderr.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static void tell(const char *attempt, long result)
{
	char line[64];
	int error = result < 0 ? errno : 0;
	int length = snprintf(line, sizeof(line), "%s %d\n", attempt, error);

	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		_exit(1);
}

static void attempt_all(void)
{
	const struct sockaddr nobody = {.sa_family = AF_UNIX};
	const struct rlimit more = {1 << 30, 1 << 30};
	struct clone_args clone3 = {.exit_signal = SIGCHLD};

	tell("openat", syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY));
	tell("unlinkat", syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent", 0));
	tell("execve", syscall(SYS_execve, "/nonexistent", NULL, NULL));
	tell("bind", syscall(SYS_bind, 3, &nobody, sizeof(nobody.sa_family)));
	tell("listen", syscall(SYS_listen, 3, 1));
	tell("kill", syscall(SYS_kill, getppid(), 0));
	tell("tgkill", syscall(SYS_tgkill, getpid(), getpid(), 0));
	tell("fcntl", syscall(SYS_fcntl, 3, F_SETOWN, getppid()));
	tell("rt_sigprocmask", syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 8));
	tell("ptrace", syscall(SYS_ptrace, PTRACE_SEIZE, getppid(), 0, 0));
	tell("process_vm_readv", syscall(SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0));
	tell("clone", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	tell("clone3", syscall(SYS_clone3, &clone3, sizeof(clone3)));
	tell("prlimit64", syscall(SYS_prlimit64, 0, RLIMIT_AS, &more, NULL));
	tell("prctl", syscall(SYS_prctl, 4, 1, 0, 0, 0)); /* PR_SET_DUMPABLE */
	tell("memfd_create", syscall(SYS_memfd_create, "x", 0));
	tell("code", (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	tell("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	tell("unix", socket(AF_UNIX, SOCK_STREAM, 0));
	tell("datagram", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	tell("inet", socket(AF_INET, SOCK_STREAM, 0));
}

int setitimer(__itimer_which_t which, const struct itimerval *new, struct itimerval *old)
{
	static int was_here;

	if (!was_here++)
		attempt_all();
	return (int)syscall(SYS_setitimer, which, new, old);
}
