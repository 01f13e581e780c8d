# SPDX-License-Identifier: BSD-2-Clause
"""memcached as an adversary: whatever it does, innocents wait for one memcached_timeout once, and no count is lost that
it did not hold. tests/soak/memcached.py is the long form, with the settings of production."""

import struct
import subprocess
import time

import pytest
from checks import AT_MAIL, AT_ONCE_SECONDS, OPTIONS, assert_at_once, assert_waited, daemon_with, wait_until

from support.adversary import FAILURES, INNOCENTS, Crowd, Resolver, Setting, Site, row, run
from support.ctl import ctl_json
from support.daemon import PATIENCE, Daemon
from support.daemon import run as run_daemon
from support.memcached import Memcached, Relay
from support.milter import Session, offend
from support.preload import preload

SETTING = Setting(timeout=0.6, retry=0.7, calm=0.4, outage=1.2)
CLIENT = "192.0.2.1"


@pytest.mark.parametrize("name", list(FAILURES))
def test_failure_costs_innocents_one_timeout_and_nobody_a_count(name):
    failure = FAILURES[name]
    with Site(SETTING, **failure.site) as site:
        figures = run(site, failure)
    print(row(name, figures))
    assert not figures.faults
    assert figures.told > 100 // PATIENCE or not failure.counts, "too few offences to tell"
    assert figures.longest < SETTING.timeout + AT_ONCE_SECONDS
    assert figures.surplus <= 0, "merged twice"
    assert figures.lost <= failure.in_flight
    assert figures.downs > 0 or not failure.is_seen
    assert figures.back < 2 * SETTING.retry + 0.5 * PATIENCE
    if PATIENCE == 1 and not name.startswith("0.8"):
        assert figures.payers <= INNOCENTS * max(figures.downs, 1)


# What is counted of it

def test_offence_that_was_under_way_to_a_hung_server_counts_once():
    """It does what it had been told before; telling it again would count twice."""
    with Site(SETTING) as site, Session(site.daemon.address, "198.51.1.1") as session:
        session.greet()
        session.rcpt("nobody@example.org", rejected="5.1.1")
        assert site.counted() == [1, 1]
        site.memcached.hang()
        session.rcpt("somebody@example.org", rejected="5.1.1")
        site.daemon.wait_for(r"^store: state=down ", 10)
        session.rcpt("anybody@example.org", rejected="5.1.1")
        site.memcached.resume()
        site.daemon.wait_for(r"^store: state=up ", 10)
        wait_until(lambda: min(site.counted()) >= 3)
        time.sleep(SETTING.retry)
        assert site.counted() == [3, 3]


def test_call_that_fails_or_comes_too_late_is_counted_once():
    # Nor does the exchange of a siege ask in between.
    options = {"memcached_timeout": "800ms", "memcached_retry": "60s", "siege_threshold": "0"}
    with Memcached() as memcached, Relay(memcached) as relay, \
            daemon_with(AT_MAIL, relay.options, options, control=True) as daemon:
        def failures():
            return ctl_json(daemon, "status")["counters"]["store_failures"]

        with Session(daemon.address, CLIENT) as session:
            session.greet()
            relay.slow(0.5)
            # Several round trips, each in time.
            assert session.rcpt("nobody@example.org", rejected="5.1.1").seconds < 0.8 + AT_ONCE_SECONDS
            wait_until(lambda: failures() == 1)
            relay.good()
            session.rcpt("somebody@example.org", rejected="5.1.1")
        assert failures() == 1 and not daemon.events("store", state="down")
        memcached.hang()
        with Session(daemon.address, "198.51.100.1"):
            pass
        wait_until(lambda: failures() == 2)
        time.sleep(1.0)
        assert failures() == 2


# Names

def test_name_that_nobody_resolves_holds_nobody_up():
    """The resolver says nothing for some seconds; when it does, memcached is used within two retries of a look-up."""
    with Resolver() as resolver, Memcached() as memcached:
        options = {"memcached_servers": f'"memcached.example:{memcached.address[1]}"'}
        with Site(SETTING, options=options, env=resolver.env) as site:
            with Crowd(site.daemon.address) as crowd:
                time.sleep(1.0)
            assert not crowd.faults and crowd.seconds and resolver.asked
            assert max(crowd.seconds) < SETTING.timeout + AT_ONCE_SECONDS
            assert not site.daemon.events("store", state="up")
            resolver.answer()
            site.daemon.wait_for(r"^store: state=up ", 30)
            with memcached.client() as client:
                wait_until(lambda: any(key.endswith(":b") for key in client.entries()))


def test_slow_names_are_the_keepers_affair():
    """Were each connection to ask for the name again, none would be there in time, and the server down every retry."""
    with Resolver() as resolver, Memcached() as memcached:
        resolver.seconds = 3 * SETTING.timeout
        resolver.answer()
        options = {"memcached_servers": f'"memcached.example:{memcached.address[1]}"'}
        with Site(SETTING, options=options, env=resolver.env) as site:
            wait_until(lambda: ctl_json(site.daemon, "status")["store_state"] == "up", 30)
            asked = resolver.asked
            with Crowd(site.daemon.address) as crowd:
                time.sleep(3 * SETTING.retry)
            assert not crowd.faults and crowd.seconds
            assert not site.daemon.events("store", state="down")
            assert ctl_json(site.daemon, "status")["counters"]["store_failures"] == 0
            assert resolver.asked == asked


# Administrators

def troubled(relay, trouble):
    {"never answers": relay.swallow, "drop by drop": lambda: relay.drip(0.05),
     "late": lambda: relay.slow(1.0), "garbage": lambda: relay.garbage(b"what?\r\n"),
     "black hole": lambda: (relay.black_hole(), relay.cut())}[trouble]()


@pytest.mark.parametrize("trouble", ["never answers", "drop by drop", "late", "garbage", "black hole"])
def test_administrator_is_told_in_time_that_memcached_was_not(trouble):
    options = {"memcached_timeout": "200ms", "memcached_retry": "1s", "stall_at": "{mail}"}
    with Memcached() as memcached, Relay(memcached) as relay, \
            daemon_with(relay.options, options, control=True) as daemon:
        offend(daemon.address, CLIENT)
        assert ctl_json(daemon, "flag", "198.51.100.1")["shared"] is True
        troubled(relay, trouble)
        for number, command in enumerate((["forgive", CLIENT], ["flag", "198.51.100.2"], ["forgive", CLIENT])):
            began = time.monotonic()
            assert ctl_json(daemon, *command, status=1)["shared"] is False, number
            assert time.monotonic() - began < 12 * 0.2 + 2.0 * PATIENCE
        assert daemon.events("store", state="down")
        # What it was told holds here all the same.
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.mail())
        with Session(daemon.address, "198.51.100.2") as session:
            assert_waited(session.mail())


def test_administrator_of_a_slow_memcached_has_the_time_that_it_takes():
    options = {"memcached_timeout": "400ms", "memcached_retry": "1s", "stall_at": "{mail}"}
    with Memcached() as memcached, Relay(memcached) as relay, \
            daemon_with(relay.options, options, control=True) as daemon:
        offend(daemon.address, CLIENT)
        relay.slow(0.15)
        assert ctl_json(daemon, "forgive", CLIENT)["shared"] is True
        with memcached.client() as client:
            assert not [key for key in client.entries() if f"{CLIENT}/32" in key and ":r:" not in key]


# Clocks

def ahead(seconds):
    """The environment of a daemon whose wall clock is so many seconds ahead, all else as it is."""
    return preload("shift_clock", TARPIT_TEST_SHIFT=str(seconds))


def test_hosts_whose_clocks_differ_count_together_but_for_that_part_of_a_window():
    """One is some seconds ahead, and at first in the window that the other has not reached yet."""
    window, skew = 60, 5 * PATIENCE
    # The slower one's window ends soon after the start.
    shift = round(window - time.time() % window - 3 * PATIENCE)
    options = {**OPTIONS, "window": "1m", "stall_at": "{mail}", "memcached_timeout": "1s", "memcached_retry": "2s"}
    with Memcached() as memcached, \
            Daemon({**options, **memcached.options}, env=ahead(shift)) as slow, \
            Daemon({**options, **memcached.options}, env=ahead(shift + skew)) as fast:
        offend(fast.address, CLIENT, 8)
        offend(slow.address, "198.51.100.1", 8)
        with Session(slow.address, CLIENT) as session:
            assert_at_once(session.mail())
        # Who is ahead knows all of both; who is behind knows what belongs to its own window and the one before.
        with Session(fast.address, "198.51.100.1") as session:
            assert_waited(session.mail())
        with Session(fast.address, CLIENT) as session:
            assert_waited(session.mail())
        wait_until(lambda: is_stalled(slow, CLIENT), 3 * PATIENCE + skew + 5)
        assert not slow.events("store", state="down") and not fast.events("store", state="down")


def is_stalled(daemon, client):
    with Session(daemon.address, client) as session:
        return session.mail().seconds > 0.5


# Passwords

PASSWORD = "correct horse battery staple"


@pytest.fixture
def sasl(tmp_path):
    """A memcached -S, and the options of a daemon that may use it."""
    (tmp_path / "memcached.conf").write_text(f"mech_list: plain\nsasldb_path: {tmp_path}/users\n")
    subprocess.run(["saslpasswd2", "-p", "-c", "-a", "memcached", "-f", f"{tmp_path}/users", "-u", "mx", "tarpit"],
                   input=PASSWORD.encode(), check=True)
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    with Memcached(args=("-S",), env={"SASL_CONF_PATH": str(tmp_path)}, speaks_text=False) as memcached:
        yield memcached, {**memcached.options, "memcached_user": "tarpit@mx", "memcached_password_file": str(password),
                          "memcached_timeout": "1s", "memcached_retry": "1500ms"}


def test_two_daemons_with_the_password_share_their_counts(sasl):
    memcached, options = sasl
    with daemon_with(AT_MAIL, options) as one, daemon_with(AT_MAIL, options) as other:
        offend(one.address, CLIENT)
        with Session(other.address, CLIENT) as session:
            assert_waited(session.mail())
        memcached.restart()
        wait_until(lambda: all(daemon.events("store")[-1:] != [] and daemon.events("store")[-1]["state"] == "up"
                               or not daemon.events("store") for daemon in (one, other)), 10)
        offend(one.address, "198.51.100.1")
        with Session(other.address, "198.51.100.1") as session:
            assert_waited(session.mail())


@pytest.mark.parametrize("wrong", ["user", "password"])
def test_wrong_password_is_said_in_the_log_and_holds_nobody_up(sasl, wrong, tmp_path):
    _, options = sasl
    if wrong == "user":
        options["memcached_user"] = "tarpit@elsewhere"
    else:
        (tmp_path / "password").write_text("wrong\n")
    with daemon_with(AT_MAIL, options) as daemon:
        daemon.wait_for(r"^store: state=down .*reason=\"authentication failed", 10)
        assert_at_once(*offend(daemon.address, CLIENT))
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
        assert len(daemon.events("store")) == 1


def test_ascii_authentication_is_named_in_the_log(tmp_path):
    """memcached -Y, which libmemcached knows nothing of."""
    tmp_path.chmod(0o755)
    (tmp_path / "users").write_text(f"mx:{PASSWORD}\n")
    with Memcached(args=("-Y", f"{tmp_path}/users"), speaks_text=False) as memcached, \
            daemon_with(AT_MAIL, memcached.options) as daemon:
        daemon.wait_for(r"^store: state=down .*reason=\".*password \(-Y\).*SASL", 10)
        assert_at_once(*offend(daemon.address, CLIENT))
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())


@pytest.mark.parametrize(("args", "has_user", "reason"), [
    ((), True, "knows no SASL"), (("-S",), False, "no answer in time|hung up")])
def test_one_side_alone_has_a_password(sasl, tmp_path, args, has_user, reason):
    _, options = sasl
    with Memcached(args=args, env={"SASL_CONF_PATH": str(tmp_path)}, speaks_text=not args) as memcached:
        options.update(memcached.options)
        if not has_user:
            options.update(memcached_user="", memcached_password_file="")
        with daemon_with(AT_MAIL, options) as daemon:
            daemon.wait_for(rf"^store: state=down .*reason=.*({reason})", 10)
            assert_at_once(*offend(daemon.address, CLIENT))


def test_password_is_nowhere_to_be_seen(sasl, tmp_path):
    _, options = sasl
    arguments = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    shown = run_daemon("--print-config", *arguments)
    assert shown.returncode == 0 and f"memcached_password_file = {tmp_path}/password" in shown.stdout
    assert PASSWORD not in shown.stdout + shown.stderr
    with daemon_with(AT_MAIL, options, {"log_level": "debug"}, control=True) as daemon:
        offend(daemon.address, CLIENT)
        for name in ("cmdline", "environ"):
            with open(f"/proc/{daemon.process.pid}/{name}", "rb") as file:
                assert PASSWORD.encode() not in file.read()
        assert PASSWORD not in str(ctl_json(daemon, "status"))
        assert PASSWORD not in daemon.log_text()


@pytest.mark.parametrize(("change", "reason"), [
    (lambda path: path.chmod(0o604), "others may read"), (lambda path: path.chmod(0o660), "group may write"),
    (lambda path: path.write_text(""), "no password"), (lambda path: path.write_text("a\nb\n"), "more than one line"),
    (lambda path: path.write_text("x" * 256), "longer"), (lambda path: path.write_bytes(b"a\0b\n"), "line")])
def test_password_file_that_will_not_do(tmp_path, change, reason):
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(0o600)
    arguments = ["--check-config", "-o", "memcached_user=mx", "-o", f"memcached_password_file={path}"]
    assert run_daemon(*arguments).returncode == 0
    change(path)
    found = run_daemon(*arguments)
    assert found.returncode == 78 and reason in found.stderr, found
    assert "secret" not in found.stderr


BINARY_GARBAGE = [b"ERROR\r\n", b"\x81" * 24, b"\x81\x21\0\0\0\0\0\0\xff\xff\xff\xff" + b"\0" * 12,
                  b"\x81\x21\xff\xff\0\0\0\0\0\0\0\x01" + b"\0" * 13, b"\x81\x0b\0\0\0\0\0\0\0\0\x10\0" + b"7" * 5000,
                  b"\x81\x21" + b"\0" * 22 + b"\x81\x09" + b"\0" * 10 + b"\xff\xff\xff\xff" + b"\0" * 8]


def test_nonsense_in_the_binary_protocol_does_no_harm(sasl):
    memcached, options = sasl
    with Relay(memcached) as relay:
        options.update(relay.options, memcached_timeout="200ms", memcached_retry="300ms")
        with daemon_with(AT_MAIL, options) as daemon:
            for number, answer in enumerate(BINARY_GARBAGE):
                relay.garbage(answer)
                for reply in offend(daemon.address, f"198.51.{number}.1", 2):
                    assert reply.action == "continue" and reply.seconds < 0.2 + AT_ONCE_SECONDS, answer
                time.sleep(0.35)
            relay.good()
            wait_until(lambda: daemon.events("store")[-1]["state"] == "up", 10)


def frame(opcode, body, key_length=0, extras=b""):
    return struct.pack("!BBHBBHIIQ", 0x81, opcode, key_length, len(extras), 0, 0, len(extras) + len(body), 0, 0) + extras + body


VERSION, GETK, GETKQ, ADD, INCREMENT = 0x0b, 0x0c, 0x0d, 0x02, 0x05
LONG_KEY = frame(GETK, b"k" * 60000, 60000, b"\0" * 4)
BINARY_LIES = {
    "key of 60,000": {GETKQ: LONG_KEY}, "key of 60,000 to an add": {ADD: LONG_KEY},
    "key of 60,000 to an increment": {INCREMENT: LONG_KEY}, "version of 10,000": {GETKQ: frame(VERSION, b"7" * 10000)},
    "version of 10,000 to an increment": {INCREMENT: frame(VERSION, b"7" * 10000)},
}


@pytest.mark.parametrize("name", BINARY_LIES)
def test_lie_in_the_binary_protocol_at_worst_ends_workers(sasl, name):
    """After the login, so that it is a worker at its work that reads it."""
    memcached, options = sasl
    with Relay(memcached) as relay:
        options.update(relay.options, memcached_timeout="300ms", memcached_retry="500ms")
        with daemon_with(AT_MAIL, options, control=True) as daemon, \
                daemon_with(AT_MAIL, options, memcached.options) as other:
            wait_until(lambda: ctl_json(daemon, "status")["store_state"] == "up")
            relay.lie({bytes([0x80, opcode]): answer for opcode, answer in BINARY_LIES[name].items()})
            for reply in offend(daemon.address, CLIENT, 20):
                assert reply.action == "continue" and reply.seconds < 0.3 + AT_ONCE_SECONDS
            daemon.wait_for(r"^store: state=down ")
            with Session(daemon.address, CLIENT) as session:
                assert_waited(session.mail())
            relay.good()
            began = time.monotonic()
            wait_until(lambda: daemon.events("store")[-1]["state"] == "up", 10)
            assert time.monotonic() - began < 2 * 0.5 + 0.5 * PATIENCE
            with Session(daemon.address, CLIENT) as session:
                session.greet()
                session.reject_many(8, first=21)
            with Session(other.address, CLIENT) as session:
                assert_waited(session.mail())
