# SPDX-License-Identifier: BSD-2-Clause
"""Attempts what a daemon has no business doing, each with arguments that do no harm where it is allowed, and prints as
JSON what each was answered: "EPERM", "yes". probe.py ATTEMPT makes one only."""

import ctypes
import errno
import json
import os
import socket
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libseccomp = ctypes.CDLL("libseccomp.so.2")
NOBODY, NEW_USER_NAMESPACE, SIGCHLD, SCHED_OTHER = -1, 0x10000000, 17, 0
PAGE, PRIVATE_ANONYMOUS, ASK_ONLY = 4096, 0x22, 0xFFFFFFFF


def call(name, *arguments):
    """0 stands for the arguments that are not given."""
    number = libseccomp.seccomp_syscall_resolve_name(name.encode())
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, padded))
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "yes"


def attempt(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "yes"


def clone_user_namespace():
    number = libseccomp.seccomp_syscall_resolve_name(b"clone")
    result = libc.syscall(ctypes.c_long(number), ctypes.c_long(NEW_USER_NAMESPACE | SIGCHLD), 0, 0, 0, 0)
    if result == 0:
        os._exit(0)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "yes"


def map_memory(protection):
    libc.mmap.restype = ctypes.c_void_p
    address = libc.mmap(None, PAGE, protection, PRIVATE_ANONYMOUS, -1, ctypes.c_long(0))
    return None if address == ctypes.c_void_p(-1).value else address


def writable_code():
    return "yes" if map_memory(7) else errno.errorcode[ctypes.get_errno()]


def memory_to_code():
    address = map_memory(3)
    return "yes" if libc.mprotect(ctypes.c_void_p(address), PAGE, 5) == 0 else errno.errorcode[ctypes.get_errno()]


def open_socket(family, kind=socket.SOCK_DGRAM):
    socket.socket(family, kind).close()


def write(path):
    """A new file there, or that file."""
    name = os.path.join(path, ".tarpit-probe") if os.path.isdir(path) else path
    is_new = not os.path.exists(name)
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600))
    if is_new:
        os.unlink(name)


def execute(directory):
    """A program of our own making there."""
    path = os.path.join(directory, "tarpit-probe")
    with open("/usr/bin/true", "rb") as program, open(path, "wb") as copy:
        copy.write(program.read())
    os.chmod(path, 0o755)
    try:
        subprocess.run([path], check=True)
    finally:
        os.unlink(path)


CALLS = {
    "mount": (0, 0, 0), "umount2": (0,), "pivot_root": (), "chroot": (0,), "ptrace": (NOBODY,),
    "process_vm_readv": (NOBODY,), "setuid": (NOBODY,), "setgroups": (NOBODY,), "setresgid": (NOBODY, NOBODY, NOBODY),
    "capset": (), "chown": (0,), "unshare": (NEW_USER_NAMESPACE,), "setns": (NOBODY,), "bpf": (NOBODY,), "keyctl": (NOBODY,), "add_key": (),
    "io_uring_setup": (), "userfaultfd": (NOBODY,), "shmget": (1, 0), "perf_event_open": (), "init_module": (),
    "kexec_load": (0, 0, 0, NOBODY), "reboot": (), "swapon": (0,), "settimeofday": (NOBODY, NOBODY),
    "sethostname": (0, NOBODY), "syslog": (NOBODY,), "personality": (ASK_ONLY,), "sched_setscheduler": (0, SCHED_OTHER, 0),
    "setpriority": (NOBODY,), "memfd_create": (0,), "open_by_handle_at": (NOBODY,),
}
ATTEMPTS = {
    **{name: lambda name=name, arguments=arguments: call(name, *arguments) for name, arguments in CALLS.items()},
    "clone a user namespace": clone_user_namespace,
    "mmap writable code": writable_code,
    "mprotect to code": memory_to_code,
    "chmod a set-user-id bit": lambda: attempt(os.fchmod, os.open("/tmp", os.O_TMPFILE | os.O_RDWR), 0o4700),
    **{f"socket {name}": lambda name=name: attempt(open_socket, getattr(socket, name))
       for name in ("AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_INET", "AF_INET6", "AF_UNIX")},
    **{f"write {path}": lambda path=path: attempt(write, path)
       for path in ("/etc", "/usr/local/sbin/tarpit-milter", "/var/lib", "/var/spool/postfix", "/run", "/dev", "/home",
                    "/root", "/proc/sys/kernel/domainname", "/sys/fs/cgroup/cgroup.procs", "/tmp", "/run/tarpit-milter",
                    "/var/spool/postfix/tarpit-milter", "/var/lib/tarpit-milter")},
    **{f"execute in {path}": lambda path=path: attempt(execute, path)
       for path in ("/tmp", "/run/tarpit-milter", "/var/spool/postfix/tarpit-milter", "/var/lib/tarpit-milter")},
    "list /home": lambda: attempt(os.listdir, "/home"),
    "list /root": lambda: attempt(os.listdir, "/root"),
    "see process 1": lambda: attempt(os.stat, "/proc/1/status"),
    "signal process 1": lambda: attempt(os.kill, 1, 0),
}


def main(names):
    print(json.dumps({name: ATTEMPTS[name]() for name in names or ATTEMPTS}))


if __name__ == "__main__":
    main(sys.argv[1:])
