# SPDX-License-Identifier: BSD-2-Clause
"""tarpitctl top in a real terminal, tmux's: what it shows, how it ends, and what it bears."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

import pytest
from checks import daemon_with, flag

from support.ctl import program, tarpitctl
from support.daemon import PATIENCE
from support.fake_control import FakeControl, Stall, entry
from support.milter import Session
from support.tmux import PROMPT, Terminal

EX_REFUSED, EX_USAGE, EX_UNAVAILABLE = 1, 64, 69
HOSTILE = "\x1b[2J\x1b]0;stolen\x07\x9b31m\u202e\r\n\x0e"
BAR = re.compile(r"\[([█▏▎▍▌▋▊▉#]*) *\]")


@pytest.fixture(name="fake")
def fake_daemon():
    """A daemon that says what a test wants it to."""
    with tempfile.TemporaryDirectory(prefix="tarpit-") as directory, FakeControl(f"{directory}/c") as fake:
        fake.clients = [entry(f"192.0.2.{number}/32", effective_score=20.25 - number) for number in range(12)]
        yield fake


@contextlib.contextmanager
def top(path, columns=80, rows=24, env=None, first="tarpit-milter"):
    """A terminal in which it runs, and has begun."""
    with Terminal(columns, rows, env) as terminal:
        terminal.run(program(), "-S", path, "top")
        terminal.wait_for(first)
        yield terminal


def row_of(terminal, start):
    """The line that begins so, once it is there."""
    return terminal.wait_until(
        lambda text: next((line for line in text.split("\n") if line.startswith(start)), None), what=repr(start))


def eighths(line):
    """How long the bar in it is."""
    filled = BAR.search(line)[1]
    return 8 * filled.count("█") + 8 * filled.count("#") + sum("▏▎▍▌▋▊▉".find(c) + 1 for c in filled)


def quit_with(terminal, *keys, status=0):
    """It ends with that status, and leaves the terminal as it was."""
    terminal.press(*keys)
    assert_over(terminal, status)


def assert_over(terminal, status=0):
    terminal.wait_for(f"status:{status}\n{PROMPT.strip()}")
    assert terminal.ask("alternate_on") == "0" and terminal.ask("cursor_flag") == "1"
    assert "STALLED" not in terminal.text()


# What is to be seen

def test_a_screen_of_80x24(fake):
    fake.status.update(sessions=1008, store="memcached", store_state="degraded",
                       servers=[{"server": "127.0.0.1:11211", "state": "up"},
                                {"server": "127.0.0.1:11212", "state": "down"}])
    fake.stalls = [Stall("198.51.100.7", 60000, "CONNECT"), Stall("192.0.2.1", 30000)]
    with top(fake.path) as terminal:
        lines = terminal.wait_until(lambda text: "WORST CLIENTS" in text and text.split("\n"))
        assert len(lines) == 24 and max(map(len, lines)) <= 80
        assert re.fullmatch(r" tarpit-milter 0\.1\.0  enforce  up 3 d 04:05 +\d\d:\d\d:\d\d", lines[0])
        assert lines[1] == " Store     memcached degraded   127.0.0.1:11211 up  127.0.0.1:11212 down"
        assert re.fullmatch(r" Sessions  \[█{7}▎ +\]    1008 of 4032    Clients        17", lines[2])
        assert re.fullmatch(r" Stalls    \[█▌ +\]       2 of 40      Flagged         2", lines[3])
        assert lines[5].split() == "SESSIONS REJECTS FLAGS STALLS DEFERRED PASSED STORE FAILED".split()
        assert lines[9].split() == ["STALLED", "NOW", "STAGE", "SCORE", "REMAINS"]
        assert re.fullmatch(r" 198\.51\.100\.7 +CONNECT +6\.25 \[█+.? *\]  5\d\.\d s", lines[10])
        assert re.fullmatch(r" 192\.0\.2\.1 +RCPT +6\.25 \[█+.? *\]  2\d\.\d s|.* 30\.0 s", lines[11])
        assert lines[14].split()[:4] == ["WORST", "CLIENTS", "BAD", "GOOD"]
        for number in range(8):
            assert lines[15 + number].split() == [
                f"192.0.2.{number}/32", "8.25", "1.00", f"{20.25 - number:.2f}", "6.25", "2", "yes", "5.9", "s"]
        assert lines[23] == " q quit   p pause"


def test_bars_run_down_smoothly(fake):
    """Between two answers too, which a second lies between."""
    fake.stalls = [Stall("192.0.2.1", 20000)]
    seen = []
    with top(fake.path) as terminal:
        row_of(terminal, " 192.0.2.1 ")
        asked, end = fake.asked["stalls"], time.monotonic() + 3
        while time.monotonic() < end:
            seen.append(eighths(row_of(terminal, " 192.0.2.1 ")))
        answers = fake.asked["stalls"] - asked
        fake.stalls = []
        terminal.wait_for("nobody")
    assert seen == sorted(seen, reverse=True), "it grew"
    assert len(set(seen)) > answers + 2, (seen, answers)


def test_rates(fake):
    with top(fake.path) as terminal:
        row_of(terminal, " per second         -        -")
        terminal.wait_for("per second       0.0      0.0")
        fake.counters.update(sessions_opened=1000, rejects=500, store_failures=20)
        rates = terminal.wait_until(lambda text: re.search(
            r"per second +(\d+\.\d) +(\d+\.\d) +0\.0 +0\.0 +0\.0 +0\.0 +0\.0 +([1-9]\d*\.\d)", text))
        sessions, rejects, failures = map(float, rates.groups())
        assert 0 < sessions <= 1050 and abs(sessions / rejects - 2) < 0.1 and abs(sessions / failures - 50) < 2
        assert row_of(terminal, " in all").split() == ["in", "all", "1000", "500", "0", "0", "0", "0", "0", "20"]
        terminal.wait_for("per second       0.0      0.0")


def test_it_asks_once_a_second_on_one_connection(fake):
    with top(fake.path) as terminal:
        terminal.wait_for("per second       0.0")
        before = dict(fake.asked)
        time.sleep(2.5)
        assert fake.connections == 1
        assert all(1 <= fake.asked[command] - before[command] <= 3 for command in ("status", "stalls", "list"))


@pytest.mark.parametrize("env", [{"LC_ALL": "C"}, {"TERM": "linux"}, {"TERM": "vt100", "LC_ALL": "POSIX"}])
def test_plain_terminals(fake, env):
    fake.stalls = [Stall("192.0.2.1", 60000)]
    with top(fake.path, env=env) as terminal:
        assert re.search(r"\[#{20,} *\]", row_of(terminal, " 192.0.2.1 "))
        assert terminal.text().isascii()
        terminal.press("q")
        terminal.wait_for(f"status:0\n{PROMPT.strip()}")
        assert "p pause" not in terminal.text()


def test_colours(fake):
    def colours(**env):
        with top(fake.path, env={"TERM": "screen-256color", **env}) as terminal:
            terminal.wait_for("WORST")
            return set(re.findall(r"\x1b\[(?:\d+;)*(3[1-7])m", "\n".join(terminal.lines(colours=True))))

    fake.status["store_state"] = "down"
    fake.stalls = [Stall("192.0.2.1", 60000)]
    assert colours() >= {"31", "32", "36"}
    assert not colours(NO_COLOR="1")


# Sizes

def test_any_size(fake):
    fake.stalls = [Stall(f"192.0.2.{number}", 100000) for number in range(30)]
    with top(fake.path) as terminal:
        for columns, rows in [(40, 10), (132, 50), (20, 5), (1, 1), (300, 3), (2, 100), (80, 24)]:
            terminal.resize(columns, rows)
            pattern = r" tarpit-milter .*\n q quit   p pause" if columns >= 17 else ".*"
            lines = terminal.wait_until(lambda text, rows=rows, pattern=pattern: (
                re.fullmatch(pattern, text, re.S) and text.count("\n") == rows - 1 and text.split("\n")))
            if columns == 40:
                assert re.search(r" Stalls    \[.+\]      30 of 40", lines[2])
                assert lines[3] == " STALLED NOW                    REMAINS"
                assert re.fullmatch(r" 192\.0\.2\.\d+ +\[.+\]  9\d\.\d s", lines[4])
                assert lines[6] == " WORST CLIENTS            SCORE   DELAY"
            if columns == 132:
                assert re.fullmatch(r" 192\.0\.2\.\d+ +RCPT +6\.25 \[.+\]  9\d\.\d s of 100\.0 s", lines[10])
                assert lines[10:40].count("") < 2 and " 192.0.2.11/32" in terminal.text()
        terminal.wait_for("WORST CLIENTS")
        quit_with(terminal, "q")


def test_many_sizes_quickly(fake):
    with top(fake.path) as terminal:
        for number in range(60):
            terminal.resize(1 + number * 37 % 150, 1 + number * 23 % 60)
        terminal.resize(80, 24)
        terminal.wait_for("WORST CLIENTS")
        quit_with(terminal, "q")


# How it ends

def test_keys_that_quit(fake):
    with Terminal(140) as terminal:
        terminal.run("stty", "-g")
        before = terminal.wait_until(lambda text: re.search(r"\n(\S+:\S+)\nstatus:0", text))[1]
        for number, key in enumerate(["q", "Q", "Escape", "C-c"]):
            terminal.run(program(), "-S", fake.path, "top")
            terminal.wait_for("STALLED")
            assert terminal.ask("alternate_on") == "1" and terminal.ask("cursor_flag") == "0"
            quit_with(terminal, key)
            terminal.run("stty", "-g")
            terminal.wait_until(lambda text, number=number: text.count(before) == number + 2)


def test_other_keys_do_nothing(fake):
    with top(fake.path) as terminal:
        terminal.wait_for("WORST CLIENTS")
        terminal.press("Up", "Down", "F5", "x", "Enter", "C-l", "PageUp", "Home")
        terminal.press("p")
        terminal.wait_for("PAUSED")
        quit_with(terminal, "q")


def test_signals_leave_the_terminal_as_it_was(fake):
    with Terminal() as terminal:
        shell = terminal.ask("pane_pid")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            terminal.run(program(), "-S", fake.path, "top")
            terminal.wait_for("WORST CLIENTS")
            with open(f"/proc/{shell}/task/{shell}/children", encoding="ascii") as children:
                os.kill(int(children.read()), number)
            assert_over(terminal, 128 + number)


def test_suspend_and_resume(fake):
    with top(fake.path) as terminal:
        terminal.wait_for("WORST CLIENTS")
        terminal.press("C-z")
        terminal.wait_until(lambda text: "Stopped" in text and text.endswith(PROMPT.strip()))
        assert terminal.ask("alternate_on") == "0"
        time.sleep(3)  # what is silence otherwise
        terminal.run("fg")
        terminal.wait_until(lambda text: "WORST CLIENTS" in text or "No answer" in text)
        assert "No answer" not in terminal.text()
        assert terminal.ask("alternate_on") == "1"
        quit_with(terminal, "q")


def test_pause(fake):
    fake.stalls = [Stall("192.0.2.1", 100000)]
    with top(fake.path) as terminal:
        row_of(terminal, " 192.0.2.1 ")
        terminal.press("p")
        terminal.wait_for("PAUSED")
        terminal.wait_for("p go on")
        time.sleep(0.3)
        before, asked = terminal.text(), dict(fake.asked)
        time.sleep(1.5)
        assert terminal.text() == before and fake.asked == asked
        terminal.press("p")
        terminal.wait_until(lambda text: "PAUSED" not in text and "p pause" in text)
        terminal.wait_until(lambda _: fake.asked["status"] > asked["status"])
        assert row_of(terminal, " 192.0.2.1 ") not in before


# The daemon goes, and comes

def test_daemon_gone_and_back(fake):
    fake.stalls = [Stall("192.0.2.1", 100000)]
    with top(fake.path) as terminal:
        row_of(terminal, " 192.0.2.1 ")
        fake.stop()
        alarm = row_of(terminal, " No answer since ")
        assert re.match(r" No answer since \d\d:\d\d:\d\d \(\d s\), trying again: there is no such socket: is", alarm)
        # What was, stands still.
        before = row_of(terminal, " 192.0.2.1 ")
        time.sleep(0.8)
        assert row_of(terminal, " 192.0.2.1 ") == before
        fake.stalls = []
        fake.start()
        terminal.wait_until(lambda text: "No answer" not in text and "nobody" in text)
        quit_with(terminal, "q")


def test_hung_up_on_it_connects_again_at_once(fake):
    with top(fake.path) as terminal:
        seen = []
        for number in range(2, 4):
            asked = fake.asked["status"]
            fake.hang_up()
            # Twice: then it has had its first answers on the new connection.
            terminal.wait_until(lambda text, number=number, asked=asked: seen.append(text) or (
                fake.connections == number and fake.asked["status"] >= asked + 2))
        assert not any("No answer" in text for text in seen)


def test_silent_daemon(fake):
    """The keys are heard though it is waited for."""
    with top(fake.path) as terminal:
        terminal.wait_for("per second       0.0")
        fake.silent = True
        row_of(terminal, " No answer since ")
        assert "tarpit-milter is silent" in terminal.text()
        fake.silent = False
        terminal.wait_until(lambda text: "No answer" not in text)
        fake.silent = True
        row_of(terminal, " No answer since ")
        began = time.monotonic()
        quit_with(terminal, "q")
        assert time.monotonic() - began < 2 * PATIENCE
        fake.silent = False


def test_answers_that_are_none(fake):
    with top(fake.path, 120) as terminal:
        for answer, reason in [(b"no JSON", "no JSON"), (b"[]", "no JSON object"), (b"{}", "does not answer that"),
                               (b'{"ok":false,"error":"' + b"x" * 1000 + b'"}', ": xxxxxx")]:
            fake.raw["stalls"] = answer
            terminal.wait_until(lambda text, reason=reason: reason in text.split("\n")[1])
        del fake.raw["stalls"]
        terminal.wait_until(lambda text: "No answer" not in text)


def test_hostile_answers(fake):
    """What the daemon says never controls the terminal."""
    fake.status.update(version=HOSTILE, mode=HOSTILE, store=HOSTILE, store_state=HOSTILE, sessions=10 ** 18,
                       max_sessions=-5, max_stalls="x", flagged=None, servers=[{"server": HOSTILE}, 5, None],
                       counters={"rejects": 2 ** 63 - 1, "flags": 1e300})
    fake.stalls = [{"client": HOSTILE, "stage": HOSTILE, "remains_ms": 2 ** 63 - 1, "delay_ms": 1, "score": 1e308}, 7,
                   {"client": "x" * 5000, "remains_ms": -1}]
    fake.clients = [entry(HOSTILE, network=HOSTILE, bad="x", sessions=-1, delay_ms=2 ** 63 - 1), None, {}]
    with top(fake.path, 140, 24) as terminal:
        title = terminal.ask("pane_title")
        lines = terminal.wait_until(lambda text: "WORST CLIENTS" in text and text.split("\n"))
        assert terminal.ask("pane_title") == title != "stolen"
        assert lines[0].startswith(" tarpit-milter ?[2J?]0;stolen???31m")
        assert lines[23] == " q quit   p pause"
        fake.raw["status"] = {"ok": False, "error": HOSTILE}
        assert row_of(terminal, " No answer since ").endswith("?[2J?]0;stolen???31m??????")
        assert terminal.ask("pane_title") == title
        quit_with(terminal, "q")


# Where it does not begin

@pytest.mark.parametrize("missing", ["stdin", "stdout"])
def test_needs_a_terminal(fake, missing):
    leader, follower = pty.openpty()
    try:
        streams = {"stdin": follower, "stdout": follower, missing: subprocess.DEVNULL}
        done = subprocess.run([program(), "-S", fake.path, "top"], **streams, stderr=subprocess.PIPE, text=True,
                              timeout=10 * PATIENCE, check=False)
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == EX_USAGE
    assert done.stderr == "tarpitctl: top needs a terminal: take status, stalls and list\n"


def test_needs_a_terminal_without_any(fake):
    result = tarpitctl("top", socket=fake.path)
    assert result.status == EX_USAGE and "needs a terminal" in result.err and not result.out


def test_unknown_terminals(fake):
    with Terminal(140) as terminal:
        for number, (term, reason) in enumerate([
                ("dumb", "top can't move the cursor on the terminal 'dumb' (TERM)"),
                ("", "top needs to know the terminal: TERM is not set")]):
            terminal.run("env", f"TERM={term}", program(), "-S", fake.path, "top")
            terminal.wait_until(lambda text, count=number + 1: text.count(f"\nstatus:{EX_USAGE}\n") == count)
            assert f"tarpitctl: {reason}\n" in terminal.text()


@pytest.mark.parametrize("term", ["no-such-terminal", "../../etc/passwd"])
def test_an_unknown_terminal_is_taken_for_an_ordinary_one(fake, term):
    with Terminal(140) as terminal:
        terminal.run("env", f"TERM={term}", program(), "-S", fake.path, "top")
        terminal.wait_for("tarpit-milter ")
        terminal.press("q")
        terminal.wait_for("status:0")


def test_no_daemon_there(fake):
    fake.stop()
    with Terminal(160) as terminal:
        terminal.run(program(), "-S", fake.path, "top")
        terminal.wait_for(f"status:{EX_UNAVAILABLE}")
        assert f"tarpitctl: {fake.path}: there is no such socket" in terminal.text()
        assert terminal.ask("alternate_on") == "0"


def test_refused(fake):
    fake.raw["status"] = {"ok": False, "status": 1, "error": "you may not ask"}
    with Terminal(160) as terminal:
        terminal.run(program(), "-S", fake.path, "top")
        terminal.wait_for(f"status:{EX_REFUSED}")
        assert "tarpitctl: you may not ask" in terminal.text()


# A terminal without tmux, where each byte can be seen

class BareTerminal:
    """with BareTerminal(path) as terminal: terminal.read(seconds)"""

    def __init__(self, path, columns=80, rows=24):
        self._leader, follower = pty.openpty()
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            [program(), "-S", path, "top"], stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
        os.close(follower)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()
        self.process.kill()
        self.process.wait()

    def resize(self, columns, rows):
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """What it writes in that time."""
        data, end = b"", time.monotonic() + seconds
        while select.select([self._leader], [], [], max(0, end - time.monotonic()))[0]:
            try:
                data += os.read(self._leader, 65536)
            except OSError:  # it has ended
                break
        return data

    def read_until(self, part):
        data, end = b"", time.monotonic() + 10 * PATIENCE
        while part not in data:
            assert time.monotonic() < end and self.process.poll() is None, data[-500:]
            data += self.read(0.05)
        return data

    def write(self, keys):
        os.write(self._leader, keys)

    def hang_up(self):
        if self._leader is not None:
            os.close(self._leader)
        self._leader = None


def test_only_what_changes_is_written(fake):
    """No flicker: the screen is never cleared, and where nothing happens only the clock is written."""
    fake.status["uptime_s"] = 400000
    with BareTerminal(fake.path) as terminal:
        terminal.read_until(b"WORST CLIENTS")
        terminal.read_until(b"0.0")
        terminal.read(0.5)
        written = terminal.read(3)
        assert b"\x1b[2J" not in written and b"\x1b[J" not in written and b"WORST" not in written
        assert 0 < len(written) < 400, written
        terminal.write(b"q")
        assert terminal.process.wait(10 * PATIENCE) == 0


@pytest.mark.parametrize("columns, rows", [(0, 0), (1, 1), (65535, 1), (1, 65535)])
def test_terminals_of_mad_sizes(fake, columns, rows):
    with BareTerminal(fake.path, columns, rows) as terminal:
        terminal.read_until(b"\x1b[")
        terminal.resize(80, 24)
        terminal.read_until(b"WORST CLIENTS")
        terminal.resize(columns, rows)
        terminal.read(0.5)
        terminal.write(b"q")
        terminal.read(0.2)
        assert terminal.process.wait(10 * PATIENCE) == 0


def test_it_ends_with_its_terminal(fake):
    with BareTerminal(fake.path) as terminal:
        terminal.read_until(b"WORST CLIENTS")
        terminal.hang_up()
        assert terminal.process.wait(5 * PATIENCE) in (0, -signal.SIGHUP)


# With the daemon itself

def test_live_daemon():
    client = "192.0.2.77"
    with daemon_with({"delay_min": "60s", "delay_max": "60s", "mta_timeout": "70s", "stall_at": "{mail}"},
                     control=True) as daemon:
        flag(daemon, client)
        with top(daemon.control_path) as terminal, Session(
                daemon.address, client) as session:
            terminal.wait_for(f"{client}/32")
            assert re.search(r"\b1 of 40\b", row_of(terminal, " Stalls    ")) is None
            session.helo()
            session.begin_mail()
            stall = row_of(terminal, f" {client} ")
            assert re.fullmatch(r" 192\.0\.2\.77 +MAIL +5\.00 \[█+.? *\]  5\d\.\d s|.*60\.0 s", stall)
            assert re.search(r" 1 of 40 ", row_of(terminal, " Stalls    "))
            listed = row_of(terminal, f" {client}/32").split()
            assert listed[1:4] == ["5.00", "0.00", "5.00"] and "yes" in listed
            daemon.stop()
            row_of(terminal, " No answer since ")
            daemon.start()
            terminal.wait_until(lambda text: "No answer" not in text and "nobody" in text)
            quit_with(terminal, "q")
