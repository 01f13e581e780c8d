# SPDX-License-Identifier: BSD-2-Clause
"""tarpit-store, the process that talks to a memcached: what it counts, what hostile servers can do to it, and what it
can no longer do."""

import contextlib
import errno
import os
import signal
import socket as sockets
import struct
import subprocess
import threading
import time

import pytest

from support.daemon import CRASHES, TOP, is_sanitized
from support.memcached import Memcached, connect
from support.ports import free_port
from support.seccomp import Unit
from support.tarpit_store import (ANSWERED, DESCRIPTOR, DONE, FAILED, FORGIVE, MAYBE_DONE, NOT_DONE, RECORD, SET,
                                  TIMEOUTS_MAX, Ended, Outcome, TarpitStore, program)

PASSWORD = b"correct horse battery staple"
USER = "tarpit@mx"
SHORT = 0.2 if is_sanitized() else 0.1
COUNTERS_MAX = 10**12
MEMORY_MAX_KB = 64 << 10


@pytest.fixture(scope="module")
def sasl_env(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sasl")
    (directory / "memcached.conf").write_text(f"mech_list: plain\nsasldb_path: {directory}/users\n")
    subprocess.run(["saslpasswd2", "-p", "-c", "-a", "memcached", "-f", f"{directory}/users", "-u", "mx", "tarpit"],
                   input=PASSWORD, check=True)
    return {"SASL_CONF_PATH": str(directory)}


class Server:
    """A memcached, and a client of it; store() is a tarpit-store of it."""

    def __init__(self, kind, env):
        self.has_sasl = kind == "sasl"
        self.memcached = Memcached("unix" if kind == "unix" else "inet", args=("-S",) if self.has_sasl else (), env=env,
                                   speaks_text=not self.has_sasl)

    def store(self, **named):
        if self.has_sasl:
            named = {"user": USER, "password": PASSWORD, **named}
        return TarpitStore(self.memcached.address, **{"timeout": 2, **named})

    def put(self, key, text):
        """What no daemon would."""
        if not self.has_sasl:
            with self.memcached.client() as client:
                client.set(key, text)
            return
        login = b"\0%s\0%s" % (USER.encode(), PASSWORD)
        with connect(self.memcached.address) as connection:
            for frame in (binary(AUTH, key=b"PLAIN", value=login, magic=0x80),
                          binary(SET_, extras=b"\0" * 8, key=key.encode(), value=text.encode(), magic=0x80)):
                connection.sendall(frame)
                assert connection.recv(100)[6:8] == b"\0\0"


@pytest.fixture(params=["inet", "unix", "sasl"])
def server(request, sasl_env):
    made = Server(request.param, sasl_env)
    with made.memcached:
        yield made


# What is counted

def test_an_offence_is_counted_once(server):
    with server.store() as store:
        first = store.ask(RECORD, ["a", "b", "c"], [("a", 100), ("b", 50)], seen=["r"])
        assert (first.result, first.seen_before, list(first.counts[:2])) == (ANSWERED, 0, [DONE, DONE])
        assert [first.value(index) for index in range(3)] == [100, 50, None]
        again = store.ask(RECORD, ["a", "b"], [("a", 100), ("b", 50)], seen=["r"])
        assert (again.result, again.seen_before, again.calls) == (ANSWERED, 1, 2)
        assert [again.value(index) for index in range(2)] == [100, 50]
        other = store.ask(RECORD, ["a", "b"], [("a", 100), ("b", 50)], seen=["s"])
        assert (other.seen_before, other.calls, other.failures) == (0, 4, 0)
        assert [other.value(index) for index in range(2)] == [200, 100]


def test_without_recipients_a_look_up_comes_first_and_the_values_are_those_after(server):
    with server.store() as store:
        store.look_up("a")
        outcome = store.ask(RECORD, ["x", "a"], [("a", 2**33), ("b", 1)])
        assert (outcome.seen_before, outcome.calls, list(outcome.counts[:2])) == (0, 5, [DONE, DONE])
        assert [outcome.value(index) for index in range(2)] == [None, 2**33]
        outcome = store.ask(RECORD, ["x", "a"], [("a", 2**33), ("b", 1)])
        assert (outcome.calls, outcome.value(1)) == (3, 2**34)
        outcome = store.ask(RECORD, [], [("a", 1)])
        assert (outcome.result, outcome.calls, outcome.counts[0]) == (ANSWERED, 2, DONE)
        assert store.look_up("a").value() == 2**34 + 1


def test_set_and_forgive(server):
    keys = [f"c{index}" for index in range(6)] + [f"n{index}" for index in range(6)] + ["flag"]
    with server.store() as store:
        assert store.ask(SET, ["flag"], number=1700000000).result == ANSWERED
        assert store.look_up("flag").value() == 1700000000
        store.ask(RECORD, counts=[("c0", 5), ("c1", 9), ("c5", 2), ("n0", 7), ("n1", 3), ("n2", 1), ("n5", 6)])
        assert store.ask(FORGIVE, keys).result == ANSWERED
        outcome = store.look_up(*keys)
        assert [outcome.value(index) for index in range(13)] == [None] * 6 + [2, 0, 1, None, None, 4, None]
        store.ask(RECORD, counts=[("c0", 5), ("n0", 7)])
        keys[6:12] = [""] * 6
        assert store.ask(FORGIVE, keys).result == ANSWERED
        assert [store.look_up(key).value() for key in ("c0", "n0")] == [None, 9]


def test_lives_and_texts_are_those_that_were_asked_for(memcached):
    with TarpitStore(memcached.address) as store, memcached.client() as client:
        store.ask(RECORD, ["a"], [("a", 100)], seen=["r"], ttl=1000)
        store.ask(SET, ["f"], number=2**40, ttl=int(time.time()) + 60 * 86400)
        assert (client.get("a"), client.get("r"), client.get("f")) == ("100", "1", str(2**40))
        entries = client.entries()
        assert 990 < entries["a"] <= 1001 and 990 < entries["r"] <= 1001 and entries["f"] > 59 * 86400


@pytest.mark.parametrize("text", ["odd", "-1", str(COUNTERS_MAX), str(2**64 - 100), "1" * 30, ""])
def test_what_is_no_count_is_told_and_replaced(server, text):
    server.put("a", text)
    with server.store() as store:
        assert store.look_up("a").value() == (COUNTERS_MAX if text == str(COUNTERS_MAX) else "odd")
        outcome = store.ask(RECORD, ["a"], [("b", 1), ("a", 7)], seen=["r"])
        assert (outcome.result, outcome.replaced, list(outcome.counts[:2])) == (ANSWERED, 2, [DONE, DONE])
        assert (outcome.failures, outcome.value(), store.look_up("a").value()) == (0, 7, 7)


def test_a_counter_that_is_no_number_in_the_binary_protocol(sasl_env):
    """Of which libmemcached says no more than that the answer makes no sense. Nothing that is not seen to be odd is
    replaced."""
    with Hostile(binary_replies(incr=b"\x81\x05\0\0\0\0\0\x06\0\0\0\x04" + b"\0" * 12 + b"oops",
                                get={b"a": b"odd", b"b": b"12"})) as hostile:
        with TarpitStore(hostile.address, USER, PASSWORD, SHORT, env=sasl_env) as store:
            outcome = store.ask(RECORD, [], [("a", 7)], seen=["r"])
            assert (outcome.result, outcome.replaced, outcome.counts[0]) == (ANSWERED, 1, DONE)
            outcome = store.ask(RECORD, [], [("b", 7)], seen=["s"])
            assert (outcome.result, outcome.replaced, outcome.counts[0]) == (FAILED, 0, MAYBE_DONE)


def test_many_hosts_lose_nothing(server):
    def count(store):
        for _ in range(100):
            assert store.ask(RECORD, counts=[("a", 3)]).counts[0] == DONE

    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(server.store()) for _ in range(4)]
        threads = [threading.Thread(target=count, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert stores[0].look_up("a").value() == 1200


def test_a_look_up_is_one_round_trip():
    with Hostile(text_replies()) as hostile, TarpitStore(hostile.address) as store:
        store.look_up("warm")
        hostile.received.clear()
        assert store.look_up(*"abcdefghi").calls == 1
        assert hostile.received == [b"get a b c d e f g h i\r\n"]


def test_another_timeout_holds_from_then_on(memcached):
    with TarpitStore(memcached.address, timeout=5) as store:
        assert store.look_up("a").result == ANSWERED
        memcached.hang()
        store.timeout = SHORT
        began = time.monotonic()
        outcome = store.look_up("a")
        assert (outcome.result, outcome.reason) == (FAILED, b"no answer in time")
        assert time.monotonic() - began < 20 * SHORT
        memcached.resume()
        assert store.look_up("a").result == ANSWERED


def test_a_server_that_restarts_is_connected_to_again(server):
    with server.store() as store:
        assert store.ask(RECORD, ["a"], [("a", 1)]).value() == 1
        server.memcached.restart()
        # No failure: the connection was seen to have ended.
        assert store.ask(RECORD, ["a"], [("a", 1)], seen=["r"]).value() == 1
        server.memcached.kill()
        outcome = store.ask(RECORD, ["a"], [("a", 1)], seen=["r"])
        assert (outcome.result, outcome.counts[0], outcome.value()) == (FAILED, NOT_DONE, None)
        assert outcome.reason != b""
        server.memcached.start()
        assert store.ask(RECORD, ["a"], [("a", 1)], seen=["r"]).counts[0] == DONE


@pytest.mark.parametrize("keys", [("a",), ("a", "b")])
def test_nobody_listens(keys):
    with TarpitStore(("127.0.0.1", free_port())) as store:
        for _ in range(2):
            outcome = store.look_up(*keys)
            assert (outcome.result, outcome.calls, outcome.failures) == (FAILED, 1, 1)
        assert store.ask(RECORD, keys, [("a", 1)], seen=["r"]).reason == b"Connection refused"


def test_ipv6():
    with sockets.create_server(("::1", 0), family=sockets.AF_INET6) as listener:
        hostile = Hostile(text_replies(), listener)
        with hostile, TarpitStore(("::1", listener.getsockname()[1])) as store:
            assert store.look_up("a").result == ANSWERED


@pytest.mark.parametrize(("change", "reason"), [
    ({"password": b"wrong"}, b"its password is wrong"), ({"user": "nobody@mx"}, b"its password is wrong"),
    ({"user": ""}, b"")])
def test_who_may_not_log_in(sasl_env, change, reason):
    made = Server("sasl", sasl_env)
    with made.memcached, made.store(**change) as store:
        outcome = store.ask(RECORD, ["a"], [("a", 1)], seen=["r"])
        assert (outcome.result, outcome.counts[0]) == (FAILED, NOT_DONE)
        assert reason in outcome.reason


def test_a_server_without_sasl(memcached):
    with TarpitStore(memcached.address, USER, PASSWORD) as store:
        outcome = store.look_up("a")
        assert outcome.result == FAILED and b"knows no SASL" in outcome.reason


# Servers that treat it badly

class Hostile:
    """A server that answers to each request what answer(request) says: bytes, or pieces of them, or None: it hangs up."""

    def __init__(self, answer, listener=None):
        self._listener = listener or sockets.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._answer = answer
        self.received = []
        self.accepted = 0
        self.connections = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in [self._listener, *self.connections]:
            with contextlib.suppress(OSError):
                each.shutdown(sockets.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
                self.accepted += 1
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            while request := connection.recv(65536):
                self.received.append(request)
                answer = self._answer(request)
                if answer is None:
                    break
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(piece)
            connection.shutdown(sockets.SHUT_RDWR)


def text_replies(**replies):
    """A server that knows nothing and says yes to everything, but for what replies says."""
    known = {"add": b"STORED\r\n", "set": b"STORED\r\n", "get": b"END\r\n", "incr": b"1\r\n", "delete": b"DELETED\r\n",
             "quit": None, **replies}

    def answer(request):
        return known[request.split(b" ", 1)[0].decode().strip()]
    return answer


SET_, ADD, INCR, NOOP, VERSION, GETK, GETKQ, LIST, AUTH, QUIT = 0x01, 0x02, 0x05, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x21, 0x07


def binary(opcode, status=0, extras=b"", key=b"", value=b"", body=None, magic=0x81):
    length = len(extras) + len(key) + len(value) if body is None else body
    return struct.pack("!BBHBBHIIQ", magic, opcode, len(key), len(extras), 0, status, length, 0, 0) + extras + key + value


def binary_replies(get=None, **replies):
    """A server that lets everybody in. get: what it knows, or answers to any look-up."""
    known = {ADD: binary(ADD), SET_: binary(SET_), INCR: binary(INCR, value=struct.pack("!Q", 1)),
             LIST: binary(LIST, value=b"PLAIN"), AUTH: binary(AUTH, value=b"Authenticated"), NOOP: binary(NOOP), GETKQ: b""}
    known.update({{"add": ADD, "incr": INCR}[name]: reply for name, reply in replies.items()})
    if isinstance(get, bytes):
        known.update({GETKQ: get, NOOP: b""})

    def answer_one(opcode, key):
        if isinstance(get, dict) and opcode == GETKQ and key in get:
            return binary(GETKQ, extras=b"\0" * 4, key=key, value=get[key])
        return known[opcode]

    def answer(requests):
        answers = b""
        while requests:
            opcode, key_length, extras_length, body_length = struct.unpack("!xBHBxxxI12x", requests[:24])
            if opcode == QUIT:
                return None
            answers += answer_one(opcode, requests[24 + extras_length:][:key_length])
            requests = requests[24 + body_length:]
        return answers
    return answer


def bad_key(length):
    return b"VALUE " + b"k" * length + b" 0 1\r\n1\r\nEND\r\n"


def value_of(length):
    return b"VALUE a 0 %d\r\n1\r\nEND\r\n" % length


def drip(text):
    """One byte at a time, each just in time, for ever."""
    while True:
        for byte in text:
            time.sleep(SHORT / 10)
            yield bytes([byte])


TEXT_ATTACKS = {
    "key of 252": {"get": bad_key(252)}, "key of 330": {"get": bad_key(330)},
    "version to a get": {"get": b"VERSION\r\n"}, "version to an add": {"add": b"VERSION\r\n"},
    "version to an incr": {"incr": b"VERSION\r\n"}, "end to an add": {"add": b"END\r\n"}, "ok to an add": {"add": b"OK\r\n"},
    "deleted to an add": {"add": b"DELETED\r\n"}, "number to an add": {"add": b"12\r\n"},
    "found to an incr": {"incr": b"STORED\r\n"}, "key to an incr": {"incr": bad_key(330)},
    "value of 2 GB": {"get": value_of(2 << 30)}, "value of 2^64 - 2": {"get": value_of(2**64 - 2)},
    "value of 2^64 - 3": {"get": value_of(2**64 - 3)}, "value of 50 MB": {"get": value_of(50 << 20)},
    "key not asked for": {"get": b"VALUE b 0 1\r\n1\r\nEND\r\n"}, "key twice": {"get": b"VALUE a 0 1\r\n1\r\n" * 2 + b"END\r\n"},
    "error": {"get": b"ERROR\r\n"}, "server error": {"get": b"SERVER_ERROR out of memory\r\n"},
    "another's": {"get": b"-ERR unknown command\r\n"}, "garbage": {"get": bytes(range(256)) * 20},
    "no end": {"get": b"1" * 100000}, "silence": {"get": b""}, "hang-up": {"get": None}, "half": {"get": b"VALUE a 0 5\r\n1"},
}
BINARY_ATTACKS = {
    "getk of 60,000": {"get": binary(GETK, extras=b"\0" * 4, key=b"k" * 60000)},
    "getkq of 60,000": {"get": binary(GETKQ, extras=b"\0" * 4, key=b"k" * 60000)},
    "getk of 60,000 to an add": {"add": binary(GETK, extras=b"\0" * 4, key=b"k" * 60000)},
    "version of 10,000": {"get": binary(VERSION, value=b"7" * 10000)},
    "version of 10,000 to an incr": {"incr": binary(VERSION, value=b"7" * 10000)},
    "value of 4 GB": {"get": binary(GETKQ, extras=b"\0" * 4, key=b"a", body=2**32 - 1)},
    "negative value": {"get": binary(GETKQ, extras=b"\0" * 4, key=b"a", body=1)},
    "out of memory to an incr": {"incr": binary(INCR, 0x82)}, "not allowed": {"get": binary(GETKQ, 0x20)},
    "unknown command": {"get": binary(GETKQ, 0x81)}, "text": {"get": b"ERROR\r\n" * 10}, "silence": {"get": b""},
}
# abort() may not signal, and ends by an instruction that no machine knows.
CRASH = {-number for number in (*CRASHES, signal.SIGTRAP)}


def outcomes_of(store):
    """Of a look-up and a record; how the program ended instead, if it did."""
    for arguments in (("look up",), ("record",)):
        try:
            yield store.look_up("a") if arguments == ("look up",) else store.ask(RECORD, ["a"], [("a", 1), ("b", 1)], seen=["r"])
        except Ended as ended:
            yield ended.args[0]
            return


def assert_survived(name, attack, store, hostile):
    began = time.monotonic()
    found = list(outcomes_of(store))
    assert time.monotonic() - began < 2 * TIMEOUTS_MAX * SHORT + 3
    last = found[-1]
    if not isinstance(last, Outcome):
        # Sanitizers have an exit status of their own.
        assert last in CRASH or is_sanitized(), (name, last)
        return
    peak = int(store.status("VmPeak").split()[0])
    assert peak <= MEMORY_MAX_KB or is_sanitized(), peak
    if "get" in attack:
        assert [outcome.result for outcome in found] == [FAILED, FAILED], name
        assert (last.value(), last.seen_before, last.reason != b"") == (None, 0, True)
        assert list(last.counts[:2]) == [DONE, DONE]
    elif "add" in attack:
        assert (last.result, list(last.counts[:2])) == (FAILED, [NOT_DONE, NOT_DONE]), name
    else:
        assert (last.result, list(last.counts[:2])) == (FAILED, [MAYBE_DONE, NOT_DONE]), name
    assert hostile.accepted > 0


@pytest.mark.parametrize("name", TEXT_ATTACKS)
def test_nonsense_at_worst_ends_the_program(name):
    attack = TEXT_ATTACKS[name]
    with Hostile(text_replies(**attack)) as hostile, TarpitStore(hostile.address, timeout=SHORT) as store:
        assert_survived(name, attack, store, hostile)


@pytest.mark.parametrize("name", BINARY_ATTACKS)
def test_nonsense_in_the_binary_protocol_at_worst_ends_the_program(name, sasl_env):
    attack = BINARY_ATTACKS[name]
    with Hostile(binary_replies(**attack)) as hostile:
        with TarpitStore(hostile.address, USER, PASSWORD, SHORT, env=sasl_env) as store:
            assert_survived(name, attack, store, hostile)


@pytest.mark.parametrize("text", [b"VALUE a 0 1000000\r\n" + b"1" * 1000000, b"\r\n", b"VALUE a 0 1\r\n1\r\n" * 1000],
                         ids=["value", "lines", "values"])
def test_an_answer_that_drips_ends_the_program(text):
    with Hostile(text_replies(get=drip(text))) as hostile, TarpitStore(hostile.address, timeout=SHORT) as store:
        began = time.monotonic()
        with contextlib.suppress(Ended):
            assert store.look_up("a").result == FAILED
        assert time.monotonic() - began < TIMEOUTS_MAX * SHORT + 1


@pytest.mark.parametrize("inherited", [
    lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
    lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN)], ids=["blocked", "ignored"])
def test_the_timer_ends_the_program(inherited):
    with Hostile(text_replies(get=drip(b"VALUE a 0 1000000\r\n" + b"1" * 1000000))) as hostile:
        with TarpitStore(hostile.address, timeout=2 * SHORT, preexec=inherited) as store:
            assert (store.look_up("a").result, store.process.wait(10)) == (FAILED, os.EX_TEMPFAIL)


@pytest.mark.parametrize(("dripping", "counts"), [("get", [DONE, DONE]), ("add", [NOT_DONE, NOT_DONE]),
                                                  ("incr", [MAYBE_DONE, NOT_DONE])])
def test_how_far_it_came_when_the_timer_ended_it(dripping, counts):
    """What was not begun is owed still, and not lost."""
    with Hostile(text_replies(**{dripping: drip(b"1" * 1000)})) as hostile:
        with TarpitStore(hostile.address, timeout=2 * SHORT) as store:
            outcome = store.ask(RECORD, ["a"], [("a", 1), ("b", 1)], seen=["r"])
            assert (outcome.result, list(outcome.counts[:2]), outcome.reason) == (FAILED, counts, b"no answer in time")
            assert store.process.wait(10) == os.EX_TEMPFAIL


@pytest.mark.parametrize(("replies", "seen", "counts"), [
    ({"add": b""}, 0, [NOT_DONE, NOT_DONE]), ({"add": None}, 0, [NOT_DONE, NOT_DONE]),
    ({"incr": b""}, 0, [MAYBE_DONE, NOT_DONE]), ({"incr": None}, 0, [MAYBE_DONE, NOT_DONE]),
    ({"get": b""}, 0, [DONE, DONE])])
def test_how_far_it_came_before_the_failure(replies, seen, counts):
    with Hostile(text_replies(**replies)) as hostile, TarpitStore(hostile.address, timeout=SHORT) as store:
        outcome = store.ask(RECORD, ["a"], [("a", 1), ("b", 1)], seen=["r"])
        assert (outcome.result, outcome.seen_before, list(outcome.counts[:2])) == (FAILED, seen, counts)
        assert (outcome.failures, outcome.was_refused) == (1, 0)
        # The next one begins on a new connection.
        assert store.ask(RECORD, ["a"], [("a", 1), ("b", 1)], seen=["r"]).seen_before == seen
        assert hostile.accepted == 2


@pytest.mark.parametrize("replies", [{"get": b""}, {"get": None}])
def test_nothing_is_added_before_the_server_has_answered(replies):
    with Hostile(text_replies(**replies)) as hostile, TarpitStore(hostile.address, timeout=SHORT) as store:
        for keys in (["a"], []):
            outcome = store.ask(RECORD, keys, [("a", 1)])
            assert (outcome.result, outcome.counts[0]) == (FAILED, NOT_DONE)
        assert not any(request.startswith(b"incr") for request in hostile.received)


def test_nothing_is_added_on_a_new_connection_after_a_refusal():
    def answer(request):
        return None if request.startswith((b"get", b"incr")) else b"SERVER_ERROR busy\r\n"

    # Of which libmemcached closes the connection.
    with Hostile(answer) as hostile, TarpitStore(hostile.address, timeout=SHORT) as store:
        outcome = store.ask(RECORD, ["a"], [("a", 1)], seen=["r"])
        assert (outcome.result, outcome.was_refused, outcome.counts[0]) == (FAILED, 1, NOT_DONE)


REFUSAL = b"SERVER_ERROR out of memory storing object\r\n"


@pytest.mark.parametrize(("replies", "seen", "counts"), [
    ({"add": REFUSAL}, 0, [DONE, DONE]), ({"incr": REFUSAL}, 0, [NOT_DONE, NOT_DONE]),
    ({"incr": b"CLIENT_ERROR busy\r\n"}, 0, [NOT_DONE, NOT_DONE]),
    ({"add": b"SERVER_ERROR busy\r\n"}, 0, [DONE, DONE]),
    ({"add": b"NOT_STORED\r\n"}, 1, [NOT_DONE, NOT_DONE])])
def test_a_server_that_lives_and_refuses(replies, seen, counts):
    with Hostile(text_replies(**replies)) as hostile, TarpitStore(hostile.address, timeout=2) as store:
        outcome = store.ask(RECORD, ["a"], [("a", 1), ("b", 1)], seen=["r"])
        assert (outcome.result, outcome.seen_before, list(outcome.counts[:2])) == (ANSWERED, seen, counts)
        assert outcome.was_refused == (seen != 1)


def test_a_server_that_forgets_at_once_or_refuses_an_order():
    with Hostile(text_replies(add=b"NOT_STORED\r\n", incr=b"NOT_FOUND\r\n")) as hostile:
        with TarpitStore(hostile.address, timeout=2) as store:
            outcome = store.ask(RECORD, ["a"], [("a", 1)])
            assert (outcome.result, outcome.was_refused, outcome.counts[0]) == (ANSWERED, 1, NOT_DONE)
            assert outcome.reason == b"it forgets at once"
    with Hostile(text_replies(set=REFUSAL, delete=REFUSAL)) as hostile, TarpitStore(hostile.address, timeout=2) as store:
        for arguments in ((SET, ["a"]), (FORGIVE, list("abcdefghijklm"))):
            outcome = store.ask(*arguments)
            assert (outcome.result, outcome.was_refused, outcome.reason) == (ANSWERED, 1, b"out of memory")


def test_a_late_answer_is_nobody_elses():
    asked = threading.Event()

    def answer(request):
        if not asked.is_set():
            asked.set()
            time.sleep(3 * SHORT)
            return b"VALUE a 0 1\r\n7\r\nEND\r\n"
        return text_replies()(request)

    with Hostile(answer) as hostile, TarpitStore(hostile.address, timeout=2 * SHORT) as store:
        assert store.look_up("a").result == FAILED
        time.sleep(3 * SHORT)
        outcome = store.look_up("a")
        assert (outcome.result, outcome.value()) == (ANSWERED, None)


def test_the_rest_of_a_bad_answer_is_nobody_elses():
    answers = iter([b"VALUE b 0 1\r\n1\r\nEND\r\nVALUE a 0 1\r\n7\r\nEND\r\n"])
    with Hostile(lambda request: next(answers, b"END\r\n")) as hostile, TarpitStore(hostile.address) as store:
        assert store.look_up("a").result == FAILED
        outcome = store.look_up("a")
        assert (outcome.result, outcome.value(), hostile.accepted) == (ANSWERED, None, 2)


def test_what_comes_unasked_ends_the_connection():
    with Hostile(text_replies()) as hostile, TarpitStore(hostile.address) as store:
        assert store.look_up("a").result == ANSWERED
        hostile.connections[0].sendall(b"VALUE a 0 1\r\n7\r\nEND\r\n")
        outcome = store.look_up("a")
        assert (outcome.result, outcome.value(), hostile.accepted) == (ANSWERED, None, 2)


# What it is given, and what it can no longer do

def test_it_is_for_the_daemon_only():
    shown = subprocess.run([program()], capture_output=True, text=True, check=False)
    assert shown.returncode == 64 and "tarpit-milter" in shown.stderr
    shown = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("tarpit-store ")


def test_another_builds_messages_end_it():
    with TarpitStore(("127.0.0.1", 1), version_text="0.0.0") as store:
        assert store.process.wait(5) == 78
    with TarpitStore(("127.0.0.1", 1)) as store:
        store.socket.send(b"short")
        assert store.process.wait(5) == 76


def test_it_ends_with_the_daemon_and_not_before():
    with TarpitStore(("127.0.0.1", free_port())) as store:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            assert store.look_up("a").result == FAILED
            store.process.send_signal(number)
        assert store.look_up("a").result == FAILED
        store.socket.close()
        assert store.process.wait(5) == 0


def test_password_is_nowhere_to_be_seen(sasl_env):
    made = Server("sasl", sasl_env)
    with made.memcached, made.store() as store:
        assert store.look_up("a").result == ANSWERED
        for name in ("cmdline", "environ"):
            with open(f"/proc/{store.process.pid}/{name}", "rb") as file:
                assert PASSWORD not in file.read()


def test_limits_and_descriptors(memcached):
    # What the daemon would have left open.
    kept = os.dup2(os.open("/dev/null", os.O_RDONLY), 50, inheritable=True)
    try:
        with TarpitStore(memcached.address) as store:
            store.look_up("a")
            assert sorted(map(int, os.listdir(f"/proc/{store.process.pid}/fd"))) == [0, 1, 2, DESCRIPTOR, DESCRIPTOR + 1]
            with open(f"/proc/{store.process.pid}/limits", encoding="utf-8") as file:
                limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
            expected = {"Max file size": "0", "Max core file size": "0", "Max processes": "0", "Max open files": "8"}
            if not is_sanitized():
                expected["Max address space"] = str(64 << 20)
                assert store.status("Seccomp") == "2"
            assert {name: limits[name] for name in expected} == {name: [most] * 2 for name, most in expected.items()}
            assert store.status("NoNewPrivs") == "1"
    finally:
        os.close(kept)


@pytest.mark.plain
@pytest.mark.parametrize("kind", ["inet", "unix"])
def test_what_a_program_that_is_taken_over_can_no_longer_do(kind, tmp_path):
    library = tmp_path / "confined.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, os.path.join(TOP, "tests/support/confined.c")], check=True)
    reader, writer = os.pipe()
    with Memcached(kind) as memcached, open(reader, encoding="ascii") as told:
        with TarpitStore(memcached.address, env={"LD_PRELOAD": str(library)}, preexec=lambda: os.dup2(writer, 2)) as store:
            os.close(writer)
            assert store.look_up("a").result == ANSWERED
            store.end()
        results = {attempt: int(error) for attempt, error in (line.split() for line in told)}
    own, other = (("inet", "unix") if kind == "inet" else ("unix", "inet"))
    assert results.pop(own) == 0
    assert other in results and len(results) == 20
    assert set(results.values()) == {errno.EPERM}, results


@pytest.mark.plain
@pytest.mark.parametrize("deny", [False, True])
def test_under_the_units_restrictions(server, sasl_env, deny):
    unit = Unit(os.path.join(TOP, "packaging/tarpit-milter.service"), deny)
    with server.store(preexec=unit.confine) as store:
        assert store.ask(RECORD, ["a"], [("a", 1)], seen=["r"]).value() == 1
