# SPDX-License-Identifier: BSD-2-Clause
"""SMTP sessions of all kinds in great number, as a filter sees them: some hundred new ones a second, from one thread.

Keeps books of what it sent and what came back, which must agree with the daemon's own: see Books."""

import asyncio
import collections
import itertools
import random
import struct
import time

from .milter import POSTFIX, SENDMAIL, Reply, Session, pack, text_of

# Who these clients are. Each honest one has a network of its own, so that no neighbour gets it into trouble.
HONEST = 20000
FRIENDS = "198.18.0.0/15"           # exempt_clients
FRIENDLY_HOSTS = ".friends.example"     # exempt_hosts
OPTIONS = {"exempt_clients": f'{{"127.0.0.0/8", "::1", "{FRIENDS}"}}', "exempt_hosts": f'{{"{FRIENDLY_HOSTS}"}}'}
TOLD = "100.64.0."                  # clients that only an administrator flags
# A callback that has no answer after this time never gets one.
LOST_SECONDS = 20.0
AUTHENTICATED = {"auth_type": "PLAIN", "auth_authen": "someone"}


def honest_client():
    number = random.randrange(HONEST)
    if number % 5 == 0:
        return f"2001:db8:{number:x}::{random.randrange(1, 9)}"
    return f"10.{number // 250}.{number % 250}.1"


def harvester_client():
    """Half of them in one network of each family, which gets dirty; the others each in one of its own."""
    number = random.randrange(100)
    if number < 30:
        return f"192.0.2.{number}"
    if number < 50:
        return f"2001:db9:0:{number:x}::1"
    if number < 80:
        return f"172.20.{number}.1"
    return f"2001:dba:{number:x}::1"


class Ended(Exception):
    """The filter wants to hear no more of this session."""


class Books:
    """What was sent, and what came back.

    opened: sessions that were negotiated. callbacks, answers: commands that want an answer, and those that got one.
    rejects, deferred, exempt: what the daemon must have counted at least; maybe_rejects, maybe_deferred: what it may
    have counted beyond that, of those who hung up without waiting.
    gone: sessions that the filter hung up on, lost: callbacks that were never answered.
    wrong: answers that nobody should get, as texts.
    honest_seconds: what each callback of honest clients took since they were last taken; slowest, slowest_what: of all clients."""

    def __init__(self):
        self.opened = self.callbacks = self.answers = self.exempt = 0
        self.rejects = self.maybe_rejects = self.deferred = self.maybe_deferred = 0
        self.hung_up = self.gone = self.lost = self.failed_connects = 0
        self.wrong = []
        self.honest_seconds = []
        self.slowest, self.slowest_what = 0.0, "nothing"
        self.kinds = collections.Counter()

    def blame(self, text):
        if len(self.wrong) < 20:
            self.wrong.append(text)

    def take_seconds(self):
        """(how many, median, p99, longest) of honest_seconds, and slowest; both begin anew."""
        seconds, self.honest_seconds = sorted(self.honest_seconds) or [0.0], []
        slowest, self.slowest = self.slowest, 0.0
        return (len(seconds), seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)], seconds[-1]), slowest


class _Wire(asyncio.Protocol):
    """Cuts what comes into packets."""

    def __init__(self):
        self.transport = None
        self.is_closed = False
        self._received = b""
        self._packets = collections.deque()
        self._waiter = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self._received += data
        while len(self._received) >= 4:
            length = struct.unpack(">I", self._received[:4])[0]
            if len(self._received) < 4 + length:
                return
            packet = self._received[4:4 + length]
            self._received = self._received[4 + length:]
            if packet[:1] != b"p":
                self._packets.append((packet[:1], packet[1:]))
                self._wake()

    def connection_lost(self, _error):
        self.is_closed = True
        self._wake()

    def _wake(self):
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def packet(self):
        """(command, data); (None, b"") once the filter has hung up."""
        while not self._packets:
            if self.is_closed:
                return None, b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._packets.popleft()


class Peer(Session):
    """A Session whose replies are awaited: await peer.ask(peer.begin_mail, sender), and whose books are kept."""

    # pylint: disable-next=super-init-not-called
    def __init__(self, swarm, client, mta=POSTFIX, name=None, resolve="FAIL", is_honest=False):
        self.swarm, self.books = swarm, swarm.books
        self.client, self.mta, self.resolve = client, mta, resolve
        self.name = text_of(name) or (f"[{client}]" if client else "localhost")
        self.is_honest = is_honest
        self.macros, self.lists = {}, {}
        self._offered = (0x1FF, 0x1FFFFF)
        self.actions = self.steps = self.version = self.bad_count = 0
        self._passes = self._stage = self.greeting = None
        self._packet = (None, b"")
        self._began = 0.0
        self._wire = None
        self.waits_since = None
        self.cut_off = None     # waits_since of the command that the filter hung up at
        self._offences = 0      # rejected recipients that the command counts for which is not answered yet

    def write(self, data):
        self._began = time.monotonic()
        self._wire.transport.write(data)

    def read_packet(self):
        return self._packet

    def close(self):
        if self._wire and self._wire.transport:
            self._wire.transport.close()

    async def open(self):
        self._wire = await self.swarm.connect()

    async def agree(self):
        self.begin_negotiate()
        self.waits_since = self._began
        self._packet = await self._wire.packet()
        self.waits_since = None
        if self._packet[0] is None:
            self._over_with_filter("negotiation")
        self.end_negotiate()
        self.books.opened += 1

    def _over_with_filter(self, stage):
        self.cut_off = self._began
        if self.swarm.is_stopping:
            raise Ended
        self.books.gone += 1
        self.books.blame(f"{self.client}: the filter hung up at {stage}")
        raise Ended

    async def ask(self, begin, *args, **kwargs):
        """The reply; Ended where there is nothing more to say."""
        begin(*args, **kwargs)
        stage = self._stage
        if stage is None:
            return Reply("unasked", "", 0.0)
        return await self._answer(stage)

    async def _answer(self, stage):
        self.books.callbacks += 1
        self.waits_since = self._began
        self._packet = await self._wire.packet()
        self.waits_since = None
        reply = self.finish()
        if reply.action == "gone":
            self._over_with_filter(stage)
        self.books.answers += 1
        self.books.rejects += self._offences
        self.books.maybe_rejects -= self._offences
        self._offences = 0
        self._judge(stage, reply)
        if reply.is_deferral or self._passes == "session" or self.swarm.is_draining:
            raise Ended
        return reply

    def _judge(self, stage, reply):
        books = self.books
        if reply.seconds > books.slowest:
            books.slowest, books.slowest_what = reply.seconds, f"{stage} of {self.client}"
        if self.is_honest:
            books.honest_seconds.append(reply.seconds)
        if reply.is_deferral:
            books.deferred += 1
            if self.is_honest:
                books.blame(f"{self.client}: deferred at {stage}")
        elif reply.action == "accept" and stage == "connect":
            books.exempt += 1
        elif reply.action not in ("continue", "accept"):
            books.blame(f"{self.client}: {reply.action} at {stage}")

    async def reject(self, hidden=0):
        """A recipient that nobody has asked for before, and that does not exist."""
        self.hide(hidden)
        self.begin_rcpt(f"u{next(self.swarm.numbers)}@example.org", "5.1.1")
        if self._stage is None:
            return
        self._offences = 1 + hidden
        self.books.maybe_rejects += self._offences
        await self._answer("rcpt")

    def abandon(self, begin, *args, **kwargs):
        """Hangs up without waiting for the answer, in the middle of what is perhaps a stall."""
        begin(*args, **kwargs)
        self.books.hung_up += 1
        self.books.maybe_deferred += 1

    async def think(self, longest=0.02):
        """Most are quick; some take their time, and the filter's worker turns to others."""
        if random.random() < 0.5:
            await asyncio.sleep(random.random() * longest)

    async def leave(self):
        """QUIT, and waits for the filter's end of it."""
        self.write(pack(b"Q"))
        while not self._wire.is_closed and (await self._wire.packet())[0] is not None:
            pass


# The kinds of sessions

async def honest(peer):
    """One mail; now and then to a recipient who is no more."""
    peer.is_honest = True
    await peer.ask(peer.begin_connect)
    await peer.think()
    await peer.ask(peer.begin, "helo", b"client.example\0")
    await peer.ask(peer.begin_mail)
    for _ in range(random.choice((1, 1, 2, 5))):
        await peer.ask(peer.begin_rcpt, "user@example.org")
        await peer.think()
    if random.random() < 0.03:
        await peer.reject()
    await peer.ask(peer.begin, "data", b"")
    await peer.leave()


async def harvester(peer):
    await peer.ask(peer.begin_connect)
    await peer.ask(peer.begin, "helo", b"x\0")
    for _ in range(2):
        await peer.ask(peer.begin_mail, random.choice(("someone@client.example", "")))
        for _ in range(4):
            await peer.reject(hidden=random.randrange(2) if peer.mta is SENDMAIL else 0)
            await peer.think()
        peer.abort()
    await peer.leave()


async def leaver(peer):
    """Hangs up in mid-stall, if it is stalled, and at any rate without QUIT."""
    await peer.ask(peer.begin_connect)
    if random.random() < 0.3:
        peer.abandon(peer.begin_mail)
    else:
        await peer.ask(peer.begin_mail)
        await peer.reject()
        peer.books.maybe_rejects += 1
        peer.abandon(peer.begin_rcpt, f"u{next(peer.swarm.numbers)}@example.org", "5.1.1")
    await asyncio.sleep(random.random() * 0.1)


async def friend(peer):
    """Exempt, by address or by name."""
    reply = await peer.ask(peer.begin_connect)
    peer.books.blame(f"{peer.client}, {peer.name}: {reply.action} for one that is exempt")


async def member(peer):
    """Authenticated, from wherever."""
    await peer.ask(peer.begin_connect)
    await peer.ask(peer.begin_mail, **AUTHENTICATED)
    for _ in range(3):
        await peer.ask(peer.begin_rcpt, "user@example.org")
    await peer.leave()


async def boaster(peer):
    """Arguments as long as the protocol allows, and of any bytes."""
    await peer.ask(peer.begin_connect)
    await peer.ask(peer.begin, "helo", random.randbytes(30000).replace(b"\0", b"x") + b"\0")
    await peer.ask(peer.begin_mail, random.randbytes(60000).replace(b"\0", b"x"))
    for size in (100, 1000, 60000):
        await peer.ask(peer.begin_rcpt, random.randbytes(size).replace(b"\0", b"x"))
    await peer.ask(peer.begin_rcpt, "user@example.org", rcpt_mailer="error", rcpt_host="y" * 10000)
    await peer.leave()


async def thief(peer):
    """Speaks as no MTA does, and goes."""
    peer.write(random.randbytes(random.randrange(100)))
    await asyncio.sleep(0.05)


async def told(peer):
    """Whom the administrator flags and forgives while it is here."""
    await peer.ask(peer.begin_connect)
    for _ in range(3):
        await peer.ask(peer.begin_mail)
        await peer.think()
        await peer.ask(peer.begin_rcpt, "user@example.org")
        peer.abort()
    await peer.leave()


def _friend(swarm):
    if random.random() < 0.4:
        return Peer(swarm, honest_client(), name="mx.friends.example", resolve="OK")
    return Peer(swarm, random.choice((None, "unix", f"198.18.{random.randrange(250)}.1", "127.0.0.1")))


def _any_mta():
    return SENDMAIL if random.random() < 0.25 else POSTFIX


# kind -> (of a thousand sessions so many, who comes)
KINDS = {
    honest: (500, lambda swarm: Peer(swarm, honest_client(), _any_mta(), is_honest=True)),
    harvester: (170, lambda swarm: Peer(swarm, harvester_client(), _any_mta())),
    leaver: (80, lambda swarm: Peer(swarm, harvester_client(), _any_mta())),
    friend: (100, _friend),
    member: (100, lambda swarm: Peer(swarm, harvester_client(), _any_mta())),
    boaster: (10, lambda swarm: Peer(swarm, honest_client(), _any_mta())),
    thief: (20, lambda swarm: Peer(swarm, None)),
    told: (20, lambda swarm: Peer(swarm, f"{TOLD}{random.randrange(20)}", _any_mta())),
}


class Swarm:
    """swarm = Swarm(daemon.address); await swarm.run(rate=200, seconds=60); await swarm.drain()

    shares: kind -> of all sessions so many, where not KINDS has it. books: see there. is_draining: sessions end at their next command. is_stopping: the filter may hang up."""

    def __init__(self, address, most_open=2000, shares=None):
        self.address = address
        self._shares = shares or {kind: share for kind, (share, _) in KINDS.items()}
        self.books = Books()
        self.numbers = itertools.count()
        self.is_draining = self.is_stopping = False
        self.held_back = 0
        self._most_open = most_open
        self._tasks = set()
        self._waiting = set()

    async def connect(self):
        loop = asyncio.get_running_loop()
        if isinstance(self.address, str):
            return (await loop.create_unix_connection(_Wire, self.address))[1]
        return (await loop.create_connection(_Wire, *self.address))[1]

    @property
    def open(self):
        return len(self._tasks)

    def waiting(self, seconds):
        """Those that have waited for so long for an answer."""
        latest = time.monotonic() - seconds
        return [peer for peer in self._waiting if peer.waits_since and peer.waits_since < latest]

    def start(self, kind, who=None):
        task = asyncio.get_running_loop().create_task(self._session(kind, who or KINDS[kind][1]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.books.kinds[kind.__name__] += 1

    async def _session(self, kind, who):
        peer = who(self)
        try:
            await peer.open()
            self._waiting.add(peer)
            if kind is not thief:
                await peer.agree()
            await kind(peer)
        except Ended:
            peer.write(pack(b"Q"))
        except OSError as error:
            if not self.is_stopping:
                self.books.failed_connects += 1
                self.books.blame(f"can't connect: {error}")
        finally:
            self._waiting.discard(peer)
            peer.close()

    def look_for_the_lost(self):
        """Gives up the callbacks that have waited too long for their answer."""
        for peer in self.waiting(LOST_SECONDS):
            self.books.lost += 1
            self.books.blame(f"{peer.client}: no answer in {LOST_SECONDS} s")
            peer.waits_since = None
            peer.close()

    async def run(self, rate, seconds):
        """So many new sessions a second, at random moments."""
        kinds, shares = list(self._shares), list(self._shares.values())
        now = time.monotonic()
        end, due = now + seconds, now
        while now < end:
            while due <= now:
                due += random.expovariate(rate)
                if len(self._tasks) < self._most_open:
                    self.start(random.choices(kinds, shares)[0])
                else:
                    self.held_back += 1
            await asyncio.sleep(min(max(due - now, 0.002), end - now))
            now = time.monotonic()

    async def drain(self, seconds=2 * LOST_SECONDS):
        """Begins no more, and waits for those that are open; whether all have ended."""
        self.is_draining = True
        end = time.monotonic() + seconds
        while self._tasks and time.monotonic() < end:
            await asyncio.sleep(0.02)
            self.look_for_the_lost()
        self.is_draining = False
        return not self._tasks
