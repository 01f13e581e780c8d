# SPDX-License-Identifier: BSD-2-Clause
"""What clients and MTAs can say that nobody should: it breaks no line of the log, no key, and no daemon."""

import os
import random
import re
import socket
import struct

import pytest
from checks import OPTIONS, assert_at_once, assert_delivered, assert_waited, daemon_with, wait_until

from support.daemon import PATIENCE, Daemon, parse_event
from support.memcached import Memcached
from support.milter import SENDMAIL, Session, pack, strings

CLIENT = "192.0.2.1"
VALUE_MAX = 200

HOSTILE = {
    "newline": "a\r\nstop: version=0 reason=\"forged\"\nb",
    "quotes": 'x" client=203.0.113.1 code="',
    "backslashes": "\\x41\\\\\"\\",
    "escape sequences": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f",
    "bytes above ASCII": bytes(range(128, 256)).decode("latin-1").encode("latin-1"),
    "UTF-8": "пользователь@пример.рф \u202e \U0001f4a9",
    "cut UTF-8": b"abc\xe2\x82",
    "format": "%s%n%x%.999999d%%",
    "memcached": "x\r\nset tarpit:1:1.2.3.4/32:f 0 0 1\r\n1\r\n",
    "spaces": " a  b\tc ",
    "long": "A" * 5000,
    "long with quotes": '"' * 3000,
    "long with controls": "\x01" * 3000,
    "long UTF-8": "ü" * 3000,
    "equals": "k=v k2=v2",
    "empty": "",
    "angle brackets": "<<>>",
    "source route": "@" * 300 + ":x",
}


@pytest.fixture(scope="module", params=["memory", "memcached"])
def observed(request):
    """A daemon that slows nobody, and its memcached or None."""
    options = {"mode": "observe", "network_threshold": "0", "log_level": "debug", "stall_at": "{helo, mail, rcpt}"}
    if request.param == "memory":
        with Daemon({**OPTIONS, **options}) as daemon:
            yield daemon, None
    else:
        with Memcached() as memcached, Daemon({**OPTIONS, **options, **memcached.options,
                                               "memcached_timeout": "1s"}) as daemon:
            yield daemon, memcached


def assert_log_is_clean(daemon):
    for line in daemon.log_text().split("\n")[:-1]:
        assert re.fullmatch(r"[ -~]+", line), line
        event = parse_event(line)
        assert event, f"no event: {line}"
        for key, value in event.items():
            assert len(value) <= VALUE_MAX, (key, len(value))
        assert len(line) < 4000
    assert not daemon.events("stop")


def assert_keys_are_clean(memcached):
    with memcached.client() as server:
        for key in server.entries():
            assert re.fullmatch(r"tarpit:1:([\d.]+/\d+|[\da-f:]+/\d+):\d+:([bg]|r:[\da-f]{16})", key), key


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_text_of_all_kinds_in_all_places(observed, kind):
    daemon, memcached = observed
    text = HOSTILE[kind]
    client = f"198.51.100.{list(HOSTILE).index(kind) + 1}"
    macros = {name: text for name in ("j", "client_name", "auth_ssf", "mail_addr", "i", "rcpt_addr", "_")}
    with Session(daemon.address, client, name=text or " ", macros=macros, mta=SENDMAIL) as session:
        assert_at_once(session.greeting)
        assert_at_once(session.helo(text), session.mail(text))
        for recipient in (text, b"prefix" + (text if isinstance(text, bytes) else text.encode()) + b"@example.org"):
            assert_at_once(session.rcpt(recipient, rejected="5.1.1"))
            assert_at_once(session.rcpt(recipient))
        assert_at_once(session.rcpt("x@example.org", rcpt_mailer="error", rcpt_host=text))
        assert_at_once(session.rcpt("x@example.org", rcpt_mailer=text, rcpt_host="5.1.1"))
        assert_at_once(session.rcpt("x@example.org", nbadrcpts=text))
        assert_delivered(session)
        session.quit()
    rejects = [found for found in daemon.events("reject", client=client) if found["code"] == "5.1.1"]
    # Sendmail 8.18 gives no code for unknown users, so that its empty one is a rejection.
    assert len(rejects) == (3 if kind == "empty" else 2)
    assert_log_is_clean(daemon)
    if memcached:
        assert_keys_are_clean(memcached)


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "empty"])
def test_text_of_all_kinds_where_a_macro_exempts(observed, kind):
    """It gets nobody an exemption that should have none."""
    daemon, _ = observed
    with Session(daemon.address, "198.51.101.1", resolve=HOSTILE[kind]) as session:
        assert session.greeting.action == "continue"
        assert session.mail(verify=HOSTILE[kind], cert_subject="/CN=x").action == "continue"
    assert_log_is_clean(daemon)


def test_recipients_that_differ_only_far_behind_are_two(observed):
    """A sender of very long recipients can't have them all taken for one."""
    daemon, _ = observed
    long = "a" * 200
    with Session(daemon.address, "198.51.102.1") as session:
        session.greet()
        for number in range(3):
            session.rcpt(f"{long}{number}@example.org", rejected="5.1.1")
    assert daemon.events("reject", client="198.51.102.1")[-1]["bad"] == "3.00"


def raw(daemon):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(daemon.address)
    return connection


NEGOTIATION = pack(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
CONNECT = pack(b"C", strings("host") + b"4" + struct.pack(">H", 25) + strings("192.0.2.77"))

BROKEN = {
    "nothing": b"",
    "text": b"EHLO example.org\r\nMAIL FROM:<>\r\n",
    "zero length": struct.pack(">I", 0),
    "huge length": struct.pack(">I", 0xFFFFFFFF) + b"O",
    "length beyond": struct.pack(">I", 1000) + b"C",
    "unknown command": pack(b"!"),
    "connect first": CONNECT,
    "mail first": pack(b"M", strings("<a@b>")),
    "short negotiation": pack(b"O", b"\0\0"),
    "old version": pack(b"O", struct.pack(">III", 1, 0, 0)),
    "connect without host": NEGOTIATION + pack(b"C"),
    "connect without end": NEGOTIATION + pack(b"C", b"host"),
    "connect with unknown family": NEGOTIATION + pack(b"C", strings("host") + b"9" + b"\0\x19" + strings("x")),
    "connect with no address": NEGOTIATION + pack(b"C", strings("host") + b"4" + struct.pack(">H", 25) + strings("")),
    "connect with bad address": NEGOTIATION + pack(b"C", strings("host") + b"4\0\x19" + strings("999.1.2.3")),
    "connect with bad IPv6": NEGOTIATION + pack(b"C", strings("host") + b"6\0\x19" + strings("IPv6:zz::1%eth0")),
    "mail without argument": NEGOTIATION + CONNECT + pack(b"M"),
    "mail with empty arguments": NEGOTIATION + CONNECT + pack(b"M", b"\0\0\0"),
    "rcpt without argument": NEGOTIATION + CONNECT + pack(b"M", strings("<a@b>")) + pack(b"R"),
    "rcpt with many arguments":
        NEGOTIATION + CONNECT + pack(b"M", strings("<a@b>")) + pack(b"R", strings("<c>") * 5000),
    "rcpt before mail": NEGOTIATION + CONNECT + pack(b"R", strings("<a@b>")),
    "data before mail": NEGOTIATION + CONNECT + pack(b"T"),
    "macros without names": NEGOTIATION + pack(b"D", b"C") + CONNECT,
    "macros for nothing": NEGOTIATION + pack(b"D") + CONNECT,
    "macros in no pairs": NEGOTIATION + pack(b"D", b"C" + strings("x")) + CONNECT,
    "macros without values": NEGOTIATION + pack(b"D", b"C" + strings(*["x"] * 4095)) + CONNECT,
    "macros before negotiation": pack(b"D", b"C" + strings("x")) + NEGOTIATION + CONNECT,
    "many macros": NEGOTIATION + pack(b"D", b"C" + strings("x", "y") * 5000) + CONNECT,
    "two negotiations": NEGOTIATION * 2 + CONNECT,
    "two connects": NEGOTIATION + CONNECT * 3,
    "aborts and quits": NEGOTIATION + CONNECT + pack(b"A") * 5 + pack(b"K") + CONNECT + pack(b"Q") * 2,
    "quit without anything": pack(b"Q"),
}


@pytest.fixture(scope="module")
def victim():
    with daemon_with({"stall_at": "{mail}"}) as daemon:
        yield daemon


@pytest.mark.parametrize("kind", list(BROKEN))
def test_broken_protocol(victim, kind):
    before = victim.descriptors()
    for _ in range(3):
        with raw(victim) as connection:
            connection.sendall(BROKEN[kind])
            connection.settimeout(0.05)
            try:
                while connection.recv(4096):
                    pass
            except (TimeoutError, ConnectionResetError):
                pass
    with Session(victim.address, "203.0.113.1") as session:
        assert_at_once(session.greeting, session.mail(), session.rcpt())
    wait_until(lambda: victim.descriptors() <= before + 2)
    victim.check()


def test_macros_in_no_pairs_end_their_own_session():
    """libmilter's smfi_getsymval would read beyond the end of such a list."""
    with daemon_with({"stall_at": "{mail}"}) as daemon:
        for number in range(1, 400 // PATIENCE, 2):
            with raw(daemon) as connection:
                connection.sendall(NEGOTIATION)
                connection.recv(4096)
                # In two parts, as it may come over a network.
                packet = pack(b"D", b"C" + strings(*["x"] * (number % 50 * 2 + 1)))
                connection.sendall(packet[:number % 9 + 1])
                connection.sendall(packet[number % 9 + 1:])
                assert connection.recv(4096) == b""
        assert "no pairs" in daemon.events("mta")[0]["warning"]
        with Session(daemon.address, "203.0.113.1") as session:
            assert_at_once(session.greeting, session.mail(), session.rcpt())
        daemon.wait_for_sessions(lambda: 0)
        daemon.check()


def changed(packet, chance):
    """A packet with one byte of it changed at random."""
    packet = bytearray(packet)
    if chance.random() < 0.3:
        packet[chance.randrange(4, len(packet))] = chance.randrange(256)
    return bytes(packet)


def test_noise(victim):
    """Packets in any order, some of them changed; the seed is shown where it fails."""
    seed = int(os.environ.get("TARPIT_SEED", "1"))
    print(f"TARPIT_SEED={seed}")
    chance = random.Random(seed)
    parts = [NEGOTIATION, CONNECT, pack(b"D", b"R" + strings("{rcpt_mailer}", "error", "{rcpt_host}", "5.1.1")),
             pack(b"M", strings("<a@b>")), pack(b"R", strings("<c@d>")), pack(b"T"), pack(b"A"), pack(b"Q"),
             pack(b"H", strings("x")), pack(b"D", b"C" + strings("v", "Postfix")), pack(b"K"), pack(b"E"), pack(b"U")]
    for _ in range(3000 // PATIENCE):
        packets = b"".join(changed(part, chance) for part in [NEGOTIATION, *chance.choices(parts, k=10)])
        with raw(victim) as connection:
            try:
                connection.sendall(packets)
                if chance.random() < 0.5:
                    connection.settimeout(0.02)
                    connection.recv(4096)
            except (TimeoutError, ConnectionResetError, BrokenPipeError):
                pass
    victim.check()
    with Session(victim.address, "203.0.113.1") as session:
        assert_at_once(session.greeting, session.mail(), session.rcpt())
    for line in victim.log_lines():
        assert line.isascii() and line.isprintable()
    victim.wait_for_sessions(lambda: 0)


def test_packet_that_never_ends_holds_nobody(victim):
    with raw(victim) as connection:
        connection.sendall(NEGOTIATION + CONNECT[:7])
        with Session(victim.address, "203.0.113.1") as session:
            assert_at_once(session.greeting, session.mail(), session.rcpt())


def test_flood_of_clients_in_little_memory():
    """A bot net that never comes back: the table stays as large as it may be, and the newest is known."""
    count = 20000 // PATIENCE
    with daemon_with({"memory_clients": "1000", "log_level": "notice", "stall_at": "{mail}", "threshold": "1",
                      "network_threshold": "0"}) as daemon:
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
            before = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
        for number in range(count):
            with Session(daemon.address, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}") as session:
                session.mail()
                session.rcpt("x@example.org", rejected="5.1.1")
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
            after = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
        assert after - before < 8000 * PATIENCE ** 2
        last = count - 1
        with Session(daemon.address, f"10.{last >> 16}.{last >> 8 & 255}.{last & 255}") as session:
            assert_waited(session.mail())
