# SPDX-License-Identifier: BSD-2-Clause
"""Counts that several daemons share in a real memcached, and every way in which it can fail them."""

import contextlib
import itertools
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import (
    AT_MAIL, AT_ONCE_SECONDS, OPTIONS, assert_at_once, assert_delivered, assert_waited, daemon_with, flag, wait_until)

from support.daemon import PATIENCE, Daemon
from support.memcached import Memcached, Relay
from support.milter import Session, all_at_once, finish_all

CLIENT = "192.0.2.1"
NETWORK = "192.0.2.0"
WINDOW_SECONDS = 14 * 86400
# Long against a busy machine, short against what a test can wait.
TIMEOUT = 0.8
PATIENT = {"memcached_timeout": "800ms", "memcached_retry": "1s"}
# Eight for sessions, and the keeper's.
TARPIT_STORES = 9
recipients = (f"nobody{number}@example.org" for number in itertools.count())


def shared(memcached, *more, **arguments):
    return daemon_with(AT_MAIL, memcached.options, PATIENT, {"window": "14d"}, *more, **arguments)


def counters(memcached, client=f"{CLIENT}/32", side="b", prefix="tarpit"):
    """What memcached has counted for that client, in this window and the one before it."""
    now = int(time.time() / WINDOW_SECONDS)
    with memcached.client() as client_of_memcached:
        values = [client_of_memcached.get(f"{prefix}:1:{client}:{window}:{side}") for window in (now, now - 1)]
    return sum(int(value) for value in values if value)


def offend(daemon, count, client=CLIENT):
    with Session(daemon.address, client) as session:
        replies = [session.greeting, session.greet()]
        replies += [session.rcpt(next(recipients), rejected="5.1.1") for _ in range(count)]
        session.quit()
    return replies


# Keys

@pytest.mark.parametrize(("client", "key", "network"), [
    ("192.0.2.1", "192.0.2.1/32", "192.0.2.0/24"),
    ("2001:db8:0:1::99", "2001:db8:0:1::/64", "2001:db8::/48"),
])
def test_keys_values_and_lives_are_those_of_the_contract(memcached, client, key, network):
    with shared(memcached, {"key_prefix": "a.B-9_", "siege_threshold": "0"}) as daemon:
        with Session(daemon.address, client) as session:
            session.greet()
            session.reject_many(2)
            session.rcpt("known@example.org")
            assert_delivered(session)
        with memcached.client() as server:
            entries = server.entries()
            values = {name: server.get(name) for name in entries}
    window = re.match(rf"a\.B-9_:1:{re.escape(key)}:(\d+):b", next(name for name in entries if name.endswith(":b")
                                                                      and f":{key}:" in name))[1]
    assert abs(int(window) - int(time.time() / WINDOW_SECONDS)) <= 1
    expected = {f"a.B-9_:1:{whose}:{window}:{side}": value
                for whose in (key, network) for side, value in (("b", "200"), ("g", "100"))}
    assert {name: value for name, value in values.items() if ":r:" not in name} == expected
    seen = [name for name in entries if ":r:" in name]
    assert len(seen) == 3
    for name in seen:
        assert re.fullmatch(rf"a\.B-9_:1:{re.escape(key)}:{window}:r:[0-9a-f]{{16}}", name)
    for name, life in entries.items():
        assert 2 * WINDOW_SECONDS - 60 < life <= 2 * WINDOW_SECONDS + 2, (name, life)


def test_what_a_clean_client_costs(memcached):
    """One round trip for 13 keys, and no write, whatever mail it delivers; an exempt client not even that."""
    # The site's exchange, once a second, is no session's.
    with shared(memcached, {"siege_threshold": "0"}) as daemon, memcached.client() as server:
        # Each tarpit-store asks once whether the server is there.
        wait_until(lambda: int(server.stats()["cmd_get"]) == TARPIT_STORES)
        before, calls = server.stats(), int(daemon.status()["store_calls"])
        began = time.monotonic()
        with Session(daemon.address, CLIENT) as session:
            for message in range(3):
                session.greet()
                for number in range(5):
                    assert_at_once(session.rcpt(f"known{number}@{message}.example.org"))
                assert_delivered(session)
        # At a MAIL or RCPT a second later there is one more.
        lookups = 1 + int(time.monotonic() - began)
        after = server.stats()
        found = int(daemon.status()["store_calls"]) - calls
        assert 1 <= found <= lookups
        # A connection's first look-up takes one of a key before.
        assert 13 * found <= int(after["cmd_get"]) - int(before["cmd_get"]) <= 13 * found + 1
        with Session(daemon.address, "127.0.0.1") as session:
            assert session.greeting.action == "accept"
        last = server.stats()
        assert last["cmd_get"] == after["cmd_get"]
        for written in ("cmd_set", "cmd_touch", "incr_misses", "incr_hits", "decr_misses", "decr_hits",
                        "delete_misses", "delete_hits", "cas_misses", "total_items"):
            assert last[written] == before[written], written


def test_flag_by_hand_is_a_key(memcached):
    with shared(memcached) as daemon:
        with memcached.client() as server:
            server.set(f"tarpit:1:{CLIENT}/32:f", "1", 60)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())


# Several daemons

def test_flagged_at_one_is_stalled_at_the_other(memcached):
    with shared(memcached, {"stall_at": "{connect, mail, rcpt}"}) as one, \
            shared(memcached, {"stall_at": "{connect, mail, rcpt}"}) as other:
        with Session(other.address, CLIENT) as at_mail, Session(other.address, CLIENT) as at_rcpt:
            assert_at_once(at_mail.greeting, at_rcpt.greeting, at_rcpt.mail())
            offend(one, 5)
            time.sleep(1.1)
            assert_waited(at_mail.mail())
            assert_waited(at_rcpt.rcpt(next(recipients), rejected="5.1.1"))
            # A third one may not be beside them.
            at_mail.quit()
            at_rcpt.quit()
        with Session(other.address, CLIENT) as session:
            assert_waited(session.greeting)
        with Session(other.address, "198.51.100.9") as innocent:
            assert_at_once(innocent.greeting, innocent.mail(), innocent.rcpt())


def test_same_recipient_counts_once_at_all_of_them(memcached):
    with shared(memcached) as one, shared(memcached) as other:
        for daemon in (one, other, one):
            with Session(daemon.address, CLIENT) as session:
                session.greet()
                for _ in range(3):
                    session.rcpt("same@example.org", rejected="5.1.1")
        assert counters(memcached) == 100
        assert other.events("reject")[-1]["weight"] == "0.00"


def test_no_offence_is_lost_between_threads_and_daemons(memcached):
    each = 625 if PATIENCE == 1 else 125
    options = {"mode": "observe", "log_level": "notice", "memcached_timeout": "2s", "memcached_retry": "3s"}
    with shared(memcached, options) as one, shared(memcached, options) as other:
        def offend_much(number):
            with Session((one, other)[number % 2].address, CLIENT) as session:
                session.greet()
                for each_of_them in range(each):
                    assert session.rcpt(f"u{number}-{each_of_them}@example.org", rejected="5.1.1").action == "continue"

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(offend_much, range(16)))
        assert not one.log_lines("store") and not other.log_lines("store")
    assert counters(memcached) == 16 * each * 100
    assert counters(memcached, f"{NETWORK}/24") == 16 * each * 100


def test_restarted_daemon_knows_what_memcached_knows(memcached):
    with shared(memcached) as daemon:
        flag(daemon, CLIENT)
        daemon.stop()
        daemon.start()
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())


def test_unix_socket():
    with Memcached("unix") as memcached, shared(memcached) as daemon:
        offend(daemon, 2)
        assert counters(memcached) == 200


# A pool

def test_pool_of_servers_keeps_a_network_together_and_lives_with_one_less():
    with Memcached() as first, Memcached() as second:
        servers = {"memcached_servers": f'{{"{first.server}", "{second.server}"}}', "siege_threshold": "0"}
        networks = [f"198.51.{number}" for number in range(30)]
        with shared(first, servers) as daemon:
            for network in networks:
                offend(daemon, 1, f"{network}.1")
                offend(daemon, 1, f"{network}.2")
            held = [{network for network in networks if counters(server, f"{network}.0/24") == 200}
                    for server in (first, second)]
            assert held[0] | held[1] == set(networks) and not held[0] & held[1]
            assert min(map(len, held)) >= 2
            for server, names in zip((first, second), held):
                assert all(counters(server, f"{network}.{host}/32") == 100 for network in names for host in (1, 2))
            second.kill()
            for network in networks:
                for reply in offend(daemon, 5, f"{network}.1"):
                    assert reply.seconds < TIMEOUT + AT_ONCE_SECONDS
            with contextlib.ExitStack() as stack:
                sessions = [stack.enter_context(Session(daemon.address, f"{network}.1")) for network in networks]
                for session in sessions:
                    session.begin_mail()
                for reply in finish_all(sessions):
                    assert_waited(reply)
            assert len(daemon.events("store", state="down", server=second.server)) == 1
            assert not daemon.events("store", server=first.server)


# Failures

class Watch:
    """Honest sessions, one after the other in some threads, all the while; what each callback took."""

    def __init__(self, daemon, threads=4):
        self._daemon = daemon
        self._ends = threading.Event()
        self._pool = ThreadPoolExecutor(threads)
        self._threads = threads
        self.seconds = []
        self.faults = []

    def __enter__(self):
        for number in range(self._threads):
            self._pool.submit(self._run, number)
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._pool.shutdown()

    def _run(self, number):
        for count in itertools.count():
            if self._ends.is_set():
                return
            try:
                # A fresh client each time: nothing is known of it, so that it must be asked for.
                with Session(self._daemon.address, f"203.{number}.{count // 250 % 250}.{count % 250}") as session:
                    replies = [session.greeting, session.mail(), session.rcpt(), session.rcpt("b@example.org")]
                    session.data()
                    session.quit(wait=False)
                assert {reply.action for reply in replies} == {"continue"}, replies
                self.seconds += [reply.seconds for reply in replies]
            except (OSError, AssertionError) as fault:
                self.faults.append(fault)
                return
            time.sleep(0.005)


def test_failure_in_mid_traffic(memcached):
    """No session waits for more than one memcached_timeout, and only those that had asked when it failed; mail flows;
    the memory store carries on; what it counts is told to memcached once that is back. test_adversary.py has more."""
    with shared(memcached) as daemon, Watch(daemon) as watch:
        offend(daemon, 2)
        wait_until(lambda: len(watch.seconds) > 50 and counters(memcached) == 200)

        memcached.hang()
        daemon.wait_for(r"^store: state=down ", 10)
        known = len(watch.seconds)
        offend(daemon, 3)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
        time.sleep(3)  # some retries long
        assert len(watch.seconds) > known + 100
        slow = [seconds for seconds in watch.seconds if seconds >= max(AT_ONCE_SECONDS, 0.9 * TIMEOUT)]
        assert len(slow) <= 4 and max(slow, default=0) < TIMEOUT + AT_ONCE_SECONDS
        assert len(daemon.events("store", state="down")) == 1
        assert not daemon.events("store", state="up")

        memcached.resume()
        daemon.wait_for(r"^store: state=up ", 10)
        wait_until(lambda: counters(memcached) >= 500)
        assert not watch.faults
        assert len(daemon.events("store")) == 2
        offend(daemon, 1)
        assert counters(memcached) >= 600


def test_one_timeout_is_paid_by_those_who_ask_at_once_and_by_nobody_after_them(memcached):
    with shared(memcached) as daemon:
        offend(daemon, 1)
        memcached.hang()
        sessions = all_at_once([
            lambda number=number: Session(daemon.address, f"198.51.100.{number}") for number in range(40)])
        with contextlib.ExitStack() as stack:
            for session in sessions:
                stack.enter_context(session)
            assert max(session.greeting.seconds for session in sessions) < TIMEOUT + AT_ONCE_SECONDS
            for session in sessions:
                assert_at_once(session.mail(), session.rcpt(), session.rcpt("x@example.org", rejected="5.1.1"))
        assert len(daemon.events("store")) == 1


def test_memcached_that_is_not_there_at_the_start():
    with Memcached() as memcached:
        memcached.kill()
        with shared(memcached) as daemon:
            daemon.wait_for(r"^store: state=down ")
            flag(daemon, CLIENT)
            with Session(daemon.address, CLIENT) as session:
                assert_waited(session.mail())
            memcached.start()
            daemon.wait_for(r"^store: state=up ", 10)
            wait_until(lambda: counters(memcached) == 500)
            wait_until(lambda: counters(memcached, f"{NETWORK}/24") == 500)


def test_memcached_that_loses_all_it_knew(memcached):
    with shared(memcached) as daemon:
        flag(daemon, CLIENT)
        with memcached.client() as server:
            server.flush()
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting, session.mail())


def test_slow_memcached_is_waited_for_within_the_timeout(memcached):
    with Relay(memcached) as relay, shared(relay) as daemon:
        offend(daemon, 1)
        relay.slow(0.1)
        replies = offend(daemon, 4)
        assert 0.09 < replies[0].seconds < TIMEOUT
        assert counters(memcached) == 500
        assert not daemon.log_lines("store")
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail(), 0.6)


def test_slow_memcached_keeps_nobody_from_being_served(memcached):
    """Those that need nothing of it are answered while others wait for it."""
    with Relay(memcached) as relay, shared(relay) as daemon, contextlib.ExitStack() as stack:
        ready = [stack.enter_context(Session(daemon.address, f"198.51.100.{number}")) for number in range(5)]
        for session in ready:
            session.mail()
        relay.slow(0.6)
        waiting = [stack.enter_context(Session(daemon.address, f"203.0.113.{number}", connect=False))
                   for number in range(30)]
        for session in waiting:
            session.begin_connect()
        time.sleep(0.05)
        assert_at_once(*[session.rcpt() for session in ready])


GARBAGE = [b"ERROR\r\n", b"SERVER_ERROR out of memory storing object\r\n", b"CLIENT_ERROR bad command line format\r\n",
           b"END\r\n" * 50, b"VALUE tarpit:1:192.0.2.1/32:1:b 0 3\r\n900\r\nEND\r\n",
           b"VALUE x 0 99999999999\r\n", b"VALUE x 0 -1\r\n\r\nEND\r\n", b"NOT_STORED\r\n", b"123456789\r\n",
           b"\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff", b"A" * 100000, b"\r\n" * 1000, b"VALUE " + b"k" * 5000,
           # More than memcached's keys can be, in a line that is one: libmemcached once wrote it over its stack.
           b"VALUE " + b"k" * 300 + b" 0 1\r\nx\r\nEND\r\n"]


def test_nonsense_for_an_answer_does_no_harm(memcached):
    options = {"memcached_timeout": "200ms", "memcached_retry": "300ms"}
    with Relay(memcached) as relay, shared(relay, options) as daemon:
        for number, answer in enumerate(GARBAGE):
            relay.garbage(answer)
            for reply in offend(daemon, 2, f"198.51.{number}.1") + offend(daemon, 2, f"198.51.{number}.1"):
                assert reply.action == "continue" and reply.seconds < 0.2 + AT_ONCE_SECONDS, answer
            time.sleep(0.35)
        relay.good()
        wait_until(lambda: not daemon.events("store") or daemon.events("store")[-1]["state"] == "up")
        offend(daemon, 5)
        wait_until(lambda: counters(memcached) >= 500)
        assert counters(memcached) == 500
        for line in daemon.log_lines():
            assert line.isascii() and line.isprintable()


FOREIGN = ["garbage", "-5", "99999999999999999999999999", "18446744073709551615", "1e9", "500x", "", " ", "5 00",
           "0x500", "9" * 1000, "\x7f\x01"]


@pytest.mark.parametrize("value", FOREIGN, ids=range(len(FOREIGN)))
def test_value_that_is_not_ours_counts_as_absent(foreign_daemon, value):
    daemon, memcached = foreign_daemon
    client = f"198.51.{FOREIGN.index(value)}.1"
    window = int(time.time() / WINDOW_SECONDS)
    with memcached.client() as server:
        for whose in (f"{client}/32", f"198.51.{FOREIGN.index(value)}.0/24"):
            for when in (window - 1, window, window + 1):
                for side in "bg":
                    server.set(f"tarpit:1:{whose}:{when}:{side}", value, 600)
        server.set(f"tarpit:1:{client}/32:f", value, 600)
    with Session(daemon.address, client) as session:
        assert_at_once(session.greeting, session.mail(), *session.reject_many(4))
        assert not daemon.events("flag", client=client)
        session.reject_many(2, first=5)
        assert len(daemon.events("flag", client=client)) == 1
        assert_waited(session.mail())
    assert len([line for line in daemon.log_lines("store") if "number" in line]) <= 2, "once a minute"


@pytest.fixture(scope="module")
def foreign_daemon():
    # All values together would be a siege.
    with Memcached() as memcached, shared(memcached, {"siege_threshold": "0"}) as daemon:
        yield daemon, memcached


def test_value_that_was_padded_by_memcached_is_a_number(memcached):
    """decr leaves blanks behind, incr does not mind."""
    with shared(memcached) as daemon, memcached.client() as server:
        server.set(f"tarpit:1:{CLIENT}/32:{int(time.time() / WINDOW_SECONDS)}:b", "400  ", 600)
        offend(daemon, 1)
        assert daemon.events("flag", client=CLIENT)


def test_memcached_without_room(memcached):
    """It refuses every write (-M): the memory store remembers, and mail flows."""
    with Memcached(memory_mb=2, args=("-M",)) as full, shared(full) as daemon:
        with full.client() as server, contextlib.suppress(AssertionError):
            for number in range(100000):
                server.set(f"filler{number}", "x" * 40)
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
        with Session(daemon.address, "198.51.100.1") as session:
            assert_at_once(session.greeting, session.mail(), session.rcpt())


def test_two_daemons_and_one_memcached_that_comes_back_agree(memcached):
    with shared(memcached) as one, shared(memcached) as other:
        offend(one, 1)
        memcached.kill()
        offend(one, 2)
        offend(other, 2)
        memcached.start()
        for daemon in (one, other):
            daemon.wait_for(r"^store: state=up ", 10)
        wait_until(lambda: counters(memcached) >= 500)
        assert counters(memcached) == 500, "what one knew is said again, and what both owed is paid, once"


def test_options_are_the_defaults_that_the_contract_promises():
    """50 ms are the bound where nothing else is said."""
    with Memcached() as memcached, Daemon({**OPTIONS, **memcached.options}) as daemon:
        memcached.hang()
        started = time.monotonic()
        with Session(daemon.address, CLIENT) as session:
            assert session.greeting.action == "continue"
        assert time.monotonic() - started < 0.05 + AT_ONCE_SECONDS
        daemon.wait_for(r"^store: state=down ", 2)
        memcached.resume()
        # It is tried every two seconds, and has 50 ms each time.
        daemon.wait_for(r"^store: state=up ", 15)
