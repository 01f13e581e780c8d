# SPDX-License-Identifier: BSD-2-Clause
"""tarpitctl by itself: its command line, its manual and completion, daemons that lie, terminals and pipes."""

import contextlib
import functools
import json
import os
import pathlib
import pty
import re
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import AT_MAIL, daemon_with, flag
from needs import as_root

from support.control import frame
from support.ctl import ctl, ctl_json, program, tarpitctl
from support.daemon import PATIENCE, TOP, Daemon
from support.tmux import Terminal

CLIENT = "192.0.2.1"
KEY = "192.0.2.1/32"
NOBODY = 65534
MANUAL = pathlib.Path(TOP, "packaging", "tarpitctl.8")
COMPLETION = os.path.join(TOP, "packaging", "tarpitctl.bash-completion")
TIMEOUT_SECONDS = 10
COMMANDS = ["status", "stalls", "list", "show", "flag", "forgive", "reload", "export", "top", "replay", "setup", "doctor",
            "check"]
REPLAY = "replay", "-c", "/dev/null", os.path.join(TOP, "tests", "logs", "postfix-3.7.log")

@pytest.fixture(name="daemon", scope="module")
def live_daemon():
    """With a client that is flagged."""
    with daemon_with(AT_MAIL, control=True) as daemon:
        flag(daemon, CLIENT)
        yield daemon


class Liar:
    """A daemon that answers each request with those bytes, and then hangs up or, with hang, does not.

    trickle: seconds between one byte and the next. listens: whether it takes the request at all.
    """

    def __init__(self, answer=b"", hang=False, trickle=None, listens=True):
        self._directory = tempfile.TemporaryDirectory(prefix="tarpit-")
        self.path = os.path.join(self._directory.name, "control.sock")
        self._answer, self._hang, self._trickle, self._listens = answer, hang, trickle, listens
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        with socket.socket(socket.AF_UNIX) as wake, contextlib.suppress(OSError):
            wake.connect(self.path)
        self._thread.join()
        self._socket.close()
        self._directory.cleanup()

    def _serve(self):
        connection, _ = self._socket.accept()
        with connection, contextlib.suppress(OSError):
            if self._listens:
                connection.recv(4096)
            for byte in self._answer if self._trickle else ():
                connection.sendall(bytes([byte]))
                if self._ended.wait(self._trickle):
                    return
            if not self._trickle:
                connection.sendall(self._answer)
            if self._hang:
                self._ended.wait()


def assert_harmless(*texts):
    """Nothing that a terminal takes for a command."""
    for text in texts:
        assert re.fullmatch(r"[ -~\n]*", text), repr(text)


# Its command line

def test_help_goes_to_standard_output():
    for option in "-h", "--help":
        result = tarpitctl(option)
        assert result.status == 0 and result.err == ""
        assert result.out.startswith("usage: tarpitctl [-S SOCKET] [--json] COMMAND\n")


def test_help_may_stand_behind_a_command():
    assert tarpitctl("show", "--help").out == tarpitctl("--help").out


def test_version():
    for option in "-V", "--version":
        result = tarpitctl(option)
        assert result.status == 0 and re.fullmatch(r"tarpitctl \d\S+\njansson \d\S+\n", result.out), result


@pytest.mark.parametrize("args", [
    (), ("",), ("frobnicate",), ("Status",), ("-x",), ("--frobnicate", "status"), ("status", "-x"), ("status", "more"),
    ("-S",), ("show",), ("show", CLIENT, CLIENT), ("forgive",), ("flag",), ("flag", CLIENT, "1h", "more"),
    ("show", "-n", "5", CLIENT), ("list", "-n"), ("list", "5"), ("stalls", ""), ("reload", "now"), ("top", "now"),
], ids=" ".join)
def test_wrong_usage(args):
    result = tarpitctl(*args)
    assert result.status == 64 and result.out == ""
    assert "\nusage: tarpitctl [-S SOCKET] [--json] COMMAND\n" in result.err
    for document in tarpitctl("--json", *args), tarpitctl(*args, "--json"):
        assert document.status == document.json["status"] == 64
        assert document.json["ok"] is False and document.json["error"]


@pytest.mark.parametrize("count", ["0", "-1", "1001", "", "x", "5x", "1e2", "99999999999999999999"])
def test_wrong_count(daemon, count):
    result = ctl(daemon, "list", "-n", count, status=64)
    assert result.err == f"tarpitctl: '{count}': -n takes a number from 1 to 1000\n"
    assert ctl_json(daemon, "list", "-n", count, status=64)["status"] == 64


@pytest.mark.parametrize("duration", ["", "x", "-5m", "5 m", "5mm", "5w", "h", "1e3", "0x10", "1h30m", "5,5m"])
def test_what_is_no_duration(daemon, duration):
    result = ctl(daemon, "flag", "--", CLIENT, duration, status=64)
    assert result.err == f"tarpitctl: '{duration}': not a duration (20s, 5m, 4h, 2d, or seconds)\n"


@pytest.mark.parametrize("duration", ["0", "0s", "500ms", "1500ms", "0.5s", "31d", "2592001", "999999999999d"])
def test_duration_out_of_range(daemon, duration):
    result = ctl(daemon, "flag", CLIENT, duration, status=64)
    assert result.err == f"tarpitctl: '{duration}': out of range (whole seconds, 1s to 30d)\n"
    assert ctl_json(daemon, "flag", CLIENT, duration, status=64)["error"] == result.err[len("tarpitctl: "):-1]


@pytest.mark.parametrize("duration, seconds", [
    ("90", 90), ("90s", 90), ("1.5m", 90), ("90000ms", 90), ("4h", 14400), ("2d", 172800), ("30d", 2592000), ("1", 1),
    (None, 14 * 86400)])
def test_duration(daemon, duration, seconds):
    began = int(time.time())
    answer = ctl_json(daemon, "flag", "198.51.100.77", *([duration] if duration else []))
    assert began + seconds <= answer["until"] <= int(time.time()) + seconds, answer


@pytest.mark.parametrize("client", ["", "192.0.2", "192.0.2.1.", "192.0.2.0/33", "example.com", "::g", "a" * 3000])
@pytest.mark.parametrize("command", ["show", "flag", "forgive"])
def test_what_is_no_client(daemon, command, client):
    result = ctl(daemon, command, client, status=64)
    assert result.out == "" and result.err.startswith("tarpitctl: ") and result.err.count("\n") == 1
    assert ctl_json(daemon, command, client, status=64)["ok"] is False


@pytest.mark.parametrize("client", ["\x1b[31m", "192.0.2.1\n", "\x7f\x9b", os.fsdecode(b"\xff\xfe")])
def test_client_that_would_control_the_terminal(daemon, client):
    result = ctl(daemon, "show", client, status=64)
    assert_harmless(result.out, result.err)
    assert_harmless(ctl(daemon, "--json", "show", client, status=64).out)
    assert_harmless(tarpitctl(client).err.replace("\t", ""))


def test_request_that_is_too_long(daemon):
    result = ctl(daemon, "show", "1" * 5000, status=69)
    assert result.err == "tarpitctl: the request is too long\n"


def test_options_behind_the_command(daemon):
    result = tarpitctl("list", "-n", "5", "--json", f"--socket={daemon.control_path}")
    assert result.status == 0 and result.json["ok"] is True


# What it is to say

@pytest.mark.parametrize("args, members", [
    (("status",), {"version", "uptime_s", "mode", "store", "store_state", "servers", "sessions", "max_sessions",
                   "stalls", "max_stalls", "clients", "flagged", "counters"}),
    (("stalls",), {"active", "max_stalls", "stalls"}),
    (("list",), {"clients_total", "clients"}),
    (("show", CLIENT), {"client", "known", "exempt", "score", "threshold", "explanation", "flagged", "delay_ms"}),
    (("flag", "198.51.100.1", "1h"), {"client", "until", "sessions", "shared"}),
    (("forgive", "198.51.100.1"), {"client", "known", "released", "sessions", "shared"}),
    (("reload",), {"needs_restart"}),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_every_command_as_text_and_as_json(daemon, args, members):
    if args[0] == "forgive":
        ctl(daemon, "flag", args[1])
    answer = ctl_json(daemon, *args)
    assert answer["ok"] is True and members <= set(answer), answer
    if args[0] == "forgive":
        ctl(daemon, "flag", args[1])
    result = ctl(daemon, *args)
    assert result.out and result.err == ""
    assert_harmless(result.out)


def test_show_says_the_sentence_first(daemon):
    lines = ctl(daemon, "show", CLIENT).out.splitlines()
    assert lines[0] == ctl_json(daemon, "show", CLIENT)["explanation"]
    assert re.match(r"5(\.00)? bad.*: flagged, next delay 600 ms$", lines[0]), lines[0]
    assert f"  client    {KEY}" in lines and "  flagged   yes" in lines and "  exempt    no" in lines


def test_show_of_a_stranger(daemon):
    result = ctl(daemon, "show", "203.0.113.200", status=1)
    assert "client    203.0.113.200/32, of which nothing is known\n" in result.out
    assert ctl_json(daemon, "show", "203.0.113.200", status=1)["known"] is False


def test_forgive_of_a_stranger(daemon):
    result = ctl(daemon, "forgive", "203.0.113.200", status=1)
    assert result.out == "" and result.err.startswith("tarpitctl: no such client: 203.0.113.200"), result
    assert ctl_json(daemon, "forgive", "203.0.113.200", status=1)["ok"] is False


def test_columns_are_aligned(daemon):
    ctl(daemon, "flag", "2001:db8:1111:2222:3333::1", "1h")
    header, *rows, total = ctl(daemon, "list").out.splitlines()
    assert len(rows) >= 2 and re.fullmatch(rf"{len(rows)} of {len(rows)} clients?", total)
    for title in "SCORE", "BAD", "GOOD", "NETWORK", "DELAY", "SESSIONS":
        end = header.index(title) + len(title)
        assert all(row[end - 1] != " " and row[end:end + 1] == " " for row in rows), (title, header, rows)


# Nobody there

def assert_not_there(path, regex, **kwargs):
    result = tarpitctl("status", socket=path, **kwargs)
    assert result.status == 69 and result.out == "" and re.fullmatch(f"tarpitctl: {regex}\n", result.err), result
    document = tarpitctl("--json", "status", socket=path, **kwargs)
    assert document.status == document.json["status"] == 69 and document.err == ""
    assert document.json == {"ok": False, "status": 69, "error": result.err[len("tarpitctl: "):-1]}


def test_no_socket(tmp_path):
    assert_not_there(str(tmp_path / "no"), r".*/no: .*is tarpit-milter running, and is control_socket the same\?")


def test_nobody_listens():
    with tempfile.TemporaryDirectory(prefix="tarpit-") as directory, socket.socket(socket.AF_UNIX) as left:
        path = os.path.join(directory, "left.sock")
        left.bind(path)
        assert_not_there(path, r".*: is tarpit-milter running, and is control_socket the same\?")


@pytest.mark.parametrize("path", ["", "x" * 200])
def test_what_is_no_path_of_a_socket(path):
    result = tarpitctl("-S", path, "status")
    assert result.status == 69 and "no path of a socket" in result.err


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@as_root
def test_no_permission(daemon):
    assert_not_there(daemon.control_path, r".*: permission denied: you must be root or in the group \S+",
                     preexec_fn=as_nobody)


@as_root
def test_not_one_of_those_who_may(daemon):
    """Whatever the socket's mode is."""
    with Daemon(control=True) as open_daemon:
        os.chmod(open_daemon.control_path, 0o666)
        result = ctl(open_daemon, "status", status=1, preexec_fn=as_nobody)
        assert result.out == "" and result.err.startswith("tarpitctl: ")
        assert ctl_json(open_daemon, "status", status=1, preexec_fn=as_nobody)["ok"] is False


# Daemons that lie

STATUS = {"ok": True, "active": 0, "max_stalls": 1, "stalls": []}


@pytest.mark.parametrize("answer", [
    b"", b"\0", b"\0\0\0\x10", b"\0\0\0\x10{}", b"\0\0\0\0", b"\xff\xff\xff\xff{}", b"HTTP/1.1 400 Bad Request\r\n\r\n",
    frame(b"{"), frame(b"[]"), frame(b"1"), frame(b"null"), frame(b"{}"), frame(b"\xff\xfe"), frame(b"\0"),
    frame(b"[" * 100000), frame(b'{"ok":' + b"[" * 500 + b"]" * 500 + b"}"), frame(b'{"ok":true,"ok":false}'),
    frame({"ok": 1}), frame({"ok": "true"}), frame({"ok": False}), frame({"ok": False, "status": 0, "error": "no"}),
    frame({"ok": False, "status": 256, "error": "no"}), frame({"ok": False, "status": -1, "error": "no"}),
    frame({"ok": False, "status": "1", "error": "no"}), frame({"ok": False, "status": 1}),
    frame({"ok": False, "status": 1, "error": None}), frame({"ok": False, "status": 78, "error": "x", "faults": "y"}),
    frame({"ok": False, "status": 78, "error": "x", "faults": [1]}), frame({"ok": True, "stalls": 5}),
    frame({**STATUS, "stalls": None}), frame({**STATUS, "active": "\x1b[2J"}), frame({**STATUS, "active": 2 ** 63 - 1}),
    frame({**STATUS, "warning": 1}), frame({**STATUS, "status": 1.5}),
], ids=lambda answer: repr(answer[:40]))
def test_answer_that_is_none(answer):
    with Liar(answer) as liar:
        result = tarpitctl("stalls", socket=liar.path)
    assert result.status == 69 and result.out == "" and result.err.startswith("tarpitctl: "), result
    assert_harmless(result.err)
    with Liar(answer) as liar:
        result = tarpitctl("--json", "stalls", socket=liar.path)
    assert_harmless(result.out, result.err)
    json.loads(result.out)


def test_texts_that_would_control_the_terminal():
    evil = "a\x1b[2J\x07\x7f\x9b\r\nb\u202e\ufeff"
    stall = {"client": evil, "stage": evil, "waited_ms": 1, "remains_ms": 1, "score": 1}
    for answer in ({**STATUS, "stalls": [stall], "warning": evil}, {"ok": False, "status": 1, "error": evil},
                   {"ok": False, "status": 78, "error": evil, "faults": [evil, evil]}):
        for options in (), ("--json",):
            with Liar(frame(answer)) as liar:
                result = tarpitctl(*options, "stalls", socket=liar.path)
            assert result.status == answer.get("status", 0)
            assert "a" in result.out + result.err and "[2J" in result.out + result.err
            assert_harmless(result.out, result.err)
        with Liar(frame(answer)) as liar:
            assert tarpitctl("--json", "stalls", socket=liar.path).json == answer


def test_refusal_without_having_listened():
    answer = {"ok": False, "status": 1, "error": "not you"}
    with Liar(frame(answer), listens=False) as liar:
        result = tarpitctl("stalls", socket=liar.path)
    assert result.status == 1 and result.err == "tarpitctl: not you\n"


def test_warning_and_status_of_an_answer_that_is_good():
    answer = {**STATUS, "status": 1, "warning": "memcached could not be told"}
    with Liar(frame(answer)) as liar:
        result = tarpitctl("stalls", socket=liar.path)
    assert result.status == 1 and result.err == "tarpitctl: memcached could not be told\n"
    assert re.search(r"^0 of 1 stalls?\n\Z", result.out, re.M)


def test_numbers_come_through_as_they_are():
    answer = {**STATUS, "a": 0.1, "b": 8.25, "c": 2 ** 53, "d": -1, "e": 1e-7, "f": 123456789.125}
    with Liar(frame(answer)) as liar:
        result = tarpitctl("--json", "stalls", socket=liar.path)
    assert result.json == answer and '"a": 0.1,' in result.out and '"b": 8.25,' in result.out


def test_silence_is_not_waited_for_longer_than_ten_seconds():
    """Nor a daemon that trickles its answer, nor one that does not take the call."""
    with contextlib.ExitStack() as stack:
        liars = [Liar(b"", hang=True), Liar(frame(b"{" + b" " * 1000), trickle=0.5), Liar(b"\0\0\0\x10", hang=True)]
        paths = [stack.enter_context(liar).path for liar in liars]
        with ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda path: tarpitctl("stalls", socket=path), paths))
    for result in results:
        assert result.status == 69 and result.err == "tarpitctl: tarpit-milter has not answered within 10 s\n", result
        assert TIMEOUT_SECONDS - 0.1 <= result.seconds < TIMEOUT_SECONDS + 3 * PATIENCE


# Where it writes to

def test_closed_pipe_is_no_fault(daemon):
    for args in ("list",), ("--json", "status"), ("--help",), ("show", CLIENT), REPLAY, ("--json", *REPLAY):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            result = tarpitctl(*args, socket=daemon.control_path, stdout=writer)
        finally:
            os.close(writer)
        assert result.status == 0 and result.err == "", result


def test_full_disk_is_one(daemon):
    with open("/dev/full", "wb") as full:
        for args in ("list",), ("--json", "status"), ("--help",), ("--version",), REPLAY, ("--json", *REPLAY):
            result = tarpitctl(*args, socket=daemon.control_path, stdout=full)
            assert result.status == 74, result
            assert re.fullmatch("tarpitctl: standard output: (No space left on device|could not be written)\n",
                                result.err), result


def on_terminal(daemon, *args, **env):
    """What tarpitctl writes to a terminal."""
    master, slave = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    with os.fdopen(master, "rb", buffering=0) as screen:
        done = subprocess.run([program(), "-S", daemon.control_path, *args], stdin=slave, stdout=slave,
                              stderr=subprocess.PIPE, timeout=20 * PATIENCE, env={**clean, **env}, check=False)
        os.close(slave)
        text = b""
        with contextlib.suppress(OSError):  # its end
            while more := screen.read(4096):
                text += more
    assert done.returncode == 0, done
    return text.decode()


def test_colour_on_a_terminal_only(daemon):
    for args in ("list",), ("show", CLIENT), ("status",), ("stalls",):
        assert "\x1b[1" in on_terminal(daemon, *args, TERM="xterm")
        plain = [on_terminal(daemon, *args, TERM="xterm", NO_COLOR="1"), on_terminal(daemon, *args, TERM="dumb"),
                 on_terminal(daemon, *args), ctl(daemon, *args, env={"TERM": "xterm"}).out,
                 on_terminal(daemon, "--json", *args, TERM="xterm")]
        assert not any("\x1b" in text for text in plain)
    assert "\x1b[1;31m192.0.2.1/32\x1b[0m" in on_terminal(daemon, "list", TERM="xterm", NO_COLOR="")


# Its manual and completion

def test_commands_of_help_are_those_of_the_manual():
    shown = re.findall(r"^  ([a-z]+)((?: \S+)*?) {2,}\S", tarpitctl("--help").out, re.M)
    manual = MANUAL.read_text(encoding="utf-8")
    items = re.findall(r"^\.It Cm (\w+) ?(.*)$", manual, re.M)
    assert [name for name, _ in shown] == [name for name, _ in items] == COMMANDS
    for (_, arguments), (_, macros) in zip(shown, items):
        words = [word for word in macros.split() if word not in ("Op", "Oo", "Oc", "Fl", "Ar")]
        assert re.findall(r"\w+|\.\.\.", arguments) == words, (arguments, macros)


def test_usage_of_help_and_manual_are_the_same():
    usage = re.match(r"usage: (.*)\n +(.*)\n\n", tarpitctl("--help").out).groups()
    rendered = subprocess.run(["mandoc", "-T", "ascii", str(MANUAL)], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
    rendered = re.sub(r".\x08", "", rendered)
    synopsis = re.search(r"^SYNOPSIS\n(.*?)\n\n", rendered, re.M | re.S)[1]
    assert tuple(line.strip() for line in synopsis.splitlines()) == usage


def options_of(text):
    return set(re.findall(r"--([a-z-]+)", text))


def test_options_of_help_and_manual_are_the_same():
    """Those of replay, of setup, and of doctor and check, stand in sections of their own."""
    manual = MANUAL.read_text(encoding="utf-8")
    own = {name: manual.partition(f"\n.Sh {name.upper()}\n")[2].partition("\n.Sh ")[0]
           for name in ("replay", "setup", "doctor")}
    rest = functools.reduce(lambda text, section: text.replace(section, ""), own.values(), manual)
    for text, args in (rest, []), *((text, [name]) for name, text in own.items()), (own["doctor"], ["check"]):
        described = set(re.findall(r"^\.It.* Fl -([\w-]+)", text, re.M))
        assert options_of(tarpitctl(*args, "--help").out) == described and len(described) > 3


def test_exit_statuses_are_in_the_manual():
    section = MANUAL.read_text(encoding="utf-8").partition(".Sh EXIT STATUS")[2].partition(".Sh")[0]
    described = set(re.findall(r"^\.It (\d+)$", section, re.M))
    assert {"0", "1", "64", "66", "69", "74", "78"} <= described


def complete(line, path=""):
    """The words that bash offers at the end of that line; path: where tarpitctl is found."""
    script = r"""
        source "$1"
        COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
        _tarpitctl tarpitctl '' ''
        printf '%s\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script, "bash", COMPLETION, line], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30 * PATIENCE,
                          env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}"})
    assert done.stderr == ""
    return sorted(done.stdout.split())


def test_completion_of_commands_and_options():
    options = ["--help", "--json", "--socket", "--version", "-S", "-V", "-h"]
    assert complete("tarpitctl ") == sorted(COMMANDS + options)
    assert complete("tarpitctl --json ") == sorted(COMMANDS + options)
    assert complete("tarpitctl s") == ["setup", "show", "stalls", "status"]
    assert complete("tarpitctl -S /x/y f") == ["flag", "forgive"]
    assert complete("tarpitctl list -") == ["--json", "--socket", "-S", "-n"]
    assert complete("tarpitctl status ") == ["--json", "--socket", "-S"]
    assert complete("tarpitctl export --") == ["--format", "--json", "--observe", "--socket", "--timeout"]
    assert complete("tarpitctl export --format ") == ["cidr", "ipset", "json", "nft", "postscreen", "rbldnsd"]
    assert complete("tarpitctl export --timeout ") == []


def test_completion_of_the_options_of_those_with_their_own():
    for command in "replay", "doctor", "check":
        words = {word.lstrip("-") for word in complete(f"tarpitctl {command} --")}
        assert words == options_of(tarpitctl(command, "--help").out)


def test_completion_of_setup():
    assert complete("tarpitctl setup ") == ["postfix", "sendmail"]
    assert complete("tarpitctl setup -n p") == ["postfix"]
    assert complete("tarpitctl setup --config x --mc y ") == ["postfix", "sendmail"]
    assert complete("tarpitctl setup postfix ") == []
    shown = options_of(tarpitctl("setup", "--help").out)
    assert {word[2:] for word in complete("tarpitctl setup postfix --")} == shown


def test_completion_of_files(tmp_path):
    (tmp_path / "mail.log").write_text("")
    (tmp_path / "mail.sock").write_text("")
    both = [f"{tmp_path}/mail.log", f"{tmp_path}/mail.sock"]
    assert complete(f"tarpitctl replay --svg {tmp_path}/m") == both
    assert complete(f"tarpitctl replay {tmp_path}/m") == complete(f"tarpitctl -S {tmp_path}/m") == both
    for option in "--socket=", "replay --svg=", "replay --config=":
        assert complete(f"tarpitctl {option}{tmp_path}/m") == both
        assert complete(f"tarpitctl {option}'{tmp_path}/m") == both


def test_completion_of_files_in_a_terminal(tmp_path):
    """Readline quotes what it takes for a file's name, and goes on in a directory."""
    (tmp_path / "a dir").mkdir()
    for name in "mail one.log", "at 1:2.log":
        (tmp_path / "a dir" / name).write_text("")
    with Terminal(100) as terminal:
        terminal.run("exec", "env", "PS1=$ ", "bash", "--norc")
        terminal.run("cd", str(tmp_path))
        terminal.run("source", COMPLETION)
        for begin in "-S ", "--socket=", "replay ", "replay --svg=":
            for typed, completed in (
                    ("a", r"a\ dir/"), ("'a dir/m", "'a dir/mail one.log' "), (r"a\ dir/m", r"a\ dir/mail\ one.log "),
                    ('"a dir/m', '"a dir/mail one.log" '), (r"a\ dir/at\ 1:", r"a\ dir/at\ 1:2.log ")):
                terminal.press("-l", f"tarpitctl {begin}{typed}\t|")
                terminal.wait_for(f"$ tarpitctl {begin}{completed}|")
                terminal.press("C-c")
                terminal.run("clear")


def test_completion_of_clients(daemon):
    """Of an IPv6 address only what follows the last colon, for readline keeps the rest."""
    ctl(daemon, "flag", "2001:db8:7777::1", "1h")
    begin, path = f"tarpitctl -S {daemon.control_path}", os.path.dirname(program())
    assert complete(f"{begin} forgive 192.0.2.", path) == [KEY]
    assert {KEY, "2001:db8:7777::/64"} <= set(complete(f"{begin} show ", path))
    assert complete(f"{begin} show 2001:db8:7777:", path) == [":/64"]
    assert complete(f"{begin} flag {CLIENT} ", path) == []
    assert KEY in complete(f"{begin} show --json ", path)
    assert KEY in complete(f"tarpitctl forgive -S '{daemon.control_path}' ", path)
    assert complete(f"{begin} show --json {CLIENT} ", path) == []


def test_completion_is_quiet_without_a_daemon(tmp_path):
    assert complete(f"tarpitctl -S {tmp_path}/no show ", os.path.dirname(program())) == []
