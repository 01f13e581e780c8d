# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's tarpit-stores: where it finds the program, what it gives them, and what it makes of one that a server
has taken over. A tarpit-store of our own is the one that is taken over."""

import json
import os
import shutil
import signal
import stat
import sys
import time

import pytest
from checks import AT_MAIL, AT_ONCE_SECONDS, assert_at_once, assert_waited, daemon_with, wait_until

from support.ctl import ctl_json
from support.daemon import TOP, binary
from support.milter import Session, offend
from support.tarpit_store import DESCRIPTOR

CLIENT = "192.0.2.1"
OPTIONS = {"memcached_timeout": "300ms", "memcached_retry": "400ms"}
EX_UNAVAILABLE = 69
PASSWORD = "correct horse battery staple"


@pytest.fixture
def alone(tmp_path):
    """A copy of the daemon with nothing beside it."""
    tmp_path.chmod(0o755)
    return shutil.copy(binary(), tmp_path / "tarpit-milter")


def take_over(program, text):
    """Puts a tarpit-store of our own beside it, which runs that; `request` is what has been asked."""
    path = os.path.join(os.path.dirname(program), "tarpit-store")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""#!{sys.executable}
import sys
sys.path.insert(0, {os.path.join(TOP, "tests")!r})
import json, os, signal, socket, time
from support.tarpit_store import *
daemon = socket.socket(fileno=DESCRIPTOR)
setup = Setup.from_buffer_copy(daemon.recv(4096))
def outcome(**values):
    made = Outcome(request.serial, ANSWERED, calls=1)
    for name, value in values.items():
        setattr(made, name, value)
    return made
while message := daemon.recv(1 << 16):
    request = Request.from_buffer_copy(message)
{text}""")
    os.chmod(path, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)


def options_of(server="127.0.0.1:1", **more):
    return {"store": "memcached", "memcached_servers": f'"{server}"', **OPTIONS, **more}


def await_up(daemon):
    wait_until(lambda: ctl_json(daemon, "status")["store_state"] == "up", 10)


def test_without_the_program_it_does_not_start(alone, tmp_path):
    with daemon_with(options_of(), program=alone, expect_start=False) as daemon:
        assert daemon.wait() == EX_UNAVAILABLE
        said = daemon.log_text()
    assert f"{tmp_path}/tarpit-store" in said and "libexec/tarpit-store" in said
    with daemon_with(AT_MAIL, {"store": "memory"}, program=alone) as daemon:
        assert_at_once(*offend(daemon.address, CLIENT))


def test_what_it_is_given(alone, tmp_path):
    """Its socket and nothing else: no descriptor, no environment, no argument, no signal blocked or ignored."""
    report = tmp_path / "report"
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    take_over(alone, f"""
    own = dict(line.split(":", 1) for line in open("/proc/self/status"))
    seen = {{"environment": open("/proc/self/environ").read(), "fds": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
            "blocked": own["SigBlk"], "ignored": own["SigIgn"], "arguments": open("/proc/self/cmdline").read(),
            "files": [os.readlink(f"/proc/self/fd/{{fd}}") for fd in range(3)],
            "host": setup.host.decode(), "port": setup.port, "user": setup.user.decode(),
            "password": setup.password.bytes[:setup.password.length].decode()}}
    with open({str(report)!r} + ".new", "w") as file:
        json.dump(seen, file)
    os.rename({str(report)!r} + ".new", {str(report)!r})
    daemon.send(bytes(outcome()))
""")
    with daemon_with(options_of(memcached_user="mx", memcached_password_file=str(password)), program=alone,
                     control=True) as daemon:
        await_up(daemon)
        seen = json.loads(report.read_text())
        assert seen["fds"] == [0, 1, 2, DESCRIPTOR] and seen["files"] == ["/dev/null"] * 3
        assert seen["environment"].replace("LC_CTYPE=C.UTF-8\0", "") == ""
        assert PASSWORD not in seen["arguments"]
        assert int(seen["blocked"], 16) == 0
        # Python ignores SIGPIPE and SIGXFSZ itself, and glibc has two for itself.
        assert int(seen["ignored"], 16) & ~(1 << 12 | 1 << 24 | 3 << 31) == 0
        assert (seen["host"], seen["port"], seen["user"], seen["password"]) == ("127.0.0.1", 1, "mx", PASSWORD)
        wait_until(lambda: len(daemon.children()) == 9, 10)
        children = daemon.children()
        daemon.stop()
    wait_until(lambda: not [pid for pid in children if os.path.exists(f"/proc/{pid}")])


def test_it_may_not_use_the_control_socket(alone, tmp_path):
    report = tmp_path / "report"
    take_over(alone, f"""
    import struct
    text = b'{{"command": "flag", "client": "198.51.100.1"}}'
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(open({str(tmp_path / "path")!r}).read())
        control.sendall(struct.pack("!I", len(text)) + text)
        with open({str(report)!r}, "ab") as file:
            file.write(control.recv(4096))
    daemon.send(bytes(outcome()))
""")
    with daemon_with(options_of("127.0.0.1:2"), program=alone, control=True) as daemon:
        (tmp_path / "path").write_text(daemon.control_path)
        wait_until(lambda: report.exists() and report.read_bytes())
        assert b"you may not ask" in report.read_bytes()
        await_up(daemon)
        assert not daemon.events("control", command="flag")


LIES = {
    "short": "bytes(outcome())[:-1]", "long": "bytes(outcome()) + b'x'", "one byte": "b'x'", "nothing": "b''",
    "another's": "bytes(outcome(serial=request.serial + 1))", "result": "bytes(outcome(result=2))",
    "refusal": "bytes(outcome(was_refused=2))", "seen": "bytes(outcome(seen_before=request.seen_count + 1))", "calls": "bytes(outcome(calls=2**32 - 1))",
    "step": "bytes(outcome(counts=(ctypes.c_uint32 * COUNTS_MAX)(3)))",
    "replaced": "bytes(outcome(replaced=1 << COUNTS_MAX))",
    "state": "bytes(outcome(values=(Value * KEYS_MAX)(Value(3, 1))))",
    "number": "bytes(outcome(values=(Value * KEYS_MAX)(Value(NUMBER, 10**12 + 1))))",
    "reason": "bytes(outcome())[:-REASON_MAX] + b'x' * REASON_MAX",
}


@pytest.mark.parametrize("name", LIES)
def test_outcome_that_is_none_is_a_failure(alone, name):
    take_over(alone, f"""
    is_probe = request.kind == IDENTITY or request.keys[0].value.endswith(b":probe")
    daemon.send(bytes(outcome()) if is_probe else {LIES[name]})
""")
    with daemon_with(AT_MAIL, options_of(), program=alone, control=True) as daemon:
        await_up(daemon)
        for reply in offend(daemon.address, CLIENT):
            assert reply.action == "continue" and reply.seconds < 0.3 + AT_ONCE_SECONDS
        assert daemon.events("store", state="down")
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
        wait_until(lambda: daemon.events("store", state="up"), 10)


def test_what_is_said_in_the_log_is_escaped(alone):
    take_over(alone, r"""
    daemon.send(bytes(outcome(result=FAILED, reason=b"no\nstore: state=up server=x reason=\"\xff")))
""")
    with daemon_with(AT_MAIL, options_of(), program=alone) as daemon:
        daemon.wait_for(r"^store: state=down ")
        assert_at_once(*offend(daemon.address, CLIENT))
        assert not daemon.events("store", state="up")
        assert all(line.isascii() and line.isprintable() for line in daemon.log_lines())


def test_without_processes_those_that_are_there_go_on(alone):
    """One that can't be started says nothing of the server."""
    take_over(alone, "    daemon.send(bytes(outcome()))")
    with daemon_with(AT_MAIL, options_of(), program=alone, control=True) as daemon:
        await_up(daemon)
        wait_until(lambda: len(daemon.children()) == 9, 10)
        os.unlink(os.path.join(os.path.dirname(alone), "tarpit-store"))
        for pid in daemon.children()[1:3]:
            os.kill(pid, signal.SIGKILL)
        daemon.wait_for(r"^limits: .*can't start tarpit-store", 10)
        await_up(daemon)
        downs = len(daemon.events("store", state="down"))
        time.sleep(1)       # two rounds of the keeper
        assert len(daemon.events("store", state="down")) == downs
        assert_at_once(*offend(daemon.address, CLIENT))


def test_one_that_says_nothing_is_killed(alone):
    """It has a dozen timeouts; nobody else waits for it. The keeper's own answers, also when it pays (without keys)."""
    take_over(alone, """
    if request.keys_count == 0 or request.keys[0].value.endswith(b":probe"):
        daemon.send(bytes(outcome(counts=(DONE,) * len(request.counts))))
""")
    with daemon_with(AT_MAIL, options_of(memcached_timeout="100ms"), program=alone, control=True) as daemon:
        await_up(daemon)
        before = set(daemon.children())
        for reply in offend(daemon.address, CLIENT):
            assert reply.action == "continue" and reply.seconds < 0.1 + AT_ONCE_SECONDS
        daemon.wait_for(r"^store: state=down .*\"no answer in time\"")
        wait_until(lambda: before - set(daemon.children()), 5)
        wait_until(lambda: len(daemon.children()) == 9, 10)
