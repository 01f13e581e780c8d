# SPDX-License-Identifier: BSD-2-Clause
"""memcached as an adversary: what it does to a daemon in whose sessions innocents and offenders go on meanwhile."""

import contextlib
import itertools
import os
import signal
import socket as sockets
import struct
import sys
import threading
import time
from typing import NamedTuple

from .daemon import Daemon
from .memcached import Memcached, Relay, connect
from .milter import Session
from .preload import preload

WINDOW_SECONDS = 14 * 86400
NETWORKS = 12
INNOCENTS = 4
OFFENDERS = 3
SETTLE_SECONDS = 20


class Setting(NamedTuple):
    """Of one trial, in seconds; what is slow is so in proportion to the timeout."""

    timeout: float
    retry: float
    calm: float      # before the failure
    outage: float

    @property
    def options(self):
        return {"memcached_timeout": f"{self.timeout * 1000:.0f}ms", "memcached_retry": f"{self.retry * 1000:.0f}ms"}


class Figures(NamedTuple):
    calm: float      # the longest callback of an innocent before the failure
    longest: float   # and since
    payers: int      # callbacks that took 0.8 of a timeout or more
    callbacks: int
    told: int        # offences that were recorded
    lost: int        # of them, what the shared counters lack that no failed server had held
    surplus: int     # what they have too much
    back: float      # seconds until the daemon was up again; 0: it never went down
    downs: int
    faults: list


def milliseconds(seconds):
    return f"{seconds * 1000:7.1f}"


def row(name, figures):
    return (f"{name:<34}{milliseconds(figures.calm)} {milliseconds(figures.longest)} {figures.payers:5} of "
            f"{figures.callbacks:<6} {figures.downs:4} {figures.lost:5} of {figures.told:<5} {figures.back:6.2f}")


HEADING = (f"{'failure':<34}{'calm ms':>7} {'longest':>7} {'paid':>5} of {'all':<6} {'down':>4} {'lost':>5} of "
           f"{'all':<5} {'back s':>6}")


class Crowd:
    """Innocents, each a client that nobody knows yet, and offenders, all the while."""

    def __init__(self, address, gate=None):
        self._address = address
        self._gate = gate or contextlib.nullcontext()
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._innocent, args=(number,)) for number in range(INNOCENTS)]
        self._threads += [threading.Thread(target=self._offender, args=(number,)) for number in range(OFFENDERS)]
        self._numbers = itertools.count()
        self.seconds = []
        self.told = 0
        self.faults = []
        self._lock = threading.Lock()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self._ends.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _again_and_again(self, session_of, pause):
        while not self._ends.is_set():
            try:
                session_of(next(self._numbers))
            except (OSError, AssertionError) as fault:
                self.faults.append(fault)
                return
            time.sleep(pause)

    def _innocent(self, number):
        def one(count):
            client = f"203.{number}.{count // 250 % 250}.{count % 250}"
            with Session(self._address, client) as session:
                replies = [session.greeting, session.mail(), session.rcpt(), session.rcpt("b@example.org")]
                session.data()
                session.quit(wait=False)
            assert {reply.action for reply in replies} == {"continue"}, replies
            self.seconds += [reply.seconds for reply in replies]

        self._again_and_again(one, 0.005)

    def _offender(self, _number):
        def one(count):
            with Session(self._address, f"198.51.{count % NETWORKS}.1") as session:
                session.greet()
                # At most of all moments, what it says next is an offence.
                for each in range(12):
                    with self._gate:
                        reply = session.rcpt(f"u{count}-{each}@example.org", rejected="5.1.1")
                    assert reply.action == "continue", reply
                    with self._lock:
                        self.told += 1
                    time.sleep(0.01)
                session.quit(wait=False)

        self._again_and_again(one, 0.01)


class Site:
    """A daemon, with the memcacheds that it uses, and a relay before the first if it is to be between."""

    def __init__(self, setting, servers=1, relayed=False, args=(), memory_mb=32, **daemon):
        self._stack = contextlib.ExitStack()
        self.setting = setting
        self.memcacheds = [Memcached(memory_mb=memory_mb, args=args) for _ in range(servers)]
        self._relayed = relayed
        self._daemon = daemon
        self.relay = None
        self.held = [0, 0]  # what was lost with servers, in offences of clients and of networks
        self.gate = threading.Semaphore(OFFENDERS)

    @property
    def memcached(self):
        return self.memcacheds[0]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for memcached in self.memcacheds:
                stack.enter_context(memcached)
            names = [memcached.server for memcached in self.memcacheds]
            if self._relayed:
                self.relay = stack.enter_context(Relay(self.memcached))
                names[0] = self.relay.server
            options = {"store": "memcached", "memcached_servers": "{" + ", ".join(f'"{name}"' for name in names) + "}",
                       "threshold": "10000", "network_threshold": "0", "siege_threshold": "0", "log_level": "notice",
                       # So that what may be told twice, or never, is under way when it fails.
                       "count_distinct": "no",
                       **self.setting.options, **self._daemon.pop("options", {})}
            self.daemon = stack.enter_context(Daemon(options, control=True, **self._daemon))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details):
        return self._stack.__exit__(*details)

    def counted(self):
        """Offences that the servers hold, of clients and of networks: the two must be alike."""
        now = int(time.time() / WINDOW_SECONDS)
        sums = [0, 0]
        for memcached in self.memcacheds:
            with contextlib.suppress(OSError), memcached.client() as client:
                for number in range(NETWORKS):
                    for place, whose in enumerate((f"198.51.{number}.1/32", f"198.51.{number}.0/24")):
                        for window in (now, now - 1):
                            sums[place] += int(client.get(f"tarpit:1:{whose}:{window}:b") or 0)
        return [total / 100 for total in sums]

    @contextlib.contextmanager
    def still(self):
        """Offenders hold still, so that nothing of theirs is under way."""
        for _ in range(OFFENDERS):
            self.gate.acquire()
        try:
            time.sleep(0.1)
            yield
        finally:
            self.gate.release(OFFENDERS)

    def kill(self, *memcacheds):
        """What they held is lost with them."""
        with self.still():
            before = self.counted()
            for memcached in memcacheds or self.memcacheds[:1]:
                memcached.kill()
            self.held = [sum(sums) for sums in zip(self.held, before, (-count for count in self.counted()))]

    def flush(self):
        """The same, of one that lives on."""
        with self.still(), self.memcached.client() as client:
            self.held = [sum(sums) for sums in zip(self.held, self.counted())]
            client.flush()

    def restart(self, *memcacheds):
        for memcached in memcacheds or self.memcacheds[:1]:
            memcached.start()


def wait_for_return(site, since, seconds):
    """Until every server that went down is up again; how long that took."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        states = {}
        for event in site.daemon.events("store"):
            if "state" in event:
                states[event["server"]] = event["state"]
        if "down" not in states.values():
            return time.monotonic() - since
        time.sleep(0.005)
    raise AssertionError("it never comes back")


def settled(site, told):
    """What the counters lack in the end, of clients and of networks."""
    end = time.monotonic() + SETTLE_SECONDS
    last, since = None, time.monotonic()
    while time.monotonic() < end:
        counts = site.counted()
        if all(count >= told - held for count, held in zip(counts, site.held)):
            break
        if counts != last:
            last, since = counts, time.monotonic()
        if time.monotonic() - since > 3 * site.setting.retry + 1:
            break
        time.sleep(0.05)
    return [told - held - count for count, held in zip(counts, site.held)]


def run(site, failure):
    """Figures of one failure in mid-traffic."""
    sys.setswitchinterval(0.001)
    setting = site.setting
    with Crowd(site.daemon.address, site.gate) as crowd:
        time.sleep(setting.calm)
        calm = len(crowd.seconds)
        failure.fail(site)
        failed = time.monotonic()
        if failure.repair:
            time.sleep(setting.outage)
        if failure.repair:
            failure.repair(site)
            failed = time.monotonic()
        was_down = bool(site.daemon.events("store", state="down"))
        back = wait_for_return(site, failed, 4 * setting.retry + 20) if was_down else 0.0
        time.sleep(setting.calm / 2)
        crowd.end()
    lost = settled(site, crowd.told) if failure.counts else [0]
    # A host may say again to a restarted memcached what that had held, no more.
    surplus = max(0, *(round(-some - held) for some, held in zip(lost, site.held))) if failure.counts else 0
    since_failure = crowd.seconds[calm:]
    return Figures(
        calm=max(crowd.seconds[:calm]), longest=max(since_failure),
        payers=sum(seconds >= 0.8 * setting.timeout for seconds in since_failure), callbacks=len(since_failure),
        told=crowd.told, lost=round(max(lost)), surplus=surplus, back=back,
        downs=len(site.daemon.events("store", state="down")), faults=crowd.faults)


class Hogs:
    """Connections that fill a memcached's table."""

    def __init__(self):
        self._held = []

    def fill(self, site, count=64):
        # From the first on that it lets wait, it lets all wait.
        with contextlib.suppress(OSError):
            for _ in range(count):
                self._held.append(connect(site.memcached.address, 0.3))
        time.sleep(0.1)
        site.relay.cut()

    def leave(self, _site):
        for connection in self._held:
            connection.close()


def flood(site):
    """Has a small server forget most of what it knew, and keeps it forgetting for a moment."""
    with site.memcached.client() as client:
        for number in range(3000):
            client.set(f"filler{number}", "x" * 600, 3600)
            client.set(f"filler-as-large-as-a-counter-{number}", "100", 3600)


def fill(site):
    """Until a server that never forgets (-M) takes no more, of any size that matters."""
    with site.memcached.client() as client:
        for size in (600, 40, 3):
            with contextlib.suppress(AssertionError):
                for number in range(100000):
                    client.set(f"filler-of-{size}-{number}", "x" * size)


class Resolver:
    """A name server that says nothing until it is told to; a daemon with env asks no other."""

    def __init__(self):
        self._socket = sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.env = preload("own_resolver", TARPIT_TEST_RESOLVER=str(self._socket.getsockname()[1]))
        self._socket.settimeout(0.1)
        self._answers = threading.Event()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.asked = 0
        self.seconds = 0.0      # that each answer takes

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def answer(self, says=True):
        (self._answers.set if says else self._answers.clear)()

    def _serve(self):
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError):
                question, who = self._socket.recvfrom(512)
                self.asked += 1
                if self._answers.is_set() and not self._ends.wait(self.seconds):
                    self._socket.sendto(self._answer(question), who)

    @staticmethod
    def _answer(question):
        end = question.index(b"\0", 12) + 5
        wants_address = question[end - 4:end - 2] == b"\0\1"
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + sockets.inet_aton("127.0.0.1")
        return (question[:2] + struct.pack(">HHHHH", 0x8180, 1, wants_address, 0, 0) + question[12:end] +
                (record if wants_address else b""))


def drip(relay):
    """A long value, byte by byte, as long as it is to go on."""
    yield b"VALUE k 0 100000\r\n"
    while relay.lies():
        time.sleep(0.02)
        yield b"1"


def kill_workers(site):
    downs = len(site.daemon.events("store", state="down"))
    for pid in site.daemon.children():
        os.kill(pid, signal.SIGKILL)
    site.daemon.wait_for(r"^store: state=down ", 10, downs + 1)


class Failure(NamedTuple):
    fail: object
    repair: object          # None: it is over as soon as it has happened
    site: dict = {}
    counts: bool = True     # whether what is lost can be told
    in_flight: int = 0      # calls that a failure may have cut off after they were sent: told or not, nobody knows
    is_seen: bool = False   # whether the daemon must find that it failed


def slow(parts):
    return Failure(lambda site: site.relay.slow(parts * site.setting.timeout), lambda site: site.relay.good(),
                   {"relayed": True}, in_flight=OFFENDERS)


def over_relay(fail, in_flight=0, **more):
    return Failure(fail, lambda site: site.relay.good(), {"relayed": True}, in_flight=in_flight, **more)


def lies(answers, **options):
    """What has ended programs that read it with libmemcached: so it does in each worker that asks. In flight are what
    offenders say, and, where look-ups pass, what the keeper tries to pay: an offence a round, of few rounds."""
    rounds = 0 if b"get " in answers else 6
    return Failure(lambda site: site.relay.lie(answers), lambda site: site.relay.good(),
                   {"relayed": True, "options": options}, in_flight=OFFENDERS + rounds, is_seen=True)


def key_of(length):
    return b"VALUE " + b"k" * length + b" 0 1\r\n1\r\nEND\r\n"


def value_of(length):
    return b"VALUE tarpit:1:probe 0 %d\r\n1\r\nEND\r\n" % length


def full_table(*args):
    hogs = Hogs()
    return Failure(hogs.fill, hogs.leave, {"relayed": True, "args": ("-c", "48", *args)}, in_flight=OFFENDERS)


FAILURES = {
    "killed, started again empty": Failure(lambda site: site.kill(), lambda site: site.restart()),
    "restarted at once, empty": Failure(lambda site: (site.kill(), site.restart()), None),
    "hung (SIGSTOP)": Failure(lambda site: site.memcached.hang(), lambda site: site.memcached.resume()),
    "0.8 of a timeout late": slow(0.8),
    "1.2 timeouts late": slow(1.2),
    "4 timeouts late": slow(4),
    "accepts, never answers": over_relay(lambda site: site.relay.swallow(), OFFENDERS),
    "SYN dropped": over_relay(lambda site: (site.relay.black_hole(), site.relay.cut()), OFFENDERS),
    "answers drop by drop": over_relay(lambda site: site.relay.drip(0.3 * site.setting.timeout), OFFENDERS),
    "garbage": over_relay(lambda site: site.relay.garbage(b"\x80\xff\0 what?\r\n"), OFFENDERS),
    "garbage with a long key": over_relay(
        lambda site: site.relay.garbage(b"VALUE " + b"k" * 300 + b" 0 1\r\nx\r\nEND\r\n"), OFFENDERS),
    "out of memory (-M)": Failure(fill, Site.flush, {"memory_mb": 2, "args": ("-M",)}),
    "evicting (-m 2)": Failure(flood, None, {"memory_mb": 2}, counts=False),
    "full table, refusing (-c)": full_table(),
    "full table, silent (-c)": full_table("-o", "no_maxconns_fast"),
    "key of 252": lies({b"get ": key_of(252)}),
    "key of 330": lies({b"get ": key_of(330)}),
    "key of 330 to an increment": lies({b"incr ": key_of(330)}),
    "VERSION to a get": lies({b"get ": b"VERSION\r\n"}),
    "VERSION to an add": lies({b"add ": b"VERSION\r\n"}, count_distinct="yes"),
    "VERSION to an increment": lies({b"incr ": b"VERSION\r\n"}),
    "END to an add": lies({b"add ": b"END\r\n"}, count_distinct="yes"),
    "OK to an add": lies({b"add ": b"OK\r\n"}, count_distinct="yes"),
    "DELETED to an add": lies({b"add ": b"DELETED\r\n"}, count_distinct="yes"),
    "12 to an add": lies({b"add ": b"12\r\n"}, count_distinct="yes"),
    "value of 2 GB": lies({b"get ": value_of(2 << 30)}),
    "value of 2^64-2": lies({b"get ": value_of(2**64 - 2)}),
    "value that drips without end": lies({b"get ": drip}),
    "every tarpit-store killed": Failure(kill_workers, None, in_flight=OFFENDERS, is_seen=True),
    "two of three of a pool killed": Failure(lambda site: site.kill(*site.memcacheds[1:]),
                                             lambda site: site.restart(*site.memcacheds[1:]), {"servers": 3}),
}
