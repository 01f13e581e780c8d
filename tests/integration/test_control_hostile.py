# SPDX-License-Identifier: BSD-2-Clause
"""The control socket: who may use it, and that nobody who does holds up mail or grows the daemon."""

import contextlib
import json
import os
import pwd
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

import pytest
from checks import OPTIONS, assert_at_once, flag, wait_until
from needs import as_root

from support.control import Control, ask, frame
from support.daemon import PATIENCE, TOP, Daemon
from support.milter import Session

CLIENT = "192.0.2.1"
STRANGER, STRANGERS = 64321, 64322
CONNECTIONS_MAX = 16
PATIENCE_SECONDS = 10


@pytest.fixture(scope="module")
def victim():
    with Daemon({**OPTIONS, "stall_at": "{mail}", "network_threshold": "0"}, control=True) as daemon:
        # The first session and the first answer of all may open what stays open.
        serves(daemon)
        yield daemon


@pytest.fixture(autouse=True)
def unharmed(request):
    """Whatever a test has done: the daemon serves mail and tarpitctl, has its descriptors back, and no report."""
    if "victim" not in request.fixturenames:
        yield
        return
    daemon = request.getfixturevalue("victim")
    assert ask(daemon, "status")["ok"]
    before = daemon.descriptors()
    yield
    serves(daemon)
    wait_until(lambda: daemon.descriptors() <= before, (PATIENCE_SECONDS + 5) * PATIENCE)
    daemon.check()


def serves(daemon):
    with Session(daemon.address, "203.0.113.1") as session:
        assert_at_once(session.greeting, session.mail(), session.rcpt())
    assert ask(daemon, "status")["ok"]


def memory_kib(daemon):
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def cpu_seconds(daemon):
    with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connect(daemon):
    return Control(daemon.control_path)


# Requests that are none

def nested(depth):
    return b'{"command":' + b"[" * depth + b"]" * depth + b"}"


BROKEN = {
    "text": b"status\r\n",
    "one byte": b"{",
    "zeros": bytes(100),
    "noise": bytes(range(256)) * 4,
    "not an object": b'["status"]',
    "a string": b'"status"',
    "no command": b"{}",
    "command of another kind": b'{"command": ["status"]}',
    "cut": b'{"command": "status"',
    "two objects": b'{"command": "status"}{"command": "status"}',
    "two commands": b'{"command": "status", "command": "reload"}',
    "unknown command": b'{"command": "shutdown"}',
    "unknown member": b'{"command": "status", "verbose": true}',
    "NUL": b'{"command": "status"}\0',
    "NUL in a string": b'{"command": "status\0"}',
    "escaped NUL in a string": b'{"command": "status\\u0000"}',
    "not UTF-8": b'{"command": "\xff\xfe"}',
    "cut UTF-8": b'{"command": "\xe2\x82"}',
    "surrogate": b'{"command": "\\ud800"}',
    "deep": nested(30),
    "very deep": nested(2000),
    "never closed": b"[" * 4096,
    "long": b'{"command": "' + b"x" * 4080 + b'"}',
    "escape sequences": b'{"command": "\\u001b]0;owned\\u0007"}',
    "huge number": b'{"command": "list", "count": ' + b"9" * 1000 + b"}",
    "huge exponent": b'{"command": "list", "count": 1e99999}',
    "client of another kind": b'{"command": "forgive", "client": {"client": "192.0.2.1"}}',
    "client that is a name": b'{"command": "forgive", "client": "../../etc/passwd"}',
    "client with a format": b'{"command": "forgive", "client": "%s%n%s%n"}',
}


@pytest.mark.parametrize("kind", list(BROKEN))
def test_broken_request_is_refused(victim, kind):
    with connect(victim) as control:
        control.send(BROKEN[kind])
        answer = control.receive()
        assert answer.keys() == {"ok", "status", "error"}
        assert answer["ok"] is False and answer["status"] == 64
        assert answer["error"].isascii() and answer["error"].isprintable()
        # The connection is none the worse.
        assert control.ask("status")["ok"]


@pytest.mark.parametrize("length", [0, 4097, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_frame_of_impossible_length_ends_the_connection(victim, length):
    before = memory_kib(victim)
    with connect(victim) as control:
        control.socket.sendall(struct.pack(">I", length) + b'{"command":"status"}')
        answer = control.receive()
        assert (answer["ok"], answer["status"]) == (False, 64)
        assert control.is_closed()
    assert memory_kib(victim) - before < 2000 * PATIENCE


def test_frame_of_full_length_is_taken(victim):
    request = b'{"command":"status"}'
    with connect(victim) as control:
        control.send(request + b" " * (4096 - len(request)))
        assert control.receive()["ok"]


def test_requests_one_after_the_other(victim):
    with connect(victim) as control:
        for _ in range(100):
            assert control.ask("stalls")["ok"]


def test_requests_all_at_once(victim):
    with connect(victim) as control:
        control.socket.sendall(frame({"command": "status"}) * 50 + frame({"command": "nonsense"}) * 50)
        assert [control.receive()["ok"] for _ in range(100)] == [True] * 50 + [False] * 50


def test_request_in_single_bytes(victim):
    with connect(victim) as control:
        for byte in frame({"command": "status"}):
            control.socket.sendall(bytes([byte]))
            time.sleep(0.005)
        assert control.receive()["ok"]


def test_half_closed_client_gets_its_answers(victim):
    with connect(victim) as control:
        control.socket.sendall(frame({"command": "status"}) * 2)
        control.socket.shutdown(socket.SHUT_WR)
        assert control.receive()["ok"] and control.receive()["ok"]
        assert control.receive() is None


def test_client_that_leaves_in_the_middle(victim):
    for text in (b"", b"\0", frame(b"x")[:4], frame({"command": "status"})[:-1], frame({"command": "status"})):
        for _ in range(20):
            with connect(victim) as control:
                control.socket.sendall(text)


def test_descriptors_sent_along_are_not_kept(victim):
    with connect(victim) as control, open("/dev/null", "rb") as null:
        for byte in frame({"command": "status"}):
            socket.send_fds(control.socket, [bytes([byte])], [null.fileno()] * 10)
        assert control.receive()["ok"]
        wait_until(lambda: sum("null" in os.readlink(f"/proc/{victim.pid}/fd/{number}")
                               for number in os.listdir(f"/proc/{victim.pid}/fd")) <= 1)


# Clients that take their time, and many of them

def drip(control, stop):
    """Sends a request that never ends."""
    with contextlib.suppress(OSError):
        control.socket.sendall(struct.pack(">I", 4096))
        while not stop.wait(0.05):
            control.socket.sendall(b" ")


def test_slow_clients_hold_nobody_up_and_are_hung_up_on(victim):
    """One of each kind at a time: their time is up ten seconds after they began, whatever they do meanwhile."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        silent, half, dripping, deaf = (stack.enter_context(connect(victim)) for _ in range(4))
        began = time.monotonic()
        half.socket.sendall(frame({"command": "status"})[:10])
        dripper = threading.Thread(target=drip, args=(dripping, stop))
        dripper.start()
        stack.callback(dripper.join)
        stack.callback(stop.set)
        fill(deaf)
        slowest = 0.0
        while time.monotonic() - began < 3:
            with Session(victim.address, CLIENT) as session:
                assert_at_once(session.greeting, session.mail(), session.rcpt())
                slowest = max(slowest, session.greeting.seconds)
            asked = time.monotonic()
            assert ask(victim, "status")["ok"]
            slowest = max(slowest, time.monotonic() - asked)
        assert slowest < 1.0 * PATIENCE
        assert silent.is_closed() and half.is_closed()
        assert time.monotonic() - began >= 0.9 * PATIENCE_SECONDS
        wait_until(lambda: not dripper.is_alive())
        drain(deaf)


def fill(control):
    """Asks, and does not read what is answered, until nothing more can be asked."""
    requests = frame({"command": "list", "count": 1000}) * 50
    control.socket.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            control.socket.send(requests)


def drain(control):
    """Reads until the other end has hung up."""
    control.socket.settimeout(PATIENCE_SECONDS * 2)
    with contextlib.suppress(ConnectionResetError):
        while control.socket.recv(1 << 20):
            pass


def test_clients_that_never_read_cost_little_memory():
    # ASan keeps what is freed.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    with Daemon({**OPTIONS, "stall_at": "{mail}", "network_threshold": "0", "threshold": "1", "log_level": "notice"},
                control=True, env=env) as daemon, contextlib.ExitStack() as stack:
        for number in range(1000 // PATIENCE):
            flag(daemon, f"198.51.{number >> 8}.{number & 255}", count=1)
        answer = ask(daemon, "list", count=1000)
        assert len(answer["clients"]) == 1000 // PATIENCE
        size = len(json.dumps(answer))
        assert size > 100000 // PATIENCE
        before = memory_kib(daemon)
        for _ in range(40):
            fill_once(stack.enter_context(connect(daemon)))
        assert memory_kib(daemon) - before < 12000 * PATIENCE
        serves(daemon)


def fill_once(control):
    control.socket.sendall(frame({"command": "list", "count": 1000}) * 20)
    time.sleep(0.02)


def test_many_connections_leave_room_for_the_newest(victim):
    before = victim.descriptors()
    with contextlib.ExitStack() as stack:
        for number in range(200):
            control = stack.enter_context(connect(victim))
            if number % 10 == 0:
                assert control.ask("status")["ok"]
                serves(victim)
        assert victim.descriptors() <= before + CONNECTIONS_MAX + 2


def test_one_that_works_is_not_the_first_to_go(victim):
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(connect(victim))
        for _ in range(5 * CONNECTIONS_MAX):
            stack.enter_context(connect(victim))
            assert worker.ask("stalls")["ok"]


def hammer(path, stop):
    while not stop.is_set():
        with contextlib.suppress(OSError, AssertionError), Control(path) as control:
            for request in ({"command": "status"}, {"command": "list"}, {"command": "reload"},
                            {"command": "show", "client": CLIENT}):
                control.send(request)
                control.receive()


def test_busy_control_socket_and_signals_hold_no_mail_up(victim):
    """Reloads come over the socket and as signals at the same time."""
    stop = threading.Event()
    threads = [threading.Thread(target=hammer, args=(victim.control_path, stop)) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            victim.signal(signal.SIGHUP)
            with Session(victim.address, CLIENT) as session:
                assert_at_once(session.greeting, session.mail(), session.rcpt())
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not victim.events("stop")


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))


def test_lack_of_descriptors_is_survived_without_spinning():
    with Daemon(OPTIONS, control=True, preexec=few_descriptors) as daemon, contextlib.ExitStack() as stack:
        def fill_up():
            while daemon.descriptors() < 80:
                session = stack.enter_context(socket.socket(socket.AF_UNIX))
                session.connect(daemon.address)
                time.sleep(0.01)

        fill_up()
        control = stack.enter_context(Control(daemon.control_path))
        control.send({"command": "status"})
        daemon.wait_for(r'^control: warning="can\'t accept: Too many open files"', 5.0 * PATIENCE)
        before = cpu_seconds(daemon)
        time.sleep(1)
        assert cpu_seconds(daemon) - before < 0.3 * PATIENCE
        assert len(daemon.log_lines("control")) == 1
        stack.pop_all().close()
        wait_until(lambda: daemon.descriptors() < 60, 10.0 * PATIENCE)
        serves(daemon)


# Who may ask

PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from support.control import Control
try:
    with Control(sys.argv[2]) as control:
        if sys.argv[3] == "late":
            time.sleep(0.3)
        if sys.argv[3] != "listen":
            control.send({"command": "status"})
        answer = control.receive()
        print(json.dumps([answer, control.is_closed() if not answer["ok"] else None]))
except PermissionError:
    print('"no permission"')
"""


def ask_as(daemon, user, group, extra_groups=(), how="ask"):
    """What another user is told: [answer, whether the daemon hung up], or "no permission"."""
    # The daemon's tree need not be open to everybody: the program's text is copied there.
    with open(os.path.join(TOP, "tests", "support", "control.py"), encoding="utf-8") as source:
        text = source.read()
    package = os.path.join(daemon.directory, "support")
    os.makedirs(package, exist_ok=True)
    with open(os.path.join(package, "control.py"), "w", encoding="utf-8") as copy:
        copy.write(text)
    result = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM, daemon.directory, daemon.control_path, how], cwd="/", user=user,
        group=group, extra_groups=list(extra_groups), capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@as_root
def test_mode_keeps_strangers_out():
    with Daemon(control=True) as daemon:
        status = os.stat(daemon.control_path)
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o660
        assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
        assert ask_as(daemon, STRANGER, STRANGERS) == "no permission"
        serves(daemon)


@as_root
@pytest.mark.parametrize("how", ["ask", "late", "listen"])
def test_stranger_is_refused_where_the_mode_lets_him_in(how):
    with Daemon(control=True) as daemon:
        os.chmod(daemon.control_path, 0o666)
        answer, is_closed = ask_as(daemon, STRANGER, STRANGERS, how=how)
        assert (answer["ok"], answer["status"]) == (False, 1) and answer["error"] and is_closed
        assert daemon.events("control")[-1]["warning"] == f"uid {STRANGER} may not ask: refused"
        serves(daemon)


@as_root
@pytest.mark.parametrize(("group", "extra_groups"), [
    (STRANGERS, []), (STRANGERS + 1, [STRANGERS]), (STRANGERS + 1, [*range(70000, 70100), STRANGERS])])
def test_members_of_the_sockets_group_may_ask(group, extra_groups):
    """The group is the one that the socket has now."""
    with Daemon(control=True) as daemon:
        os.chown(daemon.control_path, -1, STRANGERS)
        assert ask_as(daemon, STRANGER, group, extra_groups)[0]["ok"]
        assert ask_as(daemon, STRANGER, STRANGERS + 1, [70000]) == "no permission"


@contextlib.contextmanager
def as_stranger():
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(STRANGERS)
    os.seteuid(STRANGER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@as_root
def test_strangers_take_nobodys_place():
    with Daemon(control=True) as daemon, contextlib.ExitStack() as stack:
        os.chmod(daemon.control_path, 0o666)
        friends = [stack.enter_context(connect(daemon)) for _ in range(CONNECTIONS_MAX)]
        for friend in friends:
            assert friend.ask("status")["ok"]
        with as_stranger():
            strangers = [stack.enter_context(connect(daemon)) for _ in range(3 * CONNECTIONS_MAX)]
        for stranger in strangers:
            drain(stranger)
        for friend in friends:
            assert friend.ask("status")["ok"]


@as_root
def test_strangers_are_the_first_to_go():
    with Daemon(control=True) as daemon, contextlib.ExitStack() as stack:
        os.chmod(daemon.control_path, 0o666)
        friends = [stack.enter_context(connect(daemon)) for _ in range(CONNECTIONS_MAX // 2)]
        for friend in friends:
            assert friend.ask("status")["ok"]
        with as_stranger():
            for _ in range(3 * CONNECTIONS_MAX):
                stack.enter_context(connect(daemon))
        friends += [stack.enter_context(connect(daemon)) for _ in range(CONNECTIONS_MAX // 2)]
        for friend in friends:
            assert friend.ask("status")["ok"]


@as_root
def test_socket_belongs_to_the_daemons_user():
    account = pwd.getpwnam("nobody")
    with Daemon({"user": "nobody", "control_socket": None}, 'control_socket = "@DIR@/run/control.sock"') as daemon:
        daemon.control_path = os.path.join(daemon.directory, "run", "control.sock")
        for owned in (daemon.control_path, os.path.dirname(daemon.control_path)):
            status = os.stat(owned)
            assert (status.st_uid, status.st_gid) == (account.pw_uid, account.pw_gid), owned
        assert stat.S_IMODE(os.stat(daemon.control_path).st_mode) == 0o660
        assert ask_as(daemon, "nobody", STRANGERS)[0]["ok"]
        serves(daemon)
        daemon.stop()
        assert not os.path.exists(daemon.control_path)


# Where no socket can be

def test_socket_is_gone_after_a_stop():
    with Daemon(control=True) as daemon:
        daemon.stop()
        assert not os.path.exists(daemon.control_path)


def test_stale_socket_is_replaced():
    with Daemon(control=True) as daemon:
        daemon.kill()
        assert os.path.exists(daemon.control_path)
        daemon.start()
        serves(daemon)


def assert_serves_without(daemon):
    assert any(event.get("warning", "").startswith("no control socket: ") for event in daemon.events("start"))
    with Session(daemon.address, CLIENT) as session:
        assert_at_once(session.greeting, session.mail())


def test_living_socket_is_respected():
    with Daemon(control=True) as daemon, Daemon({"control_socket": daemon.control_path}) as other:
        assert_serves_without(other)
        other.stop()
        serves(daemon)


def test_mail_is_served_where_no_socket_can_be(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for path in (precious, tmp_path / "no" / "such" / "control.sock", precious / "control.sock"):
        with Daemon({"control_socket": path}) as daemon:
            assert_serves_without(daemon)
    assert precious.read_text() == "precious"


# Reload

def test_reload_tells_the_faults():
    with Daemon(config_text="threshold = 3\n", control=True) as daemon:
        assert ask(daemon, "reload") == {"ok": True, "needs_restart": []}
        daemon.write_config('threshold = 4\nkey_prefix = "a b"\nnonsense = 1\nwindow = \x80\n')
        answer = ask(daemon, "reload")
        assert (answer["ok"], answer["status"]) == (False, 78)
        assert f"{daemon.config_path}:2: key_prefix: " in "\n".join(answer["faults"])
        assert ask(daemon, "show", client=CLIENT)["threshold"] == 3
        daemon.write_config("threshold = 4\n")
        assert ask(daemon, "reload")["ok"]
        assert ask(daemon, "show", client=CLIENT)["threshold"] == 4
        counters = ask(daemon, "status")["counters"]
        assert (counters["reloads"], counters["reloads_failed"]) == (2, 1)
        daemon.write_config('metrics_listen = "127.0.0.1:9"\n')
        assert ask(daemon, "reload")["needs_restart"] == ["metrics_listen"]


def test_reload_counts_one_fault_as_one():
    with Daemon(control=True) as daemon:
        daemon.write_config("nonsense = 1\n")
        assert ask(daemon, "reload")["error"].startswith("1 fault: ")


def test_reload_by_signal_is_counted_too():
    with Daemon(control=True) as daemon:
        daemon.reload()
        assert ask(daemon, "status")["counters"]["reloads"] == 1
