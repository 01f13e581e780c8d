# SPDX-License-Identifier: BSD-2-Clause
"""Stopping in the middle of stalls, storms of signals, and what a reload takes."""

import contextlib
import os
import re
import signal
import threading
import time

import pytest
from checks import (
    AT_MAIL, DELAY, assert_at_once, assert_waited, daemon_with, flag, is_slowed, takes_connections, wait_until)

from support.daemon import PATIENCE, Daemon
from support.milter import Session, finish_all

CLIENT = "192.0.2.1"
MANY = 1000
STOP_BOUND_SECONDS = 1.5 * PATIENCE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_stop_answers_every_stall(number):
    count = MANY if number == signal.SIGTERM else 20
    # A network has a quarter of the budget at most.
    clients = [f"198.18.{number}.1" for number in range(4)]
    options = {"delay_min": "1m", "delay_max": "1m", "mta_timeout": "5m", "max_stalls": str(2 * count),
               "max_flagged_sessions": "0", "stall_at": "{mail}", "log_level": "notice"}
    with Daemon(options) as daemon, contextlib.ExitStack() as stack:
        flag(daemon, *clients)
        sessions = [stack.enter_context(Session(daemon.address, clients[number % 4])) for number in range(count)]
        for session in sessions:
            session.begin_mail()
        daemon.wait_for(rf"^stall: .* active={count}$", 20 * PATIENCE)
        idle = stack.enter_context(Session(daemon.address, "203.0.113.1"))
        assert_at_once(idle.mail())
        daemon.signal(number)
        began = time.monotonic()
        replies = finish_all(sessions)
        last = time.monotonic() - began
        assert daemon.wait() == 0
        seconds = time.monotonic() - began
        assert [reply.action for reply in replies] == ["continue"] * count
        assert last < STOP_BOUND_SECONDS and seconds < STOP_BOUND_SECONDS
        print(f"{count} answered within {last:.3f} s, gone within {seconds:.3f} s")
        assert daemon.events("stop")[0]["released"] == str(count)


@pytest.mark.parametrize("socket", ["unix", "inet"])
def test_stop_without_sessions_is_quick(socket):
    with Daemon(socket=socket) as daemon:
        assert daemon.stop() < STOP_BOUND_SECONDS


def test_released_at_a_stop_is_logged():
    with daemon_with({"delay_min": "1m", "delay_max": "1m", "stall_at": "{mail}"}) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            session.begin_mail()
            daemon.wait_for("^stall: ")
            daemon.stop()
            assert session.finish().action == "continue"
        release = daemon.events("release", client=CLIENT, stage="MAIL", reason="stop")
        assert len(release) == 1 and int(release[0]["waited_ms"]) < 28000


class Traffic:
    """Threads that hold honest sessions, one after the other, until stopped; how many, and what went wrong."""

    def __init__(self, daemon, threads=4):
        self._daemon = daemon
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(f"203.0.113.{number}",)) for number in range(threads)]
        self.served = 0
        self.faults = []

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client):
        try:
            while not self._ends.is_set():
                with Session(self._daemon.address, client) as session:
                    replies = [session.greeting, session.mail(), session.rcpt("known@example.org"), *session.deliver()]
                    session.quit(wait=False)
                # Only the first message earns credit, so that its end is of interest.
                assert [reply.action for reply in replies] in (
                    ["continue"] * 4 + ["accept"], ["continue"] * 3 + ["accept", "unasked"]), replies
                self.served += 1
        except (AssertionError, OSError) as fault:
            self.faults.append(fault)


def test_storm_of_reloads():
    """libmilter would stop at a HUP that reached it."""
    with Daemon({"log_level": "notice"}) as daemon, Traffic(daemon) as traffic:
        began = time.monotonic()
        for _ in range(2000):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.0005)
        print(f"2000 signals in {time.monotonic() - began:.2f} s, {traffic.served} sessions")
        before = traffic.served
        time.sleep(0.5)
        assert not traffic.faults
        assert traffic.served > before > 20
        daemon.check()
        daemon.signal(signal.SIGHUP)
        time.sleep(0.2)
        daemon.check()


def test_signals_back_to_back():
    """The kernel offers a signal to another thread, libmilter's for one, if main has not taken the one before it."""
    with Daemon() as daemon, Traffic(daemon) as traffic:
        for _ in range(3000):
            daemon.signal(signal.SIGUSR1)
            daemon.signal(signal.SIGHUP)
            daemon.signal(signal.SIGPIPE)
            time.sleep(0.0005)
        daemon.wait_for("^status: ")
        daemon.wait_for("^reload: version")
        time.sleep(0.3)
        daemon.check()
    assert not traffic.faults and traffic.served


def blocks_term(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search("^SigBlk:\t(.*)$", status.read(), re.MULTILINE)[1], 16) >> signal.SIGTERM - 1 & 1


def test_signals_during_the_start():
    """libmilter's own thread would take one, and stop."""
    for _ in range(20):
        with Daemon(expect_start=False) as daemon:
            while not blocks_term(daemon.pid):
                assert daemon.process.poll() is None
            ends = time.monotonic() + 0.1
            while time.monotonic() < ends:
                daemon.signal(signal.SIGHUP)
            daemon.wait_for("^start: version")
            daemon.signal(signal.SIGHUP)
            daemon.wait_for("^reload: version")
            with Session(daemon.address, CLIENT) as session:
                assert_at_once(session.greeting)
            daemon.stop()


def test_stop_during_the_start(tmp_path):
    """At any moment from the first file on that it leaves."""
    pid_file = tmp_path / "pid"
    for number in range(60 // PATIENCE):
        with Daemon({"pid_file": str(pid_file)}, expect_start=False) as daemon:
            while not pid_file.exists():
                assert daemon.process.poll() is None
            time.sleep(number % 20 * 0.0003)
            daemon.signal(signal.SIGTERM)
            begun = time.monotonic()
            assert daemon.wait() == 0
            assert time.monotonic() - begun < STOP_BOUND_SECONDS
        assert not pid_file.exists() and not os.path.exists(daemon.address)


@pytest.mark.parametrize("before", [signal.SIGHUP, signal.SIGUSR1], ids=["HUP", "USR1"])
def test_stop_right_after_another_signal(before):
    for _ in range(10):
        with daemon_with({"delay_min": "1m", "delay_max": "1m", "stall_at": "{mail}"}) as daemon:
            flag(daemon, CLIENT)
            with Session(daemon.address, CLIENT) as session:
                session.begin_mail()
                daemon.wait_for("^stall: ")
                daemon.signal(before)
                daemon.stop()
                assert session.finish().action == "continue"


def test_stop_right_after_the_start():
    for _ in range(20):
        with Daemon() as daemon:
            assert daemon.stop() < STOP_BOUND_SECONDS


def test_usr1_logs_the_status():
    with daemon_with(AT_MAIL, {"delay_min": "3s", "delay_max": "3s"}) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            session.begin_mail()
            daemon.wait_for("^stall: ")
            status = daemon.status()
            assert status.items() >= {"mode": "enforce", "store": "memory", "stalls": "1", "max_stalls": "40",
                                      "sessions": "1"}.items()
            assert int(status["uptime_s"]) < 60
            assert session.finish().action == "continue"


@pytest.mark.parametrize("level", ["warning", "err"])
def test_usr1_logs_the_status_whatever_the_level(level):
    with Daemon({"log_level": level}, expect_start=False) as daemon:
        wait_until(lambda: takes_connections(daemon))
        with Session(daemon.address, CLIENT) as session:  # once it is answered, signals are waited for
            assert_at_once(session.greeting)
        assert daemon.status()["mode"] == "enforce"
        assert not daemon.log_lines("start")[1:], "beside the warning that it runs as root"
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


# Reload

def test_reload_takes_what_can_change():
    with Daemon(config_text="delay_min = 600ms\ndelay_max = 600ms\njitter = 0\nstall_at = {mail}\n") as daemon:
        flag(daemon, CLIENT)
        assert is_slowed(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as old:
            daemon.write_config("delay_min = 1200ms\ndelay_max = 1200ms\njitter = 0\nstall_at = {mail}\n"
                                "max_stalls = 7\nmode = enforce\nlog_level = debug\n")
            assert "needs_restart" not in daemon.reload()[-1]
            assert_waited(old.mail(), DELAY)  # a session keeps what it began with
            assert daemon.events("stall")[-1]["delay_ms"] == "600"
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail(), 1.2)
        daemon.signal(signal.SIGUSR1)
        daemon.wait_for("^status: .*max_stalls=7 ")

        daemon.write_config('mode = observe\nstall_at = {mail}\n')
        daemon.reload()
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.mail())

        daemon.write_config(f'exempt_clients = {{"{CLIENT}"}}\n')
        daemon.reload()
        with Session(daemon.address, CLIENT) as session:
            assert session.greeting.action == "accept"

        daemon.write_config("threshold = 100\n")
        daemon.reload()
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting, session.mail())


def test_reload_reads_exempt_files_again():
    with daemon_with(AT_MAIL) as daemon:
        path = f"{daemon.directory}/friends"
        with open(path, "w", encoding="ascii") as friends:
            friends.write("198.51.100.0/24\n")
        daemon.write_config(f'exempt_clients = {{"@{path}"}}\n')
        daemon.reload()
        for client, action in (("198.51.100.1", "accept"), (CLIENT, "continue")):
            with Session(daemon.address, client) as session:
                assert session.greeting.action == action
        with open(path, "a", encoding="ascii") as friends:
            friends.write(f"{CLIENT} # a friend\n")
        daemon.reload()
        with Session(daemon.address, CLIENT) as session:
            assert session.greeting.action == "accept"


FIXED = {
    "socket": "unix:@DIR@/other.sock", "socket_mode": "0600", "user": "nobody", "store": "memcached",
    "memcached_servers": '{"127.0.0.1:1"}', "control_socket": '"@DIR@/control.sock"', "pid_file": '"@DIR@/pid"',
    "metrics_listen": '"127.0.0.1:9"',
}


def test_reload_says_what_needs_a_restart_and_keeps_it():
    text = "socket = unix:@DIR@/milter.sock\nuser = root\ndelay_min = 600ms\ndelay_max = 600ms\nstall_at = {mail}\n"
    with Daemon({"user": None, "control_socket": None}, socket=None, config_text=text) as daemon:
        daemon.address = f"{daemon.directory}/milter.sock"
        flag(daemon, CLIENT)
        daemon.write_config("".join(f"{key} = {value}\n" for key, value in FIXED.items()) + "mode = observe\n")
        daemon.reload()
        found = daemon.events("reload")[-1]
        assert set(found["needs_restart"].split()) == set(FIXED)
        assert found["store"] == "memory" and found["mode"] == "observe"
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting, session.mail())
        daemon.write_config(text)
        daemon.reload()
        assert "needs_restart" not in daemon.events("reload")[-1]
        assert is_slowed(daemon, CLIENT)


def test_reload_that_needs_a_restart_is_a_warning():
    with Daemon(config_text="log_level = info\n") as daemon:
        daemon.write_config("log_level = warning\n")
        daemon.signal(signal.SIGHUP)
        daemon.status()
        daemon.write_config("log_level = warning\npid_file = /tmp/none\n")
        assert daemon.reload()[-1].endswith(" needs_restart=pid_file")
        daemon.write_config("log_level = warning\n")
        daemon.signal(signal.SIGHUP)
        daemon.status()
        assert len(daemon.log_lines("reload")) == 1


def test_faulty_configuration_changes_nothing_at_a_reload():
    with Daemon(AT_MAIL, config_text="threshold = 5\n") as daemon:
        flag(daemon, CLIENT)
        daemon.write_config("threshold = 100\nnonsense = 1\nmax_stalls = 0\n")
        lines = daemon.reload()
        assert any(f"{daemon.config_path}:2: nonsense: " in line for line in lines)
        assert any(f"{daemon.config_path}:3: max_stalls: " in line for line in lines)
        assert is_slowed(daemon, CLIENT)
        daemon.write_config("threshold = {\n")
        daemon.reload()
        assert is_slowed(daemon, CLIENT)


def test_configuration_that_is_gone_changes_nothing_at_a_reload():
    with Daemon(AT_MAIL) as daemon:
        flag(daemon, CLIENT)
        os.unlink(daemon.config_path)
        daemon.reload()
        assert re.search(r"\b1 faults?\b", daemon.log_lines("reload")[-1])
        assert is_slowed(daemon, CLIENT)
