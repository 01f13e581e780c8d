# SPDX-License-Identifier: BSD-2-Clause
"""Who reads the log may hang: mail goes on, and what was lost is said."""

import fcntl
import os
import re
import signal
import time

import pytest
from checks import takes_connections, wait_until

from support.control import Control
from support.ctl import ctl_json
from support.daemon import PATIENCE, Daemon
from support.journald import SilentLog
from support.milter import Session

REJECTS = 60
# Nobody waits at a recipient.
OPTIONS = {"stall_at": "{data}", "memcached_timeout": "1s"}
SOON_SECONDS = 3.0 * PATIENCE


STREAMS = {"none": (0, 1, 2), "stdin and stderr": (0, 2), "stderr": (2,)}


def write_much(daemon):
    """Each recipient is a line."""
    with Session(daemon.address, client="198.51.100.7") as harvester:
        harvester.greet()
        for number in range(REJECTS):
            harvester.rcpt(f"nobody{number}@example.org", rejected="5.1.1")


def assert_innocents_are_served(daemon):
    for number in range(4):
        began = time.monotonic()
        with Session(daemon.address, client=f"203.0.113.{number}") as innocent:
            innocent.greet()
            innocent.rcpt("typo@example.org", rejected="5.1.1")
            innocent.rcpt("friend@example.org")
        assert time.monotonic() - began < SOON_SECONDS


def test_hung_log_daemon_holds_up_no_mail(memcached):
    with SilentLog() as log, \
            log.daemon({**memcached.options, **OPTIONS, "control_socket": log.directory / "control.sock"}) as daemon, \
            Control(str(log.directory / "control.sock")) as control:
        for _ in range(20):
            write_much(daemon)
        assert_innocents_are_served(daemon)
        memcached.kill()
        assert_innocents_are_served(daemon)
        lines = []

        def is_loss_told():
            daemon.signal(signal.SIGUSR1)
            lines.extend(log.read())
            return any("lost: nobody took them" in line for line in lines)

        wait_until(is_loss_told, 20)
        told = sum(int(found) for found in re.findall(r'warning="(\d+) log lines? lost', "\n".join(lines)))
        assert 0 < told <= control.ask("status")["warnings"]["log_lines_lost"]
        # In their order; the newest were lost.
        numbers = [int(line.split("rcpt=nobody")[1].split("@")[0]) for line in lines if "rcpt=nobody" in line]
        assert numbers[:REJECTS] == list(range(REJECTS))


def test_hung_log_daemon_holds_up_no_end():
    with SilentLog() as log, log.daemon({**OPTIONS, "store": "memory"}) as daemon:
        write_much(daemon)
        daemon.signal(signal.SIGHUP)
        time.sleep(0.2)
        assert daemon.stop() < SOON_SECONDS


def test_last_words_reach_the_log_daemon():
    with SilentLog() as log, log.daemon({"store": "memory"}) as daemon:
        daemon.stop()
        log.wait_for("stop: version=")


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_stderr_that_nobody_reads_holds_up_no_mail(pipe):
    reader, writer = pipe
    options = {**OPTIONS, "store": "memory", "siege_threshold": "0"}
    with Daemon(options, expect_start=False, preexec=lambda: os.dup2(writer, 2), control=True) as daemon:
        wait_until(lambda: takes_connections(daemon), 20)
        assert ctl_json(daemon, "status")["warnings"]["log_lines_lost"] == 0
        for _ in range(20):
            write_much(daemon)
        assert_innocents_are_served(daemon)
        lost = ctl_json(daemon, "status")["warnings"]["log_lines_lost"]
        os.set_blocking(reader, False)
        text = os.read(reader, 1 << 20).decode("ascii")
        assert text.count("\n") > REJECTS
        with Session(daemon.address, client="203.0.113.9") as innocent:
            innocent.greet()
            innocent.rcpt("typo@example.org", rejected="5.1.1")
        first, second = os.read(reader, 1 << 20).decode("ascii").splitlines()[:2]
        assert first.startswith("limits: warning=") and first.endswith(' log lines lost: nobody took them"')
        assert second.startswith("reject: ")
        assert 0 < int(first.split('"')[1].split()[0]) == lost
        assert daemon.stop() < SOON_SECONDS


@pytest.mark.parametrize("mode", ["--foreground", "--daemon"])
@pytest.mark.parametrize("closed", STREAMS.values(), ids=STREAMS)
def test_closed_streams_are_taken_by_nothing_else(closed, mode, tmp_path):
    """By the pid file, for one, which the log would then be written to."""

    def close_streams():
        for stream in closed:
            os.close(stream)

    pid_file = tmp_path / "pid"
    with Daemon({"store": "memory", "pid_file": str(pid_file)}, expect_start=False, preexec=close_streams,
                mode=mode) as daemon:
        wait_until(lambda: pid_file.exists() and pid_file.read_text(), 20)
        pid = int(pid_file.read_text())
        try:
            if mode == "--daemon":
                assert daemon.process.wait(20) == 0
            wait_until(lambda: takes_connections(daemon), 20)
            assert_innocents_are_served(daemon)
            assert int(pid_file.read_text()) == pid
            with pid_file.open("ab") as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not pid_file.exists(), 20)
