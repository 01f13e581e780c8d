# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that logs by syslog(3) to a real journald of our own, or to nobody."""

import contextlib
import datetime
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from .daemon import Daemon
from .preload import preload

JOURNALD = "/lib/systemd/systemd-journald"
LOGGED_SECONDS = 20

def is_available():
    return os.path.exists(JOURNALD)


class _LogHost:
    """A directory with the socket of a log daemon."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tarpit-journal-"))
        self.socket = self.directory / "dev-log"

    def _daemon(self, options):
        return Daemon(options, mode=None, env=preload("own_log", TARPIT_TEST_LOG=str(self.socket)), expect_start=False)

    def _remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class SilentLog(_LogHost):
    """with SilentLog() as log, log.daemon() as daemon: ... log.read() -> the lines that its socket had room for"""

    def __enter__(self):
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._server.bind(str(self.socket))
        return self

    def __exit__(self, *_):
        self._server.close()
        self._remove()

    @contextlib.contextmanager
    def daemon(self, options=None):
        with self._daemon(options) as daemon:
            self.wait_for("start: version=")
            yield daemon

    def read(self):
        """Those that are there now, oldest first; there is room for new ones then."""
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines.append(self._server.recv(65536).decode("ascii"))
        return lines

    def wait_for(self, text):
        """All lines to the one with that in it."""
        lines, end = [], time.monotonic() + LOGGED_SECONDS
        while not any(text in line for line in lines):
            assert time.monotonic() < end, f"{len(lines)} lines, none with {text!r}"
            lines += self.read()
            time.sleep(0.02)
        return lines


class Journald(_LogHost):
    """with Journald() as journald, journald.daemon({"jitter": "0"}) as daemon: ... journald.read("-o", "short-iso")

    path: where the journal is. It can be read, and forms() can be had, after the end of the daemon.
    """

    def __init__(self):
        super().__init__()
        self.path = self.directory / "journal"
        self._process = None
        self._stream = socket.socket(socket.AF_UNIX)

    def __enter__(self):
        """Of a journal namespace, which is of no machine; and not idle, as it would end then."""
        env = {**os.environ, **preload("own_cgroups"),
               "RUNTIME_DIRECTORY": str(self.directory), "LOGS_DIRECTORY": str(self.path)}
        self._process = subprocess.Popen([JOURNALD, f"tarpit-{os.getpid()}"], env=env,
                                         stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._wait_until(self.socket.exists)
            self._wait_until(self._is_held)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_held(self):
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            self._stream.connect(str(self.directory / "stdout"))
            return True
        return False

    def __exit__(self, *_):
        self._stream.close()
        self._process.terminate()
        self._process.wait(LOGGED_SECONDS)
        self._remove()

    @contextlib.contextmanager
    def daemon(self, options=None):
        """It serves; at the end it is stopped, and all that it said is in the journal."""
        with self._daemon(options) as daemon:
            self._wait_until(lambda: "start: version=" in self.read())
            yield daemon
            daemon.stop()
            self._wait_until(lambda: "stop: version=" in self.read())

    def _wait_until(self, is_so):
        end = time.monotonic() + LOGGED_SECONDS
        while not is_so():
            assert self._process.poll() is None, "no journald"
            assert time.monotonic() < end, "journald is silent"
            time.sleep(0.02)

    def read(self, *options):
        """What journalctl prints of the daemon."""
        return subprocess.run(["journalctl", "--no-pager", "-q", "-D", self.path, "-t", "tarpit-milter", *options],
                              capture_output=True, text=True, check=False).stdout

    def as_file(self, stamp):
        """What a syslog daemon's file holds of it, with that form of time stamps."""
        lines = []
        for line in self.read("-o", "json").splitlines():
            entry = json.loads(line)
            when = datetime.datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6).astimezone()
            lines.append(f"{stamp(when)} {entry['_HOSTNAME']} tarpit-milter[{entry['SYSLOG_PID']}]: "
                         f"{entry['MESSAGE']}\n")
        return "".join(lines)


def traditional(when):
    return when.strftime("%b %e %H:%M:%S")


def rfc3339(when):
    return when.isoformat(timespec="microseconds")
