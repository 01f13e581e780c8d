# SPDX-License-Identifier: BSD-2-Clause
"""Drives a tarpit-store of our own over the socket pair that the daemon would hold, with messages as
milter/memcached/message.h has them."""

import contextlib
import ctypes
import os
import re
import socket as sockets
import subprocess

from .daemon import TOP, binary

DESCRIPTOR = 3
KEY_MAX, KEYS_MAX, COUNTS_MAX, SEEN_MAX = 160, 13, 12, 16
HOST_MAX, REASON_MAX, VERSION_MAX, SECRET_MAX = 108, 96, 32, 255
TIMEOUTS_MAX = 12
LOOK_UP, RECORD, SET, FORGIVE, IDENTITY = range(5)
ANSWERED, FAILED = range(2)
NOT_DONE, DONE, MAYBE_DONE = range(3)
ABSENT, NUMBER, NO_NUMBER = range(3)
END_SECONDS = 10
u32, u64, i32, i64, size = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32, ctypes.c_int64, ctypes.c_size_t


class Secret(ctypes.Structure):
    _fields_ = [("length", size), ("bytes", ctypes.c_char * SECRET_MAX)]


class Setup(ctypes.Structure):
    _fields_ = [("version", ctypes.c_char * VERSION_MAX), ("host", ctypes.c_char * HOST_MAX),
                ("port", ctypes.c_uint16), ("user", ctypes.c_char * (SECRET_MAX + 1)), ("password", Secret)]


class Count(ctypes.Structure):
    _fields_ = [("key", ctypes.c_char * KEY_MAX), ("amount", u64)]


class Request(ctypes.Structure):
    _fields_ = [("serial", u64), ("kind", u32), ("timeout_ms", i32), ("ttl_s", i64), ("number", u64),
                ("seen_count", u32), ("keys_count", u32), ("counts_count", u32),
                ("seen", ctypes.c_char * KEY_MAX * SEEN_MAX),
                ("keys", ctypes.c_char * KEY_MAX * KEYS_MAX), ("counts", Count * COUNTS_MAX)]


class Value(ctypes.Structure):
    _fields_ = [("state", u32), ("number", u64)]


class Outcome(ctypes.Structure):
    _fields_ = [("serial", u64), ("result", u32), ("was_refused", u32), ("seen_before", u32), ("calls", u32),
                ("failures", u32), ("counts", u32 * COUNTS_MAX), ("replaced", u32), ("values", Value * KEYS_MAX),
                ("reason", ctypes.c_char * REASON_MAX)]

    def value(self, index=0):
        """A number; None if there is none, "odd" if something else stands there."""
        return {ABSENT: None, NUMBER: self.values[index].number, NO_NUMBER: "odd"}[self.values[index].state]


class Ended(Exception):
    """The program ended instead of an answer."""


def program():
    return os.path.join(os.path.dirname(binary()), "tarpit-store")


def version():
    with open(os.path.join(TOP, "configure.ac"), encoding="utf-8") as file:
        return re.search(r"AC_INIT\(\[.*?\], \[(.*?)\]", file.read())[1]


class TarpitStore:
    """with TarpitStore(server): server is an address of tests/support/memcached.py."""

    def __init__(self, address, user="", password=b"", timeout=0.3, preexec=None, env=None, version_text=None):
        host, port = (address, 0) if isinstance(address, str) else address
        self.timeout = timeout
        self._setup = Setup((version_text or version()).encode(), host.encode(), port, user.encode(),
                            Secret(len(password), password))
        self._preexec = preexec
        # As the daemon has it: nothing. Hostile servers make it crash, which is no report of a sanitizer's.
        self._env = env or {}
        self._serial = 0

    def __enter__(self):
        self.socket, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)

        def confine():
            os.dup2(theirs.fileno(), DESCRIPTOR)
            os.set_inheritable(DESCRIPTOR, True)
            if self._preexec:
                self._preexec()

        with theirs:
            self.process = subprocess.Popen([program()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL, preexec_fn=confine, close_fds=False,
                                            env=self._env)
        self.socket.settimeout(END_SECONDS + TIMEOUTS_MAX * self.timeout)
        self.socket.send(bytes(self._setup))
        return self

    def __exit__(self, *_):
        self.socket.close()
        try:
            self.process.wait(END_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()

    def request(self, kind, keys=(), counts=(), seen=(), ttl=60, number=0):
        """counts: (key, amount) each."""
        self._serial += 1
        request = Request(self._serial, kind, int(self.timeout * 1000), ttl, number, len(seen), len(keys),
                          len(counts))
        for index, key in enumerate(seen):
            request.seen[index].value = key.encode()
        for index, key in enumerate(keys):
            request.keys[index].value = key.encode()
        for index, (key, amount) in enumerate(counts):
            request.counts[index] = Count(key.encode(), amount)
        return request

    def ask(self, *arguments, **named):
        """The outcome; raises Ended if the program ends instead."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.send(bytes(self.request(*arguments, **named)))
        try:
            answer = self.socket.recv(2 * ctypes.sizeof(Outcome))
        except ConnectionResetError:
            answer = b""
        if not answer:
            raise Ended(self.process.wait(END_SECONDS))
        assert len(answer) == ctypes.sizeof(Outcome)
        outcome = Outcome.from_buffer_copy(answer)
        assert outcome.serial == self._serial
        return outcome

    def look_up(self, *keys):
        return self.ask(LOOK_UP, keys)

    def status(self, name):
        """A field of /proc/PID/status."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith(f"{name}:"))

    def end(self):
        self.process.kill()
        self.process.wait()
