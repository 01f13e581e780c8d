# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that logs by syslog(3) to a real journald of our own, or to nobody: in mount namespaces that nobody sees."""

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

from .daemon import Daemon, binary

JOURNALD = "/lib/systemd/systemd-journald"
LOGGED_SECONDS = 20

# A journald that has /run for itself.
RUN_JOURNALD = """\
#!/bin/sh
[ "$1" = inside ] || exec unshare -m "$0" inside
mount --bind {directory}/run /run
exec {program}
"""
# A daemon whose syslog(3) reaches that one.
RUN_DAEMON = """\
#!/bin/sh
[ "$1" = inside ] || exec unshare -m "$0" inside "$@"
set -e
for argument; do
    shift
    case $argument in inside | --foreground) ;; *) set -- "$@" "$argument" ;; esac
done
mount -t tmpfs tmpfs {directory}/dev
for device in null zero random urandom; do
    touch {directory}/dev/$device
    mount --bind /dev/$device {directory}/dev/$device
done
touch {directory}/dev/log
mount --bind {directory}/run/systemd/journal/dev-log {directory}/dev/log
mount --rbind {directory}/dev /dev
exec {program} "$@"
"""


def is_available():
    return os.path.exists(JOURNALD)


class _LogHost:
    """A directory with the socket of a log daemon, and with the programs that are to see it."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tarpit-journal-"))
        for made in "run/systemd/journal", "dev":
            (self.directory / made).mkdir(parents=True)
        self.socket = self.directory / "run/systemd/journal/dev-log"

    def _write_program(self, name, template, program):
        path = self.directory / name
        path.write_text(template.format(directory=self.directory, program=program), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def _daemon(self, options):
        return Daemon(options, program=self._write_program("daemon", RUN_DAEMON, binary()), expect_start=False)

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
        machine = pathlib.Path("/etc/machine-id").read_text(encoding="ascii").strip()
        self.path = self.directory / "run/log/journal" / machine
        self._process = None

    def __enter__(self):
        self.path.mkdir(parents=True)
        program = self._write_program("journald", RUN_JOURNALD, JOURNALD)
        self._process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._wait_until(self.socket.exists)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
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

    @staticmethod
    def _wait_until(is_so):
        end = time.monotonic() + LOGGED_SECONDS
        while not is_so():
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
