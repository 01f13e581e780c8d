# SPDX-License-Identifier: BSD-2-Clause
"""What a systemd unit takes from the service that it starts, for a program that no systemd starts.

    preexec = Unit("packaging/tarpit-milter.service").confine        # of subprocess.Popen
    tests/support/seccomp.py [--deny] UNIT PROGRAM [ARGUMENT...]

These settings of the unit are put into effect: SystemCallFilter, SystemCallErrorNumber, RestrictAddressFamilies,
RestrictNamespaces, RestrictSUIDSGID, MemoryDenyWriteExecute, CapabilityBoundingSet (empty only) and NoNewPrivileges;
what the groups of system calls mean, systemd-analyze says. A call that SystemCallFilter does not have ends the process
with SIGSYS, so that no such call can hide behind the error that it would get; --deny gives it that error, as systemd
does. The rest of the unit (its user, its view of the files) is machine.py's.
"""

import contextlib
import ctypes
import errno
import functools
import os
import socket
import subprocess
import sys
import tempfile

ACT_ALLOW, ACT_KILL_PROCESS = 0x7FFF0000, 0x80000000
CMP_EQ, CMP_GT, CMP_MASKED_EQ = 4, 6, 7
CTL_OPTIMIZE = 8
PR_CAPBSET_DROP, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 24, 22, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 4, 2
CAPABILITY_VERSION_3, CAPABILITIES_MAX = 0x20080522, 63
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
# The flags of clone that make a namespace: time is one of unshare's only.
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
INSTRUCTION_BYTES = 8
YES = ("yes", "true", "on", "1")

libc = ctypes.CDLL(None, use_errno=True)


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int),
                ("first", ctypes.c_uint64), ("second", ctypes.c_uint64)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


class CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def library():
    """libseccomp, which systemd itself uses."""
    found = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_init.argtypes = [ctypes.c_uint32]
    found.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    found.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                             ctypes.POINTER(Comparison)]
    found.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    found.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    found.seccomp_release.argtypes = [ctypes.c_void_p]
    found.seccomp_release.restype = None
    return found


@functools.lru_cache(maxsize=None)
def expand(name):
    """The system calls of a group as systemd-analyze tells it; of a call, itself."""
    if not name.startswith("@"):
        return frozenset([name])
    told = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name],
                          capture_output=True, text=True, check=True).stdout
    members = (line.strip() for line in told.splitlines() if line.startswith(" "))
    return frozenset().union(*(expand(member) for member in members if not member.startswith("#")))


class Filter:
    """with Filter(default action) as filter: filter.add(...); filter.text() is what the kernel takes."""

    def __init__(self, default):
        self._library = library()
        self._context = self._library.seccomp_init(default)
        assert self._context
        self._check(self._library.seccomp_attr_set(self._context, CTL_OPTIMIZE, 2), "optimize")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._library.seccomp_release(self._context)

    @staticmethod
    def _check(result, what):
        if result != 0:
            raise OSError(-result, f"libseccomp: {what}: {os.strerror(-result)}")

    def add(self, action, name, *comparisons):
        """Where this machine has such a call; comparisons: (argument, operator, value[, second value])."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (Comparison * max(1, len(comparisons)))(*(Comparison(*comparison) for comparison in comparisons))
        self._check(self._library.seccomp_rule_add_array(self._context, action, number, len(comparisons), array), name)

    def text(self):
        with tempfile.TemporaryFile() as file:
            self._check(self._library.seccomp_export_bpf(self._context, file.fileno()), "export")
            file.seek(0)
            return file.read()


def fails_with(number):
    return 0x00050000 | number


class Unit:
    """What a unit file says under [Service]. deny: see the top."""

    def __init__(self, path, deny=False):
        self.settings = {}
        self._deny = deny
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, is_setting, value = line.strip().partition("=")
                if is_setting and not key.startswith(("#", ";")):
                    self.settings.setdefault(key, []).append(value)
        self._filters = [text for text in (self._call_filter(), self._other_filter()) if text]

    def _words(self, key):
        return [word for value in self.settings.get(key, []) for word in value.split()]

    def _is(self, key):
        return self.settings.get(key, ["no"])[-1] in YES

    def calls(self):
        """The system calls that SystemCallFilter has, read as systemd reads it: a list of what is allowed, which begins
        with @default, and to which each line adds, or from which it takes."""
        lines = self.settings.get("SystemCallFilter", [])
        assert lines and not lines[0].startswith("~"), "not a list of what is allowed"
        calls = set(expand("@default"))
        for line in lines:
            named = frozenset().union(*(expand(name) for name in line.lstrip("~").split()))
            calls = calls - named if line.startswith("~") else calls | named
        return calls

    def _call_filter(self):
        if "SystemCallFilter" not in self.settings:
            return None
        number = getattr(errno, self.settings["SystemCallErrorNumber"][-1])
        with Filter(fails_with(number) if self._deny else ACT_KILL_PROCESS) as made:
            for name in self.calls():
                made.add(ACT_ALLOW, name)
            return made.text()

    def _other_filter(self):
        """What systemd refuses by its arguments: always with an error."""
        with Filter(ACT_ALLOW) as made:
            if "RestrictAddressFamilies" in self.settings:
                self._restrict_families(made)
            if self._is("RestrictNamespaces"):
                restrict_namespaces(made)
            if self._is("MemoryDenyWriteExecute"):
                restrict_memory(made)
            if self._is("RestrictSUIDSGID"):
                restrict_modes(made)
            return made.text()

    def _restrict_families(self, made):
        allowed = sorted(getattr(socket, name) for name in self._words("RestrictAddressFamilies"))
        for family in set(range(allowed[-1])) - set(allowed):
            made.add(fails_with(errno.EAFNOSUPPORT), "socket", (0, CMP_EQ, family))
        made.add(fails_with(errno.EAFNOSUPPORT), "socket", (0, CMP_GT, allowed[-1]))

    def confine(self):
        """Between fork and exec: from here on this process, and what it becomes, is so confined."""
        if self.settings.get("CapabilityBoundingSet", [None])[-1] == "":
            drop_capabilities()
        if self._is("NoNewPrivileges"):
            prctl(PR_SET_NO_NEW_PRIVS, 1)
        for text in reversed(self._filters):
            install(text)


def restrict_namespaces(made):
    for flag in NAMESPACES:
        made.add(fails_with(errno.EPERM), "clone", (0, CMP_MASKED_EQ, flag, flag))
        made.add(fails_with(errno.EPERM), "unshare", (0, CMP_MASKED_EQ, flag, flag))
    made.add(fails_with(errno.EPERM), "setns")
    # Its flags are in memory: who calls it is to fall back on clone.
    made.add(fails_with(errno.ENOSYS), "clone3")


def restrict_memory(made):
    both = PROT_WRITE | PROT_EXEC
    made.add(fails_with(errno.EPERM), "mmap", (2, CMP_MASKED_EQ, both, both))
    for name in "mprotect", "pkey_mprotect":
        made.add(fails_with(errno.EPERM), name, (2, CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC))
    made.add(fails_with(errno.EPERM), "shmat", (2, CMP_MASKED_EQ, SHM_EXEC, SHM_EXEC))


def restrict_modes(made):
    for bit in (0o4000, 0o2000):
        for name, argument in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2), ("mknod", 1),
                               ("mknodat", 2), ("creat", 1)):
            made.add(fails_with(errno.EPERM), name, (argument, CMP_MASKED_EQ, bit, bit))
        for name, argument in (("open", 1), ("openat", 2)):
            made.add(fails_with(errno.EPERM), name, (argument, CMP_MASKED_EQ, os.O_CREAT, os.O_CREAT),
                     (argument + 1, CMP_MASKED_EQ, bit, bit))


def prctl(option, *arguments):
    """Its arguments are long ones, of which it wants all five."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    if libc.prctl(option, *map(ctypes.c_ulong, padded)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def install(text):
    """A filter, for this process and what it becomes: needs no_new_privs, or root."""
    program = Program(len(text) // INSTRUCTION_BYTES, text)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))


def drop_capabilities():
    """All sets of them, the bounding set too; of root as well."""
    with contextlib.suppress(OSError):  # beyond the last capability that there is
        for capability in range(CAPABILITIES_MAX + 1):
            prctl(PR_CAPBSET_DROP, capability)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    if libc.capset(ctypes.byref(CapabilityHeader(CAPABILITY_VERSION_3, 0)), (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def main(arguments):
    deny = arguments[:1] == ["--deny"]
    unit, *command = arguments[deny:]
    Unit(unit, deny).confine()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
