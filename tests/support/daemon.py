# SPDX-License-Identifier: BSD-2-Clause
"""Starts and stops a tarpit-milter of our own, and reads its log."""

import contextlib
import functools
import os
import re
import shutil
import signal
import socket as sockets
import subprocess
import tempfile
import threading
import time
from signal import SIGTERM

from .ports import free_port
from .seccomp import Unit

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")
EVENT = re.compile(r"^(\w+):((?: \w+=(?:\"[^\"]*\"|[^\s\"]+))*)$")
PAIR = re.compile(r"(\w+)=(?:\"([^\"]*)\"|(\S+))")


def binary():
    return os.environ.get("TARPIT_MILTER") or os.path.join(TOP, "build", "tarpit-milter")


def is_sanitized():
    """Whether the daemon was built with a sanitizer: then it is several times slower."""
    with open(binary(), "rb") as program:
        text = program.read()
    return b"__asan_init" in text or b"__tsan_init" in text


@functools.lru_cache(maxsize=None)
def confinement():
    """What puts a daemon under the restrictions of the systemd unit that TARPIT_UNIT names, or None."""
    path = os.environ.get("TARPIT_UNIT")
    return Unit(path).confine if path else None


# What to multiply a bound on the daemon's own work by.
PATIENCE = 5 if os.path.exists(binary()) and is_sanitized() else 1
START_SECONDS = 20
STOP_SECONDS = 3.0 * PATIENCE
POLL_SECONDS = 0.01
# The signals that end a program for a fault of its own.
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS)


def parse_event(line):
    """{"event": ..., key: value, ...} of a log line; None if it is none."""
    match = EVENT.match(line)
    if not match:
        return None
    pairs = ((key, plain or quoted) for key, quoted, plain in PAIR.findall(match[2]))
    return {"event": match[1], **dict(pairs)}


class DaemonFailed(AssertionError):
    pass


class Daemon:
    """with Daemon({"delay_max": "2s"}) as daemon: ... daemon.address

    options: KEY -> VALUE for -o; None leaves out what would be set otherwise. config_text: what the configuration file
    holds, where @DIR@ stands for a directory of its own; write_config() changes it.
    socket: "unix", "inet" or "inet6", or None where options or the file say. args: more arguments.
    mode: "--foreground", "--daemon", or None for neither: it logs by syslog(3) then, and does not detach.
    preexec: called in the new process before the program begins; program: one that is not binary().
    expect_start: False to only run it, where it is to fail at once: see wait().
    It is put under confinement(), unless root starts it to become another user, which systemd does before.
    It remembers nothing over a restart unless options name a memory_file.
    control: True for a control socket, whose path control_path then is; see control.py.
    """

    def __init__(self, options=None, config_text="", socket="unix", args=(), env=None, expect_start=True,
                 mode="--foreground", preexec=None, program=None, control=False):
        self.directory = tempfile.mkdtemp(prefix="tarpit-")
        os.chmod(self.directory, 0o755)
        self.control_path = os.path.join(self.directory, "control.sock") if control else None
        self.config_path = os.path.join(self.directory, "tarpit-milter.conf")
        self.write_config(config_text or "")
        self.socket, self.address = self._choose_socket(socket)
        # Windows so long that no test sees one end.
        own = {"control_socket": self.control_path or '""', "user": "root", "window": "14d", "socket": self.socket,
               "memory_file": '""'}
        options = {**own, **(options or {})}
        settings = [word for key, value in options.items() if value is not None
                    for word in ("-o", f"{key}={value}")]
        self.command = [program or binary(), "-c", self.config_path, *([mode] if mode else []), *settings, *args]
        self._env = {**os.environ, **(env or {})}
        # TSan would have each daemon wait for a second at its end.
        self._env["TSAN_OPTIONS"] = self._env.get("TSAN_OPTIONS", "") + ":atexit_sleep_ms=0"
        self._log_path = os.path.join(self.directory, "log")
        self._expect_start = expect_start
        self._preexec = preexec
        self._confine = confinement() if options["user"] == "root" and program is None else None
        self._status_lock = threading.Lock()
        self.process = None
        self._stopped = False

    def _choose_socket(self, kind):
        if kind == "unix":
            path = os.path.join(self.directory, "milter.sock")
            return f"unix:{path}", path
        if kind == "inet":
            port = free_port()
            return f"inet:{port}@127.0.0.1", ("127.0.0.1", port)
        if kind == "inet6":
            port = free_port(sockets.AF_INET6)
            return f"inet6:{port}@::1", ("::1", port)
        return None, None

    def write_config(self, text):
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text.replace("@DIR@", self.directory))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, kind, _error, _traceback):
        try:
            if kind:
                print(f"--- the end of the log of {self.command[0]}", *self.log_lines()[-60:], sep="\n")
                self.kill()
            elif self._expect_start and not self._stopped:
                self.stop()
            else:
                self.kill()
        finally:
            self._clean_up()

    def start(self):
        starts = len([line for line in self.log_lines("start") if " version=" in line])
        with open(self._log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env,
                start_new_session=True, preexec_fn=self._before_exec)
        self._stopped = False
        if self._expect_start:
            self.wait_for(r"^start: version=", START_SECONDS, starts + 1)

    def _before_exec(self):
        for prepare in self._preexec, self._confine:
            if prepare:
                prepare()

    def _clean_up(self):
        self._report_crash()
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _report_crash(self):
        """Beside what sanitizers report: however the test ends, and whether or not it passes when it is tried again."""
        directory = os.environ.get("TARPIT_REPORTS")
        if directory and self.process and -(self.process.poll() or 0) in CRASHES:
            with open(os.path.join(directory, f"crash.{self.pid}"), "w", encoding="utf-8") as report:
                report.write(f"{self.command[0]} ended with {self.process.returncode}:\n{self._tail()}\n")

    # Its log

    def log_text(self):
        """Its whole lines: of the last one there may be only a part yet."""
        try:
            with open(self._log_path, encoding="utf-8", errors="surrogateescape") as log:
                text = log.read()
        except FileNotFoundError:
            return ""
        return text[:text.rfind("\n") + 1]

    def log_lines(self, event=None):
        lines = self.log_text().splitlines()
        return [line for line in lines if event is None or line.startswith(f"{event}:")]

    def events(self, event=None, **values):
        """The events of that name, as dictionaries, whose keys have these values."""
        parsed = (parse_event(line) for line in self.log_lines(event))
        return [found for found in parsed
                if found and all(found.get(key) == value for key, value in values.items())]

    def wait_for(self, regex, timeout=5.0, count=1):
        """Waits until so many places in the log match (^ and $ match at each line); the last match."""
        pattern = re.compile(regex, re.M)
        end = time.monotonic() + timeout
        while True:
            found = list(pattern.finditer(self.log_text()))
            if len(found) >= count:
                return found[-1]
            self.check()
            if time.monotonic() > end:
                raise DaemonFailed(f"{len(found)} of {count} {regex!r} within {timeout} s:\n{self._tail()}")
            time.sleep(POLL_SECONDS)

    def check(self):
        """It runs, and no sanitizer has found anything."""
        if not self._stopped and self.process.poll() is not None and self._expect_start:
            raise DaemonFailed(f"ended by itself with {self.process.returncode}:\n{self._tail()}")
        report = SANITIZER_REPORT.search(self.log_text())
        if report:
            raise DaemonFailed(f"sanitizer report:\n{self.log_text()[report.start():][:8000]}")

    def _tail(self):
        return "\n".join(self.log_lines()[-40:])

    # Its life

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        """SIGHUP; the new "reload" lines once it has been done or refused."""
        done = r"^reload: (version=|error=\"?\d+ faults?)"
        before, lines = len(re.findall(done, self.log_text(), re.M)), len(self.log_lines("reload"))
        self.signal(signal.SIGHUP)
        self.wait_for(done, 5.0 * PATIENCE, before + 1)
        return self.log_lines("reload")[lines:]

    def status(self):
        """What it says of itself when asked now, as events() has it."""
        with self._status_lock:
            before = len(self.log_lines("status"))
            self.signal(signal.SIGUSR1)
            self.wait_for("^status: ", 5.0 * PATIENCE, before + 1)
            return self.events("status")[before]

    def wait_for_sessions(self, count_open, timeout=30.0):
        """Waits until it knows of no more open sessions than count_open() says: of a session's end it is told late."""
        end = time.monotonic() + timeout
        pause = POLL_SECONDS
        while (known := int(self.status()["sessions"])) > (expected := count_open()):
            if time.monotonic() > end:
                raise DaemonFailed(f"{known} sessions open, not {expected}, after {timeout} s:\n{self._tail()}")
            time.sleep(pause)
            pause = min(2 * pause, 0.2)

    def children(self):
        """The processes that it has started and not yet waited for."""
        found = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{self.pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
        return found

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def wait(self, timeout=START_SECONDS):
        """Its exit status, once it has ended."""
        status = self.process.wait(timeout)
        self._stopped = True
        self.check()
        return status

    def stop(self, number=SIGTERM):
        """Ends it; how many seconds that took. It must end with status 0, and soon."""
        if self._stopped:
            return 0.0
        self.check()
        began = time.monotonic()
        self.signal(number)
        try:
            status = self.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DaemonFailed(f"still there {STOP_SECONDS} s after signal {number}:\n{self._tail()}") from None
        seconds = time.monotonic() - began
        if status != 0:
            raise DaemonFailed(f"ended with {status}:\n{self._tail()}")
        return seconds

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._stopped = True


def run(*args, timeout=20 * PATIENCE, config_text=None, env=None, **kwargs):
    """Runs the program to its end; a CompletedProcess with text. config_text becomes a file, named with -c."""
    with tempfile.TemporaryDirectory(prefix="tarpit-") as directory:
        if config_text is not None:
            path = os.path.join(directory, "tarpit-milter.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(config_text)
            args = ("-c", path, *args)
        return subprocess.run([binary(), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, env={**os.environ, **(env or {})}, check=False,
                              preexec_fn=confinement(), **kwargs)
